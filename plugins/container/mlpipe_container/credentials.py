"""Who engines and we are at a registry."""

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlpipe_container.engines import Engine

#: How Docker names its hub in its files.
_HUB_KEYS = ("https://index.docker.io/v1/", "docker.io", "index.docker.io")
_HELPER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Login:
    """A user of a registry.

    Attributes:
        username: The name.
        password: The password or token.
    """

    username: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of a header ``Authorization``."""
        return f"Basic {self.encoded}"

    @property
    def encoded(self) -> str:
        """As files of engines have it."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def sha256(data: bytes) -> str:
    """Give the digest of bytes as registries do."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def plainly(error: BaseException) -> str:
    """Give the innermost reason of a failed request, without the addresses around it."""
    inner: Any = error
    while True:
        deeper = getattr(inner, "reason", None) or next(
            (each for each in getattr(inner, "args", ()) if isinstance(each, BaseException)), None
        )
        if not isinstance(deeper, BaseException):
            return str(inner).rpartition(": ")[2] or type(inner).__name__
        inner = deeper


def stored(engine: Engine, host: str) -> Login | None:
    """Give the login that the user has made with an engine's ``login``, also with its helpers."""
    for path in _files(engine):
        facts: Any = {}
        with suppress(OSError, ValueError):
            facts = json.loads(path.read_bytes())
        keys = _HUB_KEYS if host == "docker.io" else (host, f"https://{host}")
        for key in keys:
            if (login := _of(facts, key)) is not None:
                return login
    return None


def logged_in(engine: Engine, host: str, login: Login, folder: Path) -> Engine:
    """Give the engine with a login of this stage's own: the user's files are not changed.

    Args:
        engine: The engine.
        host: The registry's.
        login: The login.
        folder: Of the stage's, which is removed after it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    given = folder / "config.json"
    given.touch(0o600)
    if engine.is_podman:
        given.write_text(json.dumps({"auths": {host: {"auth": login.encoded}}}))
        return replace(engine, variables={**engine.variables, "REGISTRY_AUTH_FILE": str(given)})
    home = _docker_home()
    facts: Any = {}
    with suppress(OSError, ValueError):
        facts = json.loads((home / "config.json").read_bytes())
    facts = {key: value for key, value in facts.items() if key != "credsStore"}
    facts["auths"] = {**facts.get("auths", {}), host: {"auth": login.encoded}}
    helpers: Mapping[str, str] = facts.get("credHelpers", {})
    facts["credHelpers"] = {name: value for name, value in helpers.items() if name != host}
    given.write_text(json.dumps(facts))
    for each in ("contexts", "cli-plugins", "buildx"):  # what else Docker finds there
        if (home / each).exists() and not (folder / each).exists():
            (folder / each).symlink_to((home / each).resolve())
    return replace(engine, variables={**engine.variables, "DOCKER_CONFIG": str(folder)})


def _docker_home() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _files(engine: Engine) -> list[Path]:
    docker = _docker_home() / "config.json"
    if not engine.is_podman:
        return [docker]
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        return [Path(named)]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.getuid()}"
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return [
        Path(runtime) / "containers" / "auth.json",
        Path(config) / "containers" / "auth.json",
        docker,
    ]


def _of(facts: Any, key: str) -> Login | None:
    helper = facts.get("credHelpers", {}).get(key) or facts.get("credsStore")
    if helper and (login := _from_helper(str(helper), key)):
        return login
    encoded = facts.get("auths", {}).get(key, {}).get("auth")
    if not encoded:
        return None
    username, _, password = base64.b64decode(encoded).decode(errors="replace").partition(":")
    return Login(username, password)


def _from_helper(name: str, key: str) -> Login | None:
    try:
        done = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=key,
            capture_output=True,
            text=True,
            check=True,
            timeout=_HELPER_SECONDS,
        )
        facts = json.loads(done.stdout)
        return Login(facts["Username"], facts["Secret"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
