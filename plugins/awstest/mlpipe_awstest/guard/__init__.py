"""A folder for ``PYTHONPATH``, with which Python processes can talk to this machine only."""
