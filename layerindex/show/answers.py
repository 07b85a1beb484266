"""Looks up things; each section of an answer comes from one `.sql` file in `queries/show/`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import catalog, query, shipped
from layerindex.errors import LayerindexError, UsageError
from layerindex.names import printable
from layerindex.show import folders
from layerindex.show.paths import PATH

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from layerindex.show.paths import Reading
    from layerindex.show.things import Thing

    Row = dict[str, Any]

PLACE = ("directory", "owners", "layers", "images", "containers", "build-cache")
SECTIONS = {
    "container": ("container", "container-layers", "container-mounts", "container-logs"),
    "image": ("image", "image-names", "image-instances", "image-layers", "image-containers", "image-children"),
    "build-cache": ("record", "record-parents", "record-children", *PLACE),
    "layer": PLACE,
    "directory": PLACE,
    "volume": ("volume", "volume-containers"),
    "folder": ("folder",),
    "blob": ("blob",),
    "ingest": ("ingest",),
}
"""The sections of each kind of thing, in order: files in `queries/show/`; the last is always `problems`."""

SINGLE = {"container", "image", "record", "directory", "volume", "folder", "blob", "ingest"}
"""Sections of a single row, which JSON has as an object and not as a list."""

FILES = ("file", "shows")
KINDS = (
    "image, layer (chain_id, diff_id, blob), directory, link, mount, container, build-cache record, volume, blob or "
    "folder of the data root"
)
TOLD_BY = ("names", "images", "containers", "layers", "mounts", "directories", "links", "build cache", "volumes")
"""The kinds of sources that can mention one of these things."""
SNAPSHOTTER = re.compile(r"io\.containerd\.snapshotter\.v1\.([a-z0-9-]+)/snapshots/")
GROUPS = re.compile(r"(?:[0-9]+:[^:\s]*:/(?:\.\./?)*\s*)+")
"""Lines of /proc/PID/cgroup that say nothing."""
LONGEST = 100
"""Longest text for which near names are looked for."""
HEXADECIMAL = frozenset("0123456789abcdef:sh")
"""What ids are made of, whose neighbours say nothing."""
NAMES = """
SELECT ref FROM current_image_refs UNION SELECT name FROM current_containers WHERE name IS NOT NULL
UNION SELECT name FROM current_volumes ORDER BY 1 LIMIT 5000"""
"""What a user may have meant."""
SHOWN = 10
"""Most candidates that an error lists."""
HINTS = 10
"""Most missing things for which near names are looked for."""


def _shown(text: str) -> str:
    return printable(text if len(text) <= 200 else f"{text[:200]}…")


class NotFoundError(LayerindexError):
    """The database has nothing with the name that the user gave."""

    def __init__(self, text: str, near: str, where: str) -> None:
        lines = text.count("\n") + 1
        self.brief = (
            f"nothing is called '{_shown(text)}'{near}" if lines == 1 else f"none of these {lines} lines names a thing"
        )
        """What is missing, without saying where it was looked for."""
        super().__init__(f"{self.brief}: {where}")


class NoThingError(NotFoundError):
    """At a path below a root the database has no thing; what is known of the path is said."""

    def __init__(self, text: str, known: str, where: str) -> None:
        self.brief = f"{_shown(text)}: {known}"
        LayerindexError.__init__(self, f"{self.brief}{where}")


class Answer(NamedTuple):
    """All that is known of one thing in one snapshot: `sections` by name, each a list of rows."""

    thing: Thing
    reading: Reading
    kind: str
    id: str
    matched: str
    found: str
    snapshot: Row
    sections: dict[str, list[Row]]
    indexed: bool
    """Whether the files of its directory are known."""


def told(
    connection: sqlite3.Connection, things: Sequence[Thing], below: Sequence[str]
) -> tuple[list[Answer], list[LayerindexError]]:
    """Return what is known of the things that a text names, and the errors for those that are missing or ambiguous.

    `below` are the `roots` of the stores. What was only read out of a text that is mostly about other things may be
    missing.
    """
    found: dict[tuple[object, ...], Answer] = {}
    errors: list[LayerindexError] = []
    missing: list[Thing] = []
    for thing in things:
        try:
            answered = _found(connection, thing)
        except UsageError as error:
            errors.append(error)
            continue
        for each in answered:
            found.setdefault((each.snapshot["snapshot_id"], each.kind, each.id, each.reading.path), each)
        if not answered:
            missing.append(thing)
    asked = [thing for thing in missing if thing.asked]
    if not found and not errors:
        asked = asked or missing[:1]
    return list(found.values()), errors + [
        _not_found(connection, thing, below, hint=turn < HINTS) for turn, thing in enumerate(asked)
    ]


def answers(connection: sqlite3.Connection, thing: Thing) -> list[Answer]:
    """Return what a thing is in each selected snapshot; raises NotFoundError, and UsageError for an ambiguous id."""
    found = _found(connection, thing)
    if not found:
        raise _not_found(connection, thing, roots(connection), hint=True)
    return found


def _found(connection: sqlite3.Connection, thing: Thing) -> list[Answer]:
    for reading in thing.readings:
        if len(reading.word) > PATH:
            continue  # nothing is called so, and to compare it with every name takes long
        found = ask(connection, "find", **reading._asdict(), shortest=reading.shortest)
        if found and not found[0]["exact"]:
            _check_single(reading, found)
        if found:
            return [_answer(connection, thing, reading, row) for row in found]
    return []


def _not_found(connection: sqlite3.Connection, thing: Thing, below: Sequence[str], *, hint: bool) -> NotFoundError:
    known = folders.told(thing.text, below)
    if known is not None:
        unread = "" if known in folders.SURE or not hint else query.unread(connection, TOLD_BY)
        return NoThingError(thing.text, known + _unread_snapshotter(thing.text), unread)
    (count,) = connection.execute("SELECT count(*) FROM selected_snapshots").fetchone()
    where = f"no {KINDS} in {'1 snapshot' if count == 1 else f'{count} snapshots'}{_elsewhere(thing.text)}"
    if not hint:
        return NotFoundError(thing.text, "", where)
    near = _near(connection, [thing.text, *(reading.word for reading in thing.readings if reading.path is None)])
    return NotFoundError(thing.text, near, where + query.unread(connection, TOLD_BY))


def _near(connection: sqlite3.Connection, words: Sequence[str]) -> str:
    """Return ` (did you mean …?)` for a name that is nearly that of an image, container or volume, or nothing."""
    asked = [
        word
        for word in dict.fromkeys(words)
        if len(word) <= LONGEST and not word.startswith("/") and not set(word) <= HEXADECIMAL
    ]
    names = [str(name) for (name,) in query.run(connection, NAMES, {}).rows] if asked else []
    for word in asked:
        begun = sorted(name for name in names if name.startswith((f"{word}:", f"{word}@")))
        if begun:
            return f" (did you mean {' or '.join(begun[:3])}?)"
    return next(filter(None, (catalog.near(word, names) for word in asked)), "")


def roots(connection: sqlite3.Connection) -> list[str]:
    """Return the roots of the selected stores, the longest first."""
    return [row["root"] for row in ask(connection, "roots")]


def ask(connection: sqlite3.Connection, name: str, **params: str | int | None) -> list[Row]:
    """Return the rows that one file of `queries/show/` selects."""
    columns, rows = query.run(connection, shipped.query("show", name), params)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _check_single(reading: Reading, found: list[Row]) -> None:
    """Raise when several things match a shortened id."""
    candidates = list(dict.fromkeys(f"{row['matched']} {row['found']}" for row in found))
    if len({row["found"] for row in found}) > 1:
        more = f" and {len(candidates) - SHOWN} more" if len(candidates) > SHOWN else ""
        listed = printable(", ".join(candidates[:SHOWN]))
        raise UsageError(f"{reading.word!r} is ambiguous; it may be the {listed}{more}")


def _answer(connection: sqlite3.Connection, thing: Thing, reading: Reading, row: Row) -> Answer:
    params = {
        "snapshot": row["snapshot_id"],
        "id": row["id"],
        "directory": row["directory"],
        "chain": row["chain_id"],
        "path": reading.path,
        "merged": int(reading.merged),
    }
    sections = {}
    if reading.path is not None:
        sections["file"] = ask(connection, "file", **params)
        holder = next((file for file in sections["file"] if file["visible"]), None)
        holder = holder or next(iter(sections["file"]), None)
        shown = {**params, "directory": holder["directory"]} if holder else None
        sections["shows"] = ask(connection, "shows", **shown) if shown else []
    for name in (*SECTIONS[row["kind"]], "problems"):
        sections[name] = ask(connection, name, **params)
    (snapshot,) = ask(connection, "snapshot", **params)
    listed = sections.get("directory") or (ask(connection, "directory", **params) if reading.path is not None else [])
    indexed = any(each["entries"] is not None for each in listed)
    return Answer(thing, reading, row["kind"], row["id"], row["matched"], row["found"], snapshot, sections, indexed)


def _unread_snapshotter(text: str) -> str:
    """Return what is to say of a path in the folder of a snapshotter."""
    found = SNAPSHOTTER.search(text)
    return "" if found is None else f"; of snapshotter {found[1]} no directories are in this database"


def _elsewhere(text: str) -> str:
    """Return a hint what else to try, for a path outside of all stores."""
    if found := _unread_snapshotter(text):
        return found
    if GROUPS.fullmatch(text):
        return "; inside of a container its control group has no name: read /proc/PID/cgroup on the host"
    if text.startswith("/"):
        return "; to look for a file of that path in images and containers use `layerindex find`"
    return ""


def as_json(answer: Answer, asked: int = 1) -> Row:
    """Return an answer for machines: whole ids, integers, the same keys for all things of one kind.

    `asked` says which of the texts that a user gave names the thing, from 1.
    """
    return {
        "asked": asked,
        "thing": answer.thing.text,
        "part": answer.thing.part,
        "kind": answer.kind,
        "id": answer.id,
        "matched": answer.matched,
        "found": answer.found,
        "path": answer.reading.path,
        "merged": answer.reading.merged,
        "snapshot": answer.snapshot,
        **{name: None for name in FILES if name not in answer.sections},
        **{
            name.replace("-", "_"): next(iter(rows), None) if name in SINGLE else rows
            for name, rows in answer.sections.items()
        },
    }
