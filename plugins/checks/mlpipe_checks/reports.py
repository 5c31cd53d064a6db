"""The reports that a stage leaves: SARIF, JUnit XML and a page."""

from pathlib import Path

from mlpipe import Stage
from mlpipe_checks import junitwriting, pages, sarifwriting
from mlpipe_checks.judging import Outcome


def write(outcome: Outcome, stage: Stage) -> dict[str, Path]:
    """Write all reports, and keep them whatever becomes of the stage; give them as outputs."""
    texts = {
        "sarif": ("checks.sarif", sarifwriting.text(outcome)),
        "junit": ("checks.junit.xml", junitwriting.text(outcome)),
        "page": ("checks.html", pages.text(outcome, stage.name)),
    }
    outputs = {}
    for name, (file, text) in texts.items():
        path = stage.output(name, file=file)
        path.write_text(text, "utf-8")
        stage.keep(path)
        outputs[name] = path
    return outputs
