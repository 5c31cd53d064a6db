"""How good data is: checks as a gate, a description of each column, and its pictures."""
