"""Releases and rollbacks are told, each once."""

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


def test_releases_and_rollbacks_are_told(project: Notifying, listener: Listener) -> None:
    project.write("site/ship.py", PLUGIN)
    project.write(
        "site/ship-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: ship\nVersion: 1\n"
    )
    project.write("site/ship-1.dist-info/entry_points.txt", "[mlpipe]\nship = ship\n")
    project.write("p.yaml", RECIPE)
    environment = {"HOOK": listener.url("/canary-1"), "PYTHONPATH": str(project.root / "site")}
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
