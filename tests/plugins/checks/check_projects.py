"""Small projects with bugs in them, and ways to check them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlpipe_checks
from mlpipe import Artifact, StageResult
from mlpipe.errors import GateMissed, StageError
from mlpipe.testing import StageProbe, make_stage
from mlpipe_checks.config import CheckConfig

#: Has pytest load none of the plugins that are installed here: they take seconds.
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

#: A service without a fault.
CLEAN = {
    "service/__init__.py": '"""A service."""\n',
    "service/prices.py": (
        '"""Prices."""\n\n\n'
        "def total(prices: list[float]) -> float:\n"
        '    """Add up prices."""\n'
        "    return sum(prices)\n"
    ),
    "tests/test_prices.py": (
        "from service.prices import total\n\n\n"
        "def test_prices_add_up() -> None:\n"
        "    assert total([1, 2.5]) == 3.5\n"
    ),
}


@dataclass(frozen=True)
class Checked:
    """What a check gave."""

    probe: StageProbe
    result: StageResult | None
    error: StageError | None
    log: str

    @property
    def metrics(self) -> Mapping[str, float]:
        if self.result is not None:
            return self.result.metrics
        said: Mapping[str, float] = self.probe.payloads("metrics")[-1]["metrics"]
        return said

    @property
    def said(self) -> str:
        return str(self.error)

    def kept(self, name: str) -> Path:
        stage = self.probe.stage
        return stage.state_dir / "runs" / stage.run / f"{stage.name}.{stage.attempt}" / name

    def runs(self) -> dict[str, Any]:
        """The runs of the SARIF file, by tool."""
        whole = json.loads(self.kept("checks.sarif").read_bytes())
        return {run["tool"]["driver"]["name"]: run for run in whole["runs"]}

    def found(self) -> list[tuple[str, str, str, int]]:
        """(tool, rule, file, line) of all findings."""
        return sorted(
            (tool, result["ruleId"], *_place(result))
            for tool, run in self.runs().items()
            for result in run["results"]
        )


def _place(result: Mapping[str, Any]) -> tuple[str, int]:
    if "locations" not in result:
        return "", 0
    physical = result["locations"][0]["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical.get("region", {}).get("startLine", 0)


@dataclass(frozen=True)
class Project:
    """A project that checks sources."""

    root: Path

    @property
    def source(self) -> Path:
        return self.root / "source"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def check(
        self,
        capsys: Any,
        *,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Checked:
        name = f"check{sum(1 for _ in self.root.glob('.mlpipe/scratch/*'))}"
        probe = make_stage(
            self.root,
            "check",
            name=name,
            inputs={"source": Artifact("source", "sha256:0", "source")},
            secrets=secrets,
            env={**QUICK, **(env or {})},
        )
        config = CheckConfig.model_validate(settings)
        result, error = None, None
        try:
            result = mlpipe_checks.check(config=config, stage=probe.stage)
        except StageError as raised:
            error = raised
        return Checked(probe, result, error, capsys.readouterr().out)


def is_gate(error: StageError | None) -> bool:
    return isinstance(error, GateMissed)
