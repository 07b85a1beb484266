"""The two databases of a snapshotter - its own, and containerd's - as they were at one time."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from layerindex import standing
from layerindex.guard import reading
from layerindex.problems import Damage
from layerindex.stores.containerd import metadata as meta
from layerindex.stores.containerd import snapshots as stored
from layerindex.stores.shared.claims import DOUBTS, Sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerindex.stores.containerd.metadata import Metadata, SnapshotRow
    from layerindex.stores.containerd.snapshots import Stored
    from layerindex.stores.disk.files import Folder

METADATA = f"{meta.FOLDER}/{meta.NAME}"
TELLS = (("layers",), ("layers", "mounts", "containers", "images", "names"))
"""The facts in a snapshotter's database, and those in containerd's own."""


class ViewedSnapshot(NamedTuple):
    """A snapshot of the snapshotter that is read, with its directory."""

    namespace: str
    key: str
    row: SnapshotRow
    kind: str | None
    number: str | None
    size: int | None


class View:
    """The contents of the two databases at one time."""

    def __init__(self, root: Folder, driver: str, folder: str) -> None:
        """Start empty; `read` fills it."""
        self.root, self.driver, self.folder = root, driver, folder
        self.damages: list[Damage] = []
        self.sources = Sources()
        self.stored: dict[str, Stored] = {}
        self.metadata: Metadata = meta.Metadata({}, [])

    def read(self) -> View:
        """Read both; a database that cannot be read stays empty, with a finding in `damages`."""
        # A snapshot is made before its namespace knows it, and removed after the namespace forgets it: in this order, a
        # snapshot that is in meta.db and existed all the time is in the snapshotter's database too.
        self._read_stored()
        self._read_metadata()
        return self

    def _read_stored(self) -> None:
        try:
            with reading(self.root.where(f"{self.folder}/{stored.NAME}")), self.root.folder(self.folder) as opened:
                if stored.NAME not in opened and not _has_any(opened):
                    where = self.root.where(f"{self.folder}/{stored.NAME}")
                    self.sources.note("layers", where, standing.ABSENT)  # the snapshotter was never used
                    return
                self.stored, damages = stored.read_snapshots(opened)
        except Damage as found:
            damages = [found]
        self._note(damages, f"{self.folder}/{stored.NAME}")

    def _read_metadata(self) -> None:
        try:
            with reading(self.root.where(METADATA)), self.root.folder(meta.FOLDER) as opened:
                self.metadata = meta.read_metadata(opened)
        except Damage as found:
            self._note([found], METADATA)
        else:
            self._note(self.metadata.damages, METADATA)

    def _note(self, damages: Sequence[Damage], source: str) -> None:
        """Record a finding about a database: what it would name is then in doubt."""
        self.damages += damages
        errors = [found for found in damages if found.problem.severity == "error"]
        for kind in TELLS[source == METADATA]:
            if errors:
                problem = errors[0].problem
                self.sources.note(
                    kind, self.root.where(source), DOUBTS.get(problem.code, standing.DAMAGED), problem.detail
                )
            else:
                self.sources.note(kind, self.root.where(source), standing.READ)

    @property
    def whole(self) -> bool:
        """Whether both databases could be read completely."""
        return all(source.state in standing.CLEAR for source in self.sources)

    def in_doubt(self, source: str) -> bool:
        """Say whether a database may hold more than could be read."""
        where = self.root.where(source)
        return any(each.path == where and each.state not in standing.CLEAR for each in self.sources)

    @property
    def odd(self) -> set[str]:
        """The snapshots, by the snapshotter's names, that only one of the databases knows."""
        return {snapshot.row.name for snapshot in self.snapshots} ^ self.stored.keys()

    @cached_property
    def snapshots(self) -> list[ViewedSnapshot]:
        """The snapshots of the snapshotter that meta.db knows, in the order of their names.

        Where meta.db could not be read completely, also those that only the snapshotter knows, whose names contain the
        keys.
        """
        found = []
        for namespace, snapshotter, key, row in self.metadata.snapshots():
            if snapshotter == self.driver:
                behind = self.stored.get(row.name)
                facts = (behind.kind, behind.number, behind.size) if behind else (None, None, None)
                found.append(ViewedSnapshot(namespace, key, row, *facts))
        if self.in_doubt(METADATA):
            known = {snapshot.row.name for snapshot in found}
            for name, behind in self.stored.items():
                if name not in known:
                    parent = stored.parts(behind.parent)[1] if behind.parent else None
                    row = meta.SnapshotRow(name, parent, behind.created_at, behind.updated_at, behind.labels)
                    found.append(ViewedSnapshot(*stored.parts(name), row, behind.kind, behind.number, behind.size))
        return sorted(found, key=lambda snapshot: (snapshot.namespace, snapshot.key))


def _has_any(folder: Folder) -> bool:
    try:
        with folder.folder("snapshots") as below:
            return bool(below.entries)
    except Damage as found:
        return found.problem.code != "missing"
