"""What the query `plan` says of one thing, and what is known of its store."""

from __future__ import annotations

import json
from typing import NamedTuple


class Thing(NamedTuple):
    """One row of the query `plan`, whose columns explain it."""

    kind: str
    id: str
    name: str | None
    refs: str | None
    target: str | None
    namespace: str | None
    bytes: int | None
    measured: int
    because: str | None
    at_most: str | None

    @property
    def shown(self) -> str:
        """The id that the engine shows for an image."""
        return self.target or self.id

    def names(self) -> list[str]:
        """Return all that an image is called."""
        return [str(name) for name in json.loads(self.refs or "[]")]


class Store(NamedTuple):
    """The snapshot that a plan is of."""

    snapshot_id: int
    host: str
    store: str
    engine: str | None
    root: str
    driver: str
    folder: str
    engine_id: str | None
    scanned_at: str
    scope: str
    bytes: int
    moved: int
    pods: int
    """Whether CRI-O's containers are in it."""
