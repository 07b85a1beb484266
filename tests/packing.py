"""Makes tars and tar-splits for tests."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import tarfile
import tempfile
from array import array
from typing import TYPE_CHECKING, Any

from fastcrc.crc64 import go_iso

from layerindex.listings.batches import BATCH_ROWS, SHAPES, Batch, Builder, Entry, Finding
from layerindex.listings.tarsplit_file import tar_split_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def line(**record: object) -> str:
    """A line as Go's encoder writes it."""
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026") + "\n"


def file_line(position: int, name: bytes, content: bytes) -> str:
    record: dict[str, object] = {"type": 1}
    try:
        record["name"] = name.decode()
    except UnicodeDecodeError:
        record["name_raw"] = base64.b64encode(name).decode()
    if content:
        record["size"] = len(content)
    crc = base64.b64encode(go_iso(content).to_bytes(8, "big")).decode()
    return line(**record, payload=crc if content else None, position=position)


def segment_line(position: int, data: bytes) -> str:
    return line(type=2, payload=base64.b64encode(data).decode(), position=position)


def tar_split(tar: bytes) -> str:
    """The lines for a tar, which is read with tarfile (global headers have no line of their own then)."""
    lines: list[str] = []
    end = 0
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as archive:
        for member in archive:
            name = os.fsencode(member.name) + (b"/" if member.isdir() else b"")
            lines.append(segment_line(len(lines), tar[end : member.offset_data]))
            size = member.size if member.isfile() else 0
            end = member.offset_data + size
            lines.append(file_line(len(lines), name, tar[member.offset_data : end]))
    return "".join(lines) + segment_line(len(lines), tar[end:])


def pack(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int) -> bytes:
    """A tar of these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, errors="surrogateescape") as archive:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def member(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in {"mode": 0o644, "mtime": 1_700_000_000, **fields}.items():
        setattr(info, field, value)
    return info, content


def batches_of(data: bytes, fast: bool) -> list[Batch]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return list(tar_split_batches(os.dup(file.fileno()), fast))


def widen(batches: Iterable[Batch]) -> list[Entry]:
    """All entries of some batches."""
    entries = []
    for batch in batches:
        for kind, columns in batch.columns.items():
            values: list[Any] = [array("q", value) for value in columns.values]
            if columns.targets is not None:
                values.append(columns.targets.split("\0"))
            directories = array("q", columns.directories)
            for row, name in enumerate(columns.names.split("\0")):
                fields: dict[str, Any] = dict(zip(SHAPES[kind], (column[row] for column in values), strict=True))
                fields["mtime_ns"] = fields["mtime_ns"] or None
                fields |= {"size": 0, "opaque": 0} if kind == "dir" else {}
                entries.append(Entry(*batch.directories[directories[row]], name, None, kind, **fields))
        entries += [Entry(*batch.directories[row[0]], *row[1:]) for row in batch.rows]
    return entries


def read(lines: str | bytes, fast: bool) -> tuple[list[Entry], list[Finding], bool]:
    """Entries, problems and completeness of a tar-split."""
    text = lines.encode() if isinstance(lines, str) else lines
    batches = batches_of(gzip.compress(text, 1), fast)
    problems = [problem for batch in batches for problem in batch.problems]
    return sorted(widen(batches), key=repr), sorted(problems, key=repr), batches[-1].complete


def batched(items: Iterable[Entry | Finding]) -> Iterator[Batch]:
    """Yield batches of what a producer that knows only entries and problems yields, such as a directory walk."""
    builder = Builder()
    for item in items:
        if isinstance(item, Entry):
            builder.add(item)
            if len(builder.rows) >= BATCH_ROWS:
                yield builder.batch()
        else:
            builder.problem(*item)
    yield builder.batch()


def database_without_memory() -> bytes:
    """Return 4 kB of an SQLite database whose schema claims a row of so many bytes that SQLite says it has no memory.

    A header, an inner page without cells, and as page 8 a leaf whose one cell is as long as a number of nine bytes
    says. https://www.sqlite.org/fileformat2.html
    """
    content = bytearray(8 * 512)
    content[:24] = b"SQLite format 3\0" + b"\x02\x00\x01\x01\x00\x40\x20\x20"
    content[100:112] = b"\x05" + bytes(10) + b"\x08"
    content[3584:3594] = b"\x0d\0\0\0\x01\x01\xc1\0\x01\xc1"
    content[4033:4044] = b"\xff" * 9 + b"\0T"
    return bytes(content)
