"""Tables that fit a terminal: values that all rows share are shown above, names of left-out columns below."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from layerindex.names import printable
from layerindex.screen import cells, fit, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerindex.query import Result
    from layerindex.screen import Look, Screen

    Row = tuple[Any, ...]

BATCH = 2000
"""Rows that are fitted together: a longer answer is several tables, so that its first page appears soon."""
CONTEXT = ("host", "store", "root", "snapshot_id")
"""Columns that come first in the line above a table, where they are the same in all rows."""
WHOLE_LINE = 10**6
"""Room of a line where nobody sees it."""


def lines(result: Result, look: Look) -> Iterator[str]:
    """Yield a table that fits, or each row as one field a line."""
    names = _distinct(result.columns)
    rows = iter(result.rows)
    left, empty = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    batches = 0
    while batch := list(islice(rows, BATCH)):
        if batches:
            yield ""
        batches += 1
        made = _Batch(names, batch, look)
        yield from made.lines()
        for counts, those in ((left, made.left), (empty, made.empty)):
            for name in those:
                counts[name] += 1
    if not batches:
        yield f"{look.indent}no rows"
    if batches and look.screen is not None:
        blank = [name for name in names if empty[name] == batches]
        needed = [name for name in blank if name in look.first or not look.first]
        unseen = [name for name in names if left[name] or (name in blank and name not in needed)]
        if footer := _footer(unseen, needed, look, look.screen):
            yield ""
            yield footer


def _distinct(columns: Sequence[str]) -> list[str]:
    """Return distinct names; the user's own SQL may have two columns of one name."""
    names: list[str] = []
    for column in columns:
        names.append(column if column not in names else f"{column}:{len(names) + 1}")
    return names


class _Batch:
    """Formats some rows; `left` are the columns for which there was no room, `empty` those without values."""

    def __init__(self, names: Sequence[str], rows: Sequence[Row], look: Look) -> None:
        self.look, self.rows = look, rows
        self.values: dict[str, list[Any]] = {name: [row[number] for row in rows] for number, name in enumerate(names)}
        self.room = WHOLE_LINE if look.screen is None else look.screen.width - len(look.indent)
        self.encoding = "utf-8" if look.screen is None else look.screen.encoding
        self.empty = [] if look.fixed else [name for name in names if all(v is None for v in self.values[name])]
        if len(self.empty) == len(names):
            self.empty = []
        told = [name for name in names if name not in self.empty]
        self.same = [] if look.fixed or len(rows) < 2 else [name for name in told if _is_same(name, self.values[name])]
        self.told = [name for name in told if name not in self.same]
        self.left: list[str] = []

    def lines(self) -> Iterator[str]:
        """Yield the line of values that all rows share, then the rows."""
        if not self.told:  # rows that are alike in all
            self.same, self.told = self.same[:-1], self.same[-1:]
        yield from self._above()
        fitted = None if self.look.vertical or len(self.rows) == 1 else self._columns()
        if fitted is None:
            yield from self._vertical()
            return
        columns, widths = fitted
        self.left = [each.name for each in columns if each.name not in widths]
        for heads, line in fit.lines(columns, widths, text.ellipsis(self.encoding)):
            made = (" " * fit.GAP).join(cell if heads else self._painted(name, cell) for name, cell in line)
            yield f"{self.look.indent}{made}".rstrip()

    def _columns(self) -> tuple[list[cells.Column], dict[str, int]] | None:
        """Return the columns, and the widths of those that are shown, with times to the minute or as ages."""
        needed = [name for name in self.told if name in self.look.first or name == "host" or not self._chooses()]
        fitted = None
        for now in (None, time.time()):
            style = cells.Style(self.look.trunc, now, self.encoding)
            columns = [
                cells.column(name, self.values[name], style, whole=name in self.look.whole) for name in self.told
            ]
            if self.look.paths:
                columns = [each._replace(kind="rigid") if self._has_paths(each.name) else each for each in columns]
            widths = fit.chosen(columns, needed, self.room)
            fitted = fitted if widths is None else (columns, widths)
            if widths is not None and len(widths) == len(columns):
                break
        return fitted

    def _has_paths(self, name: str) -> bool:
        return any(cells.is_path(name, value) for value in self.values[name])

    def _chooses(self) -> bool:
        """Say whether columns may be left out: not where the user named them, or wants whole texts."""
        return bool(self.look.first) and self.look.trunc and not self.look.fixed

    def _above(self) -> Iterator[str]:
        order = sorted(self.same, key=lambda name: CONTEXT.index(name) if name in CONTEXT else len(CONTEXT))
        style = cells.Style(self.look.trunc, None, self.encoding)
        said = [
            f"{cells.head(name, self.encoding)} " + self._painted(name, cells.shown(name, self.values[name][0], style))
            for name in order
        ]
        for line in _packed(said, self.room, text.dot(self.encoding), paths=self.look.paths):
            yield f"{self.look.indent}{line}"
        if said:
            yield ""

    def _vertical(self) -> Iterator[str]:
        """Yield each row as one field per line, without fields that have no value."""
        style = cells.Style(self.look.trunc, None, self.encoding)
        longest, mark = max(self.room - text.NARROW - 2, 1), text.ellipsis(self.encoding)
        heads = {name: text.cut(cells.head(name, self.encoding), longest, mark) for name in self.told}
        wide = max((text.width(head) for head in heads.values()), default=0)
        for number in range(len(self.rows)):
            if number:
                yield ""
            for name, head in heads.items():
                if self.values[name][number] is not None:
                    said = self._dated(cells.shown(name, self.values[name][number], style), self.values[name][number])
                    before = f"{self.look.indent}{text.padded(head, wide)}  "
                    whole = self.look.paths and cells.is_path(name, self.values[name][number])
                    room = self.room + len(self.look.indent)
                    for line in text.hanging(before, said, room, whole=whole, paths=self.look.paths):
                        yield self._painted(name, line, before).rstrip()

    def _dated(self, said: str, value: object) -> str:
        """Add how long ago a time is."""
        if self.look.screen is None or not (self.look.trunc and isinstance(value, str) and cells.TIME.fullmatch(value)):
            return said
        return f"{said}, {cells.age(value, time.time())}"

    def _painted(self, name: str, cell: str, before: str = "") -> str:
        return cells.painted(name, cell, before) if self.look.screen is not None and self.look.screen.colour else cell


