"""Commands that the plugin adds to ``mlpipe``."""
