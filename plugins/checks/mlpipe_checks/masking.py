"""Keeping secrets out of reports: tests may print those that they were given."""

from collections.abc import Collection
from dataclasses import replace

from mlpipe_checks.values import Findings

_MASK = "***"


def masked(found: Findings, secrets: Collection[str]) -> Findings:
    """Mask secrets in what a tool gave."""
    if not secrets:
        return found
    tests = found.tests
    if tests is not None:
        junit = tests.junit
        for secret in secrets:
            junit = junit.replace(secret.encode(), _MASK.encode())
        tests = replace(tests, junit=junit)
    findings = tuple(replace(each, message=text(each.message, secrets)) for each in found.findings)
    return replace(found, findings=findings, tests=tests)


def text(said: str, secrets: Collection[str]) -> str:
    """Mask secrets in a text."""
    for secret in secrets:
        said = said.replace(secret, _MASK)
    return said
