"""Tables that a page shows but no file holds as they are: each function reads results and returns Markdown."""
