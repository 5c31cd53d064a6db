"""Known vulnerabilities of packages: by pip-audit, or by a folder of advisories."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.version import InvalidVersion, Version

from mlpipe_checks import advisories
from mlpipe_checks.advisories import Advisory
from mlpipe_checks.benches import Bench
from mlpipe_checks.packages import Package, files_of, packages
from mlpipe_checks.toolconfig import AuditTool
from mlpipe_checks.tools.reading import line_of, read_json
from mlpipe_checks.values import Finding, Findings, Severity, Trouble

_TOOL = "pip-audit"
_OSV = "https://osv.dev/vulnerability"


def offline(entry: AuditTool, bench: Bench) -> Findings:
    """Hold packages against the advisories of a folder."""
    assert entry.advisories is not None
    known = advisories.read(bench.root / entry.advisories)
    used = packages(entry.requirements, bench.source)
    found = [each for package in used for each in _offline(package, known, entry)]
    return Findings(tuple(found))


def _offline(
    package: Package, known: Mapping[str, list[Advisory]], entry: AuditTool
) -> Iterator[Finding]:
    try:
        version = Version(package.version)
    except InvalidVersion:
        yield _unpinned(package)
        return
    for each in known.get(package.name, ()):
        if each.affects(version) and not {each.name, *each.aliases} & set(entry.ignore):
            names = ", ".join([each.name, *each.aliases])
            fixed = ", ".join(each.fixed)
            message = _message(package.name, package.version, each.summary, names, fixed)
            yield _finding(package, each.name, each.severity, message)


def _unpinned(package: Package) -> Finding:
    text = f"{package.name} has no exact version here, and is not installed: it was not audited"
    return _finding(package, "not-audited", Severity.MEDIUM, text)


def ask(entry: AuditTool, bench: Bench) -> Findings:
    """Run pip-audit, which asks a service."""
    files = files_of(entry.requirements, bench.source)
    used = {each.name: each for each in packages(files, bench.source)} if files else {}
    if unpinned := [each for each in used.values() if not each.version]:
        raise Trouble(
            f"{unpinned[0].path}:{unpinned[0].line}: {unpinned[0].name} has no exact version",
            "Write name==version, as pip freeze and uv pip compile do.",
        )
    command = [*_command(entry, bench), *_packages(files, used, bench)]
    report = read_json(bench.run(command), dict)
    found = [
        each
        for said in report["dependencies"]
        for each in _asked(said, used.get(said["name"]) or Package(said["name"], ""))
    ]
    return Findings(tuple(found))


def _packages(files: list[str], used: Mapping[str, Package], bench: Bench) -> list[str]:
    """Give pip-audit exact versions, which it need not resolve; else it takes those installed."""
    if not files:
        return []
    pinned = bench.scratch / "requirements.txt"
    pinned.write_text("".join(f"{each.name}=={each.version}\n" for each in used.values()))
    return ["--disable-pip", "--no-deps", "--requirement", str(pinned)]


def _command(entry: AuditTool, bench: Bench) -> list[str]:
    options = ["--format", "json", "--progress-spinner", "off", "--aliases", "on"]
    options += ["--vulnerability-service", entry.service, "--cache-dir", str(bench.scratch / "web")]
    options += ["--osv-url", entry.url] if entry.url else []
    ignored = [part for name in entry.ignore for part in ("--ignore-vuln", name)]
    return [bench.program(_TOOL), *options, *ignored]


def _asked(said: Mapping[str, Any], package: Package) -> Iterator[Finding]:
    if reason := said.get("skip_reason"):
        text = f"{package.name} was not audited: {line_of(reason)}"
        yield _finding(package, "not-audited", Severity.LOW, text)
    for each in said.get("vulns", ()):
        names = ", ".join([each["id"], *each["aliases"]])
        fixed = ", ".join(each["fix_versions"])
        text = line_of(each.get("description", ""))
        message = _message(package.name, said["version"], text[:160], names, fixed)
        yield _finding(package, each["id"], Severity.HIGH, message)


def _message(name: str, version: str, text: str, names: str, fixed: str) -> str:
    cure = f"fixed in {fixed}" if fixed else "not fixed yet"
    return f"{name} {version}: {text} ({names}; {cure})"


def _finding(package: Package, rule: str, severity: Severity, message: str) -> Finding:
    address = f"{_OSV}/{rule}" if "not-" not in rule else ""
    return Finding(_TOOL, rule, severity, message, package.path, package.line, help=address)
