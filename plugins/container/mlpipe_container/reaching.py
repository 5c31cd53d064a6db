"""Having an engine reach a registry."""

from pathlib import Path

from mlpipe_container import credentials
from mlpipe_container.credentials import Login
from mlpipe_container.engines import Engine
from mlpipe_container.registries import Repository


def reach(engine: Engine, repository: Repository, login: Login | None, scratch: Path) -> Engine:
    """Give the engine, logged in at a repository's registry where a login is known."""
    if login is None:
        return engine
    return credentials.logged_in(engine, repository.host, login, scratch / "login")


def plain(engine: Engine, repository: Repository) -> list[str]:
    """Give the option by which Podman speaks HTTP on this machine, as Docker does anyway."""
    return ["--tls-verify=false"] if engine.is_podman and repository.is_loopback else []
