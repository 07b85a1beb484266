"""What every store is to the rest of the program: its names, its records, and the way to the files of its layers.

Nothing outside `stores/` asks which engine a store is of.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from layerindex import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from layerindex.listings.rules import Rules
    from layerindex.records import Features, Record

EVERY_TYPE = frozenset({"file", "dir", "symlink", "hardlink", "char", "block", "fifo"})


class Unpacking(NamedTuple):
    """What an engine makes of a layer's tar where the tar alone does not tell."""

    implied: int | None = None
    """Mode of folders of which the tar has only the contents, made as root's; None where mode and owner are those that
    the layer below has, as the engine unpacks onto it, or copies them from there."""
    ancient: frozenset[str] = frozenset()
    """Types of entries that keep a time before 1970; other times of that kind become 1970."""

    @classmethod
    def of(cls, driver: str, cache_id: str | None) -> Unpacking:
        """Return what moby and containers-storage do: `pkg/archive/archive.go` Unpack, `diff.go` UnpackLayer for vfs.

        A directory of BuildKit's own was there before its tar was, and has all that the tar has.
        """
        if cache_id is not None and shapes.BUILDKIT_ID.fullmatch(cache_id):
            return cls(ancient=EVERY_TYPE)
        return cls(None if driver == "vfs" else 0o755, frozenset({"symlink"}))


class Listed(NamedTuple):
    """A file that lists a layer's files without a walk of its directory."""

    kind: str
    """tar-split, or blob: the layer's tar itself, packed or not; as `listings.source` says it."""
    path: str
    """Where it is, relative to the root."""
    size: int
    """Its bytes as they lie there."""
    open: Callable[[], int]
    """Opens it; raises Damage. It is called by the process that reads it."""
    digest: str | None = None
    """Of a blob: what the SHA-256 of its bytes must be."""
    unpacking: Unpacking = Unpacking()

    @classmethod
    def of(cls, kind: str, path: str, opening: Callable[[], int], digest: str | None = None) -> Listed:
        """Return a file that is there: it is opened to see its size. Raises Damage."""
        handle = opening()
        try:
            return cls(kind, path, os.fstat(handle).st_size, opening, digest)
        finally:
            os.close(handle)


class Holder(NamedTuple):
    """Who holds what is at a path of a root, as `disk_usage` names holders."""

    category: str = "other"
    owner: str = ""
    apart: bool = False
    """What is in it may belong to others: each entry is asked for."""
    large: bool = False
    """It may hold as much as the layers do: entered with --walk only."""
    directory: str | None = None
    """The directory it is, or lies in, by its `overlay_dirs.cache_id`: the role of that says the category."""
    tree: bool = False
    """It is the folder with that directory's own files."""
    left: bool = False
    """Another store of the root tells it; where it is `apart`, what is in it may be this one's."""


class Store(Protocol):
    """One store of one engine on disk, or what one storage driver of it keeps."""

    @property
    def root(self) -> str:
        """The folder that it was found in, symlinks resolved."""

    @property
    def driver(self) -> str:
        """What keeps its directories: a storage driver, or a snapshotter."""

    @property
    def folder(self) -> str:
        """Where its directories lie, relative to the root."""

    @property
    def name(self) -> str:
        """The kind of store, as `snapshots.store` names it."""

    @property
    def limits(self) -> str | None:
        """What of this store is not read, in one line; None when all is."""

    @property
    def walkable(self) -> bool:
        """Whether each directory's own files lie in one folder."""

    @property
    def features(self) -> Features:
        """What is so in it."""

    @property
    def rules(self) -> Rules:
        """How its directories mark deletions."""

    @property
    def first(self) -> bool:
        """Whether what all stores of the root share, such as volumes, is told with this one."""

    @property
    def disk_sizes(self) -> bool:
        """Whether the sizes of its layers are bytes on disk, and not of their files."""

    def engine_id(self) -> str | None:
        """Return the engine's own id, where its root has one."""

    def recorded(self, kind: str, name: str) -> str:
        """Return the file or folder that tells of a thing, relative to the root, printable.

        `kind` is layer, snapshot, mount, image, tag, container, build cache or volume, as the view `missing` has it.
        """

    def records(self) -> Iterator[Record]:
        """Yield every fact of the store, and a Problem for everything that could not be read or is odd."""

    def listed(self, chain_id: str, diff_id: str | None, cache_id: str | None, digests: Sequence[str]) -> Listed | None:
        """Return what lists a layer's files; None when nothing does but its directory. Raises Damage.

        `digests` are the blobs that `layer_blobs` knows for it.
        """

    def tree(self, cache_id: str) -> str:
        """Return the folder with a directory's own files, relative to the root, printable."""

    def open_tree(self, cache_id: str) -> int:
        """Open that folder; raises Damage."""

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:
        """Return who holds what is at a path below the root, which is asked of folders that several hold."""
