"""Whether what an endpoint is asked and answers is still what its model was trained for."""
