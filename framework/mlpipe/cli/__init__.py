"""The command line: one file per command group. Only it shows errors, and it shows them all."""
