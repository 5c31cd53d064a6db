"""What is in an image, and the Dockerfile that is written for a Python project."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mlpipe.errors import StageError
from mlpipe_container.config import BuildConfig, PythonProject
from mlpipe_container.python import dockerfile
from tests.engines import Engine, shell
from tests.plugins.container.container_projects import container_project, file_of

DPKG = """\
Package: libc6
Status: install ok installed
Version: 2.36-9

Package: removed
Status: deinstall ok config-files
Version: 1.0
"""
APK = "P:musl\nV:1.2.5-r0\nL:MIT\n\nP:zlib\nV:1.3\n"
PACKAGES = "opt/venv/lib/python3/site-packages"
METADATA = (
    "Metadata-Version: 2.4\nName: Some_Package\nVersion: 2.0\nLicense-Expression: MIT\n\nText.\n"
)


def test_the_bill_of_materials_lists_what_installers_left(podman: Engine, tmp_path: Path) -> None:
    project = container_project(tmp_path, podman)
    podman.load(
        "localhost/filled:1",
        {
            **shell(),
            "etc/os-release": b'NAME=x\nID="debian"\n',
            "var/lib/dpkg/status": DPKG.encode(),
            "lib/apk/db/installed": APK.encode(),
            f"{PACKAGES}/some_package-2.0.dist-info/METADATA": METADATA.encode(),
        },
    )
    project.write({"service/Dockerfile": "FROM localhost/filled:1\nCMD sh\n"})
    result = project.build()
    text = file_of(result, "sbom").read_text()
    bill: dict[str, Any] = json.loads(text)
    assert {each["purl"] for each in bill["components"]} == {
        "pkg:deb/debian/libc6@2.36-9",
        "pkg:apk/debian/musl@1.2.5-r0",
        "pkg:apk/debian/zlib@1.3",
        "pkg:pypi/some-package@2.0",
    }
    assert bill["metadata"]["component"]["version"] == result.values["id"]
    assert result.metrics["packages"] == 4
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert file_of(project.build(), "sbom").read_text() == text  # the same for the same image


PROJECT = {
    "base": "python:3.12-slim@sha256:" + "0" * 64,
    "command": ["uvicorn", "service:app"],
    "health": "/health",
}


def test_the_written_dockerfile_has_nothing_to_find_fault_with(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("fastapi==0.115.0\n")
    text = dockerfile(PythonProject.model_validate(PROJECT), tmp_path)
    written = tmp_path / "Dockerfile"
    written.write_text(text)
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, written], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    lines = text.splitlines()
    assert lines.index("RUN pip install -r requirements.txt") < lines.index("COPY . .")
    assert "USER 10001:10001" in lines
    assert 'CMD ["uvicorn", "service:app"]' in lines
    assert any(line.startswith("HEALTHCHECK ") for line in lines)


def test_hashes_are_held_to(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("fastapi==0.115.0 --hash=sha256:abc\n")
    text = dockerfile(PythonProject.model_validate(PROJECT), tmp_path)
    assert "RUN pip install --require-hashes -r requirements.txt" in text.splitlines()


def test_a_base_that_may_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    loose = PythonProject.model_validate({**PROJECT, "base": "python:3.12-slim"})
    with pytest.raises(StageError, match=r"python:3\.12-slim is not pinned.*\n.*@sha256:"):
        dockerfile(loose, tmp_path)
    (tmp_path / "requirements.txt").unlink()
    with pytest.raises(StageError, match=r"the sources have no requirements\.txt"):
        dockerfile(PythonProject.model_validate(PROJECT), tmp_path)


def test_other_inputs_are_files_of_the_context() -> None:
    declared = BuildConfig().declares({"source": "code.source", "model": "model.model"})
    assert declared.outputs == ("image", "sbom", "dockerfile")
