"""A worker that dies under load: who answers next, and how soon."""

import functools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest

from mlpipe import Action
from mlpipe_endpoint import control, processes
from tests.plugins.endpoint.endpoint_project import Answer, Project, request

#: What loading the model takes, in seconds.
LOADING = 2.5
SLOW = f"""
    import time

    def model_fn(folder):
        time.sleep({LOADING})

    def predict_fn(rows, model):
        return [sum(row) for row in rows.tolist()]
"""
#: Callers at once; so many requests can be on their way.
CALLERS = 8


def described(project: Project) -> dict[str, Any]:
    server = project.backend.folder("churn").server()
    assert server is not None
    return control.ask(server.control, "describe", timeout=5)


def spares(project: Project) -> list[int]:
    return list(described(project)["spares"]["champion"])


def has_spares(project: Project, count: int) -> bool:
    return len(spares(project)) == count


def worker(project: Project) -> int | None:
    pid: int | None = described(project)["workers"]["champion"]
    return pid


@pytest.fixture
def slow(project: Project) -> dict[str, Path]:
    return {"champion": project.model("slow", SLOW)}


class Callers:
    """Threads that ask without a pause, and when each answer came."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[float, Answer]] = []
        self._port = port
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def _ask(self) -> None:
        while not self._done.is_set():
            answer = request(self._port)
            self.answers.append((time.monotonic(), answer))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_a_killed_worker_fails_what_is_in_flight_and_a_spare_goes_on_at_once(
    project: Project, slow: dict[str, Path]
) -> None:
    port = int(project.deploy(slow).values["port"])
    assert processes.wait_until(lambda: len(spares(project)) == 1, 60)
    first, second = worker(project), spares(project)[0]
    assert first is not None
    with Callers(port) as callers:
        time.sleep(0.5)
        os.kill(first, signal.SIGKILL)
        killed = time.monotonic()
        time.sleep(LOADING / 2)
    after = [(when, answer) for when, answer in callers.answers if when > killed]
    failed = [answer for _, answer in callers.answers if answer.status != 200]
    assert len(failed) <= CALLERS
    assert all("process" in answer.json["Message"] for answer in failed)
    answered = [when for when, answer in after if answer.status == 200]
    assert len(answered) > CALLERS
    # Sooner than any other process could have loaded the model.
    assert answered[0] - killed < LOADING / 4
    assert worker(project) == second
    assert len(project.records()) == len(callers.answers)
    assert processes.wait_until(lambda: len(spares(project)) == 1, 60), "there is a spare again"
    assert spares(project)[0] not in (first, second)


def test_a_spare_that_dies_is_replaced_without_a_failed_request(
    project: Project, slow: dict[str, Path]
) -> None:
    port = int(project.deploy(slow).values["port"])
    assert processes.wait_until(lambda: len(spares(project)) == 1, 60)
    before = worker(project), spares(project)
    with Callers(port) as callers:
        os.kill(before[1][0], signal.SIGKILL)
        assert processes.wait_until(lambda: spares(project) not in ([], before[1]), 60)
    assert {answer.status for _, answer in callers.answers} == {200}
    assert worker(project) == before[0]


def test_how_many_spares_there_are_is_a_setting(project: Project, slow: dict[str, Path]) -> None:
    project.deploy(slow, spares=0)
    pid = worker(project)
    for number in (1, 0):
        action = Action("update", "spares of churn", f"{1 - number} → {number} for each variant")
        assert project.preview(slow, spares=number) == [action]
        project.deploy(slow, spares=number)
        assert processes.wait_until(functools.partial(has_spares, project, number), 60)
        assert project.preview(slow, spares=number) == []
        assert worker(project) == pid
