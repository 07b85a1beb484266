"""The contract of a store: its names, its records, and access to the files of its layers.

A store lies in a folder, or in a file that holds all of it, such as an archive. Nothing outside `stores/` asks which
engine a store is of.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from layerindex import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.listings.rules import Rules
    from layerindex.records import Features, Record

EVERY_TYPE = frozenset({"file", "dir", "symlink", "hardlink", "char", "block", "fifo"})


class Unpacking(NamedTuple):
    """How an engine unpacks a layer where the tar alone does not say."""

    implied: int | None = None
    """Mode of folders of which the tar has only the contents, owned by root; None where they get mode and owner from
    the layer below, as the engine unpacks onto it or copies them from there."""
    ancient: frozenset[str] = frozenset()
    """Types of entries that keep a time before 1970; other times of that kind become 1970."""

    @classmethod
    def of(cls, driver: str, cache_id: str | None) -> Unpacking:
        """Return how moby and containers-storage unpack (`pkg/archive` Unpack; UnpackLayer for vfs).

        A directory that BuildKit made existed before its tar, and has everything that the tar has.
        """
        if cache_id is not None and shapes.BUILDKIT_ID.fullmatch(cache_id):
            return cls(ancient=EVERY_TYPE)
        return cls(None if driver == "vfs" else 0o755, frozenset({"symlink"}))


class Wanted(NamedTuple):
    """A layer whose files are to be listed, as the database has it."""

    chain_id: str
    diff_id: str
    cache_id: str | None
    digests: tuple[str, ...]
    """The blobs that `layer_blobs` knows for it."""


class Listed(NamedTuple):
    """A file, or a part of one, that lists a layer's files without a walk of its directory."""

    kind: str
    """tar-split, or blob (the layer's tar itself, compressed or not), as in `listings.source`."""
    path: str
    """Where it is, relative to the root, printable; inside an archive the name of the member."""
    size: int
    """Its bytes as they are stored."""
    open: Callable[[], int]
    """Opens the file; raises Damage. It is called by the process that reads it."""
    digest: str | None = None
    """Of a blob: what the SHA-256 of its bytes must be."""
    unpacking: Unpacking = Unpacking()
    offset: int = 0
    """Where it begins in the opened file: 0 for a whole file, more for a layer inside an archive."""

    @classmethod
    def of(cls, kind: str, path: str, opening: Callable[[], int], digest: str | None = None) -> Listed:
        """Return an existing file as a whole: it is opened to get its size. Raises Damage."""
        handle = opening()
        try:
            return cls(kind, path, os.fstat(handle).st_size, opening, digest)
        finally:
            os.close(handle)

    def opened(self) -> int:
        """Open the file where the layer begins, of which `size` bytes belong to it; raises Damage."""
        handle = self.open()
        os.lseek(handle, self.offset, os.SEEK_SET)
        return handle


class Holder(NamedTuple):
    """The holder of a path below a root, as in `disk_usage`."""

    category: str = "other"
    owner: str = ""
    apart: bool = False
    """Its entries may have other holders: each is asked for."""
    large: bool = False
    """It may be as large as the layers: without --walk it is counted only if it has few entries."""
    directory: str | None = None
    """The `overlay_dirs.cache_id` of the directory that it is or lies in; the role of that gives the category."""
    tree: bool = False
    """Whether it is the folder with that directory's own files."""
    left: bool = False
    """Another store of the root counts it; where it is `apart`, entries may belong to this store."""


class Store(Protocol):
    """One store on disk: what one storage driver of one engine keeps under a root."""

    @property
    def root(self) -> str:
        """The folder in which it was found, or the file that it is, with symlinks resolved."""

    @property
    def driver(self) -> str:
        """The storage driver or snapshotter that keeps its directories."""

    @property
    def folder(self) -> str:
        """Where its directories lie, relative to the root; empty where it has none."""

    @property
    def name(self) -> str:
        """The kind of store, as `snapshots.store` names it."""

    @property
    def engine(self) -> str:
        """Whose commands manage it, as `snapshots.engine` names it."""

    @property
    def limits(self) -> str | None:
        """What is not read of this store, in one line; None when everything is."""

    @property
    def walkable(self) -> bool:
        """Whether each directory's own files lie in one folder."""

    @property
    def features(self) -> Features:
        """Its abilities, for queries."""

    @property
    def rules(self) -> Rules:
        """How its directories mark deletions."""

    @property
    def first(self) -> bool:
        """Whether the things that all stores of the root share, such as volumes, are recorded with this one."""

    @property
    def counted_by_docker(self) -> bool:
        """Whether `docker system df` counts what it has."""

    @property
    def disk_sizes(self) -> bool:
        """Whether the sizes of its layers are bytes on disk, not bytes of files."""

    def engine_id(self) -> str | None:
        """Return the engine's own id, if its root has one."""

    def recorded(self, kind: str, name: str) -> str:
        """Return the file or folder in which a thing is recorded, relative to the root, printable.

        `kind` is layer, snapshot, mount, image, tag, container, build cache or volume, as the view `missing` has it.
        """

    def records(self) -> Iterator[Record]:
        """Yield every fact of the store, and a Problem for everything that could not be read or is odd."""

    def listed(self, layer: Wanted) -> Listed | None:
        """Return the file that lists a layer's files; None when only its directory does. Raises Damage."""

    def tree(self, cache_id: str) -> str:
        """Return the folder with a directory's own files, relative to the root, printable."""

    def open_tree(self, cache_id: str) -> int:
        """Open that folder; raises Damage."""

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:
        """Return the holder of a path below the root; called only for entries of folders that several holders share.

        A root that is a file, of a store without a folder of directories, is asked for as the empty path.
        """
