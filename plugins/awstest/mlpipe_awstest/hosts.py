"""What the hosts of a training job find below ``/opt/ml``, and where what they leave goes."""

import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlpipe_awstest.cloud import Cloud

_ML = PurePosixPath("/opt/ml")
_GROUP = "homogeneousCluster"
_SHARDED = "ShardedByS3Key"


class NoData(Exception):
    """A channel's prefix fits no object."""


@dataclass(frozen=True)
class Hosts:
    """The hosts of a training job.

    Attributes:
        request: The job's.
        hyperparameters: All of them, also those that a tuning job chose.
        cloud: Where data comes from and goes to.
        folder: Below which each host's ``/opt/ml`` is.
    """

    request: Mapping[str, Any]
    hyperparameters: Mapping[str, str]
    cloud: Cloud
    folder: Path

    @property
    def names(self) -> list[str]:
        """Their names."""
        count = int(self.request["ResourceConfig"].get("InstanceCount", 1))
        return [f"algo-{number}" for number in range(1, count + 1)]

    def lay_out(self) -> list[Path]:
        """Make each one's ``/opt/ml``, with channels and checkpoints in it.

        Raises:
            NoData: A channel has none.
        """
        return [self._lay_out(index, name) for index, name in enumerate(self.names)]

    def _lay_out(self, index: int, name: str) -> Path:
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data"):
            (root / folder).mkdir(parents=True)
        for channel in self._channels:
            source = channel["DataSource"]["S3DataSource"]
            sharded = source.get("S3DataDistributionType") == _SHARDED
            share = (index, len(self.names)) if sharded else (0, 1)
            into = root / "input/data" / channel["ChannelName"]
            if not self.cloud.fetch(source["S3Uri"], into, share=share):
                raise NoData(f'No S3 objects found under S3 URL "{source["S3Uri"]}"')
        self._checkpoints(root).mkdir(parents=True, exist_ok=True)
        if checkpoints := self.request.get("CheckpointConfig"):
            self.cloud.fetch(f"{checkpoints['S3Uri'].rstrip('/')}/", self._checkpoints(root))
        for file, value in self._config(name).items():
            (root / "input/config" / file).write_text(json.dumps(value))
        return root

    @property
    def _channels(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.request.get("InputDataConfig") or ()
        return found

    def _config(self, host: str) -> dict[str, Any]:
        instance = self.request["ResourceConfig"].get("InstanceType", "ml.m5.large")
        group = {"instance_group_name": _GROUP, "instance_type": instance, "hosts": self.names}
        return {
            "hyperparameters.json": dict(self.hyperparameters),
            "resourceconfig.json": {
                "current_host": host,
                "current_instance_type": instance,
                "current_group_name": _GROUP,
                "hosts": self.names,
                "instance_groups": [group],
                "network_interface_name": "lo",
            },
            "inputdataconfig.json": {
                each["ChannelName"]: self._channel(each) for each in self._channels
            },
        }

    def _channel(self, channel: Mapping[str, Any]) -> dict[str, Any]:
        mode = self.request["AlgorithmSpecification"].get("TrainingInputMode", "File")
        source = channel["DataSource"]["S3DataSource"]
        found = {
            "TrainingInputMode": channel.get("InputMode", mode),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            found["ContentType"] = channel["ContentType"]
        return found

    def _checkpoints(self, root: Path) -> Path:
        local = self.request.get("CheckpointConfig", {}).get("LocalPath", str(_ML / "checkpoints"))
        return root / PurePosixPath(local).relative_to(_ML)

    def has_checkpoints(self, root: Path) -> bool:
        """Tell whether a host has written some, or would never: there is nowhere to keep them."""
        if "CheckpointConfig" not in self.request:
            return True
        return any(path.is_file() for path in self._checkpoints(root).rglob("*"))

    # -- what they leave ----------------------------------------------------------------------

    def keep_checkpoints(self, roots: Sequence[Path]) -> None:
        """Put checkpoints where the request says."""
        if checkpoints := self.request.get("CheckpointConfig"):
            for root in roots:
                self.cloud.store_folder(self._checkpoints(root), checkpoints["S3Uri"])

    def upload(self, roots: Sequence[Path], where: str) -> None:
        """Put ``model.tar.gz`` and, if there is other output, ``output.tar.gz`` below a URI."""
        self._archive([root / "model" for root in roots], f"{where}/model.tar.gz")
        others = [root / "output/data" for root in roots]
        if any(any(folder.iterdir()) for folder in others):
            self._archive(others, f"{where}/output.tar.gz")

    def _archive(self, folders: Sequence[Path], uri: str) -> None:
        archive = self.folder / PurePosixPath(uri).name
        added: set[str] = set()
        with tarfile.open(archive, "w:gz") as tar:
            for folder in folders:
                for path in sorted(folder.rglob("*")):
                    name = path.relative_to(folder).as_posix()
                    if name not in added:
                        added.add(name)
                        tar.add(path, name, recursive=False)
        self.cloud.store(archive, uri)

    def failure(self, root: Path) -> str:
        """Give what a host said of its failure, or nothing."""
        file = root / "output/failure"
        return file.read_text("utf-8", "replace").strip() if file.is_file() else ""
