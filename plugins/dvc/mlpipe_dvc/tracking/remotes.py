"""Which DVC remote data is pushed to.

The recipe's ``remote``, else the repository's default, else a folder below ``.mlpipe/dvc``
that becomes the default under the name ``mlpipe``. It is written to ``.dvc/config`` as an
absolute path, so that clones on the same machine share it. Where it does not exist, as on
another machine, ``.dvc/config.local``, which is never committed, names this project's own.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from dvc.config import Config

#: The remote that recipes set; any other name is the user's own.
REMOTE = "mlpipe"


def choose(dvc_dir: Path, wanted: str | None, root: Path, home: Path) -> str:
    """Settle the default remote and see that it can be written to, where it is a folder.

    Args:
        dvc_dir: ``.dvc``.
        wanted: What the recipe says: a URL, or a folder, relative to the root or absolute.
        root: The project's folder.
        home: The folder to take where nothing else is said.

    Returns:
        The remote's URL, or its folder.

    Raises:
        StageError: The recipe and the repository name different remotes, or it is a folder
            that cannot be written to.
    """
    from dvc.config import Config

    config = Config(str(dvc_dir))
    name, current = _default(config)
    url = _resolve(wanted, root) if wanted else None
    if name is None:
        url = url or str(home)
        _save(config, url, relative=_is_relative(wanted))
    elif url is None:
        url = current
        if name == REMOTE and url != str(home) and _is_folder(url) and not Path(url).exists():
            url = str(home)
            _override(config, url)
    elif url != current:
        if name != REMOTE:
            raise _clash(name, current, str(wanted))
        _save(config, url, relative=_is_relative(wanted))
    if _is_folder(url):
        _require_writable(Path(url))
    return url


def _default(config: Config) -> tuple[str | None, str]:
    """Give the name and URL of the repository's default remote, if it has one."""
    found = config.read()
    name = found["core"].get("remote")
    url = found["remote"].get(name, {}).get("url")
    if name is not None and url is None:
        raise StageError(
            f'the default remote "{name}" has no URL',
            where=".dvc/config",
            fix=f"Give it one, dvc remote add {name} URL, or take it out: dvc remote default -u",
        )
    return name, str(url or "")


def _clash(name: str, current: str, wanted: str) -> StageError:
    return StageError(
        f'is {wanted}, but the default remote of the DVC repository is "{name}", {current}',
        where="remote",
        fix="Take remote out of the recipe to push there, or change it: dvc remote default.",
    )


def _resolve(wanted: str, root: Path) -> str:
    if not _is_folder(wanted):
        return wanted
    # Not resolved: DVC compares and stores paths with their links as they are written.
    return os.path.abspath(root / Path(wanted).expanduser())


def _is_folder(url: str) -> bool:
    return "://" not in url


def _is_relative(wanted: str | None) -> bool:
    return wanted is not None and _is_folder(wanted) and not Path(wanted).expanduser().is_absolute()


def _save(config: Config, url: str, *, relative: bool) -> None:
    url = _writable(config, url, relative=relative)
    with config.edit("repo") as settings:
        settings["core"]["remote"] = REMOTE
        settings["remote"][REMOTE] = {"url": url}
    if REMOTE in config.read("local")["remote"]:
        with config.edit("local") as settings:
            settings["remote"][REMOTE].pop("url", None)


def _override(config: Config, url: str) -> None:
    url = _writable(config, url, relative=False)
    with config.edit("local") as settings:
        settings["remote"].setdefault(REMOTE, {})["url"] = url


def _writable(config: Config, url: str, *, relative: bool) -> str:
    """Give a URL as DVC can write it: anything but ASCII would leave its settings empty."""
    from dvc.config_schema import RelPath

    if not relative and url.isascii():
        return url
    if not (os.path.relpath(url, config.dvc_dir) if _is_folder(url) else url).isascii():
        raise StageError(
            "DVC's settings cannot hold letters beyond ASCII",
            where=f"remote {url}",
            fix="Name a remote without them.",
        )
    found: str = RelPath(url)
    return found


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StageError(
            f"the DVC remote cannot be written to: {error.strerror}",
            where=str(folder),
            fix="Make the folder writable, or name another remote.",
        ) from error
