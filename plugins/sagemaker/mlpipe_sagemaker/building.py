"""The verb ``build``: package training code for every training that uses it."""

from pathlib import Path, PurePosixPath

from mlpipe import Artifact, Stage, StageError, StageResult
from mlpipe_sagemaker.config import CODE, BuildConfig
from mlpipe_sagemaker.packaging import ARCHIVE, pack_sources
from mlpipe_sagemaker.sources import collect


def run(config: BuildConfig, stage: Stage) -> StageResult:
    """Package; the package goes to the target's store under its digest.

    Raises:
        StageError: A script is missing, two are called the same, or the store refuses.
    """
    programs, sources = _collect(config, stage.root)
    archive = stage.output(CODE, file=ARCHIVE)
    digest = pack_sources(sources, programs, archive)
    summary = f"{len(sources)} file{'' if len(sources) == 1 else 's'} · {digest[7:19]}"
    code, uri = _store(stage, archive, digest)
    return StageResult(
        outputs={CODE: code}, values={"programs": list(programs), "uri": uri}, summary=summary
    )


def _collect(config: BuildConfig, root: Path) -> tuple[tuple[str, ...], dict[str, Path]]:
    programs: list[str] = []
    sources: dict[str, Path] = {}
    for script in config.scripts:
        program, found = collect(script, root, config.source_dir)
        programs.append(program)
        for name, path in found.items():
            if sources.setdefault(name, path).resolve() != path.resolve():
                raise StageError(
                    f'"{name}" would be both {sources[name].relative_to(root)} and '
                    f"{path.relative_to(root)} in the package",
                    where="with.scripts",
                    fix="Rename one, or package them in two stages.",
                )
    return tuple(programs), sources


def _store(stage: Stage, archive: Path, digest: str) -> tuple[Path | Artifact, str]:
    """Put the package where the target's trainings find it."""
    if stage.target.type != "aws":
        return archive, ""
    import mlpipe_aws

    uri = mlpipe_aws.Store(mlpipe_aws.settings(stage.target)).put(archive, digest)
    print(f"{PurePosixPath(uri).name} is at {uri}")
    return Artifact(CODE, digest, uri, archive.stat().st_size), uri
