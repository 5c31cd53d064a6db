"""Tracking with DVC: hashing, the cache, ``.dvc`` files, remotes."""
