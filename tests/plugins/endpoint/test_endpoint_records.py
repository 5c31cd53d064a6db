"""What the record of invocations holds, and when."""

import asyncio
import json
import random
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from mlpipe_endpoint.identifiers import request_id
from mlpipe_endpoint.records import Invocation, Recorder


def invocation(number: int) -> Invocation:
    return Invocation(str(number), 1.5, "champion", "sha256:0", False, None, None, 200, 0.001)


def test_those_of_one_turn_are_all_written_before_any_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "invocations.jsonl"
    seen = []

    async def scenario() -> None:
        recorder = Recorder(path)

        async def one(number: int) -> None:
            written: asyncio.Future[OSError | None] = asyncio.Future()
            recorder.record(invocation(number), written.set_result)
            assert await written is None
            seen.append(path.read_text().count("\n"))

        await asyncio.gather(*map(one, range(50)))
        await one(50)
        recorder.close()

    asyncio.run(scenario())
    assert seen == [50] * 50 + [51]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == [str(number) for number in range(51)]
    assert lines[0] == {
        "id": "0",
        "time": 1.5,
        "variant": "champion",
        "model": "sha256:0",
        "targeted": False,
        "key": None,
        "inference": None,
        "status": 200,
        "latency": 0.001,
        "shadow": False,
    }


def test_a_full_disk_fails_the_requests_and_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "invocations.jsonl"
    script = """
        import asyncio, resource, signal, sys
        from pathlib import Path
        from mlpipe_endpoint.records import Recorder
        from tests.plugins.endpoint.test_endpoint_records import invocation

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))  # of a file, in bytes

        async def scenario():
            recorder = Recorder(Path(sys.argv[1]))
            outcomes = []
            for numbers in (range(1), range(1, 9)):
                for number in numbers:
                    recorder.record(invocation(number), outcomes.append)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            print([type(each).__name__ for each in outcomes])

        asyncio.run(scenario())
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["NoneType"] + ["OSError"] * 8)
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["0"]


@pytest.mark.parametrize("seed", range(20))
def test_request_ids_are_uuids_of_random_numbers(seed: int) -> None:
    made = [uuid.UUID(request_id(random.Random(seed * 1000 + n))) for n in range(100)]
    assert {(each.version, each.variant) for each in made} == {(4, uuid.RFC_4122)}
    assert len(set(made)) == 100
