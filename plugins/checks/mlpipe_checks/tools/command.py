"""A command of the user's, judged by its SARIF or by its exit code."""

from mlpipe_checks import sarif
from mlpipe_checks.benches import Bench
from mlpipe_checks.processes import Done
from mlpipe_checks.toolconfig import CommandTool
from mlpipe_checks.values import Finding, Findings, Trouble, severity

_STDOUT = "-"


def run(entry: CommandTool, bench: Bench) -> Findings:
    """Run the command, in the folder that is checked."""
    wanted = bench.source / entry.sarif if entry.sarif not in (None, _STDOUT) else None
    if wanted is not None:
        wanted.unlink(missing_ok=True)  # what an earlier run left is no report of this one
    done = bench.run(bench.own(entry.command), fine=None, variables=bench.variables)
    if done.code < 0:
        raise Trouble(f"it was ended by signal {-done.code}: {done.said}")
    if entry.sarif is None:
        return _by_code(entry, done)
    if wanted is not None and not wanted.is_file():
        raise Trouble(
            f"it did not write {entry.sarif}, and ended with code {done.code}: {done.said}"
        )
    text = wanted.read_bytes() if wanted is not None else done.out
    found = sarif.read(text, entry.label, bench.relative)
    if done.code and not found.findings:
        raise Trouble(
            f"its SARIF names no finding, but it ended with code {done.code}: {done.said}"
        )
    return found


def _by_code(entry: CommandTool, done: Done) -> Findings:
    if not done.code:
        return Findings()
    said = done.said.splitlines()[-1]
    message = f"{' '.join(entry.command)} ended with code {done.code}: {said}"
    rule = f"exit-{done.code}"
    return Findings((Finding(entry.label, rule, severity(entry.severity), message),))
