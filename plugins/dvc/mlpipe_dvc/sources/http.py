"""Files on web servers: streamed to disk, continued where a download was cut off."""

from __future__ import annotations

import hashlib
import re
from email.message import Message
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import UrlSource
from mlpipe_dvc.sources.download import Remote, ask, download
from mlpipe_dvc.sources.local import local_files
from mlpipe_dvc.values import Format, LocalFiles

_MEDIA_TYPES: dict[str, Format] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/x-ndjson": "jsonl",
}


def open_url(source: UrlSource, stage: Stage) -> LocalFiles:
    """Download a file.

    Raises:
        StageError: The server does not give it, gives less than it announces, or other bytes
            than the recipe says.
    """
    remote = _remote(source, stage)
    folder = stage.scratch / "source"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _file_name(source.url)
    headers = download(remote, path)
    print(f"{remote.label}: {path.stat().st_size:,} bytes")
    _verify(path, source, remote.label)
    return local_files(
        [path],
        None,
        remote.label,
        format=source.format,
        encoding=source.encoding,
        guess=_MEDIA_TYPES.get(headers.get_content_type()),
    )


def identify_url(source: UrlSource, stage: Stage) -> dict[str, str]:
    """Give the ETag, else the time of the last change with the length.

    A source whose digest the recipe says needs no look.

    Raises:
        StageError: The server does not answer well, or tells neither.
    """
    if source.digest:
        return {}
    remote = _remote(source, stage)
    headers = ask(remote)
    identity = headers["ETag"] or _changed(headers)
    if not identity:
        raise StageError(
            "the server tells neither an ETag nor when the file last changed",
            where=remote.label,
            fix="Say what the bytes must be with digest: sha256:….",
        )
    return {"source": identity}


def label_of(url: str) -> str:
    """Give an address as it may be shown: without its query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _remote(source: UrlSource, stage: Stage) -> Remote:
    missing = [name for name in source.headers.values() if name not in stage.secrets]
    if missing:
        raise StageError(
            f'"{missing[0]}" is no secret of this stage',
            where="headers",
            fix=f"Add secrets: [{missing[0]}] to the stage.",
        )
    secret = {header: stage.secrets[name].strip() for header, name in source.headers.items()}
    url = quote(source.url, safe="%/:=&?~#+!$,;'@()*[]")  # as browsers do with what is not ASCII
    return Remote(url, label_of(source.url), secret)


def _changed(headers: Message) -> str:
    changed = headers["Last-Modified"]
    length = str(headers["Content-Range"] or "").rpartition("/")[2] or headers["Content-Length"]
    return f"{changed} {length}" if changed and length else ""


def _file_name(url: str) -> str:
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^\w.-]", "_", last).lstrip(".")[-100:] or "data"


def _verify(path: Path, source: UrlSource, label: str) -> None:
    if source.digest is None:
        return
    with path.open("rb") as stream:
        found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    if found != source.digest:
        raise StageError(
            f"what the server sends is {found}, not {source.digest}",
            where=label,
            fix="See what changed there; then change digest, or leave it out.",
        )
