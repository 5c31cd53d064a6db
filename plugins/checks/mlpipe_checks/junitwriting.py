"""Writing JUnit XML: the suites of the unit tests as they are, and one for each other tool."""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mlpipe_checks import junit
from mlpipe_checks.judging import Judged, Outcome
from mlpipe_checks.values import Report

#: Characters that XML 1.0 cannot hold.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(outcome: Outcome) -> str:
    """Write how tests went, and findings as failures."""
    top = Element("testsuites", name="checks")
    for report in outcome.reports:
        if report.given is not None and report.given.tests is not None:
            top.extend(junit.suites_of(report.given.tests.junit))
            continue
        top.append(_suite(report, [e for e in outcome.findings if e.finding.tool == report.tool]))
    for count in ("tests", "failures", "errors", "skipped"):
        top.set(count, str(sum(int(suite.get(count) or 0) for suite in top)))
    indent(top)
    return tostring(top, "unicode", xml_declaration=True) + "\n"


def _suite(report: Report, found: Sequence[Judged]) -> Element:
    failures = [each for each in found if not each.known]
    suite = Element(
        "testsuite",
        name=report.tool,
        tests=str(max(len(found), 1)),
        failures=str(len(failures)),
        errors=str(int(report.trouble is not None)),
        skipped=str(len(found) - len(failures)),
        time=f"{report.seconds:.3f}",
    )
    if report.trouble is not None:
        case = SubElement(suite, "testcase", classname=report.tool, name=report.tool)
        SubElement(case, "error", message=_clean(report.trouble.what))
    elif not found:
        SubElement(suite, "testcase", classname=report.tool, name=report.tool)
    for each in found:
        _case(suite, each)
    return suite


def _case(suite: Element, judged: Judged) -> None:
    finding = judged.finding
    name = " ".join(filter(None, (finding.rule, finding.place)))
    case = SubElement(suite, "testcase", classname=finding.tool, name=_clean(name))
    if finding.path:
        case.set("file", _clean(finding.path))
        case.set("line", str(finding.line))
    if judged.known:
        SubElement(case, "skipped", message="known: it is in the baseline")
    else:
        said = SubElement(case, "failure", type=finding.severity.word)
        said.set("message", _clean(finding.message))


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
