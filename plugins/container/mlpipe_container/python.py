"""The Dockerfile of a Python project."""

import json
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_container.config import PythonProject

#: No user of the host's has this number; Kubernetes can tell that it is not root's.
_USER = 10001


def dockerfile(project: PythonProject, folder: Path) -> str:
    """Write it: dependencies in a layer of their own, no root, a health check.

    Args:
        project: What the recipe says.
        folder: The sources.

    Raises:
        StageError: The base is not pinned, or there are no requirements.
    """
    _check(project, folder)
    return "\n".join(
        [
            f"FROM {project.base} AS dependencies",
            "RUN python3 -m venv /opt/venv",
            "ENV PATH=/opt/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1",
            "WORKDIR /app",
            *_requirements(project, folder),
            "",
            f"FROM {project.base}",
            "COPY --from=dependencies /opt/venv /opt/venv",
            "ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
            "WORKDIR /app",
            "COPY . .",
            f"USER {_USER}:{_USER}",
            f"EXPOSE {project.port}",
            *_health(project),
            f"CMD {json.dumps(list(project.command))}",
            "",
        ]
    )


def _check(project: PythonProject, folder: Path) -> None:
    if "@sha256:" not in project.base and not project.base.startswith("localhost/"):
        raise StageError(
            f"the base {project.base} is not pinned, so another day it is another image",
            where="with.python.base",
            fix=f"Give its digest: base: {project.base}@sha256:…, as docker pull says it. An image "
            "that was made on this machine is named localhost/….",
        )
    if not (folder / project.requirements).is_file():
        raise StageError(
            f"the sources have no {project.requirements}",
            where="with.python.requirements",
            fix="Make it, as uv export or pip freeze do, or name the one that is there: "
            "requirements: requirements/service.txt",
        )


def _requirements(project: PythonProject, folder: Path) -> list[str]:
    text = (folder / project.requirements).read_text(errors="replace")
    # Wheels that are shipped with the sources must be there before they are installed.
    wheels = ["COPY wheels ./wheels"] if (folder / "wheels").is_dir() else []
    hashes = " --require-hashes" if "--hash=" in text else ""
    return [
        f"COPY {project.requirements} ./{project.requirements}",
        *wheels,
        f"RUN pip install{hashes} -r {project.requirements}",
    ]


def _health(project: PythonProject) -> list[str]:
    if not project.health:
        return []
    # PORT is what mlpipe, Cloud Run and others say where to listen by.
    ask = (
        "import os, urllib.request as u; "
        f"u.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '{project.port}') + "
        f"'{project.health}', timeout=3)"
    )
    often = "--interval=10s --timeout=5s --start-period=30s"
    return [f"HEALTHCHECK {often} CMD {json.dumps(['python3', '-c', ask])}"]
