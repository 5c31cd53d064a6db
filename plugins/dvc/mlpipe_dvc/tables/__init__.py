"""Tables: reading them, taking them through steps, dividing them, writing them."""
