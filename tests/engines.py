"""Real engines and a real registry for tests: Docker's daemon, Podman, and Debian's registry."""

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = "podman runc catatonit busybox-static docker.io docker-registry"
#: What Podman needs where limits cannot be raised and no systemd runs.
PODMAN = """
[containers]
default_ulimits=[]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime="runc"
"""
STORAGE = """
[storage]
driver="overlay"
graphroot="{folder}/graph"
runroot="{folder}/run"
"""
REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""

#: Libraries that packages with extensions find in any distribution.
_RUNTIME = (
    *("libgcc_s.so.1", "libstdc++.so.6", "librt.so.1", "libpthread.so.0", "libdl.so.2"),
    *("libm.so.6", "libc.so.6", "libutil.so.1"),
)


@dataclass(frozen=True)
class Engine:
    """An engine of the tests' own.

    Attributes:
        name: ``docker`` or ``podman``.
        folder: Where its images and its daemon's files are.
        variables: By which its command finds it.
    """

    name: str
    folder: Path
    variables: Mapping[str, str]

    def run(self, *arguments: str, given: bytes | None = None) -> str:
        done = subprocess.run(
            [self.name, *arguments],
            env={**os.environ, **self.variables},
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def load(self, name: str, files: Mapping[str, Path | bytes | str]) -> str:
        """Make an image of one layer, as debootstrap and ``docker import`` do; give its name."""
        self.run("import", "-", name, given=packed(files))
        return name

    def containers(self) -> list[str]:
        return self.run("ps", "--all", "--format={{.Names}}").split()

    def clear(self) -> None:
        for name in self.containers():
            self.run("rm", "--force", name)


def packed(files: Mapping[str, Path | bytes | str]) -> bytes:
    """Make an archive: bytes are a program, text is a link, a path is copied with what is in it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, what in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(what, Path):
                tar.add(what, name, filter=_kept)
            elif isinstance(what, bytes):
                member.size, member.mode = len(what), 0o755
                tar.addfile(member, io.BytesIO(what))
            else:
                member.type, member.linkname = tarfile.SYMTYPE, what
                tar.addfile(member)
    return made.getvalue()


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    left_out = ("/test", "/idlelib", "/turtledemo", "/__pycache__", "/site-packages", "/tkinter")
    return None if member.name.endswith(left_out) else member


def shell() -> dict[str, Path | bytes | str]:
    """Give the files of a system that has a shell and little else."""
    names = ("sh", "cat", "echo", "httpd", "sleep", "touch", "printf", "id", "env", "wget", "false")
    busybox = shutil.which("busybox")
    assert busybox is not None
    return {"bin/busybox": Path(busybox).read_bytes(), **{f"bin/{n}": "busybox" for n in names}}


def python() -> dict[str, Path | bytes | str]:
    """Give the files of a system with this machine's Python: nothing can be downloaded."""
    program = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    library = Path(os.__file__).parent
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    extensions = list((library / "lib-dynload").glob("*.so"))
    files: dict[str, Path | bytes | str] = {
        **shell(),
        f"usr/bin/{version}": program.read_bytes(),
        "usr/bin/python3": version,
        f"usr/lib/{version}": library,
        **{path.lstrip("/"): Path(path).read_bytes() for path in _linked([program, *extensions])},
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
        "etc/os-release": b"ID=debian\n",
        "tmp/.keep": b"",
    }
    wheels = Path("/usr/share/python-wheels")  # where Debian keeps what ensurepip installs
    return {**files, str(wheels).lstrip("/"): wheels} if wheels.is_dir() else files


def _linked(programs: list[Path]) -> set[str]:
    said = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    ).stdout
    words = (word for line in said.splitlines() for word in line.split())
    found = {word for word in words if word.startswith("/") and not word.endswith(":")}
    more = (path for name in _RUNTIME for path in _libraries(name))
    return found | {str(path) for path in more}


def _libraries(name: str) -> list[Path]:
    return list(Path("/lib").glob(f"*-linux-gnu/{name}"))[:1]


@contextmanager
def podman_in(folder: Path) -> Iterator[Engine]:
    _need("podman", "runc", "busybox")
    (folder / "containers.conf").write_text(PODMAN)
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    (folder / "auth.json").write_text("{}")
    (folder / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
    variables = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
    }
    engine = Engine("podman", folder, variables)
    yield engine
    engine.clear()
    subprocess.run(["umount", folder / "graph" / "overlay"], capture_output=True, check=False)


@contextmanager
def docker_in(folder: Path) -> Iterator[Engine]:
    _need("dockerd", "docker", "busybox")
    socket_ = folder / "docker.sock"
    command = [
        *("dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false"),
        *("--host-gateway-ip=127.0.0.1", f"--host=unix://{socket_}", f"--pidfile={folder / 'pid'}"),
        *(f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}"),
    ]
    (folder / "config").mkdir()
    variables = {"DOCKER_HOST": f"unix://{socket_}", "DOCKER_CONFIG": str(folder / "config")}
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        engine = Engine("docker", folder, variables)
        if not _comes(lambda: _answers(engine), daemon):
            last = (folder / "log").read_text().splitlines()[-1:]
            pytest.skip(f"no containers here: dockerd does not start: {last}")
        yield engine
        engine.clear()
    finally:
        daemon.terminate()
        daemon.wait(30)


@contextmanager
def registry_in(folder: Path) -> Iterator[str]:
    """Serve a registry; give its host and port."""
    _need("docker-registry")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(REGISTRY.format(folder=folder, port=port))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        assert _comes(lambda: _listens(port), server), (folder / "log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _need(*commands: str) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        pytest.skip(f"no containers here ({', '.join(missing)}): apt-get install {PACKAGES}")


def _answers(engine: Engine) -> bool:
    done = subprocess.run(
        ["docker", "version"],
        env={**os.environ, **engine.variables},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _comes(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> bool:
    for _ in range(300):
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short name: where names of sockets are too long, Podman waits."""
    with tempfile.TemporaryDirectory(prefix="mlpipe-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def podman_engine(short_folder: Path) -> Iterator[Engine]:
    folder = short_folder / "podman"
    folder.mkdir()
    with podman_in(folder) as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_engine(short_folder: Path) -> Iterator[Engine]:
    folder = short_folder / "docker"
    folder.mkdir()
    with docker_in(folder) as engine:
        yield engine


@pytest.fixture(scope="session")
def registry(short_folder: Path) -> Iterator[str]:
    """A registry on this machine, by host and port."""
    folder = short_folder / "registry"
    folder.mkdir()
    with registry_in(folder) as host:
        yield host


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Each engine, which is the one that commands of the test find; it has a shell's image."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    yield from used(found, monkeypatch)


@pytest.fixture
def podman(podman_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Podman, where one engine will do."""
    yield from used(podman_engine, monkeypatch)


def used(found: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name, value in found.variables.items():
        monkeypatch.setenv(name, value)
    if "localhost/shell" not in found.run("images", "--format={{.Repository}}").split():
        found.load("localhost/shell:1", shell())
    yield found
    found.clear()
