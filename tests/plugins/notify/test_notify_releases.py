"""Releases and rollbacks are told, each once."""

import subprocess
from pathlib import Path

from tests.plugins.notify.notify_project import Listener, Notifying

PLUGIN = """
from mlpipe import Release, StageConfig, StageResult, hookimpl

class ShipConfig(StageConfig):
    label: str

@hookimpl
def deploy(config: ShipConfig, stage):
    release = Release(kind="service", name="shop", label=config.label, payload={}, plugin="ship",
                      run=stage.run, created=0.0)
    return StageResult(releases=(release,))

@hookimpl
def preview(verb, config: ShipConfig, stage):
    from mlpipe import Action
    return [Action("update", "shop")]

@hookimpl
def rollback(release, context):
    return StageResult(summary="back")
"""
RECIPE = """
name: p
params: {label: one}
notify: {ops: {webhook: HOOK}}
stages: {ship: {uses: ship.deploy, with: {label: "${params.label}"}}}
"""


def committed(root: Path) -> str:
    """Commit the project; give the commit."""
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    commands = (("init", "-q"), ("add", "p.yaml"), (*who, "commit", "-qm", "feat: ship"))
    for command in (*commands, ("rev-parse", "HEAD")):
        done = subprocess.run(
            ["git", *command], cwd=root, check=True, capture_output=True, text=True
        )
    return done.stdout.strip()


def test_releases_and_rollbacks_are_told(project: Notifying, listener: Listener) -> None:
    project.write("site/ship.py", PLUGIN)
    project.write(
        "site/ship-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: ship\nVersion: 1\n"
    )
    project.write("site/ship-1.dist-info/entry_points.txt", "[mlpipe]\nship = ship\n")
    project.write("p.yaml", RECIPE)
    environment = {
        "HOOK": listener.url("/canary-1"),
        "PYTHONPATH": str(project.root / "site"),
        "GITHUB_SERVER_URL": "https://github.example.com",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_RUN_ID": "7",
    }
    commit = committed(project.root)
    for label in ("one", "two"):
        answer = project.mlpipe("run", "p", "--set", f"params.label={label}", **environment)
        assert answer.code == 0, answer.err
    answer = project.mlpipe("rollback", "service/shop", **environment)
    assert answer.code == 0, answer.err
    told = [(each.body["outcome"], each.body["headline"]) for each in listener.heard]
    assert told == [
        ("release", "p released service/shop one"),
        ("release", "p released service/shop two"),
        ("rollback", "service/shop rolled back to one, was two"),
    ]
    assert len({each.body["id"] for each in listener.heard}) == 3
    page = "https://github.example.com/acme/shop/actions/runs/7"
    assert {(each.body["commit"], each.body["link"]) for each in listener.heard} == {(commit, page)}
