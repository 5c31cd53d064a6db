"""Releases and going back to them, with a plugin that is installed as third parties' are."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

PLUGIN = '''
from pathlib import Path

from mlpipe import Action, Release, Stage, StageConfig, StageResult, hookimpl
from mlpipe.errors import StageError


class FileConfig(StageConfig):
    """Put a text into service, in a file."""

    file: str
    text: str


def _now(file: str) -> str:
    path = Path(file)
    return path.read_text() if path.exists() else ""


@hookimpl
def preview(verb: str, config: FileConfig, stage: Stage) -> list[Action]:
    if _now(config.file) == config.text:
        return []
    return [Action("write", config.file, config.text)]


@hookimpl
def deploy(config: FileConfig, stage: Stage) -> StageResult:
    Path(config.file).write_text(config.text)
    release = Release(kind="file", name=config.file, payload={"text": config.text, "size": 1})
    return StageResult(summary=f"{config.file} says {config.text}", releases=(release,))


@hookimpl
def rollback(release: Release, context) -> StageResult:
    if release.payload["text"] == "cursed":
        raise StageError("is not in service", where=release.name, fix="Choose another.")
    Path(release.name).write_text(release.payload["text"])
    return StageResult(summary="read back")
'''

RECIPE = """
name: p
params: {text: one}
stages:
  site: {uses: acme.deploy, with: {file: site.txt, text: "${params.text}"}}
"""

Command = Callable[..., Any]


@pytest.fixture
def acme(project: Any, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Run commands in a project whose recipe deploys with an installed plugin ``acme``."""
    site = tmp_path_factory.mktemp("site")
    (site / "mlpipe_acme.py").write_text(PLUGIN)
    info = site / "mlpipe_acme-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlpipe-acme\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mlpipe]\nacme = mlpipe_acme\n")
    project.write("p.yaml", RECIPE)
    env = _first_on_path(site)
    return lambda *arguments: project.mlpipe(*arguments, env=env)


def _first_on_path(site: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.getenv("PYTHONPATH")])])}


def plain(text: str) -> str:
    """Replace what differs from run to run: identifiers, times, durations."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN", text)
    text = re.sub(r"\brun [0-9a-f]{4,}\b", "run RUN", text)
    return re.sub(r"\b\d+(\.\d+)?s\b", "TIME", text)


def test_a_release_is_planned_made_and_left_in_place(acme: Command) -> None:
    assert acme("plan", "p").out == "  site  run  1 action\n              write   site.txt  (one)\n"
    first = acme("run", "p")
    assert first.code == 0, first.err
    assert plain(first.err) == (
        "mlpipe run p · target local · run RUN\n"
        "  ▸ site  acme.deploy\n"
        "  ✓ site  acme.deploy  TIME    site.txt says one\n"
    )
    assert plain(first.out) == "done in TIME\n  file site.txt  release site.txt-1\n"
    again = acme("run", "p")
    assert plain(again.err).splitlines()[1:] == ["  = site  in place     nothing to do"]
    assert again.out.endswith("nothing to do: everything is cached or in place\n")


def test_releases_are_listed_shown_and_compared(acme: Command) -> None:
    acme("run", "p")
    acme("run", "p", "--set", "text=two")
    assert plain(acme("releases", "list").out) == (
        "  file/site.txt  site.txt-2  *  WHEN  run RUN\n"
        "  file/site.txt  site.txt-1     WHEN  run RUN\n"
    )
    assert plain(acme("releases", "show", "site.txt", "site.txt-1").out) == (
        "file/site.txt site.txt-1 · run RUN\n"
        "  size  1\n"
        "  text  one\n"
        "  in service since WHEN (deploy)\n"
    )
    assert acme("releases", "diff", "site.txt", "site.txt-1", "site.txt-2").out == (
        "  text  one  →  two\n"
    )
    assert acme("releases", "diff", "site.txt", "site.txt-1", "site.txt-1").out == (
        "no differences\n"
    )
    listed = acme("releases", "list", "--json").json()
    assert [(each["label"], each["in_service"]) for each in listed] == [
        ("site.txt-2", True),
        ("site.txt-1", False),
    ]


def test_a_rollback_says_the_way_back(acme: Command, project: Any) -> None:
    acme("run", "p")
    acme("run", "p", "--set", "text=two")
    back = acme("rollback", "site.txt")
    assert back.code == 0
    assert back.err == "rolling file/site.txt back to site.txt-1 …\n"
    assert back.out == (
        "file/site.txt is site.txt-1 · read back\n"
        "way back: mlpipe rollback file/site.txt --to site.txt-2\n"
    )
    assert project.read("site.txt") == "one"
    assert plain(acme("releases", "list").out).splitlines() == [
        "  file/site.txt  site.txt-2     WHEN  run RUN",
        "  file/site.txt  site.txt-1  *  WHEN  run RUN",
    ]
    forth = acme("rollback", "file/site.txt", "--to", "site.txt-2")
    assert forth.out.startswith("file/site.txt is site.txt-2 · read back\n")
    assert project.read("site.txt") == "two"
    shown = plain(acme("releases", "show", "site.txt").out).splitlines()
    assert shown[-2:] == [
        "  in service since WHEN (deploy)",
        "  in service since WHEN (rollback)",
    ]


def test_what_cannot_be_rolled_back_says_so(acme: Command, project: Any) -> None:
    acme("run", "p", "--set", "text=cursed")
    only = acme("rollback", "site.txt")
    assert (only.code, only.out) == (2, "")
    assert only.err == (
        "file/site.txt has one release only, site.txt-1\n"
        "   There is nothing earlier to roll back to.\n"
    )
    acme("run", "p")
    failed = acme("rollback", "site.txt")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err == (
        "rolling file/site.txt back to site.txt-1 …\n"
        "site.txt: is not in service\n   Choose another.\n"
    )
    assert project.read("site.txt") == "one"
    current = [each for each in acme("releases", "list", "--json").json() if each["in_service"]]
    assert [each["label"] for each in current] == ["site.txt-2"]


def test_unknown_releases_name_what_there_is(acme: Command) -> None:
    acme("run", "p")
    assert acme("releases", "show", "sit.txt").err == (
        'nothing named "sit.txt" was released\n'
        '   Did you mean "site.txt"? Released: file/site.txt.\n'
    )
    assert acme("rollback", "site.txt", "--to", "nope").err == (
        'file/site.txt has no release "nope"\n   Its releases: site.txt-1.\n'
    )


def test_the_plugin_is_listed_and_explained(acme: Command) -> None:
    listed = acme("plugins", "list").out.splitlines()
    assert re.fullmatch(r"  acme +1\.2 +deploy", next(x for x in listed if "acme" in x))
    shown = acme("plugins", "show", "acme.deploy").out
    assert shown == (
        "acme.deploy: put a version into service\n"
        "Put a text into service, in a file.\n"
        "\n"
        "  file  string  required\n"
        "  text  string  required\n"
    )
