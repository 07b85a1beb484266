"""Answers for people: a heading for each thing, then its sections as `label: value` lines or small tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from layerindex import catalog, query, render, shipped
from layerindex.names import printable
from layerindex.screen import coloured, table
from layerindex.screen.cells import is_path, painted
from layerindex.screen.text import folded, hanging, spelt
from layerindex.show.answers import SINGLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerindex.screen import Look
    from layerindex.show.answers import Answer

    Row = dict[str, Any]

ROWS = 20
"""Most rows of a table, unless --no-trunc."""

FLAGS = {
    *("visible", "in_store", "verified", "on_disk", "read_write"),
    *("committed", "mounted", "opaque", "deleting"),
}
TITLES = {"shows": "still shown by", "record": "build-cache record", "ingest": "download"}
CARDS = {*SINGLE, "layers"}
"""Sections whose rows are shown one by one, each as a card of `label: value` lines."""

STACK = ("part", "directory", "role", "size", "owner")
"""What is needed of each directory of a stack."""

IMAGES = ("image", "layers_here", "layers")
NAMES = 2
"""Most images that are named as owners of one directory of a stack."""

ALWAYS = {"image-containers", "volume-containers"}
"""Sections that are shown even when they are empty."""


def lines(answers: Sequence[Answer], look: Look) -> Iterator[str]:
    """Yield the answers about one text.

    For directories that are mounted one above the other come tables of all and of their images, then the details of the
    first; of more than one such mount only the tables.
    """
    look = look._replace(indent="  ", paths=True)
    stack = [answer for answer in answers if answer.thing.part]
    if len({answer.thing for answer in stack}) > 1:
        yield "STACK"
        yield from _table([_level(answer) for answer in stack], look._replace(first=STACK), limit=None)
        images = _images(stack)
        if images:
            yield ""
            yield "IMAGES OF THESE LAYERS"
            yield from _table(images, look._replace(first=IMAGES), limit=ROWS if look.trunc else None)
        mounts = len({answer.thing for answer in stack if answer.thing.part == "upper"})
        first = [answer for answer in stack if answer.thing == stack[0].thing and mounts < 2]
        answers = first + [answer for answer in answers if not answer.thing.part]
        if answers:
            yield ""
    for number, answer in enumerate(answers):
        if number:
            yield ""
        yield from _answer(answer, look)


def _images(stack: Sequence[Answer]) -> list[Row]:
    """Return the images that have layers in a stack, those that are there as a whole first."""
    found: dict[tuple[int, str], Row] = {}
    for answer in stack:
        for image in {row["image_id"]: row for row in answer.sections.get("images", ())}.values():
            key = answer.snapshot["snapshot_id"], image["image_id"]
            row = {"image": image["image"], "image_id": image["image_id"], "layers_here": 0, "layers": image["layers"]}
            found.setdefault(key, {**row, "host": answer.snapshot["host"]})["layers_here"] += 1
    return sorted(found.values(), key=lambda row: (row["layers_here"] < row["layers"], -row["layers_here"]))


def _level(answer: Answer) -> Row:
    """Return one directory of a stack as one row."""
    directory, layer, image, owner = (
        next(iter(answer.sections.get(name, ())), {}) for name in ("directory", "layers", "images", "owners")
    )
    names = list(dict.fromkeys(row["image"] for row in answer.sections.get("images", ())))
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return {
        "part": answer.thing.part,
        "directory": directory.get("directory", answer.id),
        "role": directory.get("role"),
        "link": directory.get("link"),
        "diff_id": layer.get("diff_id"),
        "size": layer.get("size", directory.get("apparent_bytes")),
        "owner": ", ".join(names[:NAMES]) + more or owner.get("name") or owner.get("owner"),
        "created_by": image.get("created_by"),
        "host": answer.snapshot["host"],
    }


def _answer(answer: Answer, look: Look) -> Iterator[str]:
    taken = answer.snapshot
    where = f"on {taken['host']}, {taken['root']} as of {taken['scanned_at']}"
    matched = "" if answer.found == answer.id else f", found by its {answer.matched}"
    said = printable(f"{answer.kind} {answer.id} {where} (snapshot {taken['snapshot_id']}){matched}")
    yield from folded(spelt(said, look.screen.encoding), look.screen.width) if look.screen else [said]
    for name, rows in answer.sections.items():
        if rows or _says_so(answer, name):
            yield ""
            yield _title(name)
            yield from _section(answer, name, rows, look)


def _title(name: str) -> str:
    kind, _, rest = name.partition("-")
    title = rest if rest and kind in {"container", "image", "volume", "record"} else name
    return TITLES.get(title, title).replace("-", " ").upper()


def _says_so(answer: Answer, name: str) -> bool:
    """Say whether an empty section is shown."""
    if name in ("images", "containers"):
        return bool(answer.sections["layers"])
    if name == "owners":
        return bool(answer.sections["directory"])
    return name == "file" or name in ALWAYS


def _section(answer: Answer, name: str, rows: list[Row], look: Look) -> Iterator[str]:
    if name == "file" and not rows:
        yield f"  path:  {printable(answer.reading.path or '')}"
        yield f"  {_no_file(answer)}"
    elif not rows:
        yield "  none"
    elif name in CARDS or (name == "file" and len(rows) == 1):
        for number, row in enumerate(rows):
            if number:
                yield ""
            yield from _card(row, look)
    else:
        if look.screen:
            look = look._replace(first=catalog.parsed(name, shipped.query("show", name)).first)
        yield from _table(rows, look, limit=ROWS if look.trunc else None)


def _no_file(answer: Answer) -> str:
    if next(iter(answer.sections.get("directory", ())), {}).get("role") == "unread":
        return "the files of this driver's directories are not read, only those of layers"
    if not answer.indexed:
        return "the files of this directory are not indexed; scan without --no-files"
    where = "it or the directories below it" if answer.reading.merged else "it"
    return f"no such path in {where} when the store was scanned"


def _card(row: Row, look: Look) -> Iterator[str]:
    shown = {key: _cell(key, value, trunc=False) for key, value in row.items() if value is not None}
    width = max(map(len, shown), default=0) + 1
    colour = look.screen.colour if look.screen is not None else coloured(os.environ, terminal=False)
    for key, value in shown.items():
        before = f"  {key.replace('_', ' ') + ':':<{width}}  "
        if look.screen is None:
            yield painted(key, before + value, before) if colour else before + value
        else:
            text = spelt(value, look.screen.encoding)
            for line in hanging(before, text, look.screen.width, whole=is_path(key, row[key]), paths=True):
                yield painted(key, line, before) if colour else line


def _table(rows: Sequence[Row], look: Look, limit: int | None) -> Iterator[str]:
    columns = [column for column in rows[0] if any(row[column] is not None for row in rows)]
    if look.vertical or (look.screen is not None and not look.wide):
        shown = (tuple(_flag(column, row[column]) for column in columns) for row in rows[:limit])
        yield from table.lines(query.Result(columns, shown), look)
    else:
        heads = [column.replace("_", " ").upper() for column in columns]
        cells = [[_cell(column, row[column], trunc=look.trunc) for column in columns] for row in rows[:limit]]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        colour = look.screen.colour if look.screen is not None else coloured(os.environ, terminal=False)
        for row in (heads, *cells):
            padded = map(str.ljust, row, widths)
            if colour and row is not heads:
                padded = map(painted, columns, padded)
            yield "  " + "  ".join(padded).rstrip()
    if limit is not None and len(rows) > limit:
        yield f"  … and {len(rows) - limit} more; --no-trunc shows all"


def _flag(column: str, value: Any) -> Any:  # noqa: ANN401 - any SQLite value
    """Return yes or no for a flag."""
    return ("yes" if value else "no") if column in FLAGS and value in (0, 1) else value


def _cell(column: str, value: Any, *, trunc: bool) -> str:  # noqa: ANN401 - any SQLite value
    """Return a value as a person reads it: cards have whole ids and texts, but sizes are always for people."""
    value = _flag(column, value)
    if isinstance(value, int):
        return render.for_people(column, value, trunc=True)
    return render.for_people(column, value, trunc=trunc)
