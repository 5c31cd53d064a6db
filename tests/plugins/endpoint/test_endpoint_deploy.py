"""Describe, plan, execute, read back: what deploys and rollbacks leave behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mlpipe_endpoint
from mlpipe import MlpipeError, Release, RollbackContext, Target
from mlpipe.errors import StageError
from mlpipe_endpoint import processes
from mlpipe_endpoint.config import EndpointConfig
from tests.plugins.endpoint.endpoint_project import SCRIPT, Project, request

TRAFFIC = {"champion": 90, "challenger": 10}

BROKEN = "raise RuntimeError('weights are corrupt')"
MUTE = """
    def model_fn(folder):
        return None

    def predict_fn(rows, model):
        raise ValueError("I cannot count")
"""
SLOW = SCRIPT.replace("return Path(", "time.sleep(1.5)\n        return Path(")


def kill_server(project: Project) -> None:
    pid = project.server_pid()
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: processes.identity(pid) is None, 5)


def test_first_deploy_creates_everything_and_the_second_finds_it_in_place(
    project: Project, pair: dict[str, Path]
) -> None:
    assert project.plan(pair, traffic=TRAFFIC) == [
        "create endpoint churn",
        "create variant champion",
        "create variant challenger",
    ]
    assert not (project.root / ".mlpipe" / "endpoints").exists(), "a preview writes nothing"

    result = project.deploy(pair, traffic=TRAFFIC)

    assert result.summary == "champion 90 · challenger 10"
    (release,) = result.releases
    assert (release.kind, release.name) == ("endpoint", "churn")
    assert release.payload["weights"] == TRAFFIC
    assert release.payload["port"] == result.values["port"]
    digests = {name: item.artifact.digest for name, item in project.stage(pair).inputs.items()}
    assert {n: v["digest"] for n, v in release.payload["variants"].items()} == digests
    assert request(result.values["port"], "GET", "/ping").status == 200
    assert project.plan(pair, traffic=TRAFFIC) == []


def test_a_single_variant_gets_all_the_traffic(project: Project) -> None:
    result = project.deploy({"model": project.model("red")})
    assert {request(result.values["port"]).variant for _ in range(10)} == {"model"}


def test_a_killed_server_is_started_again_on_its_port(
    project: Project, pair: dict[str, Path]
) -> None:
    port = project.deploy(pair, traffic=TRAFFIC).values["port"]
    kill_server(project)
    assert project.plan(pair, traffic=TRAFFIC) == ["start endpoint churn"]

    left = project.backend.folder("churn").recorded()
    assert left is not None
    assert project.deploy(pair, traffic=TRAFFIC).values["port"] == port
    assert request(port).status == 200
    assert not Path(left.control).parent.exists()
    assert project.plan(pair, traffic=TRAFFIC) == []


def test_workers_end_with_their_killed_server(project: Project, pair: dict[str, Path]) -> None:
    from mlpipe_endpoint import control

    project.deploy(pair, traffic=TRAFFIC)
    server = project.backend.folder("churn").server()
    assert server is not None
    workers = control.ask(server.control, "describe", timeout=5)["workers"].values()
    assert all(processes.identity(pid) for pid in workers)
    kill_server(project)
    gone = processes.wait_until(lambda: not any(map(processes.identity, workers)), 5)
    assert gone


def test_the_plan_names_each_change(project: Project, pair: dict[str, Path]) -> None:
    project.deploy(pair, traffic=TRAFFIC)
    changed = {"champion": pair["champion"], "challenger": project.model("green")}
    actions = project.preview(changed, traffic={"champion": 50, "challenger": 50})
    assert [action.operation for action in actions] == ["update", "update"]
    assert "→" in actions[0].detail
    assert actions[1].detail == "champion 90 · challenger 10 → champion 50 · challenger 50"
    assert project.plan({"champion": pair["champion"]}) == [
        "delete variant challenger",
        "update weights of churn",
    ]


def test_weights_changed_by_hand_are_kept_until_the_recipe_asks_for_others(
    project: Project, pair: dict[str, Path]
) -> None:
    project.deploy(pair, traffic=TRAFFIC)
    project.backend.weigh("churn", {"champion": 0, "challenger": 100})
    assert project.plan(pair, traffic=TRAFFIC) == []

    newer = {**pair, "champion": project.model("green")}
    result = project.deploy(newer, traffic=TRAFFIC)
    assert result.summary == "champion 0 · challenger 100"

    result = project.deploy(newer, traffic={"champion": 80, "challenger": 20})
    assert result.summary == "champion 80 · challenger 20"


@pytest.mark.parametrize(
    ("script", "settings", "said"),
    [
        (BROKEN, {}, "weights are corrupt"),
        ("def model_fn(:", {}, "SyntaxError"),
        ("import os; os._exit(9)", {}, "exit code 9"),
        (MUTE, {"probe": {"body": [[1, 2]]}}, "I cannot count"),
    ],
    ids=["raises", "syntax", "exits", "fails its probe"],
)
def test_a_bad_model_is_refused_while_the_old_one_serves(
    project: Project, script: str, settings: dict[str, object], said: str
) -> None:
    port = project.deploy({"model": project.model("red")}).values["port"]
    with pytest.raises(StageError, match=said) as caught:
        project.deploy({"model": project.model("bad", script)}, **settings)
    assert "variant model" in str(caught.value)
    assert "endpoint.log" in str(caught.value)
    assert request(port).json == ["red"]
    assert project.plan({"model": project.root / "red.tar.gz"}) == []


def test_a_bad_first_model_leaves_nothing_running(project: Project) -> None:
    with pytest.raises(StageError, match="weights are corrupt"):
        project.deploy({"model": project.model("bad", BROKEN)})
    assert project.backend.folder("churn").server() is None
    assert project.plan({"model": project.model("red")})[0] == "create endpoint churn"


def test_the_port_can_be_changed_and_a_taken_one_leaves_the_old_serving(
    project: Project,
) -> None:
    models = {"model": project.model("red")}
    port = project.deploy(models).values["port"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = taken.getsockname()[1]
        assert project.plan(models, port=other) == ["restart endpoint churn"]
        with pytest.raises(StageError, match=f"on port {other}: .*in use"):
            project.deploy(models, port=other)
    assert request(port).json == ["red"]
    assert project.deploy(models, port=other).values["port"] == other
    assert request(other).json == ["red"]
    with pytest.raises(ConnectionRefusedError):
        request(port)


def test_rollback_serves_the_earlier_models_without_their_archives(
    project: Project, pair: dict[str, Path]
) -> None:
    first = project.deploy(pair, traffic=TRAFFIC).releases[0]
    newer = {name: project.model(f"new-{name}") for name in pair}
    second = project.deploy(newer, traffic={"champion": 1, "challenger": 1}).releases[0]
    port = first.payload["port"]
    assert request(port).json[0].startswith("new-")
    for archive in pair.values():
        archive.unlink()

    context = RollbackContext(project.root, project.root / ".mlpipe", Target(), second)
    result = mlpipe_endpoint.rollback(release=first, context=context)

    assert result.releases[0].payload == first.payload
    for variant, name in (("champion", "red"), ("challenger", "blue")):
        target = {"X-Amzn-SageMaker-Target-Variant": variant}
        assert request(port, headers=target).json == [name]


def test_rollback_starts_a_stopped_endpoint(project: Project) -> None:
    release = project.deploy({"model": project.model("red")}).releases[0]
    project.backend.stop("churn")
    context = RollbackContext(project.root, project.root / ".mlpipe", Target(), None)
    mlpipe_endpoint.rollback(release=release, context=context)
    assert request(release.payload["port"]).json == ["red"]


def test_rollback_to_a_release_that_is_gone_or_no_endpoint_says_so(project: Project) -> None:
    release = project.deploy({"model": project.model("red")}).releases[0]
    context = RollbackContext(project.root, project.root / ".mlpipe", Target(), release)
    lost = {"model": {"digest": "sha256:" + "0" * 64, "location": "lost.tar.gz"}}
    with pytest.raises(StageError, match=r"no longer at lost\.tar\.gz"):
        mlpipe_endpoint.rollback(
            release=Release("endpoint", "churn", {**release.payload, "variants": lost}),
            context=context,
        )
    with pytest.raises(StageError, match="no variants and weights"):
        mlpipe_endpoint.rollback(release=Release("endpoint", "churn", {}), context=context)
    assert request(release.payload["port"]).json == ["red"]


def test_a_changed_archive_is_refused(project: Project) -> None:
    archive = project.model("red")
    stage = project.stage({"model": archive})
    archive.write_bytes(project.model("blue").read_bytes())
    config = EndpointConfig(endpoint="churn")
    with pytest.raises(StageError, match="has changed"):
        mlpipe_endpoint.deploy(config=config, stage=stage)


def test_a_file_that_is_no_archive_is_refused(project: Project) -> None:
    archive = project.root / "model.tar.gz"
    archive.write_text("not an archive")
    with pytest.raises(MlpipeError) as caught:
        project.deploy({"model": archive})
    assert str(archive) in str(caught.value)


def test_a_stale_process_record_is_recognised_and_nobody_is_signalled(
    project: Project,
) -> None:
    from dataclasses import replace

    models = {"model": project.model("red")}
    project.deploy(models)
    folder = project.backend.folder("churn")
    server = folder.server()
    assert server is not None
    kill_server(project)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        folder.claim(replace(server, pid=bystander.pid))
        assert folder.server() is None
        assert project.backend.stop("churn") is False
        assert project.plan(models) == ["start endpoint churn"]
        project.deploy(models)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_projects_and_a_copy_serve_the_same_name_side_by_side(
    new_project: Callable[[str], Project],
) -> None:
    one, two = new_project("one"), new_project("two")
    port = one.deploy({"model": one.model("red")}).values["port"]
    other = two.deploy({"model": two.model("blue")}).values["port"]
    assert request(port).json == ["red"]
    assert request(other).json == ["blue"]

    copy = new_project("copy")
    shutil.copytree(one.root, copy.root, dirs_exist_ok=True)
    assert copy.backend.stop("churn") is False, "the original's server is not the copy's"
    assert request(port).json == ["red"]


def test_a_server_whose_project_is_deleted_stops(project: Project) -> None:
    port = project.deploy({"model": project.model("red")}).values["port"]
    pid = project.server_pid()
    shutil.rmtree(project.root / ".mlpipe")
    assert processes.wait_until(lambda: processes.identity(pid) is None, 10)
    with pytest.raises(ConnectionRefusedError):
        request(port)


def _deploy_in_a_process(project: Project, archive: Path) -> "subprocess.Popen[str]":
    code = f"""
        import mlpipe_endpoint
        from pathlib import Path
        from mlpipe_endpoint.config import EndpointConfig
        from mlpipe.testing import make_stage
        stage = make_stage(Path({str(project.root)!r}), "deploy",
                           inputs={{"model": Path({str(archive)!r})}}).stage
        config = EndpointConfig(endpoint="churn")
        print(mlpipe_endpoint.deploy(config=config, stage=stage).values["port"])
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_endpoint_outlives_its_stage_and_holds_none_of_its_pipes(project: Project) -> None:
    stage = _deploy_in_a_process(project, project.model("red"))
    output, _ = stage.communicate(timeout=30)
    assert stage.returncode == 0, output
    with pytest.raises(ProcessLookupError):
        os.killpg(stage.pid, signal.SIGKILL)
    assert request(int(output.split()[-1])).json == ["red"]


