"""The engine that pages about containers are tried with."""

from tests.engines import podman_engine, short_folder

__all__ = ["podman_engine", "short_folder"]
