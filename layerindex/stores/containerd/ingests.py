"""Reads unfinished downloads and writes into the content store: `ingest/<SHA-256 of the reference>/`.

Format: containerd `plugins/content/local/store.go`.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.guard import each
from layerindex.names import printable
from layerindex.problems import Damage, not_regular
from layerindex.records import Ingest
from layerindex.stores.containerd.content import FOLDER
from layerindex.stores.containerd.snapshots import parts
from layerindex.stores.disk import ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.containerd.metadata import Metadata
    from layerindex.stores.disk.files import Folder

INGEST = "ingest"


def read_ingests(root: Folder, metadata: Metadata) -> Iterator[Ingest | Damage]:
    """Yield them; those that only meta.db knows have no bytes yet, or no longer."""
    expected = {
        row.folder: (namespace, ref, row.expected)
        for namespace, found in sorted(metadata.namespaces.items())
        for ref, row in found.ingests.items()
        if row.folder is not None
    }
    with root.folder(FOLDER) as content:
        if INGEST in content:
            with content.folder(INGEST) as folder:
                for name in sorted(folder.entries):
                    if not shapes.HEX.fullmatch(name):
                        yield Damage("unexpected-entry", folder.where(name), "a name that does not belong here")
                        continue
                    try:
                        yield from each(partial(_ingest, folder, name, expected), folder.where(name))
                    except Damage as found:
                        if folder.exists(name):  # one that has ended meanwhile is no finding
                            yield found
    for whole, (namespace, ref, digest) in expected.items():
        yield Ingest(whole, namespace, ref, digest, None, None, None, None)


def _ingest(ingests: Folder, name: str, expected: dict[str, tuple[str, str, str | None]]) -> Iterator[Ingest | Damage]:
    with ingests.folder(name) as folder:
        damages: list[Damage] = []
        whole = _text(folder, "ref", damages)
        namespace, ref = parts(whole) if whole else (None, None)
        known = expected.pop(whole or "", None)
        yield Ingest(
            name,
            known[0] if known else namespace,
            known[1] if known else ref,
            known[2] if known else None,
            _moment(folder, "startedat", damages),
            _moment(folder, "updatedat", damages),
            _number(folder, "total", damages),
            _bytes(folder, damages),
        )
        yield from damages


def _text(folder: Folder, name: str, damages: list[Damage]) -> str | None:
    if name not in folder:
        return None  # it is not written yet, or this version of containerd does not write it
    try:
        return printable(folder.text(name))
    except Damage as found:
        if found.problem.code not in ("empty", "vanished"):
            damages.append(found)
        return None


def _moment(folder: Folder, name: str, damages: list[Damage]) -> str | None:
    try:
        return ids.timestamp(_text(folder, name, damages))
    except ValueError as error:
        damages.append(Damage("bad-value", folder.where(name), f"{error}"))
        return None


def _number(folder: Folder, name: str, damages: list[Damage]) -> int | None:
    text = _text(folder, name, damages)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    damages.append(Damage("bad-value", folder.where(name), f"{ids.shorten(text)} is no size"))
    return None


def _bytes(folder: Folder, damages: list[Damage]) -> int | None:
    try:
        status = os.stat("data", dir_fd=folder.handle, follow_symlinks=False)
    except OSError:
        return None
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    damages.append(not_regular(folder.where("data")))
    return None
