"""What an experiment keeps on disk: ``.mlpipe/experiments/NAME/SALT/``."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from mlpipe import UserError
from mlpipe_experiments import files
from mlpipe_experiments.plan import ExperimentPlan

_FOLDER = "experiments"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that became of a unit.

    Attributes:
        unit: The hash of its key, or the id of its one request.
        value: 1 for what happened, a number, or a ratio's numerator.
        of: A ratio's denominator.
    """

    unit: str
    value: float
    of: float = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an experiment ended.

    Attributes:
        when: Unix time in seconds. Requests that came later are no part of it.
        kind: The verdict's, or ``stopped`` where it ended without one.
        winner: The variant to promote, or ``None``.
        reason: Why, in words.
    """

    when: float
    kind: str
    winner: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment that was begun.

    Attributes:
        folder: Its files.
        name: What it is between variants of, as an endpoint.
        salt: With which keys are assigned to variants.
        since: When it began, as Unix time in seconds.
        records: The file of invocations, one JSON line each.
        plan: What was decided before.
        promoting: The command that promotes a winner.
        ending: How it ended, if it has.
        run: The run that began it, or nothing.
        stage: The stage of that run.
    """

    folder: Path
    name: str
    salt: str
    since: float
    records: Path
    plan: ExperimentPlan
    promoting: str
    ending: Ending | None
    run: str = ""
    stage: str = ""

    def covers(self, when: float) -> bool:
        """Tell whether a request of that time, in Unix seconds, belongs to it."""
        return self.since <= when and (self.ending is None or when < self.ending.when)

    def end(self, ending: Ending) -> Ending:
        """End it, for good; give how it ended, which may have been before."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.folder / "end.json"
            if not path.exists():
                files.write(path, asdict(ending))
        found = _ending(self.folder)
        assert found is not None  # it is there now, and nobody takes it away
        return found

    def record(self, outcomes: Iterable[Outcome], batch: str) -> int:
        """Add outcomes; give how many.

        All of them are there afterwards, or none: they are one write under a lock.

        Args:
            outcomes: What became of units.
            batch: Tells them from others, so that none is counted twice.

        Raises:
            UserError: This batch was recorded before.
        """
        lines = [
            json.dumps({"unit": each.unit, "value": each.value, "of": each.of, "batch": batch})
            + "\n"
            for each in outcomes
        ]
        with self._outcomes.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if any(line["batch"] == batch for line in files.lines(self._outcomes)):
                raise UserError("these outcomes were recorded before", where=self.name)
            before = file.seek(0, os.SEEK_END)
            try:
                file.write("".join(lines).encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), before)
                raise
        return len(lines)

    def put(self, outcomes: Iterable[Outcome]) -> int:
        """Have these outcomes instead of those that were put before; give how many.

        They go to disk as they come, and take the others' place when all have.
        """
        count = 0
        with files.replacing(self._put) as file:
            for count, each in enumerate(outcomes, 1):  # noqa: B007 - the last is the count
                file.write(json.dumps(asdict(each)) + "\n")
        return count

    def outcomes(self) -> Iterator[Outcome]:
        """Give what was recorded, and put."""
        for line in chain(files.lines(self._outcomes), files.lines(self._put)):
            yield Outcome(line["unit"], line["value"], line["of"])

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.folder.parents[3]

    @property
    def _outcomes(self) -> Path:
        return self.folder / "outcomes.jsonl"

    @property
    def _put(self) -> Path:
        return self.folder / "queried.jsonl"


def begin(
    state_dir: Path,
    name: str,
    salt: str,
    plan: ExperimentPlan,
    records: Path,
    promoting: str,
    *,
    run: str = "",
    stage: str = "",
) -> Experiment:
    """Begin an experiment, unless it runs already.

    Args:
        state_dir: The project's ``.mlpipe``.
        name: What it is between variants of.
        salt: With which keys are assigned.
        plan: What was decided before.
        records: The file of invocations, below ``state_dir``: a project may be moved.
        promoting: The command that promotes a winner.
        run: The run that begins it; its observers are told how it goes.
        stage: The stage of that run.

    Raises:
        UserError: One with another plan runs with this salt.
    """
    check(state_dir, name, salt, plan)
    folder = _folder(state_dir, name, salt)
    if not (folder / "plan.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "name": name,
            "salt": salt,
            "since": time.time(),
            "records": str(records),
            "promoting": promoting,
            "run": run,
            "stage": stage,
            "digest": plan.digest(),
            "plan": plan.model_dump(mode="json"),
        }
        files.write(folder / "plan.json", facts)
    return _read(folder)


def check(state_dir: Path, name: str, salt: str, plan: ExperimentPlan) -> None:
    """See that no other plan is under way.

    Raises:
        UserError: One with another plan runs with this salt.
    """
    folder = _folder(state_dir, name, salt)
    if (folder / "plan.json").exists() and _read(folder).plan.digest() != plan.digest():
        raise UserError(
            f'the experiment on "{name}" runs with another plan: what is decided before it starts '
            "is not changed while it runs",
            where=str(folder / "plan.json"),
            fix="Begin another one: give the endpoint another salt.",
        )


def is_begun(state_dir: Path, name: str, salt: str) -> bool:
    """Tell whether an experiment was begun with a salt."""
    return (_folder(state_dir, name, salt) / "plan.json").exists()


def names(state_dir: Path) -> list[str]:
    """Name what experiments were begun on."""
    return sorted({path.parts[-3] for path in (state_dir / _FOLDER).glob("*/*/plan.json")})


def newest(state_dir: Path, name: str) -> Experiment:
    """Give the experiment that was begun last.

    Raises:
        UserError: There is none.
    """
    folders = [path.parent for path in (state_dir / _FOLDER / name).glob("*/plan.json")]
    if not folders:
        known = ", ".join(names(state_dir))
        raise UserError(
            f'there is no experiment on "{name}"',
            fix=f"Experiments here: {known}."
            if known
            else "Give endpoint.deploy an  experiment:  block, and run the recipe.",
        )
    return max((_read(folder) for folder in folders), key=lambda each: each.since)


def _folder(state_dir: Path, name: str, salt: str) -> Path:
    return state_dir / _FOLDER / name / hashlib.sha256(salt.encode()).hexdigest()[:12]


def _read(folder: Path) -> Experiment:
    path = folder / "plan.json"
    try:
        facts = json.loads(path.read_text("utf-8"))
        plan = ExperimentPlan.model_validate(facts["plan"])
        digest = facts["digest"]
        found = Experiment(
            folder=folder,
            name=facts["name"],
            salt=facts["salt"],
            since=float(facts["since"]),
            records=folder.parents[2] / facts["records"],
            plan=plan,
            promoting=facts["promoting"],
            ending=_ending(folder),
            run=facts.get("run", ""),
            stage=facts.get("stage", ""),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot be used: {error}", where=str(path)) from error
    if plan.digest() != digest:
        raise UserError("was changed after the experiment began", where=str(path))
    return found


def _ending(folder: Path) -> Ending | None:
    try:
        return Ending(**json.loads((folder / "end.json").read_text("utf-8")))
    except FileNotFoundError:
        return None
