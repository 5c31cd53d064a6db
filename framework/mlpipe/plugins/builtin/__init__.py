"""The two plugins that are always there: ``python`` and ``shell``."""