@pytest.mark.parametrize("moment", [0.0, 0.4, 1.2])
def test_a_deploy_killed_half_way_is_completed_by_the_next(project: Project, moment: float) -> None:
    project.deploy({"model": project.model("red")})
    new = project.model("slow", SLOW)
    stage = _deploy_in_a_process(project, new)
    assert stage.stdout is not None
    assert "update" in stage.stdout.readline()
    time.sleep(moment)
    os.killpg(stage.pid, signal.SIGKILL)
    stage.communicate()

    assert project.plan({"model": new}) != []
    result = project.deploy({"model": new})
    assert request(result.values["port"]).json == ["slow"]
    assert result.releases
    assert project.plan({"model": new}) == []


def test_a_switch_that_nobody_confirmed_is_verified_by_the_next_deploy(
    project: Project,
) -> None:
    models = {"model": project.model("red")}
    project.deploy(models)
    now = project.backend.describe("churn")
    assert now is not None
    project.backend.apply(now.deployment, now, None)
    assert project.plan(models) == ["verify endpoint churn"]
    assert project.deploy(models).releases
    assert project.plan(models) == []


@pytest.mark.parametrize(
    ("inputs", "settings", "said"),
    [
        ((), {}, "at least one model"),
        (("a", "b"), {}, '"a" has no weight, "b" has no weight'),
        (("a",), {"traffic": {"a": 1, "b": 1, "c": 1}}, '"b" is not an input, "c" is not an input'),
        (("not_this",), {}, "cannot name a variant"),
    ],
)
def test_inputs_and_traffic_must_fit(
    project: Project, inputs: tuple[str, ...], settings: dict[str, object], said: str
) -> None:
    models = {name: project.model("red") for name in inputs}
    with pytest.raises(StageError, match=said) as caught:
        project.preview(models, **settings)
    assert str(caught.value).startswith("stages.endpoint")


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoint": "a_b"},
        {"endpoint": "x" * 64},
        {"endpoint": "churn", "traffic": {"a": -1}},
        {"endpoint": "churn", "traffic": {"a": float("nan")}},
        {"endpoint": "churn", "traffic": {"a": 0}},
        {"endpoint": "churn", "port": 70000},
        {"endpoint": "churn", "probe": {}},
        {"endpoint": "churn", "probe": {"file": "a", "body": "b"}},
        {"endpoint": "churn", "unknown": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="EndpointConfig"):
        EndpointConfig.model_validate(settings)


