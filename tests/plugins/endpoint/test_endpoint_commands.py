"""``mlpipe endpoint``: whole output."""

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlpipe import UserError
from mlpipe_endpoint.cli import app
from tests.plugins.endpoint.endpoint_project import Project, request

BOTH = {"champion": 90, "challenger": 10}


@pytest.fixture
def port(project: Project, pair: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> int:
    (project.root / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(project.root / "deep" / "down")
    return int(project.deploy(pair, traffic=BOTH).values["port"])


@pytest.fixture
def inside(lasting: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(lasting.root)
    return lasting


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(app, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_and_status(project: Project, port: int) -> None:
    line = f"churn  {{}}  http://127.0.0.1:{port}  champion 90 · challenger 10\n"
    assert run("list").stdout == line.format("running")
    (shown,) = json.loads(run("list", "--json").stdout)
    assert (shown["name"], shown["state"], shown["port"]) == ("churn", "running", port)
    assert json.loads(run("status", "churn", "--json").stdout) == shown

    digests = {name: model["digest"][7:15] for name, model in shown["variants"].items()}
    assert run("status", "churn").stdout == (
        f"churn  running (process {project.server_pid()})\n"
        f"  url      http://127.0.0.1:{port}\n"
        f"  variant  champion    90  model {digests['champion']}…\n"
        f"  variant  challenger  10  model {digests['challenger']}…\n"
        f"  log      {project.backend.folder('churn').log}\n"
    )
    project.backend.stop("churn")
    assert run("list").stdout == line.format("stopped")


def test_invoke_prints_the_body_and_says_who_answered(inside: Project) -> None:
    row = inside.root / "row.json"
    row.write_text("[[1, 2]]")
    result = run("invoke", "churn", "--file", str(row), "--variant", "challenger")
    assert json.loads(result.stdout) == ["blue"]
    assert result.stderr == "variant challenger\n"
    piped = run("invoke", "churn", "-f", "-", "--variant", "champion", stdin=b"[[1, 2]]")
    assert json.loads(piped.stdout) == ["red"]


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("row.json", "[[-1]]", (), r"ModelError \(424\): .*negative rows"),
        ("row.png", "x", ("--content-type", "image/png"), r"ModelError \(424\): .*415"),
        ("row.json", "[[1]]", ("--variant", "x"), r"ValidationError \(400\): Variant x not found"),
    ],
)
def test_invoke_tells_the_endpoints_error(
    inside: Project, name: str, content: str, options: tuple[str, ...], said: str
) -> None:
    (inside.root / name).write_text(content)
    with pytest.raises(Exception, match=said):
        run("invoke", "churn", "--file", str(inside.root / name), *options)


def test_invoke_without_a_file_or_an_endpoint(project: Project, port: int) -> None:
    with pytest.raises(UserError, match="cannot read it: No such file"):
        run("invoke", "churn", "--file", "nowhere.json")
    project.backend.stop("churn")
    with pytest.raises(UserError, match='"churn" is not running'):
        run("invoke", "churn", "--file", "-", stdin=b"[[1]]")


def test_weights(project: Project, port: int) -> None:
    assert run("weights", "churn", "champion=0").stdout == "champion 0 · challenger 10\n"
    assert {request(port).variant for _ in range(20)} == {"challenger"}
    assert "recipe   champion 90 · challenger 10; the weights were changed since\n" in (
        run("status", "churn").stdout
    )
    assert run("weights", "churn", "champion=50", "challenger=50.5").stdout == (
        "champion 50 · challenger 50.5\n"
    )


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ("third=1", 'no variant "third"'),
        ("champion", "is not a variant and its weight"),
        ("champion=-1", "is not a variant and its weight"),
        ("champion=nan", "is not a variant and its weight"),
    ],
)
def test_weights_that_make_no_sense(inside: Project, share: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        run("weights", "churn", share)


def test_some_variant_must_keep_traffic(inside: Project) -> None:
    with pytest.raises(UserError, match="at least one variant"):
        run("weights", "churn", "champion=0", "challenger=0")


def test_logs_show_what_models_say(project: Project, port: int) -> None:
    request(port, body=b"[[-1]]")
    shown = run("logs", "churn").stdout
    assert "ValueError: negative rows are not for me" in shown
    assert "  info  server  in service: champion 90 · challenger 10\n" in shown
    assert " error  champion  the model failed\n" in run("logs", "churn", "-n", "1").stdout
    assert run("logs", "churn", "-n", "0").stdout == ""


def test_the_log_is_json_lines(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    script = """
        import os
        import sys

        def model_fn(folder):
            print("loaded")
            os.write(2, b"from C\\n")
            return 1

        def predict_fn(rows, model):
            print("a warning", file=sys.stderr)
            return rows
    """
    port = int(project.deploy({"champion": project.model("red", script)}).values["port"])
    request(port)
    lines = [json.loads(line) for line in run("logs", "churn", "--json").stdout.splitlines()]
    found = [(each.get("source"), each.get("stream"), each["message"]) for each in lines]
    assert ("champion", "stdout", "loaded") in found
    assert ("champion", "stderr", "a warning") in found
    assert (None, None, "from C") in found
    first = lines[0]
    assert (first["level"], first["message"]) == ("info", f"endpoint churn listens on port {port}")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None


def test_stop_waits_until_the_port_is_closed(port: int) -> None:
    assert run("stop", "churn").stdout == "stopped churn\n"
    with pytest.raises(ConnectionRefusedError):
        request(port)
    assert run("stop", "churn").stdout == "churn was not running\n"


@pytest.mark.parametrize("command", ["status", "stop", "logs"])
def test_an_unknown_endpoint_is_answered_with_the_known_ones(inside: Project, command: str) -> None:
    with pytest.raises(UserError) as caught:
        run(command, "other")
    assert str(caught.value) == 'unknown endpoint "other"\n   Endpoints here: churn.'


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape("holds .mlpipe/")):
        run("list")


@pytest.mark.parametrize("module", ["mlpipe_endpoint", "mlpipe_endpoint.cli"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"uvicorn", "numpy", "asyncio", "mlpipe_scriptmode", "boto3", "http.client"}
    assert heavy.isdisjoint(loaded.stdout.split())
