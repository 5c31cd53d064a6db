"""How bad an advisory says a vulnerability is.

GitHub's advisories say it in a word; others by a vector of CVSS 3, whose base score is computed as
https://www.first.org/cvss/v3.1/specification-document, section 7.1, says. High where neither is.
"""

from collections.abc import Mapping
from typing import Any

from mlpipe_checks.values import Severity

_WORDS = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {
    "U": {"N": 0.85, "L": 0.62, "H": 0.27},
    "C": {"N": 0.85, "L": 0.68, "H": 0.5},
}
_LEVELS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM))


def severity_of(advisory: Mapping[str, Any], affected: Mapping[str, Any]) -> Severity:
    """Give how bad an advisory says it is, for an affected package."""
    word = str(advisory.get("database_specific", {}).get("severity", "")).upper()
    if word in _WORDS:
        return _WORDS[word]
    said = [*affected.get("severity", ()), *advisory.get("severity", ())]
    vector = next((each["score"] for each in said if each["type"] == "CVSS_V3"), "")
    return level_of(base_score(vector)) if vector else Severity.HIGH


def level_of(score: float) -> Severity:
    """Divide scores as CVSS does."""
    return next((level for least, level in _LEVELS if score >= least), Severity.LOW)


def base_score(vector: str) -> float:
    """Compute the base score of a CVSS 3 vector, as ``CVSS:3.1/AV:N/AC:L/…``.

    Raises:
        KeyError: The vector lacks a part, or has an unknown value.
    """
    parts = dict(part.split(":", 1) for part in vector.split("/"))
    weight = {name: values[parts[name]] for name, values in _WEIGHTS.items()}
    changed = parts["S"] == "C"
    privileges = _PRIVILEGES[parts["S"]][parts["PR"]]
    exploitable = 8.22 * weight["AV"] * weight["AC"] * privileges * weight["UI"]
    base = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 if changed else 6.42 * base
    if impact <= 0:
        return 0.0
    return _round_up(min((1.08 if changed else 1.0) * (impact + exploitable), 10.0))


def _round_up(score: float) -> float:
    """Round up to one decimal, as the specification's appendix A does."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
