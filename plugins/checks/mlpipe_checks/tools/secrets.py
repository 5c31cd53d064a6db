"""detect-secrets: passwords, keys and tokens in files."""

import re

from mlpipe_checks.benches import Bench
from mlpipe_checks.toolconfig import ScanTool
from mlpipe_checks.tools.reading import read_json
from mlpipe_checks.values import Finding, Findings, Severity

_HELP = "https://github.com/Yelp/detect-secrets"
#: Files that are no sources, as a regular expression of their paths.
_LEFT_OUT = r"(^|/)(\.git|\.mlpipe|\.venv|\.tox|node_modules|__pycache__|\.[a-z]+_cache)/"


def scan(entry: ScanTool, bench: Bench) -> Findings:
    """Run detect-secrets on all files; it looks up none of what it finds anywhere."""
    ours = "|".join(re.escape(name) for name in ("mlpipe.lock", bench.baseline) if name)
    left_out = rf"{_LEFT_OUT}|(^|/)({ours})$"  # digests look like secrets
    options = ["--no-verify", "--all-files", "--exclude-files", left_out]
    command = [bench.program("detect-secrets"), "scan", *options, *entry.args]
    report = read_json(bench.run([*command, *(entry.paths or ["."])], fine=(0,)), dict)
    found = [
        Finding(
            "detect-secrets",
            said["type"].lower().replace(" ", "-"),
            Severity.HIGH,
            f"this looks like a secret ({said['type']})",
            bench.relative(path),
            said["line_number"],
            help=_HELP,
        )
        for path, each in report["results"].items()
        for said in each
    ]
    return Findings(tuple(found))
