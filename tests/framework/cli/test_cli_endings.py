"""How a run that does not succeed is shown, and with which exit code it ends."""

import re
import signal
import time
from typing import Any

CODE = """
    import time
    from pathlib import Path


    def fail():
        raise ValueError("could not convert 'n/a'")


    def score():
        return {"accuracy": 0.931}


    def wait():
        Path("begun").write_text("")
        time.sleep(600)
"""


def plain(text: str) -> str:
    """Replace what differs from run to run: identifiers, durations."""
    run = re.search(r"· run (\w+)", text)
    if run is not None:
        text = text.replace(run[1], "RUN")
    text = re.sub(r"\b\d+(\.\d+)?s\b *", "TIME  ", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def one_stage(project: Any, function: str, extra: str = "") -> None:
    """Write a recipe: a stage that calls ``function``, another that needs it."""
    project.write("code_of_p.py", CODE)
    project.write(
        "p.yaml",
        f"""
        name: p
        stages:
          model:
            uses: python.train
            with: {{function: "code_of_p:{function}"}}
            {extra}
          after: {{uses: shell.check, needs: [model], with: {{command: "true"}}}}
        """,
    )


def test_a_failed_stage(project: Any) -> None:
    one_stage(project, "fail")
    answer = project.mlpipe("run", "p")
    assert answer.code == 1
    assert plain(answer.err) == (
        "mlpipe run p · target local · run RUN\n"
        "  ▸ model  python.train\n"
        "  ✗ model  python.train  TIME\n"
        "    code_of_p.py:6  ValueError: could not convert 'n/a'\n"
        "    last lines:  mlpipe logs RUN model\n"
        "  – after  waiting for model"
    )
    assert answer.out == "failed · continue with  mlpipe run p     (finished stages are kept)\n"
    assert "Traceback" not in answer.err
    assert "Traceback" in project.mlpipe("logs", "last", "model").out


def test_a_missed_gate(project: Any) -> None:
    one_stage(project, "score", 'gate: {accuracy: ">= 0.94"}')
    answer = project.mlpipe("run", "p")
    assert answer.code == 3
    assert plain(answer.err) == (
        "mlpipe run p · target local · run RUN\n"
        "  ▸ model  python.train\n"
        "  ✗ model  python.train  TIME  gate failed  accuracy 0.931, wanted ≥ 0.94 (0.009 short)\n"
        "  – after  waiting for model"
    )
    assert answer.out == (
        "gate failed · continue with  mlpipe run p     (finished stages are kept)\n"
    )
    again = project.mlpipe("run", "p")
    assert again.code == 3
    assert "accuracy 0.931, wanted ≥ 0.94 (0.009 short)" in again.err


def test_an_interrupted_run(project: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        one_stage(project, "wait")
        (project.root / "begun").unlink(missing_ok=True)
        process = project.start("run", "p")
        deadline = time.monotonic() + 20
        while not (project.root / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert plain(err) == (
            "mlpipe run p · target local · run RUN\n"
            "  ▸ model  python.train\n"
            "  ✗ model  python.train  TIME  interrupted\n"
            "  – after  waiting for model"
        )
        assert out == ("interrupted · continue with  mlpipe run p     (finished stages are kept)\n")
