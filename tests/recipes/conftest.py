"""The engine that the recipe for services is tried with."""

from tests.engines import podman_engine, short_folder

__all__ = ["podman_engine", "short_folder"]
