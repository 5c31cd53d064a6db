"""What is wrong with channels is said before anything runs, and repeats no secret."""

import pytest

from tests.plugins.notify.notify_project import Answer, Notifying

URL = "https://hooks.slack.com/services/T0/B0/canary-4471"


def planned(project: Notifying, channels: str, notify: str = "team") -> Answer:
    project.write("work.py", "def quality():\n    return {'accuracy': 1.0}\n")
    project.write(
        "p.yaml",
        f"name: p\nnotify:\n  team: {channels}\nstages:\n  quality:\n    uses: python.evaluate\n"
        f"    with: {{function: 'work:quality'}}\n    gate: {{accuracy: '>= 0.9'}}\n"
        f"    on_gate_failure: {{notify: {notify}}}\n",
    )
    return project.mlpipe("plan", "p", HOOK=URL)


def test_an_unknown_channel_is_refused(project: Notifying) -> None:
    answer = planned(project, "{slack: HOOK}", notify="taem")
    assert answer.code == 2
    assert answer.err.splitlines() == [
        'p.yaml:9:31: stages.quality.on_gate_failure.notify: there is no channel "taem"',
        "    9 │     on_gate_failure: {notify: taem}",
        "      │                               ^^^^",
        '   Did you mean "team"? Its channels: team.',
        "1 problem. Nothing was run.",
    ]


@pytest.mark.parametrize(
    "channel",
    [
        f"{{slack: '{URL}'}}",
        f"{{slack: {{webhook: '{URL}'}}}}",
        f"{{webhook: {{url: '{URL}'}}}}",
        f"{{email: '{URL}'}}",
        "{slack: '${env.HOOK}'}",
    ],
)
def test_a_url_is_refused_and_not_repeated(project: Notifying, channel: str) -> None:
    answer = planned(project, channel)
    assert answer.code == 2
    assert "p.yaml:3:" in answer.err
    assert "canary-4471" not in answer.out + answer.err
    assert "notify.team: a URL of a channel is a secret: keep it in an environment" in answer.err


def test_a_text_where_a_channel_should_be_is_not_repeated(project: Notifying) -> None:
    answer = planned(project, f"'{URL}'")
    assert answer.code == 2
    assert answer.err.splitlines()[0] == "p.yaml:3:9: notify.team: should be a mapping"
    assert "canary-4471" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("{slack: xoxb-canary-1}", "notify.team.slack.webhook: should be the name of an env"),
        ("{}", "notify.team: needs exactly one of slack, teams"),
        ("{slack: HOOK, webhook: HOOK}", "notify.team: needs exactly one of slack, teams"),
        ("{slak: HOOK}", 'notify.team.slak: unknown key\n   Did you mean "slack"?'),
        ("{slack: {token: BOT}}", "channel: goes with token:"),
        ("{slack: HOOK, on: [fail]}", "should be 'success', 'failure'"),
        ("{slack: HOOK, template: '{shortfal}'}", 'unknown field "shortfal"; did you mean "sho'),
        ("{slack: HOOK, template: '{0}'}", 'unknown field "0"'),
        ("{slack: HOOK, template: '{run'}", "write {{ and }} for plain braces"),
        ("{slack: HOOK, template: '{run:>{x}}'}", "neither form nor conversion"),
        ("{sns: alerts}", "notify.team.sns.topic: "),
        ("{email: {host: h, to: [a@b.c], user: u}}", "user: and password: go together"),
        ("{email: {host: h, to: [a@b.c], user: u, password: P, tls: none}}", "encrypted"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(project: Notifying, channel: str, said: str) -> None:
    answer = planned(project, channel)
    assert answer.code == 2
    assert said in answer.err, answer.err
    assert "canary" not in answer.err


def test_a_recipe_without_channels_starts_no_observer(project: Notifying) -> None:
    planned(project, "{slack: HOOK}")
    text = (project.root / "p.yaml").read_text()
    (project.root / "p.yaml").write_text(text.replace("notify:\n  team: {slack: HOOK}\n", ""))
    assert project.mlpipe("run", "p").code == 0
    assert not list(project.root.rglob("observers.log"))
