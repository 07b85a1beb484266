"""Batches of entries, which producers of file listings send to the writer through a pipe."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex.guard import FAILED, each
from layerindex.problems import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BATCH_ROWS = 4096
BATCH_BYTES = 8 << 20
"""Characters of text at which a batch is full, even with fewer rows."""
ROW_BYTES = 64
"""About how many bytes a row of `entries` takes in the database besides its texts."""
ROOM_RATIO = 64
"""Most bytes of the database for each byte of the file that lists a layer: real tar-splits and blobs take 1 to 5, a
packed tar of nothing but empty files of like names 20."""
ROOM_FLOOR = 256 << 10
"""Bytes that any listing may take: for a small file the ratio says little."""
SMALL_BYTES = 200_000
"""Compressed bytes up to which starting processes and importing numpy costs more than it saves."""
PROBLEMS_KEPT = 100
FALSE = {"blob-format", "blob-packing", "blob-truncated", "blob-bomb", "blob-read", "blob-digest", "blob-diff-id"}
"""Findings after which the listing is not, or not completely, that of the layer: its directory, if there is one, is
walked instead."""
ENDINGS = {
    "tar-split-gzip",
    "tar-split-truncated",
    "tar-split-bomb",
    "tar-split-noise",
    "tar-split-read",
    FAILED,
} | FALSE


class Entry(NamedTuple):
    """One name of a layer. All but the two directory fields are columns of ``entries``, in their order.

    ``type`` may also be ``opaque``: not a row of its own, but the information that this directory is opaque.
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


class Finding(NamedTuple):
    """Damage in the source of a listing; ``path`` is a path in the layer."""

    code: str
    path: str | None
    detail: str


# Most entries need few columns. Sending and binding only those halves the writer's time; there is a statement for each
# shape.
SHAPES: dict[str, tuple[str, ...]] = {
    "file": ("mode", "uid", "gid", "size", "mtime", "mtime_ns", "content_crc64"),
    "dir": ("mode", "uid", "gid", "mtime", "mtime_ns"),
    "symlink": ("mode", "uid", "gid", "size", "mtime", "mtime_ns", "link_target"),
    "walked": ("mode", "uid", "gid", "size", "mtime", "mtime_ns"),
}
TYPES = {"walked": "file"}  # where the name of a shape is not its type: a file whose content was not read


class Columns(NamedTuple):
    """Entries of one type of SHAPES by columns: texts joined by NUL, and arrays of signed 64-bit numbers."""

    names: str
    directories: bytes
    values: tuple[bytes, ...]
    targets: str | None = None  # for link_target, which comes last


Totals = tuple[int, int, list[tuple[int, int, int]]]
"""Apparent and disk bytes of a walk, and its inodes with names outside of it: inode, blocks, bytes."""


class Batch(NamedTuple):
    """Some entries of one listing; directories are numbered within the batch."""

    directories: list[tuple[str, bytes | None]]
    columns: dict[str, Columns]
    rows: list[tuple[Any, ...]]  # directory number, then the fields of Entry from ``name`` on
    problems: list[Finding]
    problem_count: int
    complete: bool
    bytes_read: int
    totals: Totals | None = None  # in a walk's last batch
    plain: tuple[int, int, int] | None = None  # the fingerprint of plain files that are not sent as rows

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
            [Finding(*problem) for problem in problems],
            *rest,
        )


class Source(NamedTuple):
    """A source of a listing; ``batches`` runs in another process, and its argument says whether to use numpy."""

    diff_id: str | None
    source: str
    weight: int  # compressed bytes, or an estimate of equal work
    batches: Callable[[bool], Iterator[Batch]]
    name: str = ""  # of the directory that is walked
    witness: str | None = None  # of that directory, to recognise it unchanged
    kept: bool = True  # False: only for comparison with the layer's tar-split, so written to a temporary table
    summed: bool = False  # Whether the fingerprint of its plain files is needed
    implied: int | None = None  # mode of folders that a tar only implies, owned by root; None: as in the layer below

    def read(self, fast: bool) -> Iterator[Batch]:
        """Yield the batches; whatever the reader raises becomes a finding in the last batch."""
        found = 0
        try:
            for batch in each(lambda: self.batches(fast), ""):
                found = batch.problem_count
                yield batch
        except Damage as damage:
            yield ended(found, damage.problem.code, damage.problem.detail)


