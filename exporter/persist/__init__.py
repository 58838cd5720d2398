"""What was learned, kept in a file beside the program: see docs/adr/0009-a-state-directory.md."""
