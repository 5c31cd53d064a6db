"""Opening sources: one module for each way that data comes in."""

from functools import singledispatch

from mlpipe import Stage
from mlpipe_dvc.sourceconfig import (
    AnySource,
    FileSource,
    FolderSource,
    FunctionSource,
    GlobSource,
    InputSource,
    RepoSource,
    S3Source,
    SqlSource,
    UrlSource,
)
from mlpipe_dvc.sources import files, function, http, repository, s3, sql
from mlpipe_dvc.values import Frames, LocalFiles


@singledispatch
def open_source(
    source: AnySource,
    stage: Stage,  # noqa: ARG001 - what all kinds are given
) -> LocalFiles | Frames:
    """Bring a source's data to this machine.

    What comes from outside is written to the stage's scratch folder; files of the project
    are used where they are.

    Args:
        source: Where the data comes from.
        stage: Whose root, inputs, secrets and scratch folder are used.

    Raises:
        StageError: There is nothing there, or it cannot be had.
    """
    raise TypeError(f"{type(source).__name__} is no source")


open_source.register(FileSource, files.open_file)
open_source.register(FolderSource, files.open_folder)
open_source.register(GlobSource, files.open_glob)
open_source.register(InputSource, files.open_input)
open_source.register(UrlSource, http.open_url)
open_source.register(S3Source, s3.open_s3)
open_source.register(SqlSource, sql.open_sql)
open_source.register(RepoSource, repository.open_repository)
open_source.register(FunctionSource, function.open_function)


@singledispatch
def identify(source: AnySource, stage: Stage) -> dict[str, str]:  # noqa: ARG001 - as above
    """Say what a source outside the project is right now, read-only.

    Returns:
        ``{"source": identity}``; nothing for a source that is part of the project or of the
        stage's inputs, which the fingerprint covers as it is.

    Raises:
        StageError: It cannot be told; then only reading the source shows what it holds.
    """
    return {}


identify.register(UrlSource, http.identify_url)
identify.register(S3Source, s3.identify_s3)
identify.register(SqlSource, sql.identify_sql)
identify.register(RepoSource, repository.identify_repository)
