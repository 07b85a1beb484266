"""How far a scan is: files counted as its result counts them, and the share of the work that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerindex.listings.batches import Source

BYTES_PER_ENTRY = 100
"""The weight of an entry: of compressed tar-split, about."""
ENOUGH = 1000
"""Entries from which on the weight of one is known better."""


class Progress(NamedTuple):
    """How far a scan is.

    `files` are those of the snapshot, as its result counts them, also those that earlier scans have listed; `of_files`
    is how many they will be, about. `read` are those that were read just now, to be listed or compared.
    """

    listings: int
    of_listings: int
    files: int
    of_files: int
    read: int
    share: float

    def beside(self, known: int) -> Progress:
        """Return the same with files that were listed before."""
        return self._replace(files=self.files + known, of_files=self.of_files + known)


class Tally:
    """Counts what is read of many sources."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.weight = sum(source.weight for source in sources)
        self.kept = self.left = sum(source.weight for source in sources if source.kept)
        self.open: dict[int, tuple[int, int]] = {}
        self.listings = self.work = self.read = self.files = 0

    def add(self, index: int, entries: int, bytes_read: int) -> None:
        """Count a batch of a source."""
        before = self.open.get(index, (0, 0))
        self.open[index] = (before[0] + entries, before[1] + bytes_read)
        self.read += entries

    def end(self, index: int, entries: int) -> None:
        """Count a listing that is complete, of so many entries."""
        self.open.pop(index, None)
        source = self.sources[index]
        self.listings += 1
        self.work += source.weight
        if source.kept:
            self.left -= source.weight
            self.files += entries

    def progress(self) -> Progress:
        """Return how far that is."""
        kept = [(index, entries) for index, (entries, _) in self.open.items() if self.sources[index].kept]
        begun = sum(entries for _, entries in kept)
        left = self.left - sum(self._done(index) for index, _ in kept)
        each = max((self.kept - self.left) / self.files, 1) if self.files >= ENOUGH else BYTES_PER_ENTRY
        share = (self.work + sum(map(self._done, self.open))) / self.weight if self.weight else 1.0
        files = self.files + begun
        return Progress(self.listings, len(self.sources), files, files + int(left / each), self.read, min(share, 1.0))

    def _done(self, index: int) -> int:
        """Return how much of the weight of an open source is done, by its bytes, or where it tells none its entries."""
        entries, bytes_read = self.open[index]
        return min(self.sources[index].weight, bytes_read or entries * BYTES_PER_ENTRY)