def test_a_folder_for_a_model_is_refused(project: Project) -> None:
    config = EndpointConfig(endpoint="churn")
    archive = project.model("red")
    stage = project.stage({"model": archive})
    archive.unlink()
    archive.mkdir()
    with pytest.raises(StageError, match="is a folder"):
        mlpipe_endpoint.deploy(config=config, stage=stage)


def test_a_probe_file_is_sent_to_every_variant(project: Project, pair: dict[str, Path]) -> None:
    (project.root / "row.json").write_text("[[1, 2]]")
    project.deploy(pair, traffic=TRAFFIC, probe={"file": "row.json"})
    records = project.records()
    assert {record["variant"] for record in records} == set(pair)
    assert all(record["targeted"] for record in records)
    with pytest.raises(StageError, match=r"cannot read nowhere\.json"):
        project.deploy(pair, traffic=TRAFFIC, probe={"file": "nowhere.json"})


# -- what is in service ---------------------------------------------------------------------


def test_a_variant_without_an_input_is_what_is_in_service(project: Project) -> None:
    settings = {"traffic": {"champion": 90, "challenger": 10}}

    def models() -> dict[str, str]:
        found = project.backend.describe("churn")
        assert found is not None
        return {n: Path(m.location).stem[:-4] for n, m in found.deployment.variants.items()}

    red, blue, green = (project.model(name) for name in ("red", "blue", "green"))
    result = project.deploy({"challenger": red}, **settings)
    assert result.summary == "challenger 10"
    assert models() == {"challenger": "red"}
    assert project.plan({"challenger": red}, **settings) == []
    project.deploy({"challenger": blue}, **settings)
    assert models() == {"champion": "red", "challenger": "blue"}
    assert project.plan({"challenger": blue}, **settings) == []
    project.deploy({"challenger": green}, **settings)  # blue was never promoted
    assert models() == {"champion": "red", "challenger": "green"}
