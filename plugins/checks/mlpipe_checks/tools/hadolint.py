"""hadolint: Dockerfiles."""

from mlpipe_checks.benches import Bench
from mlpipe_checks.toolconfig import HadolintTool
from mlpipe_checks.tools.reading import line_of, read_json
from mlpipe_checks.values import Finding, Findings, Severity, Trouble

_LEVELS = {
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "style": Severity.LOW,
}
_WIKI = "https://github.com/hadolint/hadolint/wiki"
_LEFT_OUT = (".git", ".mlpipe", ".venv", ".tox", "node_modules")


def scan(entry: HadolintTool, bench: Bench) -> Findings:
    """Run hadolint on all Dockerfiles."""
    found = {path for pattern in entry.paths for path in bench.source.glob(pattern)}
    names = sorted(
        path.relative_to(bench.source).as_posix()
        for path in found
        if path.is_file() and not set(path.relative_to(bench.source).parts) & set(_LEFT_OUT)
    )
    if not names:
        raise Trouble(
            f"there is no Dockerfile ({', '.join(entry.paths)})",
            "Say where they are, as {tool: hadolint, paths: [docker/service]}, or leave it out.",
        )
    command = [bench.program("hadolint"), "--format", "json", *entry.args, "--", *names]
    report = read_json(bench.run(command), list)
    return Findings(
        tuple(
            Finding(
                "hadolint",
                said["code"],
                _LEVELS[said["level"]],
                line_of(said["message"]),
                bench.relative(said["file"]),
                said["line"],
                said["column"],
                f"{_WIKI}/{said['code']}",
            )
            for said in report
        )
    )
