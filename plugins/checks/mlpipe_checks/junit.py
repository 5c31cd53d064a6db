"""JUnit XML and Cobertura XML, as test tools write them."""

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import ParseError, fromstring

from mlpipe_checks.values import Finding, Severity, Tests, Trouble

_BAD = ("failure", "error")


def read(
    text: bytes, tool: str, relative: Callable[[str], str]
) -> tuple[Tests, tuple[Finding, ...]]:
    """Read how tests went.

    Args:
        text: The JUnit XML.
        tool: Whose findings failures are.
        relative: Gives a path as reports write it.

    Raises:
        xml.etree.ElementTree.ParseError: It is no XML.
        ValueError: It is no JUnit XML, or has what XML from others must not have.
    """
    suites = suites_of(text)
    cases = [case for suite in suites for case in suite.iter("testcase")]
    bad = [(case, fault) for case in cases if (fault := _fault(case)) is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    found = tuple(_finding(case, fault, tool, relative) for case, fault in bad)
    return Tests(len(cases), len(bad), skipped, text), found


def suites_of(text: bytes) -> list[Element]:
    """Give the test suites of a JUnit XML; raises as ``read``."""
    top: Element = fromstring(text)
    if top.tag not in ("testsuites", "testsuite"):
        raise ValueError(f"its root is <{top.tag}>")
    return [top] if top.tag == "testsuite" else list(top.findall("testsuite"))


def read_cobertura(path: Path) -> float:
    """Read how much was covered, in percent.

    Raises:
        Trouble: There is no such file, or it is no Cobertura XML.
    """
    try:
        top: Element = fromstring(path.read_bytes())
        return 100 * float(top.attrib["line-rate"])
    except FileNotFoundError:
        raise Trouble(f"the tests did not write {path.name}") from None
    except (ParseError, ValueError, KeyError) as error:
        raise Trouble(f"{path.name} is no Cobertura XML: {error}") from None


def _fault(case: Element) -> Element | None:
    return next((child for child in case if child.tag in _BAD), None)


def _finding(case: Element, fault: Element, tool: str, relative: Callable[[str], str]) -> Finding:
    name = case.get("name", "")
    said = " ".join(_message(fault).split())
    path, line = _place(case, fault)
    message = f"{name}: {said}" if said else name
    return Finding(
        tool, fault.tag, Severity.HIGH, message[:400], relative(path) if path else "", line
    )


def _message(fault: Element) -> str:
    return fault.get("message") or next(iter((fault.text or "").strip().splitlines()), "")


def _place(case: Element, fault: Element) -> tuple[str, int]:
    """Find file and line: as the case says, else as pytest ends a traceback, or by the class."""
    if path := case.get("file"):
        return path, int(case.get("line", 0))
    for line in reversed((fault.text or "").strip().splitlines()):
        parts = line.split(":")
        if len(parts) >= 3 and parts[0].endswith(".py") and parts[1].isdigit():
            return parts[0], int(parts[1])
    return _module(case), 0


def _module(case: Element) -> str:
    names = [part for part in case.get("classname", "").split(".") if part]
    while names and names[-1][:1].isupper():
        names.pop()
    return "/".join(names) + ".py" if names else ""
