"""What SageMaker's framework images do when they are started with ``train``.

Their training toolkit fetches the script that the hyperparameters name and runs it with the other
hyperparameters as arguments: https://github.com/aws/sagemaker-training-toolkit.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ML = Path("/opt/ml")
_OWN = ("sagemaker_", "_tuning_objective_metric")


def main() -> int:
    """Run the script; give its exit code."""
    given = json.loads((_ML / "input/config/hyperparameters.json").read_text())
    values = {name: _value(text) for name, text in given.items()}
    script = str(values.get("sagemaker_program", ""))
    if not script:
        return _fail("no sagemaker_program: this image has no algorithm of its own")
    code = _ML / "code"
    code.mkdir(exist_ok=True)
    _fetch(str(values["sagemaker_submit_directory"]), code)
    own = {name: value for name, value in values.items() if not name.startswith(_OWN)}
    command = [*_launcher(values), script, *_arguments(own)]
    done = subprocess.run(command, cwd=code, env={**os.environ, **_variables(own)}, check=False)
    if done.returncode != 0 and not (_ML / "output/failure").exists():
        return _fail(f'ExecuteUserScriptError: ExitCode {done.returncode}: "{script}"')
    return done.returncode


def _fail(reason: str) -> int:
    (_ML / "output/failure").write_text(reason)
    return 1


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fetch(uri: str, code: Path) -> None:
    archive = Path(uri)
    if uri.startswith("s3://"):
        import boto3

        bucket, key = urlsplit(uri).netloc, urlsplit(uri).path.lstrip("/")
        archive = code / "sourcedir.tar.gz"
        boto3.client("s3").download_file(bucket, key, str(archive))
    with tarfile.open(archive) as tar:
        tar.extractall(code)  # noqa: S202 - a test's own archive, in a job's own folder


def _launcher(values: dict[str, Any]) -> list[str]:
    resources = json.loads((_ML / "input/config/resourceconfig.json").read_text())
    hosts = sorted(resources["hosts"])
    if values.get("sagemaker_torch_distributed_enabled"):
        processes = values.get("sagemaker_instance_processes", 1)
        return [
            "python3",
            "-m",
            "torch.distributed.run",
            f"--nnodes={len(hosts)}",
            f"--nproc_per_node={processes}",
            f"--node_rank={hosts.index(resources['current_host'])}",
            f"--master_addr={hosts[0]}",
            "--master_port=7777",
        ]
    return ["python3"]


def _arguments(values: dict[str, Any]) -> list[str]:
    given: list[str] = []
    for name in sorted(values):
        given += [f"--{name}" if len(name) > 1 else f"-{name}", str(values[name])]
    return given


def _variables(values: dict[str, Any]) -> dict[str, str]:
    data = _ML / "input/data"
    resources = json.loads((_ML / "input/config/resourceconfig.json").read_text())
    channels = {path.name: str(path) for path in sorted(data.iterdir()) if path.is_dir()}
    told = {
        "SM_MODEL_DIR": str(_ML / "model"),
        "SM_OUTPUT_DATA_DIR": str(_ML / "output/data"),
        "SM_OUTPUT_DIR": str(_ML / "output"),
        "SM_HPS": json.dumps(values),
        "SM_HOSTS": json.dumps(sorted(resources["hosts"])),
        "SM_CURRENT_HOST": resources["current_host"],
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": "0",
        "SM_CHANNELS": json.dumps(sorted(channels)),
        "PYTHONUNBUFFERED": "1",
    }
    told |= {f"SM_CHANNEL_{name.upper()}": path for name, path in channels.items()}
    return told | {f"SM_HP_{name.upper()}": str(value) for name, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
