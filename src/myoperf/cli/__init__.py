"""The command line: thin shells that parse, call and write."""
