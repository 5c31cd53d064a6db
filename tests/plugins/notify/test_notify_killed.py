"""A run that was killed is told by the one after it."""

import os
import signal
import subprocess
import sys
import time

from tests.plugins.notify.notify_project import Listener, Notifying

RECIPE = """
name: p
notify: {ops: {webhook: HOOK, on: [success, failure]}}
stages: {a: {uses: shell.build, with: {command: "test -e go || sleep 60"}}}
"""


def test_a_killed_run_is_told_once_by_the_next(project: Notifying, listener: Listener) -> None:
    project.write("p.yaml", RECIPE)
    hook = listener.url("/canary-1")
    command = [sys.executable, "-m", "mlpipe", "run", "p"]
    quiet = subprocess.DEVNULL
    runner = subprocess.Popen(
        command, cwd=project.root, env={**os.environ, "HOOK": hook}, stdout=quiet, stderr=quiet
    )
    deadline = time.monotonic() + 60
    while not list(project.root.glob(".mlpipe/runs/*/notify.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    runner.send_signal(signal.SIGKILL)
    runner.wait(timeout=60)
    assert not listener.heard
    project.write("go", "")
    for _ in range(2):
        assert project.mlpipe("run", "p", "--force", HOOK=hook).code == 0
    told = [each.body["headline"].partition(" in ")[0] for each in listener.heard]
    assert sorted(told) == ["p succeeded", "p succeeded", "p was killed"]
