"""SARIF 2.1.0: reading that of tools."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from mlpipe_checks.values import Finding, Findings, Severity, Trouble

_VERSION = "2.1.0"
_LEVELS = {
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "note": Severity.LOW,
    "none": Severity.LOW,
}
#: Scores from which on a finding is that bad, as GitHub divides CVSS.
_SCORES = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM))


def read(text: bytes, tool: str, relative: Callable[[str], str]) -> Findings:
    """Read the results of a SARIF file, those that it suppresses left out.

    Args:
        text: The file's.
        tool: Whose findings they are.
        relative: Gives a path as reports write it.

    Raises:
        Trouble: It is no SARIF.
    """
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise Trouble(f"its SARIF is no JSON: {error}", "Look at what the tool writes.") from None
    if not isinstance(whole, dict) or whole.get("version") != _VERSION:
        raise Trouble(f"its report is no SARIF {_VERSION}", "Look at what the tool writes.")
    try:
        found = [
            _finding(result, _rules(run), tool, relative)
            for run in whole["runs"]
            for result in run.get("results") or ()
            if not result.get("suppressions") and result.get("kind", "fail") == "fail"
        ]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Trouble(
            f"its SARIF is not as the standard says: {type(error).__name__}: {error}",
            "Look at what the tool writes.",
        ) from None
    return Findings(tuple(found))


def _rules(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(run["tool"]["driver"].get("rules") or ())


def _finding(
    result: Mapping[str, Any],
    rules: list[Mapping[str, Any]],
    tool: str,
    relative: Callable[[str], str],
) -> Finding:
    rule = _rule(result, rules)
    path, region = next(_places(result), ("", {}))
    return Finding(
        tool,
        str(result.get("ruleId") or rule.get("id") or "finding"),
        _severity(result, rule),
        " ".join(_message(result, rule).split()),
        relative(path) if path else "",
        int(region.get("startLine", 0)),
        int(region.get("startColumn", 0)),
        str(rule.get("helpUri", "")),
    )


def _rule(result: Mapping[str, Any], rules: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    index = result.get("ruleIndex", result.get("rule", {}).get("index", -1))
    if index >= 0:
        indexed: Mapping[str, Any] = rules[index]
        return indexed
    name = result.get("ruleId")
    none: Mapping[str, Any] = {}
    return next((rule for rule in rules if rule["id"] == name), none)


def _places(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for location in result.get("locations") or ():
        physical = location.get("physicalLocation", {})
        uri = physical.get("artifactLocation", {}).get("uri", "")
        yield unquote(uri), physical.get("region", {})


def _message(result: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    message = result["message"]
    if "text" in message:
        return str(message["text"])
    text = rule.get("messageStrings", {}).get(message.get("id"), {}).get("text", "")
    for number, argument in enumerate(message.get("arguments", ())):
        text = text.replace(f"{{{number}}}", argument)
    return str(text)


def _severity(result: Mapping[str, Any], rule: Mapping[str, Any]) -> Severity:
    score = rule.get("properties", {}).get("security-severity")
    if score is not None:
        number = float(score)
        return next((level for least, level in _SCORES if number >= least), Severity.LOW)
    usual = rule.get("defaultConfiguration", {}).get("level", "warning")
    return _LEVELS[result.get("level", usual)]