def _is_same(name: str, values: Sequence[Any]) -> bool:
    """Say whether a column is shown above, as all rows have the same value; of numbers only a snapshot's."""
    return values[0] is not None and (isinstance(values[0], str) or name == "snapshot_id") and len(set(values)) == 1


def _packed(said: Sequence[str], room: int, dot: str, *, paths: bool) -> Iterator[str]:
    """Yield texts side by side as far as they fit in a line; a longer text is wrapped, with `paths` at spaces only."""
    line = ""
    for each in said:
        if line and text.width(_bare(line)) + text.width(dot) + text.width(_bare(each)) > room:
            yield line
            line = ""
        line = f"{line}{dot}{each}" if line else each
        if text.width(_bare(line)) > room:
            *pieces, line = (text.folded if paths else text.wrapped)(_bare(line), room)
            yield from (piece.rstrip() for piece in pieces)
    if line:
        yield line


def _bare(said: str) -> str:
    """Return a text without our own colours; there are no other escapes in it."""
    if "\x1b" not in said:
        return said
    import re  # noqa: PLC0415 - of a coloured line only

    return re.sub("\x1b\\[[0-9;]*m", "", said)


def _footer(left: Sequence[str], empty: Sequence[str], look: Look, seen: Screen) -> str:
    """Return the line that names left-out columns and how to see them, and needed columns without any value."""
    room = seen.width - len(look.indent)
    left, empty = ([text.spelt(printable(name), seen.encoding) for name in names] for names in (left, empty))
    if not left:
        return look.indent + _listed("empty: ", empty, room) if empty else ""
    how = f" ({', '.join(look.ways)})" if look.ways else ""
    if look.ways and room < 2 * len(how):
        how = f" ({look.ways[0]})"
    before = _listed("empty: ", empty, room // 3) + "; " if empty else ""
    said = _listed(f"{before}left out: ", left, room - len(how)) + how
    return look.indent + text.cut(said, room, text.ellipsis(seen.encoding))


def _listed(before: str, names: Sequence[str], room: int) -> str:
    """Return as many names as there is room for, and how many more there are."""
    for shown in range(len(names), 0, -1):
        more = f" +{len(names) - shown}" if shown < len(names) else ""
        said = f"{before}{', '.join(names[:shown])}{more}"
        if text.width(said) <= room:
            return said
    return f"{before}{len(names)}"
