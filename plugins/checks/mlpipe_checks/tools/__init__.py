"""The tools: each runs a program, and reads what it says."""
