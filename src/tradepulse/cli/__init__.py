"""The command line: one file per family of commands. Results go to stdout, everything else to stderr."""
