"""What a worker does: become the stage's process, call the hook, send what it gave."""

import atexit
import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlpipe.engine.ingest import ingest
from mlpipe.engine.jobs import Job
from mlpipe.errors import GateMissed, StageError, UserError
from mlpipe.plugins.contexts import RollbackContext
from mlpipe.plugins.inspection import Plugin
from mlpipe.plugins.manager import PluginManager, UnknownPlugin
from mlpipe.plugins.stage import Input, Stage
from mlpipe.store.artifacts import ArtifactStore
from mlpipe.types import Artifact, Release, StageResult, Target

_SPARE = ".spare-"


def claim_scratch(folder: Path) -> None:
    """Make an attempt's own folder, out of one that an earlier attempt has left where there is."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder.parent):  # noqa: PTH208 - no path objects where this is hot
            if name.startswith(_SPARE):
                os.rename(folder.parent / name, folder)
                return
    folder.mkdir(parents=True, exist_ok=True)


def release_scratch(folder: Path, *, keep: bool) -> None:
    """Leave an attempt's folder to the next one if all outputs are taken out, else remove it.

    Removing a folder takes milliseconds where the file system discards its blocks at once.
    """
    with contextlib.suppress(OSError):
        if keep and _is_spent(folder):
            os.rename(folder, folder.with_name(f"{_SPARE}{os.getpid()}"))
            return
    shutil.rmtree(folder, ignore_errors=True)


def _is_spent(folder: Path) -> bool:
    outputs = f"{folder}/outputs"
    return os.listdir(folder) == ["outputs"] and not any(  # noqa: PTH208 - as above
        os.listdir(f"{outputs}/{name}")  # noqa: PTH208
        for name in os.listdir(outputs)  # noqa: PTH208
    )


class Child:
    """One job in its own process.

    Args:
        job: What to do.
        plugins: Loaded by the template.
        root: The project's folder.
        artifacts: Takes in what the stage makes; ``None`` where it makes nothing.
        state_dir: The project's ``.mlpipe``.
    """

    def __init__(
        self,
        job: Job,
        plugins: PluginManager,
        root: Path,
        artifacts: ArtifactStore | None,
        state_dir: Path,
    ) -> None:
        self._job = job
        self._plugins = plugins
        self._root = root
        self._artifacts = artifacts
        self._state_dir = state_dir
        self._held: list[dict[str, Any]] = []
        self._messages = -1

    def run(self, log: int, messages: int) -> int:
        """Do the job.

        Args:
            log: Descriptor that standard output and error go to.
            messages: Descriptor that events and the result go to, a JSON text a line.

        Returns:
            The exit code.
        """
        self._messages = messages
        self._settle_in(log)
        try:
            result = self._call()
        except BaseException as error:
            self._send({"error": self._explain(error)})
            code = 1
        else:
            self._send({"result": result})
            code = 0
        self._clean_up()
        return code

    def _settle_in(self, log: int) -> None:
        os.setsid()
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        os.environ.update(self._job.environment)
        os.environ.update(self._job.secrets)
        os.chdir(self._root)
        sys.path.insert(0, str(self._root))

    def _clean_up(self) -> None:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()  # noqa: SLF001 - as a process that ends by itself would
            sys.stdout.flush()
            sys.stderr.flush()
        if scratch := self._job.stage.get("scratch"):
            release_scratch(Path(scratch), keep=bool(self._job.stage["run"]))

    def _call(self) -> Any:
        plugin = self._plugin(self._job.plugin)
        if self._job.hook == "rollback":
            return self._rollback(plugin)
        config = plugin.config_type(self._job.verb).model_validate(self._job.settings)
        stage = self._stage()
        if self._job.hook == "resolve":
            found = plugin.hooks().hook.resolve(verb=self._job.verb, config=config, stage=stage)
            return {key: str(value) for each in found for key, value in each.items()}
        if self._job.hook == "preview":
            found = plugin.hooks().hook.preview(verb=self._job.verb, config=config, stage=stage)
            return [asdict(action) for each in found for action in each]
        return self._verb(plugin, config, stage)

    def _plugin(self, name: str) -> Plugin:
        try:
            plugin = self._plugins.get(name)
        except UnknownPlugin:
            raise StageError(f'plugin "{name}" is not installed') from None
        if plugin.cause:
            raise StageError(f'plugin "{name}" is quarantined: {plugin.cause}')
        return plugin

    def _verb(self, plugin: Plugin, config: object, stage: Stage) -> dict[str, Any]:
        hooks = plugin.hooks()
        verb = self._job.verb
        for name in self._job.wrappers:
            wrapper = getattr(self._plugin(name).module, verb)
            hooks.register(SimpleNamespace(**{verb: wrapper}), name=f"{name} (wrapper)")
        if verb in plugin.configs:
            given = getattr(hooks.hook, verb)(config=config, stage=stage)
        else:
            given = hooks.hook.call(verb=verb, config=config, stage=stage)
        if len(given) != 1 or not isinstance(given[0], StageResult):
            raise StageError(
                f"{plugin.name}.{verb} gave {given!r} where one StageResult is expected",
                fix="This is a fault of the plugin.",
            )
        return self._finish(stage, given[0])

    def _finish(self, stage: Stage, result: StageResult) -> dict[str, Any]:
        assert self._artifacts is not None
        outputs = ingest(result.outputs, stage, self._artifacts)
        for event in self._held:
            output = outputs.get(event["payload"].pop("output"))
            if output is not None:
                event["payload"].update(digest=output.digest, location=output.location)
                self._send(event)
        return {
            "outputs": {name: asdict(output) for name, output in outputs.items()},
            "metrics": {name: float(value) for name, value in result.metrics.items()},
            "values": dict(result.values),
            "releases": [asdict(release) for release in result.releases],
            "summary": result.summary,
        }

    def _rollback(self, plugin: Plugin) -> dict[str, Any]:
        current = self._job.release["current"]
        context = RollbackContext(
            root=self._root,
            state_dir=self._state_dir,
            target=Target(**self._job.target),
            current=Release(**current) if current else None,
            secrets=self._job.secrets,
        )
        release = Release(**self._job.release["release"])
        given = plugin.hooks().hook.rollback(release=release, context=context)
        if not given:
            raise StageError(f'plugin "{plugin.name}" cannot roll back')
        return {"summary": given[0].summary, "values": dict(given[0].values)}

    def _stage(self) -> Stage:
        facts = dict(self._job.stage)
        scratch = Path(facts.pop("scratch"))
        claim_scratch(scratch)
        return Stage(
            **facts,
            verb=self._job.verb,
            root=self._root,
            state_dir=self._state_dir,
            scratch=scratch,
            target=Target(**self._job.target),
            inputs={
                name: Input(name, Artifact(**artifact), self._root)
                for name, artifact in self._job.inputs.items()
            },
            secrets=self._job.secrets,
            _send=self._emit,
        )

    def _emit(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "model":
            payload.setdefault("output", "model")
        event = {"event": kind, "payload": payload}
        if "output" in payload:
            self._held.append(event)  # told once the output is stored and has a digest
        else:
            self._send(event)

    def _send(self, message: Mapping[str, Any]) -> None:
        data = memoryview(json.dumps(message, default=str).encode() + b"\n")
        while data:
            data = data[os.write(self._messages, data) :]

    def _explain(self, error: BaseException) -> dict[str, Any]:
        if isinstance(error, UserError):
            facts: dict[str, Any] = {"what": error.what, "where": error.where, "fix": error.fix}
            if isinstance(error, GateMissed):
                facts["gate"] = [error.metric, error.bound, float(error.value)]
            return facts
        traceback.print_exc()
        text = str(error).strip()
        name = type(error).__name__
        return {
            "what": f"{name}: {text.splitlines()[0]}" if text else name,
            "where": self._place(error),
            "fix": self._advice(error),
        }

    def _place(self, error: BaseException) -> str | None:
        """Give the last line of the project's own code in a traceback."""
        frames = traceback.extract_tb(error.__traceback__)
        for frame in reversed(frames):
            path = Path(frame.filename)
            if path.is_relative_to(self._root) and "site-packages" not in path.parts:
                return f"{path.relative_to(self._root)}:{frame.lineno}"
        return None

    def _advice(self, error: BaseException) -> str | None:
        with contextlib.suppress(Exception):
            plugin = self._plugin(self._job.plugin)
            found = plugin.hooks().hook.explain_error(error=error)
            return next((text for text in found if text), None)
        return None
