"""What a training script is told: arguments, variables and files, as SageMaker does.

SageMaker's images have a training toolkit that tells scripts of their job; the drivers of its SDK
do the same with other names in part. A script here finds what either of them would tell. The
meaning of the variables is described in the README of sagemaker-training-toolkit.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe import Scalar
from mlpipe_sagemaker.contract import TrainingJob

_HOST = "algo-1"
_GROUP = "homogeneousCluster"
_INSTANCE = "local"
_NETWORK = "lo"


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
    def intermediate(self) -> Path:
        """Where the script leaves what SageMaker would upload while it runs."""
        return self.output / "intermediate"

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
            self.intermediate,
            self.code,
            self.checkpoints,
        )


def kept_checkpoints(job: TrainingJob) -> Path:
    """Give the folder that keeps a job's checkpoints until it is done."""
    return job.state_dir / "checkpoints" / job.name


def arguments(hyperparameters: Mapping[str, Scalar]) -> list[str]:
    """Write hyperparameters as the script's arguments: ``--name value``, sorted by name.

    A truth value is ``true`` or ``false``: texts as they are, else JSON, as the drivers of
    SageMaker's SDK write them.
    """
    given: list[str] = []
    for name in sorted(hyperparameters):
        given += [f"--{name}", _text(hyperparameters[name])]
    return given


def variables(job: TrainingJob, layout: Layout) -> dict[str, str]:
    """Give the environment variables of a job on one host."""
    facts = _facts(job, layout)
    channels = facts["channel_input_dirs"]
    values = {name: facts[name] for name in facts if name not in _ONLY_TOGETHER}
    values |= {
        "hps": facts["hyperparameters"],
        "channels": sorted(channels),
        "framework_params": facts["additional_framework_parameters"],
        "user_args": arguments(job.hyperparameters),
        "training_env": facts,
    }
    values |= {f"channel_{name}": path for name, path in channels.items()}
    values |= {f"hp_{name}": value for name, value in job.hyperparameters.items()}
    named = {f"SM_{name.upper()}": _text(value) for name, value in values.items()}
    return {
        **named,
        **{
            f"SM_HP_{name.replace('-', '_').upper()}": _text(job.hyperparameters[name])
            for name in job.hyperparameters
        },
        "SM_CHECKPOINT_DIR": str(layout.checkpoints),
        "SM_CURRENT_HOST_RANK": "0",
        "SM_ENTRY_SCRIPT": job.program,
        "SM_HOST_COUNT": "1",
        "SM_INPUT_DATA_DIR": str(layout.data),
        "SM_MASTER_ADDR": "localhost",
        "SM_MASTER_PORT": "7777",
        "SM_NUM_NEURONS": "0",
        "SM_OUTPUT_FAILURE": str(layout.output / "failure"),
        "SM_SOURCE_DIR": str(layout.code),
        "TRAINING_JOB_NAME": job.name,
    }


#: Facts that are no variable of the same name.
_ONLY_TOGETHER = (
    "additional_framework_parameters",
    "channel_input_dirs",
    "hyperparameters",
    "is_master",
    "job_name",
    "master_hostname",
)


def _facts(job: TrainingJob, layout: Layout) -> dict[str, Any]:
    """Give what the toolkit knows of a job, under the toolkit's names."""
    return {
        "additional_framework_parameters": {},
        "channel_input_dirs": {name: str(layout.data / name) for name in sorted(job.channels)},
        "current_host": _HOST,
        "current_instance_group": _GROUP,
        "current_instance_group_hosts": [_HOST],
        "current_instance_type": _INSTANCE,
        "distribution_instance_groups": [],
        "framework_module": None,
        "hosts": [_HOST],
        "hyperparameters": dict(job.hyperparameters),
        "input_config_dir": str(layout.config),
        "input_data_config": input_data_config(job),
        "input_dir": str(layout.input),
        "instance_groups": [_GROUP],
        "instance_groups_dict": {_GROUP: _instance_group()},
        "is_hetero": False,
        "is_master": True,
        "job_name": job.name,
        "log_level": logging.INFO,
        "master_hostname": _HOST,
        "model_dir": str(layout.model),
        "module_dir": str(layout.code),
        "module_name": job.program.removesuffix(".py"),
        "network_interface_name": _NETWORK,
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "output_data_dir": str(layout.output_data),
        "output_dir": str(layout.output),
        "output_intermediate_dir": str(layout.intermediate),
        "resource_config": resource_config(),
        "user_entry_point": job.program,
    }


def config_files(job: TrainingJob) -> dict[str, Any]:
    """Give the JSON files of ``input/config``, by name.

    A hyperparameter is a text there. For a script it is JSON, as the SageMaker SDK sends it; an
    image's own program gets texts as they are.
    """
    write = json.dumps if job.program else _text
    hyperparameters = {name: write(value) for name, value in job.hyperparameters.items()}
    return {
        "hyperparameters.json": hyperparameters,
        "resourceconfig.json": resource_config(),
        "inputdataconfig.json": input_data_config(job),
    }


def resource_config() -> dict[str, Any]:
    """Describe the one host."""
    return {
        "current_group_name": _GROUP,
        "current_host": _HOST,
        "current_instance_type": _INSTANCE,
        "hosts": [_HOST],
        "instance_groups": [_instance_group()],
        "network_interface_name": _NETWORK,
    }


def input_data_config(job: TrainingJob) -> dict[str, Any]:
    """Describe the channels."""
    described = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    return dict.fromkeys(sorted(job.channels), described)


def _instance_group() -> dict[str, Any]:
    return {"instance_group_name": _GROUP, "instance_type": _INSTANCE, "hosts": [_HOST]}


def _text(value: Any) -> str:
    """Write a value as the toolkit does: texts as they are, nothing as nothing, else JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
