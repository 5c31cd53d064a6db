"""The project's state in ``.mlpipe/``: runs, results, artifacts, releases.

SQLite in WAL mode with ``synchronous=NORMAL`` holds the records: what is committed survives
the death of any process. A power cut can take the last commits; digests then show what is
missing. Releases and the intents of side effects are synced to the disk once committed.
"""

from mlpipe.store.store import STATE_DIR, Store, opened

__all__ = ["STATE_DIR", "Store", "opened"]
