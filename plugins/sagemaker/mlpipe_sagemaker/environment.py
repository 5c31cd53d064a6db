"""The environment and arguments of a training script, as SageMaker's training toolkit sets them.

Source: the README of sagemaker-training-toolkit, "SageMaker Training Environment Variables".
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe import Scalar
from mlpipe_sagemaker.contract import TrainingJob

_HOST = "algo-1"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a job, laid out as below ``/opt/ml`` in a container.

    Attributes:
        base: What stands for ``/opt/ml``.
    """

    base: Path

    @property
    def input(self) -> Path:
        """Inputs and their description."""
        return self.base / "input"

    @property
    def config(self) -> Path:
        """The job's description, as JSON files."""
        return self.input / "config"

    @property
    def data(self) -> Path:
        """A folder a channel."""
        return self.input / "data"

    @property
    def model(self) -> Path:
        """Where the script leaves its model."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """Where the script may write ``failure``."""
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        """Where the script leaves what else it makes."""
        return self.output / "data"

    @property
    def code(self) -> Path:
        """The source folder, which the script runs in."""
        return self.base / "code"

    @property
    def checkpoints(self) -> Path:
        """Where the script may keep checkpoints."""
        return self.base / "checkpoints"

    def folders(self) -> tuple[Path, ...]:
        """Give all folders that exist before the script starts."""
        return (
            self.config,
            self.data,
            self.model,
            self.output_data,
            self.code,
            self.checkpoints,
        )


def arguments(hyperparameters: Mapping[str, Scalar]) -> list[str]:
    """Write hyperparameters as the script's arguments: sorted, ``--name value`` or ``-n value``."""
    given: list[str] = []
    for name in sorted(hyperparameters):
        given += [f"--{name}" if len(name) > 1 else f"-{name}", str(hyperparameters[name])]
    return given


def variables(job: TrainingJob, layout: Layout) -> dict[str, str]:
    """Give the environment variables of a job on one host."""
    channels = {name: str(layout.data / name) for name in job.channels}
    hyperparameters = dict(sorted(job.hyperparameters.items()))
    values: dict[str, Any] = {
        "SM_MODEL_DIR": str(layout.model),
        "SM_INPUT_DIR": str(layout.input),
        "SM_INPUT_CONFIG_DIR": str(layout.config),
        "SM_OUTPUT_DIR": str(layout.output),
        "SM_OUTPUT_DATA_DIR": str(layout.output_data),
        "SM_OUTPUT_INTERMEDIATE_DIR": str(layout.output / "intermediate"),
        "SM_CHECKPOINT_DIR": str(layout.checkpoints),
        "SM_CHANNELS": sorted(channels),
        "SM_HPS": hyperparameters,
        "SM_USER_ARGS": arguments(hyperparameters),
        "SM_HOSTS": [_HOST],
        "SM_CURRENT_HOST": _HOST,
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_CURRENT_INSTANCE_TYPE": "local",
        "SM_NUM_CPUS": os.cpu_count() or 1,
        "SM_NUM_GPUS": 0,
        "SM_LOG_LEVEL": 20,
        "SM_MODULE_NAME": Path(job.program).stem,
        "SM_MODULE_DIR": str(layout.code),
        "SM_USER_ENTRY_POINT": job.program,
        "SM_FRAMEWORK_PARAMS": {},
        "SM_RESOURCE_CONFIG": resource_config(),
        "SM_INPUT_DATA_CONFIG": input_data_config(job),
        "TRAINING_JOB_NAME": job.name,
    }
    values.update((f"SM_CHANNEL_{name.upper()}", path) for name, path in channels.items())
    values.update((f"SM_HP_{name.upper()}", value) for name, value in hyperparameters.items())
    values["SM_TRAINING_ENV"] = {
        "channel_input_dirs": channels,
        "current_host": _HOST,
        "hosts": [_HOST],
        "hyperparameters": hyperparameters,
        "input_config_dir": str(layout.config),
        "input_dir": str(layout.input),
        "job_name": job.name,
        "model_dir": str(layout.model),
        "module_dir": str(layout.code),
        "module_name": Path(job.program).stem,
        "num_cpus": values["SM_NUM_CPUS"],
        "num_gpus": 0,
        "output_data_dir": str(layout.output_data),
        "output_dir": str(layout.output),
        "user_entry_point": job.program,
    }
    return {name: _text(value) for name, value in values.items()}


def config_files(job: TrainingJob) -> dict[str, Any]:
    """Give the JSON files of ``input/config``, by name. Hyperparameters are texts there."""
    return {
        "hyperparameters.json": {k: _text(v) for k, v in sorted(job.hyperparameters.items())},
        "resourceconfig.json": resource_config(),
        "inputdataconfig.json": input_data_config(job),
    }


def resource_config() -> dict[str, Any]:
    """Describe the one host."""
    return {
        "current_host": _HOST,
        "current_instance_type": "local",
        "hosts": [_HOST],
        "network_interface_name": "lo",
    }


def input_data_config(job: TrainingJob) -> dict[str, Any]:
    """Describe the channels."""
    described = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    return dict.fromkeys(sorted(job.channels), described)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
