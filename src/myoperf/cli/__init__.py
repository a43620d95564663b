"""The command line: each command parses its options, calls the package and writes."""
