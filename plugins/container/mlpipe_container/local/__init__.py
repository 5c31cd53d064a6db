"""Services on this machine: containers behind a port that stays."""
