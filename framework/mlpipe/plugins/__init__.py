"""What plugins are made of, and how they are found, checked and called."""
