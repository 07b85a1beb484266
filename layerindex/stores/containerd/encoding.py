"""Decodes values of containerd's databases (containerd `core/metadata/boltutil/helpers.go`, Go's encoding/binary)."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import orjson

from layerindex import shapes
from layerindex.problems import Damage
from layerindex.stores.disk import ids
from layerindex.stores.disk.bolt import Bucket, key_text

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator

T = TypeVar("T")

YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
LABEL = 4096
"""Most bytes of a label's name and value together that containerd takes (`core/metadata/labels/validate.go`)."""

LONGEST = 1024
"""Most bytes of the name of a namespace, image, snapshot or lease, which is in many rows; those that containerd makes
are shorter (`pkg/identifiers/validate.go`: 76)."""


def unsigned(value: bytes) -> int:
    """Return a number of Go's PutUvarint; raises ValueError."""
    number = shift = 0
    for byte in value[:10]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            if number < 2**64:
                return number
            break
    raise ValueError(f"{value[:12].hex()} is no number")


def signed(value: bytes) -> int:
    """Return a number of Go's PutVarint; raises ValueError."""
    number = unsigned(value)
    return (number >> 1) ^ -(number & 1)


def size(value: bytes) -> int:
    """Return a number that cannot be negative; raises ValueError."""
    number = signed(value)
    if number < 0:
        raise ValueError(f"{number} is no size")
    return number


def moment(value: bytes) -> str | None:
    """Return a time of Go's MarshalBinary in UTC; None for its zero time; raises ValueError."""
    if len(value) not in (15, 16) or value[0] not in (1, 2):
        raise ValueError(f"{value[:16].hex()} is no time")
    seconds, nanoseconds = struct.unpack(">qi", value[1:13])
    if not 0 <= nanoseconds < 10**9:
        raise ValueError(f"{nanoseconds} is no number of nanoseconds")
    return ids.moment(YEAR_ONE, seconds, nanoseconds) if seconds else None


def digest(value: bytes) -> str:
    """Return a digest; raises ValueError."""
    return ids.shaped(shapes.DIGEST, key_text(value))


class Row:
    """The values of one bucket; a bad value is None and adds to `damages`."""

    def __init__(self, bucket: Bucket, where: str, subject: str, damages: list[Damage]) -> None:
        self.values = dict(bucket.items())
        self.where, self.subject, self.damages = where, subject, damages

    def get(self, key: str, read: Callable[[bytes], T]) -> T | None:
        """Return a value as `read` returns it; None when it is absent or empty."""
        value = self.values.get(key.encode())
        if value is None or value == b"":
            return None
        try:
            if isinstance(value, Bucket):
                raise ValueError("a bucket where a value must be")  # noqa: TRY301, TRY004 - as any bad value
            return read(value)
        except ValueError as error:
            self.damages.append(Damage("bad-value", self.where, f"{key}: {error}", self.subject))
            return None

    def text(self, key: str) -> str | None:
        """Return a text."""
        return self.get(key, lambda value: key_text(value[:LABEL]))

    def shaped(self, key: str, shape: re.Pattern[str]) -> str | None:
        """Return an id that has its shape."""
        value = self.text(key)
        if value is not None and not shape.fullmatch(value):
            self.damages.append(Damage("bad-id", self.where, f"{key}: {ids.shorten(value)}", self.subject))
            return None
        return value

    def below(self, key: str) -> Bucket | None:
        """Return a bucket within this one."""
        value = self.values.get(key.encode())
        return value if isinstance(value, Bucket) else None

    def labels(self) -> dict[str, str]:
        """Return the labels."""
        bucket = self.below("labels")
        items = bucket.items() if bucket is not None else ()
        return {key_text(key): key_text(value[:LABEL]) for key, value in items if isinstance(value, bytes)}


def rows(
    bucket: Bucket | None, where: str, damages: list[Damage], *, skip: bytes | None = None
) -> Iterator[tuple[str, Row]]:
    """Yield each bucket below one with its key as text; `skip` is a key that is none."""
    for key, value in bucket.items() if bucket is not None else ():
        name = key_text(key[:LONGEST])
        if len(key) > LONGEST:
            damages.append(Damage("bad-id", where, f"{ids.shorten(name)}: a name of {len(key)} bytes; not read"))
        elif isinstance(value, Bucket):
            yield name, Row(value, where, name, damages)
        elif key != skip:
            damages.append(Damage("bad-value", where, f"{ids.shorten(name)} must be a bucket", name))


def as_json(labels: dict[str, str]) -> str | None:
    """Return labels as the database holds them."""
    return orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode() if labels else None
