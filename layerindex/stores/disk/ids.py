"""Checks ids and values of JSON files before anything relies on them (FORMATS section 15)."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from layerindex import shapes

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_MAX = 2**63
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def chain_id(parent: str | None, diff_id: str) -> str:
    """Return the chain id of a layer above `parent`; a base layer's is its diff_id.

    https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
    """
    return diff_id if parent is None else sha256(f"{parent} {diff_id}".encode())


def chain_ids(diff_ids: list[str]) -> list[str]:
    """Return the chain id at each position of an image."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(chain_id(chains[-1] if chains else None, diff_id))
    return chains


def sha256(content: bytes) -> str:
    """Return a digest as Docker writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def shaped(shape: re.Pattern[str], text: str) -> str:
    """Return an id that has its shape; raises ValueError."""
    if not shape.fullmatch(text):
        raise ValueError(f"{shorten(text)} does not have the shape {shape.pattern}")
    return text


def shorten(text: str) -> str:
    """Return hostile text shortened and printable, for use in a sentence."""
    return ascii(text if len(text) <= 100 else f"{text[:100]}…")


def _said(value: Any) -> str:  # noqa: ANN401 - whatever JSON held
    # Never str() of a list or object: hostile nesting exhausts the stack.
    if isinstance(value, str):
        return shorten(value)
    return f"{value}" if isinstance(value, int | float) else type(value).__name__


def timestamp(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return an RFC 3339 time in UTC with its fraction as written; None for absent and for Go's zero time.

    Raises ValueError for invalid times.
    """
    if value is None or value == "":
        return None
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_said(value)} is no RFC 3339 time")
    *fields, fraction, zone = match.groups()
    moment = datetime.fromisoformat("{}-{}-{}T{}:{}:{}".format(*fields) + ("Z" if zone in "Zz" else zone))
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{shorten(value)} is out of range") from error
    if moment == datetime.min.replace(tzinfo=UTC):
        return None
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction or ''}Z"


def moment(start: datetime, seconds: int, nanoseconds: int) -> str:
    """Return the time so many seconds after a start in UTC, without trailing zeros; raises ValueError."""
    try:
        whole = (start + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    except OverflowError as error:
        raise ValueError(f"{seconds} seconds are out of range") from error
    return (f"{whole}.{nanoseconds:09}".rstrip("0") if nanoseconds else whole) + "Z"


def text(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return a string of a JSON file, None for absent and empty; raises ValueError for another type."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    raise ValueError(f"{_said(value)} is no text")


def number(value: Any) -> int | None:  # noqa: ANN401 - whatever JSON held
    """Return an integer that SQLite can hold, None for absent; raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -_MAX <= value < _MAX:
        raise ValueError(f"{_said(value)} is no 64-bit integer")
    return value


def size(value: Any) -> int | None:  # noqa: ANN401 - whatever JSON held
    """Return a size in bytes, None for absent and for a negative number, which means unknown; raises ValueError."""
    found = number(value)
    return None if found is None or found < 0 else found


def digest(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return a digest, None for absent and empty; raises ValueError."""
    found = text(value)
    return None if found is None else shaped(shapes.DIGEST, found)


def sequence(value: Any) -> list[Any]:  # noqa: ANN401 - whatever JSON held
    """Return a list of a JSON file, empty for absent; raises ValueError for another type."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise ValueError(f"{_said(value)} is no list")


def mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON held
    """Return an object of a JSON file, empty for absent; raises ValueError for another type."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise ValueError(f"{_said(value)} is no object")
