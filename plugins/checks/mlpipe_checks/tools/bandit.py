"""bandit."""

from collections.abc import Mapping
from typing import Any

from mlpipe_checks.benches import Bench
from mlpipe_checks.toolconfig import ScanTool
from mlpipe_checks.tools.reading import line_of, read_json
from mlpipe_checks.values import Finding, Findings, Severity, Trouble, severity

#: Folders that are no sources. bandit's own list has all but the last two.
_LEFT_OUT = (
    *(".git", ".svn", "CVS", ".bzr", ".hg", "__pycache__", ".tox", ".eggs", "*.egg"),
    *(".venv", ".mlpipe"),
)
#: Rules whose messages quote what may be a password.
_QUOTING = ("B105", "B106", "B107")


def scan(entry: ScanTool, bench: Bench) -> Findings:
    """Run bandit, with the settings of pyproject.toml where it has some."""
    settings = bench.source / "pyproject.toml"
    has_settings = settings.is_file() and "[tool.bandit" in settings.read_text("utf-8")
    options = ["--quiet", "--recursive", "--format", "json", "--exclude", _excluded()]
    options += ["--configfile", str(settings)] if has_settings else []
    command = [bench.program("bandit"), *options, *entry.args, "--", *(entry.paths or ["."])]
    report = read_json(bench.run(command), dict)
    found = [_finding(each, bench) for each in report["results"]]
    found += [_unread(each, bench) for each in report["errors"]]
    return Findings(tuple(found))


def _excluded() -> str:
    return ",".join(f"./{name}" if "*" not in name else name for name in _LEFT_OUT)


def _finding(said: Mapping[str, Any], bench: Bench) -> Finding:
    rule = said["test_id"]
    text = line_of(said["issue_text"])
    return Finding(
        "bandit",
        rule,
        severity(said["issue_severity"]) if said["issue_severity"] != "UNDEFINED" else Severity.LOW,
        text.partition(":")[0] if rule in _QUOTING else text,
        bench.relative(said["filename"]),
        said["line_number"],
        said["col_offset"] + 1,
        said["more_info"],
    )


def _unread(said: Mapping[str, Any], bench: Bench) -> Finding:
    """Tell of a file that was not scanned: that is no clean file."""
    if "filename" not in said:
        raise Trouble(f"it failed: {said}")
    return Finding(
        "bandit",
        "not-scanned",
        Severity.HIGH,
        f"this file was not scanned: {line_of(said['reason'])}",
        bench.relative(said["filename"]),
    )
