"""Outcomes that are rows of a database: what a recipe says of them."""

import re
from typing import Annotated
from urllib.parse import parse_qs

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlpipe import SecretName

_PASSWORD_KEYS = frozenset(("password", "passwd", "pwd"))
_URL = r"[\w+]+://"


def _address(url: str) -> str:
    if not re.match(_URL, url):
        raise ValueError(
            "write a URL of SQLAlchemy's, as sqlite:///shop.db or postgresql://host/db"
        )
    # A password may hold "/" and "?", so no parser is sure where the host begins.
    keys = parse_qs(url.partition("?")[2], keep_blank_values=True)
    if re.match(_URL + r"[^:/@?]*:[^@]*@", url) or _PASSWORD_KEYS & keys.keys():
        raise ValueError(
            "a URL must not hold a password: name the secret that does, under  password:"
        )
    return url


class OutcomeQuery(BaseModel):
    """Where outcomes come from: the rows of a query, read anew each time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql: str = Field(
        min_length=1,
        description="Its columns: key or id, value, and of a ratio metric of. :since stands for "
        "the experiment's beginning, in UTC.",
    )
    database: Annotated[str, AfterValidator(_address)] = Field(
        description="A URL of SQLAlchemy's without a password; an SQLite file's path starts at the "
        "project's folder."
    )
    password: SecretName | None = Field(
        default=None, description="The name of the secret that holds the database's password."
    )