class Builder:
    """Gathers entries and problems, and gives a batch of them.

    `room`: the bytes of the database that the listing may take; None for no limit.
    """

    def __init__(self, room: int | None = None) -> None:
        self.room, self.taken = room, 0
        self.restart(0, complete=True)

    def restart(self, problem_count: int, *, complete: bool) -> None:
        """Forget what was gathered since the last batch, and set the counts of problems to those from before."""
        self.problem_count, self.complete = problem_count, complete
        self._start()

    @classmethod
    def of_packed(cls, size: int) -> Builder:
        """Return a builder for a compressed file of so many bytes, with a bound on its listing."""
        return cls(max(ROOM_FLOOR, size * ROOM_RATIO))

    @property
    def full(self) -> bool:
        """Whether the batch should be taken now."""
        return len(self.rows) >= BATCH_ROWS or self.text_bytes >= BATCH_BYTES

    @property
    def overfull(self) -> bool:
        """Whether the batches so far exceed `room`."""
        return self.room is not None and self.taken > self.room

    def _start(self) -> None:
        self.text_bytes = 0
        """Length of the texts of `rows`."""
        self.numbers: dict[str, int] = {}
        self.directories: list[tuple[str, bytes | None]] = []
        self.columns: dict[str, Columns] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.problems: list[Finding] = []

    def number(self, path: str, raw: bytes | None) -> int:
        """Return the number of a directory within this batch."""
        number = self.numbers.setdefault(path, len(self.directories))
        if number == len(self.directories):
            self.directories.append((path, raw))
        return number

    def add(self, entry: Entry) -> None:
        """Take one entry."""
        self.rows.append((self.number(entry.directory, entry.directory_raw), *entry[2:]))
        texts = (entry.name_raw, entry.link_target, entry.link_target_raw, entry.xattrs, entry.capability)
        self.text_bytes += len(entry.name) + sum(map(len, filter(None, texts)))

    def problem(self, code: str, path: str | None, detail: str) -> None:
        """Count a problem, and keep it while there are few, or where it ended the reading."""
        self.problem_count += 1
        if self.problem_count <= PROBLEMS_KEPT or code in ENDINGS:
            self.problems.append(Finding(code, path, detail[:500]))

    def batch(self, bytes_read: int = 0) -> Batch:
        """Return what was gathered since the last batch."""
        self.taken += self._size()
        batch = Batch(
            self.directories, self.columns, self.rows, self.problems, self.problem_count, self.complete, bytes_read
        )
        self._start()
        return batch

    def _size(self) -> int:
        """Estimate the bytes of the database that the gathered entries and directories take."""
        columns = self.columns.values()
        names = sum(len(each.names) + len(each.targets or "") for each in columns)
        paths = sum(len(path) + len(raw or b"") for path, raw in self.directories)
        count = len(self.rows) + len(self.directories) + sum(len(each.directories) // 8 for each in columns)
        return self.text_bytes + names + 2 * paths + ROW_BYTES * count  # a path is in an index too


def ended(problem_count: int, code: str, detail: str) -> Batch:
    """Return the last batch of a listing whose reading ended early, after so many problems."""
    builder = Builder()
    builder.complete, builder.problem_count = False, problem_count
    builder.problem(code, None, detail)
    return builder.batch()


def merge_problems(kept: list[Finding], new: Sequence[Finding]) -> None:
    """Add to the problems of a listing, up to the limit."""
    kept.extend(problem for problem in new if len(kept) < PROBLEMS_KEPT or problem.code in ENDINGS)
