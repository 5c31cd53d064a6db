"""mypy."""

import configparser
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlpipe_checks.benches import Bench
from mlpipe_checks.processes import Done
from mlpipe_checks.toolconfig import QualityTool
from mlpipe_checks.tools.reading import line_of
from mlpipe_checks.values import Finding, Findings, Severity, Trouble

_FATAL = 2
_SYNTAX = "syntax"
_WHAT = ("files", "modules", "packages")


def check(entry: QualityTool, bench: Bench) -> Findings:
    """Run mypy on what its configuration names, else on the whole folder."""
    paths = entry.paths or ([] if _is_configured(bench.source) else ["."])
    options = ["--output", "json", "--no-color-output", "--no-error-summary"]
    # Not in the folder that is checked; mypy looks after what fits.
    cache = bench.state / "mypy"
    command = [bench.program("mypy"), *options, "--cache-dir", str(cache), *entry.args]
    done = bench.run([*command, "--", *paths], fine=(0, 1, _FATAL))
    found = tuple(_findings(done, bench))
    if done.code == _FATAL and {each.rule for each in found} != {_SYNTAX}:
        raise _stopped(done, found)
    return Findings(found)


def _stopped(done: Done, found: Sequence[Finding]) -> Trouble:
    """Say why mypy looked at nothing."""
    said = "; ".join(f"{each.place}: {each.message}" for each in found) or done.said
    twice = "found twice under different module names" in said
    fix = "Give packages an __init__.py, or have mypy's settings say explicit_package_bases."
    return Trouble(f"it stopped before it looked at anything: {said}", fix if twice else "")


def _is_configured(source: Path) -> bool:
    """Tell whether mypy's configuration says what to look at."""
    for name, section in (("mypy.ini", "mypy"), (".mypy.ini", "mypy"), ("setup.cfg", "mypy")):
        parser = configparser.RawConfigParser(strict=False)
        parser.read(source / name)
        if any(parser.has_option(section, key) for key in _WHAT):
            return True
    path = source / "pyproject.toml"
    settings = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    return any(key in settings.get("tool", {}).get("mypy", {}) for key in _WHAT)


def _findings(done: Done, bench: Bench) -> Iterator[Finding]:
    for line in done.out.decode(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # an error before any file is read is told in plain text
            raise Trouble(f"it did not give a report: {done.said}") from None
        if said["severity"] == "error":
            rule = said["code"] or "misc"
            yield Finding(
                "mypy",
                rule,
                Severity.HIGH if rule == _SYNTAX else Severity.MEDIUM,
                line_of(said["message"]),
                bench.relative(said["file"]),
                max(said["line"], 0),
                max(said["column"] + 1, 0),
                f"https://mypy.readthedocs.io/en/stable/_refs.html#code-{rule}",
            )
