"""What a recipe may say of where data comes from: one model for each kind of source."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from mlpipe import Function, InputFile, SecretName
from mlpipe_dvc.addresses import (
    SHA256,
    bucket_address,
    database_address,
    known_encoding,
    relative_path,
    repository_address,
    sha256,
    web_address,
)

#: How a source's files are written; ``files`` for those that are no tables, as images.
SourceFormat = Literal["csv", "parquet", "jsonl", "files"]

_STRICT = ConfigDict(extra="forbid", frozen=True)

Encoding = Annotated[str, AfterValidator(known_encoding)]
Digest = Annotated[str, Field(json_schema_extra={"pattern": SHA256}), AfterValidator(sha256)]
RelativePath = Annotated[str, AfterValidator(relative_path)]


class FileSource(BaseModel):
    """A file of the project.

    Attributes:
        file: Its path.
        format: How it is written; told by its name's end when left out.
        encoding: Of its text, as Python names it.
    """

    model_config = _STRICT

    file: InputFile
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"


class FolderSource(BaseModel):
    """All files below a folder of the project, except hidden ones and DVC's own.

    Attributes:
        folder: Its path.
        format: How they are written; told by their names' ends when left out.
        encoding: Of their text, as Python names it.
    """

    model_config = _STRICT

    folder: InputFile
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"


class GlobSource(BaseModel):
    """Those files of the project that a pattern matches.

    Attributes:
        glob: ``*`` and ``?`` match within a name, ``**`` any folders.
        format: How they are written; told by their names' ends when left out.
        encoding: Of their text, as Python names it.
    """

    model_config = _STRICT

    glob: RelativePath
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"


class UrlSource(BaseModel):
    """A file on a web server.

    Attributes:
        url: Its address.
        format: How it is written; told by its name's end or its media type when left out.
        encoding: Of its text, as Python names it.
        headers: Headers to send, each with the name of the secret that holds its value.
        digest: What the bytes must be.
    """

    model_config = _STRICT

    url: Annotated[str, AfterValidator(web_address)]
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], SecretName] = {}
    digest: Digest | None = None


class S3Source(BaseModel):
    """An object of an S3 bucket, or all that lie below a prefix.

    Attributes:
        s3: ``s3://BUCKET/KEY``, or ``s3://BUCKET/PREFIX/``.
        endpoint_url: Of a service other than AWS; else what boto3 finds in its settings.
        region: The bucket's; else what boto3 finds in its settings.
        format: How the objects are written; told by their keys' ends when left out.
        encoding: Of their text, as Python names it.
    """

    model_config = _STRICT

    s3: Annotated[str, AfterValidator(bucket_address)]
    endpoint_url: Annotated[str, AfterValidator(web_address)] | None = None
    region: str | None = None
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"


class SqlSource(BaseModel):
    """The rows of a database query.

    Attributes:
        sql: The query.
        database: A URL of SQLAlchemy's, without a password.
        password: The name of the secret that holds it.
    """

    model_config = _STRICT

    sql: Annotated[str, Field(min_length=1)]
    database: Annotated[str, AfterValidator(database_address)]
    password: SecretName | None = None


class RepoSource(BaseModel):
    """A file or folder of another DVC repository, or of a Git repository.

    Attributes:
        repo: The repository's folder or Git URL.
        path: In the repository.
        rev: A commit, tag or branch; when left out, a URL's default branch, or what is in
            the folder now.
        format: How the files are written; told by their names' ends when left out.
        encoding: Of their text, as Python names it.
    """

    model_config = _STRICT

    repo: Annotated[str, AfterValidator(repository_address)]
    path: RelativePath
    rev: Annotated[str, Field(pattern=r"^[^-\s]\S*$")] | None = None
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"


class FunctionSource(BaseModel):
    """A function of the project that returns data.

    Attributes:
        function: ``module:function``. It returns a DataFrame, or yields several with the same
            columns, or returns a path or paths of files.
        args: What it is called with, by name.
    """

    model_config = _STRICT

    function: Function
    args: dict[str, Any] = {}


class InputSource(BaseModel):
    """An output of an earlier stage.

    Attributes:
        input: Its name in the stage's ``inputs:``.
        format: How it is written; told by its name's end when left out.
        encoding: Of its text, as Python names it.
    """

    model_config = _STRICT

    input: str
    format: SourceFormat | None = None
    encoding: Encoding = "utf-8"


AnySource = (
    FileSource
    | FolderSource
    | GlobSource
    | UrlSource
    | S3Source
    | SqlSource
    | RepoSource
    | FunctionSource
    | InputSource
)

_KINDS = ("file", "folder", "glob", "url", "s3", "sql", "repo", "function", "input")
# Keys that only one kind has, beside the one that it is named after.
_TELLING = {
    "database": "sql",
    "password": "sql",
    "path": "repo",
    "rev": "repo",
    "args": "function",
    "headers": "url",
    "digest": "url",
    "endpoint_url": "s3",
    "region": "s3",
}


def _spell_out(value: Any) -> Any:
    """Turn a source written as one text into the mapping that it stands for."""
    if isinstance(value, str):
        return {_kind_of_text(value): value}
    if not isinstance(value, (Mapping, BaseModel)):
        problem = "a source is a text, or a mapping as {file: data/raw.csv}"
        raise ValueError(problem)  # noqa: TRY004 - what pydantic turns into a located problem
    if not _kind(value):
        raise ValueError(_unknown(list(map(str, value if isinstance(value, Mapping) else ()))))
    return value


def _kind_of_text(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if separator:
        kinds = {"http": "url", "https": "url", "s3": "s3"}
        if scheme not in kinds:
            raise ValueError(
                f"{scheme}:// alone cannot be read; a source is a path, https:// or s3://, or"
                " written out: {sql: …, database: …} or {repo: …, path: …}"
            )
        return kinds[scheme]
    if any(each in text for each in "*?["):
        return "glob"
    if text.endswith("/"):
        return "folder"
    return "function" if ":" in text else "file"


def _kind(value: Any) -> str | None:
    """Name the kind that is meant: by its own key, else by one that no other kind has."""
    names = value if isinstance(value, Mapping) else type(value).model_fields
    own = (kind for kind in _KINDS if kind in names)
    return next(own, None) or next((_TELLING[key] for key in names if key in _TELLING), None)


def _tag(value: Any) -> str:
    # Never the name of a field: in a problem's location a tag must not look like a key.
    return f"{_kind(value)} source"


def _unknown(names: list[str]) -> str:
    for name in names:
        if close := difflib.get_close_matches(name, _KINDS, n=1):
            return f'unknown key "{name}". Did you mean "{close[0]}"?'
    return f"say where the data comes from with one of: {', '.join(_KINDS)}"


#: Any source. As one text: a path, a folder (with ``/`` at its end), a glob (with ``*``, ``?``
#: or ``[``), an address (``https://``, ``s3://``) or ``module:function``.
Source = Annotated[
    Annotated[FileSource, Tag("file source")]
    | Annotated[FolderSource, Tag("folder source")]
    | Annotated[GlobSource, Tag("glob source")]
    | Annotated[UrlSource, Tag("url source")]
    | Annotated[S3Source, Tag("s3 source")]
    | Annotated[SqlSource, Tag("sql source")]
    | Annotated[RepoSource, Tag("repo source")]
    | Annotated[FunctionSource, Tag("function source")]
    | Annotated[InputSource, Tag("input source")],
    Discriminator(_tag),
    BeforeValidator(_spell_out, json_schema_input_type=str | AnySource),
]


def is_outside(source: AnySource) -> bool:
    """Tell whether only looking beyond the project's files says what a source is right now."""
    return isinstance(source, (UrlSource, S3Source, SqlSource, RepoSource))
