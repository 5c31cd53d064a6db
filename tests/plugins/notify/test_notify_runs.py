"""Runs of the command, heard by a server that speaks Slack's incoming webhook."""

import json

import pytest

from tests.plugins.notify.notify_project import Listener, Notifying

RECIPE = """
name: churn
notify:
  data-team: {slack: TEAM_HOOK, on: []}
  all: {webhook: ALL_HOOK, on: [success, failure, gate, release, rollback]}
  quiet: {teams: QUIET_HOOK, template: "{recipe}: {outcome} <{shortfall}>"}
observers: {notify: {link: "https://ci.example.com/{run}", delay: 0, timeout: 5}}
stages:
  quality:
    uses: python.evaluate
    with: {function: "work:quality"}
    gate: {accuracy: ">= 0.94"}
    on_gate_failure: {notify: data-team}
"""

WORK = """
from mlpipe import StageResult

def quality():
    print("line before the last")
    print("<!channel> last line")
    BODY
    return {"accuracy": VALUE}
"""


def prepare(project: Notifying, value: float = 0.95, body: str = "pass") -> None:
    project.write("churn.yaml", RECIPE)
    project.write("work.py", WORK.replace("VALUE", str(value)).replace("BODY", body))


def hooks(listener: Listener) -> dict[str, str]:
    return {
        "TEAM_HOOK": listener.url("/services/T0/B0/team-canary-8231"),
        "ALL_HOOK": listener.url("/all-canary-5512"),
        "QUIET_HOOK": listener.url("/quiet-canary-7719"),
    }


def test_a_missed_gate_is_told_to_whom_it_names(project: Notifying, listener: Listener) -> None:
    prepare(project, 0.931)
    answer = project.mlpipe("run", "churn", **hooks(listener))
    assert answer.code == 3, answer.err
    (run,) = json.loads(project.mlpipe("runs", "list", "--json").out)

    by_path = {each.path: each.body for each in listener.heard}
    assert len(by_path) == len(listener.heard) == 3
    assert by_path["/services/T0/B0/team-canary-8231"] == {
        "text": "churn: quality missed its gate: "
        "accuracy 0.931, wanted ≥ 0.94 (0.009 short)\n"
        f"run {run['run']} · target local\n"
        f"https://ci.example.com/{run['run']}\n"
        "last lines of quality:\n"
        "line before the last\n&lt;!channel&gt; last line"
    }
    told = by_path["/all-canary-5512"]
    facts = ("outcome", "stage", "metric", "value", "bound", "shortfall")
    assert [told[name] for name in facts] == [
        "gate",
        "quality",
        "accuracy",
        "0.931",
        ">= 0.94",
        "accuracy 0.931, wanted ≥ 0.94 (0.009 short)",
    ]
    (card,) = by_path["/quiet-canary-7719"]["attachments"]
    (block,) = card["content"]["body"]
    assert block["text"] == "churn: gate <accuracy 0.931, wanted ≥ 0.94 (0.009 short)>"


def test_a_failure_is_told_with_its_reason(project: Notifying, listener: Listener) -> None:
    prepare(project, body="raise ValueError('no rows')")
    assert project.mlpipe("run", "churn", **hooks(listener)).code == 1
    told = next(each.body for each in listener.heard if each.path == "/all-canary-5512")
    assert told["headline"].startswith("churn failed: quality: ")
    assert "no rows" in told["headline"]
    assert told["log"].endswith("ValueError: no rows")
    assert "/services/T0/B0/team-canary-8231" not in {each.path for each in listener.heard}


def test_a_success_is_told_once_and_not_when_all_is_cached(
    project: Notifying, listener: Listener
) -> None:
    prepare(project)
    assert project.mlpipe("run", "churn", **hooks(listener)).code == 0
    (heard,) = listener.heard
    assert heard.body["outcome"] == "success"
    assert heard.body["headline"].startswith("churn succeeded in ")
    assert heard.headers["Idempotency-Key"] == heard.body["id"]
    assert project.mlpipe("run", "churn", **hooks(listener)).code == 0
    assert len(listener.heard) == 1


def test_a_message_is_tried_again_and_the_same(project: Notifying, listener: Listener) -> None:
    prepare(project)
    listener.answers += [(503, "busy", {}), (429, "", {"Retry-After": "0"})]
    answer = project.mlpipe("run", "churn", **hooks(listener))
    assert answer.code == 0
    assert "not told" not in answer.err
    first, second, third = listener.heard
    assert first.body == second.body == third.body


def test_a_failed_notification_is_reported_and_fails_no_run(
    project: Notifying, listener: Listener
) -> None:
    prepare(project)
    listener.answers += [(404, "no_service", {})]
    answer = project.mlpipe("run", "churn", **hooks(listener))
    assert answer.code == 0
    assert (
        "observer notify: all was not told of the success: the server answered 404, no_service: "
        "the webhook was removed or its app uninstalled: make a new one in Slack"
    ) in answer.err
    assert len(listener.heard) == 1


def test_a_secret_that_is_not_set_is_reported(project: Notifying, listener: Listener) -> None:
    prepare(project)
    environment = hooks(listener)
    del environment["TEAM_HOOK"]
    answer = project.mlpipe("run", "churn", **environment)
    assert answer.code == 0
    assert "secret TEAM_HOOK is not set, so its channel cannot be told" in answer.err
    assert [each.body["outcome"] for each in listener.heard] == ["success"]


def test_secrets_are_nowhere(
    project: Notifying, listener: Listener, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Even where a stage's own code got hold of a webhook's URL, and servers repeat it."""
    environment = hooks(listener)
    leak = tmp_path_factory.mktemp("outside") / "leak.txt"
    leak.write_text(environment["TEAM_HOOK"])
    body = (
        "import os; print('in the environment:', os.environ.get('TEAM_HOOK')); "
        f"url = open({str(leak)!r}).read(); print('leaked:', url); raise ValueError(url)"
    )
    prepare(project, body=body)
    redirect = {"Location": listener.url("/elsewhere-canary-3301")}
    listener.answers += [
        (302, environment["ALL_HOOK"], redirect),
        (400, environment["QUIET_HOOK"], {}),
    ]
    answer = project.mlpipe("run", "churn", **environment)
    logs = project.mlpipe("logs", "last", "quality", **environment)
    shown = [answer, logs, project.mlpipe("runs", "show", "last")]
    assert answer.code == 1
    assert len(listener.heard) == 2
    assert "was not told of the failure: the server answered 302" in answer.err
    assert "in the environment: None" in logs.out
    assert "leaked: ***" in logs.out
    said = "\n".join(each.out + each.err for each in shown)
    said += json.dumps([each.body for each in listener.heard])
    for canary in ("team-canary-8231", "all-canary-5512", "quiet-canary-7719"):
        assert canary not in said
        assert canary not in project.everything()
