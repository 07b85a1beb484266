"""What a producer of file listings hands to the writer: batches of entries, small enough to send through a pipe."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BATCH_ROWS = 4096
PROBLEMS_KEPT = 100
FALSE = {"blob-format", "blob-packing", "blob-truncated", "blob-bomb", "blob-read", "blob-digest", "blob-diff-id"}
"""Findings after which what was listed is not the layer, or not all of it: its directory, if there, tells better."""
ENDINGS = {"tar-split-gzip", "tar-split-truncated", "tar-split-bomb", "tar-split-noise", "tar-split-read"} | FALSE


class Entry(NamedTuple):
    """One name of a layer. All but the two directory fields are columns of ``entries``, in their order.

    ``type`` may also be ``opaque``: not a row, but the news that this directory is opaque.
    """

    directory: str
    directory_raw: bytes | None
    name: str
    name_raw: bytes | None
    type: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    mtime: int | None = None
    mtime_ns: int | None = None
    link_target: str | None = None
    link_target_raw: bytes | None = None
    device: str | None = None
    content_crc64: int | None = None
    opaque: int | None = None
    xattrs: str | None = None
    capability: bytes | None = None
    sparse: int | None = None


class Problem(NamedTuple):
    """Damage in the source of a listing; ``path`` is a path in the layer."""

    code: str
    path: str | None
    detail: str


# Most entries need few columns. Sending and binding only those halves the writer's time: these are its statements.
SHAPES: dict[str, tuple[str, ...]] = {
    "file": ("mode", "uid", "gid", "size", "mtime", "mtime_ns", "content_crc64"),
    "dir": ("mode", "uid", "gid", "mtime", "mtime_ns"),
    "symlink": ("mode", "uid", "gid", "size", "mtime", "mtime_ns", "link_target"),
    "walked": ("mode", "uid", "gid", "size", "mtime", "mtime_ns"),
}
TYPES = {"walked": "file"}  # where the shape's name is not its type: a file whose content nobody read


class Columns(NamedTuple):
    """Entries of one type of SHAPES by columns: texts joined by NUL, and arrays of signed 64-bit numbers."""

    names: str
    directories: bytes
    values: tuple[bytes, ...]
    targets: str | None = None  # for link_target, which comes last


Totals = tuple[int, int, list[tuple[int, int, int]]]
"""Apparent and disk bytes of a walk, and its inodes that have names elsewhere: inode, blocks, bytes."""


class Batch(NamedTuple):
    """Some entries of one listing; directories are numbered within the batch."""

    directories: list[tuple[str, bytes | None]]
    columns: dict[str, Columns]
    rows: list[tuple[Any, ...]]  # directory number, then the fields of Entry from ``name`` on
    problems: list[Problem]
    problem_count: int
    complete: bool
    bytes_read: int
    totals: Totals | None = None  # in a walk's last batch
    plain: tuple[int, int, int] | None = None  # the fingerprint of plain files that are not handed over

    def pack(self) -> bytes:
        """Return the batch as bytes, for another process of the same program."""
        return marshal.dumps(
            (
                self.directories,
                {kind: tuple(columns) for kind, columns in self.columns.items()},
                self.rows,
                [tuple(problem) for problem in self.problems],
                *self[4:],
            )
        )

    @classmethod
    def unpack(cls, data: bytes) -> Batch:
        """Return the batch that ``pack`` wrote."""
        directories, columns, rows, problems, *rest = marshal.loads(data)  # noqa: S302 - from our own child, through a pipe nobody else has
        return cls(
            directories,
            {kind: Columns(*values) for kind, values in columns.items()},
            rows,
            [Problem(*problem) for problem in problems],
            *rest,
        )


class Source(NamedTuple):
    """Something that yields a listing; ``batches`` runs in another process, and is asked whether numpy is worth it."""

    diff_id: str | None
    source: str
    weight: int  # compressed bytes, or a guess in that currency
    batches: Callable[[bool], Iterator[Batch]]
    name: str = ""  # of the directory that is walked
    witness: str | None = None  # of that directory, to know it again
    kept: bool = True  # False: only to be compared with the layer's tar-split, so in a temporary table
    summed: bool = False  # Whether the fingerprint of all its plain files is wanted


class Builder:
    """Gathers entries and problems, and gives a batch of them."""

    def __init__(self) -> None:
        self.problem_count = 0
        self.complete = True
        self._start()

    def _start(self) -> None:
        self.numbers: dict[str, int] = {}
        self.directories: list[tuple[str, bytes | None]] = []
        self.columns: dict[str, Columns] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.problems: list[Problem] = []

    def number(self, path: str, raw: bytes | None) -> int:
        """Return the number of a directory within this batch."""
        number = self.numbers.setdefault(path, len(self.directories))
        if number == len(self.directories):
            self.directories.append((path, raw))
        return number

    def add(self, entry: Entry) -> None:
        """Take one entry."""
        self.rows.append((self.number(entry.directory, entry.directory_raw), *entry[2:]))

    def problem(self, code: str, path: str | None, detail: str) -> None:
        """Count a problem, and keep it while there are not too many, or where it ended the reading."""
        self.problem_count += 1
        if self.problem_count <= PROBLEMS_KEPT or code in ENDINGS:
            self.problems.append(Problem(code, path, detail[:500]))

    def batch(self, bytes_read: int = 0) -> Batch:
        """Return what was gathered since the last batch."""
        batch = Batch(
            self.directories, self.columns, self.rows, self.problems, self.problem_count, self.complete, bytes_read
        )
        self._start()
        return batch


def merge_problems(kept: list[Problem], new: Sequence[Problem]) -> None:
    """Add to a listing's problems, up to the bound."""
    kept.extend(problem for problem in new if len(kept) < PROBLEMS_KEPT or problem.code in ENDINGS)
