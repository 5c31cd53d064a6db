"""ruff: its linter and its formatter."""

from collections.abc import Mapping
from typing import Any

from mlpipe_checks.benches import Bench
from mlpipe_checks.toolconfig import QualityTool
from mlpipe_checks.tools.reading import line_of, read_json
from mlpipe_checks.values import Finding, Findings, Severity

_SYNTAX = "invalid-syntax"
_COMMON = ("--output-format", "json", "--no-cache")


def lint(entry: QualityTool, bench: Bench) -> Findings:
    """Run ``ruff check``."""
    return _run(entry, bench, ["check", *_COMMON], Severity.MEDIUM)


def layout(entry: QualityTool, bench: Bench) -> Findings:
    """Run ``ruff format --check``."""
    # It ends with 2 too where a file cannot be parsed, which is a finding.
    return _run(entry, bench, ["format", "--check", *_COMMON], Severity.MEDIUM, (0, 1, 2))


def _run(
    entry: QualityTool,
    bench: Bench,
    command: list[str],
    severity: Severity,
    fine: tuple[int, ...] = (0, 1),
) -> Findings:
    program = bench.program(entry.tool)
    done = bench.run([program, *command, *entry.args, "--", *(entry.paths or ["."])], fine=fine)
    found = [_finding(each, entry.tool, severity, bench) for each in read_json(done, list)]
    return Findings(tuple(found))


def _finding(said: Mapping[str, Any], tool: str, severity: Severity, bench: Bench) -> Finding:
    rule = said["code"] or _SYNTAX
    return Finding(
        tool,
        rule,
        Severity.HIGH if rule == _SYNTAX else severity,
        line_of(said["message"]),
        bench.relative(said["filename"]),
        said["location"]["row"],
        said["location"]["column"],
        said.get("url") or "",
    )
