"""Compares the two witnesses of a layer, its tar-split or blob and its directory, when both are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.indexing.tally import BYTES_PER_ENTRY
from layerindex.listings.fingerprint import Side, of_listing
from layerindex.writing.listings import WALKED
from layerindex.writing.records import write_drift

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from layerindex.listings.batches import Source
    from layerindex.listings.fingerprint import Fingerprint
    from layerindex.writing.listings import Listing

KNOWN_LAYERS = """
SELECT l.diff_id, l.listing_id, l.entry_count FROM layers AS y JOIN listings AS l USING (diff_id)
WHERE y.snapshot_id = ? AND l.source IN ('tar-split', 'blob') AND l.imported = 0
ORDER BY l.complete, l.source, l.listing_id"""
"""Of several listings of a layer the last counts, as in LISTED_LAYERS."""

LAYERS = """
SELECT cache_id, diff_id FROM layers WHERE snapshot_id = ? AND cache_id IS NOT NULL AND verified IS NOT 0
ORDER BY chain_id DESC"""
"""The layer of each directory; of several the last counts, as in LISTED_DIRECTORIES."""


class Witnesses:
    """Receives finished listings; of plain files only the fingerprints are compared.

    Where these differ, the directory is added to `differing`, and must be walked again for all its rows.
    """

    def __init__(
        self, connection: sqlite3.Connection, snapshot_id: int, new: Sequence[Source], *, mounted: bool = False
    ) -> None:
        """`mounted`: layers are unpacked through a mount."""
        self.connection, self.snapshot_id, self.mounted = connection, snapshot_id, mounted
        self.weights: dict[str, int] = {}
        """The weights, as sources, of the layers that are or will be listed."""
        self.listings: dict[str, int] = {}
        for diff_id, listing_id, entries in connection.execute(KNOWN_LAYERS, (snapshot_id,)):
            self.listings[diff_id], self.weights[diff_id] = listing_id, entries * BYTES_PER_ENTRY
        for source in new:
            self.listings.pop(source.diff_id or "", None)
            self.weights[source.diff_id or ""] = source.weight
        layers = connection.execute(LAYERS, (snapshot_id,))
        self.layers = {cache_id: diff_id for cache_id, diff_id in layers if diff_id in self.weights}
        """The layer of each directory whose layer is or will be listed."""
        self.fingerprints: dict[int, Fingerprint] = {}
        self.waiting: dict[str, list[Listing]] = {}
        self.differing: list[str] = []
        self.unlisted: list[str] = []
        """Directories of layers whose blob did not list them."""

    def known(self) -> int:
        """Return how many files the directories of layers have that were listed before."""
        known = (self.weights[diff_id] for diff_id in self.layers.values() if diff_id in self.listings)
        return sum(known) // BYTES_PER_ENTRY

    def take(self, listing: Listing) -> None:
        """Receive a listing, and compare directories of which both witnesses are read."""
        diff_id = listing.source.diff_id
        if diff_id is not None:
            self.listings[diff_id] = listing.listing_id
            if listing.source.summed:
                self.fingerprints[listing.listing_id] = listing.plain
            for walked in self.waiting.pop(diff_id, ()):
                self._compare(listing.listing_id, walked)
        elif not listing.source.kept and listing.complete:
            diff_id = self.layers.get(listing.source.name)
            if diff_id is None:
                return  # dismissed
            if diff_id in self.listings:
                self._compare(self.listings[diff_id], listing)
            else:
                self.waiting.setdefault(diff_id, []).append(listing)

    def dismiss(self, listing: Listing) -> None:
        """Note that a listing is not that of its layer: only its directories can list it then."""
        self.listings.pop(listing.source.diff_id or "", None)
        names = [name for name, diff_id in self.layers.items() if diff_id == listing.source.diff_id]
        self.unlisted += names
        for name in names:
            del self.layers[name]
        self.waiting.pop(listing.source.diff_id or "", None)

    def _compare(self, expected: int, listing: Listing) -> None:
        if expected not in self.fingerprints:
            self.fingerprints[expected] = of_listing(self.connection, Side(expected))
        found = listing.plain.plus(of_listing(self.connection, Side(listing.listing_id, WALKED)))
        if found.shows(self.fingerprints[expected]):
            self.write(listing, files=False)
        else:
            self.differing.append(listing.source.name)

    def write(self, listing: Listing, *, files: bool) -> None:
        """Write where a directory differs from its tar-split; without `files`, plain files are known to be equal."""
        from layerindex.witnesses.drift import drift  # noqa: PLC0415 - only with --walk

        name = listing.source.name
        expected, found = Side(self.listings[self.layers[name]]), Side(listing.listing_id, WALKED)
        rows = drift(self.connection, expected, found, mounted=self.mounted, files=files)
        write_drift(self.connection, self.snapshot_id, name, rows)
