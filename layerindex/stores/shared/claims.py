"""Collects who needs a directory according to metadata, and which places that could say so are in doubt."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from layerindex import standing
from layerindex.records import Source, Use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.problems import Damage

ROLES = {
    "layer": "layer",
    "container": "container",
    "storage-layer": "layer",
    "init": "init",
    "image-mount": "mount",
    "build-mount": "mount",
    "mount": "mount",
    "mount-init": "init",
    "build-cache": "build-cache",
    "build-snapshot": "build-cache",
    "removing": "removing",
    "snapshot": "snapshot",
    "writing": "in-flight",
}
"""The role that each kind of owner gives to a directory, the strongest first."""

NEED_DIRECTORY = [kind for kind in ROLES if kind not in ("removing", "writing")]
"""Kinds of owners whose directory must exist."""

FACT_OF = {
    **dict.fromkeys(("layer", "storage-layer", "snapshot", "removing", "writing"), "layers"),
    **dict.fromkeys(("container", "init", "image-mount", "build-mount", "mount", "mount-init"), "mounts"),
    **dict.fromkeys(("container-base", "mount-base"), "mounts"),
    **dict.fromkeys(("build-cache", "build-snapshot"), "build cache"),
    "image": "images",
    "lower": "links",
}
"""The kind of fact that says of each kind of owner that a directory is its."""

MOST = 1000
"""Most sources in doubt that are kept for one kind of fact; more add no information."""

DOUBTS = {
    "permission-denied": standing.DENIED,
    "vanished": standing.MOTION,
    "inconsistent": standing.MOTION,
    "missing": standing.LOST,
    "elsewhere": standing.ELSEWHERE,
    "not-mounted": standing.ELSEWHERE,
    "other-filesystem": standing.ELSEWHERE,
}
"""The state of a source by the code of the finding about it; for other codes it is damaged."""


class Sources:
    """The places that could name a user of something, each with its kind of facts and its state."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Source] = {}
        self._in_doubt: dict[str, int] = defaultdict(int)
        """How many sources of each kind of fact are in doubt."""

    def note(self, kind: str, path: str, state: str, detail: str | None = None) -> None:
        """Record the state of a source; a source in doubt stays in doubt, whatever a second look finds."""
        known = self._found.get((kind, path))
        if known is not None and (known.state not in standing.CLEAR or state in standing.CLEAR):
            return
        if state not in standing.CLEAR:
            self._in_doubt[kind] += 1
            if self._in_doubt[kind] > MOST:
                return
        self._found[kind, path] = Source(kind, path, state, detail)

    def damaged(self, kind: str, found: Damage) -> None:
        """Record that the source of a finding may name more than could be read."""
        problem = found.problem
        self.note(kind, problem.path, DOUBTS.get(problem.code, standing.DAMAGED), problem.detail)

    def failed(self, found: Damage) -> None:
        """Record that a reader of ours failed, so that its source is in doubt."""
        for kind in standing.FACTS:
            self.damaged(kind, found)

    def known(self, kind: str, path: str) -> bool:
        """Say whether a source is recorded, in whatever state."""
        return self._found.get((kind, path), Source(kind, path, standing.ABSENT)).state != standing.ABSENT

    def unseen(self, kind: str) -> bool:
        """Say whether a source of a kind was not looked at."""
        return any(each.kind == kind and each.state == standing.UNSEEN for each in self)

    def merge(self, later: Sources) -> None:
        """Add what a second look at the same places found."""
        for source in later:
            self.note(*source)

    def __iter__(self) -> Iterator[Source]:
        """Yield them in order."""
        return iter(self._found[key] for key in sorted(self._found))

    def doubts(self, thing: str) -> bool:
        """Say whether a source is in doubt that may name a user of a kind of thing; the view `doubts` says which."""
        return any(self._in_doubt[kind] for kind in standing.NAMED_BY[thing])


class Need(NamedTuple):
    """A use that leads nowhere: something needs a directory, and the record of which one is lost."""

    who: str
    """What needs it, as part of a sentence: the writable layer of container shop."""
    below: str | None
    """The directory that must be its nearest lower; None where it has none."""


def directory_use(cache_id: str, kind: str, owner: str) -> Use:
    """Return the row that says who needs a directory."""
    return Use("directory", cache_id, kind, owner, FACT_OF[kind])


class Claims:
    """Why directories exist according to metadata; `sources` says which places could not be read completely."""

    def __init__(self) -> None:
        self.owners: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.parents: dict[str, str] = {}
        """The directory that the nearest lower of a layer's or container's directory must be."""
        self.sources = Sources()
        self.needs: list[Need] = []

    @property
    def doubts(self) -> bool:
        """Whether a source that may name the owner of a directory is in doubt."""
        return self.sources.doubts("directory")

    def lost(self, kind: str, path: str, who: str) -> None:
        """Record that something needs a record that is lost, so that some directory belongs to it."""
        self.sources.note(kind, path, standing.LOST, f"{who} needs it")

    def lose_directory(self, kind: str, path: str, need: Need) -> None:
        """Record a lost directory of which the nearest lower is known."""
        self.lost(kind, path, need.who)
        if len(self.needs) < MOST:
            self.needs.append(need)

    def add(self, cache_id: str | None, kind: str, owner: str) -> None:
        """Record one reason for a directory."""
        if cache_id is not None:
            self.owners[cache_id].append((kind, owner))

    def merge(self, later: Claims) -> None:
        """Add what a later look at the metadata found."""
        for cache_id, owners in later.owners.items():
            self.owners[cache_id] += owners
        self.sources.merge(later.sources)

    def expect(self, cache_id: str | None, parent: str | None) -> None:
        """Record which directory must be the nearest lower of a directory."""
        if cache_id is not None and parent is not None:
            self.parents[cache_id] = parent

    def role(self, name: str, *, was_there: bool, own: Callable[[str], object], named: bool = False) -> str:
        """Return the role of a directory: that of its strongest owner, else the role of one without owner.

        `own` says whether the driver makes directories with such names; `named` that the lower of an owned directory
        names it.
        """
        kinds = {kind for kind, _ in self.owners.get(name, ())}
        for kind, role in ROLES.items():
            if kind in kinds:
                return role
        if not own(name):
            return "foreign"
        if not was_there:
            return "in-flight"
        return "unknown" if named or self.doubts else "orphan"
