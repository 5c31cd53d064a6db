"""Known findings: a file of fingerprints that stay where lines around them come and go."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_checks.values import Finding

if TYPE_CHECKING:
    from mlpipe_checks.judging import Outcome

_FORMAT = 1
_NUMBER = re.compile(r"\d+")


def fingerprints(found: Sequence[Finding], source: Path) -> Iterator[tuple[Finding, str]]:
    """Give each finding with its fingerprint: of tool, rule, file and the line's text.

    Where one line of text has a finding more than once in a file, they are counted, in order.

    Args:
        found: The findings, in their order.
        source: The folder that was checked.
    """
    texts: dict[str, list[str]] = {}
    seen: Counter[str] = Counter()
    for finding in found:
        if finding.path not in texts:
            texts[finding.path] = _lines(source, finding.path)
        said = json.dumps(
            [finding.tool, finding.rule, finding.path, _said(finding, texts[finding.path])]
        )
        seen[said] += 1
        yield finding, hashlib.sha256(f"{said}{seen[said]}".encode()).hexdigest()[:32]


def _lines(source: Path, path: str) -> list[str]:
    file = source / path
    if not path or not file.is_file():
        return []
    return file.read_text("utf-8", errors="replace").splitlines()


def _said(finding: Finding, lines: list[str]) -> str:
    if 0 < finding.line <= len(lines):
        return " ".join(lines[finding.line - 1].split())
    return _NUMBER.sub("#", finding.message)


def read(path: Path) -> frozenset[str]:
    """Read the fingerprints of a baseline; none where there is no such file yet.

    Raises:
        StageError: It is no baseline.
    """
    try:
        return _fingerprints(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return frozenset()
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"this is no baseline: {error}",
            where=path.name,
            fix="Write it anew: mlpipe checks baseline RECIPE",
        ) from None


def _fingerprints(whole: Any) -> frozenset[str]:
    if whole["version"] != _FORMAT:
        raise ValueError(f"its version is {whole['version']}, not {_FORMAT}")
    return frozenset(str(each["fingerprint"]) for each in whole["findings"])


def remember(outcome: "Outcome", stage: Stage) -> None:
    """Keep a stage's findings, from which ``mlpipe checks baseline`` makes a baseline.

    Those of a tool that could not do its work are kept as they were.
    """
    path = remembered(stage.state_dir, stage.recipe, stage.name)
    broken = {report.tool for report in outcome.troubled}
    entries = [_entry(each.finding, each.fingerprint) for each in outcome.findings]
    entries += [entry for entry in _remembered(path) if entry["tool"] in broken]
    write(path, entries)


def remembered(state_dir: Path, recipe: str, stage: str) -> Path:
    """Name the file of a stage's last findings."""
    return state_dir / "checks" / "last" / f"{recipe}.{stage}.json"


def _remembered(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_bytes())["findings"]) if path.is_file() else []


def _entry(finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "tool": finding.tool,
        "rule": finding.rule,
        "path": finding.path,
        "message": finding.message,
    }


def write(path: Path, entries: Iterable[dict[str, Any]]) -> int:
    """Write a baseline, in an order in which changes are easily read; say how many it has."""
    named = {entry["fingerprint"]: entry for entry in entries}
    keys = ("path", "tool", "rule", "fingerprint")
    findings = sorted(named.values(), key=lambda entry: [entry[key] for key in keys])
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.writing")
    writing.write_text(json.dumps({"version": _FORMAT, "findings": findings}, indent=2) + "\n")
    writing.replace(path)
    return len(findings)
