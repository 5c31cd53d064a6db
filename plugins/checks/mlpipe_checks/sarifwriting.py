"""Writing SARIF 2.1.0: one file, a run for each tool.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from mlpipe_checks.judging import Judged, Outcome
from mlpipe_checks.values import Report, Severity

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_BASE = "SRCROOT"
_LEVELS = {
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}


def text(outcome: Outcome) -> str:
    """Write what all tools found."""
    runs = [
        _run(report, [each for each in outcome.findings if each.finding.tool == report.tool])
        for report in outcome.reports
    ]
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _run(report: Report, found: Sequence[Judged]) -> dict[str, Any]:
    rules = {each.finding.rule: _rule(each) for each in found}
    driver: dict[str, Any] = {"name": report.tool, "rules": list(rules.values())}
    if report.version:
        driver["version"] = report.version
    order = list(rules)
    return {
        "tool": {"driver": driver},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {_BASE: {"description": {"text": "The folder that was checked."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, order.index(each.finding.rule)) for each in found],
    }


def _invocation(report: Report) -> dict[str, Any]:
    said: dict[str, Any] = {"executionSuccessful": report.trouble is None}
    if report.trouble is not None:
        message = {"text": report.trouble.what}
        said["toolExecutionNotifications"] = [{"level": "error", "message": message}]
    return said


def _rule(judged: Judged) -> dict[str, Any]:
    finding = judged.finding
    rule: dict[str, Any] = {"id": finding.rule}
    if finding.help:
        rule["helpUri"] = finding.help
    return rule


def _result(judged: Judged, index: int) -> dict[str, Any]:
    finding = judged.finding
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "partialFingerprints": {"mlpipe/v1": judged.fingerprint},
        "baselineState": "unchanged" if judged.known else "new",
        "properties": {"severity": finding.severity.word},
    }
    if finding.path:
        result["locations"] = [_location(judged)]
    if judged.known:
        result["suppressions"] = [{"kind": "external", "justification": "in the baseline"}]
    return result


def _location(judged: Judged) -> dict[str, Any]:
    finding = judged.finding
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": quote(finding.path), "uriBaseId": _BASE}
    }
    if finding.line:
        physical["region"] = {"startLine": finding.line}
        if finding.column:
            physical["region"]["startColumn"] = finding.column
    return {"physicalLocation": physical}
