"""Content types: their names, and the text they hold."""

from email.message import Message

from mlpipe_scriptmode.errors import BadPayload

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"


def media_type(header: str) -> str:
    """Give the media type of a ``Content-Type``, without its parameters."""
    return header.partition(";")[0].strip().lower()


def text_of(body: bytes, content_type: str) -> str:
    """Read a body as text.

    Raises:
        BadPayload: It is not in the charset that the content type names, or in UTF-8.
    """
    charset = _charset(content_type)
    try:
        return body.decode("utf-8-sig" if charset in ("utf-8", "utf8") else charset)
    except UnicodeDecodeError as error:
        raise BadPayload(f"the body is not {charset} (byte {error.start + 1})") from None
    except (LookupError, UnicodeError):
        raise BadPayload(f'there is no charset "{charset}"') from None


def _charset(content_type: str) -> str:
    if ";" not in content_type:
        return "utf-8"
    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset("utf-8")
