"""A job's log at CloudWatch, followed while it is written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlpipe import StageError
from mlpipe_aws import failing, passing

TRAINING = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a job's log.

    Attributes:
        text: As the host printed it.
        shown: The same for people: behind the host's name where there are several hosts.
    """

    text: str
    shown: str


@dataclass
class LogFollower:
    """Reads what a job's hosts print, each line once.

    Attributes:
        logs: A client of CloudWatch Logs.
        job: The job's name.
        group: The log group.
    """

    logs: Any
    job: str
    group: str = TRAINING
    _tokens: dict[str, str | None] = field(default_factory=dict)
    _unread: list[tuple[int, str, str]] = field(default_factory=list)
    _refused: bool = False

    def new(self) -> Iterator[str]:
        """Yield the lines since the last call, as people are shown them; see ``read``."""
        return (line.shown for line in self.read())

    def read(self) -> list[Line]:
        """Give the lines since the last call, in the order of their times.

        Who may not read the log is told so once; the job goes on without it.

        Raises:
            StageError: CloudWatch does not answer now. No line is lost by that.
        """
        if self._refused:
            return []
        try:
            with failing("the log cannot be read", self.job):
                for stream in self._streams():
                    self._take(stream)
        except StageError as error:
            if passing(error):
                raise
            print(f"{error}\n-- {self.job} goes on without its log", flush=True)
            self._refused = True
        return self._lines()

    def _lines(self) -> list[Line]:
        several = len({_host(stream) for stream in self._tokens}) > 1
        ordered = sorted(self._unread, key=lambda event: event[0])
        self._unread = []
        return [Line(text, f"[{host}] {text}" if several else text) for _, host, text in ordered]

    def _streams(self) -> list[str]:
        pages = self.logs.get_paginator("describe_log_streams").paginate(
            logGroupName=self.group, logStreamNamePrefix=f"{self.job}/"
        )
        try:
            for page in pages:
                for each in page["logStreams"]:
                    self._tokens.setdefault(each["logStreamName"], None)
        except self.logs.exceptions.ResourceNotFoundException:  # nothing was ever logged there
            return []
        return sorted(self._tokens)

    def _take(self, stream: str) -> None:
        """Take a stream's new events; its end is where the token stays the same."""
        while True:
            token = self._tokens[stream]
            more = {"nextToken": token} if token else {}
            answer = self.logs.get_log_events(
                logGroupName=self.group, logStreamName=stream, startFromHead=True, **more
            )
            host = _host(stream)
            for event in answer["events"]:
                text = str(event["message"]).rstrip("\n")
                self._unread.append((int(event["timestamp"]), host, text))
            self._tokens[stream] = answer["nextForwardToken"]
            if answer["nextForwardToken"] == token:
                return


def _host(stream: str) -> str:
    """Give the host of a stream, which is called ``JOB/HOST-TIME``."""
    return stream.rpartition("/")[2].rpartition("-")[0]
