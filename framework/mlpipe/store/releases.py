"""The ledger of releases: what was put where, and what is there now."""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from mlpipe.errors import UserError
from mlpipe.store.database import Database
from mlpipe.types import Release, Target

_COLUMNS = "kind, name, payload, label, plugin, run, created"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A release going into service.

    Attributes:
        release: What went into service.
        when: Unix time in seconds.
        origin: ``deploy``, ``promote`` or ``rollback``.
    """

    release: Release
    when: float
    origin: str


@dataclass(frozen=True, slots=True)
class Change:
    """A release that a command is putting into service, or was when it died.

    Attributes:
        release: What is to be in service.
        origin: ``promote`` or ``rollback``.
    """

    release: Release
    origin: str


class Releases:
    """The tables of releases and deployments. A release is never changed.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self, release: Release, *, plugin: str, run: str, target: Target, secrets: list[str]
    ) -> tuple[Release, bool]:
        """Record a release and that it is in service, durably.

        Recording the same release again (same label or version, and payload) makes no second one,
        so that a stage may be repeated after a crash. One that another followed is in service
        again.

        Returns:
            The release as recorded, with its label, and whether it went into service.

        Raises:
            UserError: The label stands for another payload.
        """
        payload = json.dumps(release.payload, sort_keys=True)
        with self._database.transaction(durable=True):
            known = self._same(release, payload, run)
            if known is not None:
                again = self.current(known.kind, known.name) != known
                if again:
                    self.in_service(known, run=run, origin="deploy")
                return known, again
            facts = {"name": target.name, "type": target.type, "settings": dict(target.settings)}
            given = replace(release, plugin=plugin, run=run)
            made = self._insert(given, json.dumps(facts), json.dumps(secrets))
            self.in_service(made, run=run, origin="deploy")
        return made, True

    def begin(self, release: Release, origin: str) -> None:
        """Record durably that a command puts a release into service, before it does so."""
        with self._database.transaction(durable=True):
            self._database.write(
                "REPLACE INTO changes VALUES (?, ?, ?, ?, ?)",
                release.kind,
                release.name,
                release.label,
                origin,
                time.time(),
            )

    def begin_next(self, release: Release, before: Release) -> Release:
        """Record a release that follows another, and that a command puts it into service.

        Args:
            release: What is to be in service; the ledger labels it.
            before: What is in service: who made it, where and with which secrets stays.

        Returns:
            The release as recorded; the one that was being put into service before, if it is the
            same.
        """
        with self._database.transaction(durable=True):
            begun = self.unfinished(release.kind, release.name)
            if begun is not None and begun.release.payload == release.payload:
                return begun.release
            row = self._database.row(
                "SELECT target, secrets FROM releases WHERE kind = ? AND name = ? AND label = ?",
                before.kind,
                before.name,
                before.label,
            )
            assert row is not None  # a release is never taken away
            given = replace(release, plugin=before.plugin, run=before.run)
            made = self._insert(given, str(row[0]), str(row[1]))
            self.begin(made, "promote")
        return made

    def unfinished(self, kind: str, name: str) -> Change | None:
        """Give what a command was putting into service when it died, if any."""
        found = [each for each in self.all_unfinished() if each.release.kind == kind]
        return next((each for each in found if each.release.name == name), None)

    def all_unfinished(self) -> list[Change]:
        """Give all that commands were putting into service when they died."""
        columns = ", ".join(f"r.{column}" for column in _COLUMNS.split(", "))
        rows = self._database.rows(
            f"SELECT c.origin, {columns} FROM changes c JOIN releases r USING (kind, name, label)"
            " ORDER BY c.begun"
        )
        return [Change(_release(rest), str(origin)) for origin, *rest in rows]

    def _insert(self, release: Release, target: str, secrets: str) -> Release:
        label = release.label or self._next_label(release)
        made = replace(release, label=label, created=time.time(), version="")
        self._database.write(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            made.kind,
            made.name,
            label,
            made.plugin,
            target,
            made.run,
            made.created,
            json.dumps(made.payload, sort_keys=True),
            secrets,
        )
        return made

    def _same(self, release: Release, payload: str, run: str) -> Release | None:
        if release.label:
            known = self.get(release.kind, release.name, release.label)
            if known and json.dumps(known.payload, sort_keys=True) != payload:
                raise UserError(
                    f"{release.kind} {release.name}: release {release.label} exists"
                    " and is something else",
                    fix="A release is never changed: give this one another label.",
                )
            return known
        if release.version:
            alike = self._of_version(release)
        else:
            newest = self.current(release.kind, release.name)
            alike = [newest] if newest is not None and newest.run == run else []
        return next(
            (each for each in alike if json.dumps(each.payload, sort_keys=True) == payload), None
        )

    def _of_version(self, release: Release) -> list[Release]:
        """List the releases of a version, the oldest first."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM releases WHERE kind = ? AND name = ? ORDER BY created",
            release.kind,
            release.name,
        )
        known = [_release(row) for row in rows]
        return [each for each in known if each.label.partition("+")[0] == release.version]

    def _next_label(self, release: Release) -> str:
        if release.version:
            before = len(self._of_version(release))
            return f"{release.version}+{before + 1}" if before else release.version
        row = self._database.row(
            "SELECT count(*) FROM releases WHERE kind = ? AND name = ?", release.kind, release.name
        )
        number = int(str(row[0])) + 1 if row else 1
        return f"{release.name}-{number}"

    def in_service(self, release: Release, *, run: str, origin: str) -> None:
        """Record that a release went into service; so nothing is being put there any more."""
        with self._database.transaction(durable=True):
            self._database.write(
                "DELETE FROM changes WHERE kind = ? AND name = ?", release.kind, release.name
            )
            self._database.write(
                "INSERT INTO deployments (kind, name, label, created, run, origin)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                release.kind,
                release.name,
                release.label,
                time.time(),
                run,
                origin,
            )

    def get(self, kind: str, name: str, label: str) -> Release | None:
        """Give one release."""
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM releases WHERE kind = ? AND name = ? AND label = ?",
            kind,
            name,
            label,
        )
        return _release(row) if row else None

    def facts(self, release: Release) -> tuple[dict[str, Any], list[str]]:
        """Give the target and the names of the secrets that a release was made with."""
        row = self._database.row(
            "SELECT target, secrets FROM releases WHERE kind = ? AND name = ? AND label = ?",
            release.kind,
            release.name,
            release.label,
        )
        return (json.loads(str(row[0])), json.loads(str(row[1]))) if row else ({}, [])

    def all(self) -> list[Release]:
        """Give every release, the newest first."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM releases ORDER BY created DESC")
        return [_release(row) for row in rows]

    def history(self, kind: str, name: str) -> list[Deployment]:
        """Give what was in service, the newest first."""
        columns = ", ".join(f"r.{column}" for column in _COLUMNS.split(", "))
        rows = self._database.rows(
            f"SELECT d.created, d.origin, {columns} FROM deployments d"
            " JOIN releases r USING (kind, name, label)"
            " WHERE d.kind = ? AND d.name = ? ORDER BY d.sequence DESC",
            kind,
            name,
        )
        return [Deployment(_release(rest), float(str(when)), str(o)) for when, o, *rest in rows]

    def current(self, kind: str, name: str) -> Release | None:
        """Give the release that is in service, as far as the ledger knows."""
        history = self.history(kind, name)
        return history[0].release if history else None


def _release(row: Any) -> Release:
    kind, name, payload, label, plugin, run, created = row
    return Release(kind, name, json.loads(payload), label, plugin, run, created)
