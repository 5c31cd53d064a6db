"""What an event becomes in words."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpipe import Event
from mlpipe_notify.config import FIELDS, Channel

#: How much of a log's end is told.
_LINES, _CHARACTERS = 10, 2000

_SIGNS = MappingProxyType({">=": "≥", "<=": "≤", "==": "=", ">": ">", "<": "<"})
_DIRECTIONS = MappingProxyType({">": "short", "<": "over", "=": "off"})
#: Where continuous integration says which page shows the job.
_PAGES = ("CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL")


@dataclass(slots=True)
class Notes:
    """What is known of a run.

    Attributes:
        recipe: Its recipe's name.
        target: Where it runs.
        commit: What it worked on.
        logs: By stage, the path of its log.
        errors: By stage, why it failed.
    """

    recipe: str = ""
    target: str = ""
    commit: str = ""
    logs: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take in what an event says of the run."""
        data = event.data
        if event.kind == "run_started":
            self.recipe, self.target = data["recipe"], data["target"]
        if data.get("log"):
            self.logs[event.stage] = data["log"]
        if data.get("state") == "failed" and event.stage:
            self.errors[event.stage] = reason(data.get("error"))
        commit = (data.get("values") or {}).get("commit")
        self.commit = commit if isinstance(commit, str) else self.commit


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell.

    Attributes:
        id: The same whenever the same event is told again.
        occasion: What a channel's ``on:`` calls it.
        fields: By name, what templates can use.
    """

    id: str
    occasion: str
    fields: Mapping[str, str]

    def words(self, channel: Channel) -> str:
        """Write the message as a channel wants it."""
        return (channel.template or "{text}").format_map(self.fields)


def message(event: Event, notes: Notes, root: Path, link: str | None) -> Message | None:
    """Write what an event is worth telling, or ``None``.

    Args:
        event: The event.
        notes: What is known of its run.
        root: The project's folder.
        link: The settings' page of a run.
    """
    facts = _facts(event, notes)
    if facts is None:
        return None
    stage = facts.get("stage", "")
    found = dict.fromkeys(FIELDS, "") | facts
    found |= {
        "recipe": notes.recipe,
        "run": event.run,
        "target": notes.target,
        "commit": notes.commit or _head(root),
        "link": link.replace("{run}", event.run) if link else _page(os.environ),
        "log": _tail(root / notes.logs[stage]) if stage in notes.logs else "",
    }
    found["text"] = _text(found)
    return Message(f"{event.run}-{event.sequence}", found["outcome"], found)


def _facts(event: Event, notes: Notes) -> dict[str, str] | None:
    if event.kind == "gate_failed":
        return _gate(event, notes)
    if event.kind == "run_finished":
        return _end(event, notes)
    if event.kind in ("released", "rolled_back"):
        return _release(event, notes)
    return None


def _gate(event: Event, notes: Notes) -> dict[str, str]:
    missed = shortfall(event.data)
    return {
        "outcome": "gate",
        "stage": event.stage,
        "headline": f"{notes.recipe}: {event.stage} missed its gate: {missed}",
        "metric": event.data["metric"],
        "value": _number(event.data["value"]),
        "bound": event.data["bound"],
        "shortfall": missed,
    }


def _end(event: Event, notes: Notes) -> dict[str, str] | None:
    state = event.data["state"]
    if state == "done":
        headline = f"{notes.recipe} succeeded in {event.data['seconds']:.1f} s"
        return {"outcome": "success", "headline": headline}
    if state not in ("failed", "killed"):  # a missed gate was told; who interrupts a run knows
        return None
    stage, error = next(iter(notes.errors.items()), ("", reason(event.data.get("error"))))
    why = ": ".join(part for part in (stage, error) if part)
    failed = "failed" + (f": {why}" if why else "")
    headline = f"{notes.recipe or 'a run'} {failed if state == 'failed' else 'was killed'}"
    return {"outcome": "failure", "stage": stage, "headline": headline, "error": error}


def _release(event: Event, notes: Notes) -> dict[str, str]:
    data = event.data
    what, previous = f"{data['kind']}/{data['name']}", data.get("previous") or ""
    facts = {"stage": event.stage, "release": f"{what} {data['label']}", "previous": previous}
    if event.kind == "released":
        by = f"{notes.recipe} released" if notes.recipe else "released"
        return {**facts, "outcome": "release", "headline": f"{by} {facts['release']}"}
    was = f", was {previous}" if previous else ""
    headline = f"{what} rolled back to {data['label']}{was}"
    return {**facts, "outcome": "rollback", "headline": headline}


def shortfall(data: Mapping[str, Any]) -> str:
    """Say by how much a gate was missed, as ``accuracy 0.931, wanted ≥ 0.94 (0.009 short)``.

    Args:
        data: Of the event ``gate_failed``.
    """
    sign, _, bound = data["bound"].partition(" ")
    by = data["shortfall"]
    known = isinstance(by, int | float) and by == by and sign in _SIGNS
    missed = f" ({by:.2g} {_DIRECTIONS[sign[0]]})" if known else ""
    wanted = f"{_SIGNS.get(sign, sign)} {bound}".rstrip()
    return f"{data['metric']} {_number(data['value'])}, wanted {wanted}{missed}"


def reason(error: object) -> str:
    """Give an error's first line."""
    what = error.get("what", "") if isinstance(error, Mapping) else error
    lines = str(what or "").splitlines()
    return lines[0] if lines else ""


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _text(fields: Mapping[str, str]) -> str:
    lines = [fields["headline"]]
    facts = {"run": fields["run"], "commit": fields["commit"][:12], "target": fields["target"]}
    lines.append(" · ".join(f"{name} {value}" for name, value in facts.items() if value))
    if fields["link"]:
        lines.append(fields["link"])
    if fields["log"] and fields["outcome"] in ("failure", "gate"):
        lines += [f"last lines of {fields['stage']}:", fields["log"]]
    return "\n".join(lines)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 4 * _CHARACTERS))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LINES:])[-_CHARACTERS:]


def _head(root: Path) -> str:
    try:
        command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _page(environ: Mapping[str, str]) -> str:
    if "GITHUB_RUN_ID" in environ and "GITHUB_REPOSITORY" in environ:
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{environ['GITHUB_REPOSITORY']}/actions/runs/{environ['GITHUB_RUN_ID']}"
    return next((environ[name] for name in _PAGES if name in environ), "")
