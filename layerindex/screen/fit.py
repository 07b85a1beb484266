"""Chooses the columns of a table that fit a terminal, and the width of each.

Needed columns are never left out: their texts are cut or wrapped, and where that is not enough there is no table
(`None`), and each row is shown as lines of its own. Other columns are added as far as they fit well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.screen import text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from layerindex.screen.cells import Column

GAP = 2
"""Spaces between two columns."""
LEAST = 14
"""Least width of a longer text; with less there is no table."""
WELL = 28
"""Width of a longer text that is enough, so that other columns can be shown too."""
TALLEST = 3
"""Most lines of a wrapped cell; with more there is no table."""
TALL = 2
"""Most lines of a sentence; the rest is cut."""


def chosen(columns: Sequence[Column], needed: Collection[str], room: int) -> dict[str, int] | None:
    """Return the width of each column that is shown, in order; None where the needed columns do not fit."""
    least = {each.name: _least(each) for each in columns}
    first = [each.name for each in columns if each.name in needed]
    if _total([least[name] for name in first]) > room:
        return None
    well = {each.name: max(least[each.name], min(_natural(each), WELL)) for each in columns}
    kept = set(first)
    taken = _total([well[name] for name in first])
    for each in columns:
        more = well[each.name] + GAP * bool(kept)
        if each.name not in kept and taken + more <= room:
            kept.add(each.name)
            taken += more
    widths = {each.name: least[each.name] for each in columns if each.name in kept}
    shown = [each for each in columns if each.name in kept]
    spare = room - _total(list(widths.values()))
    for goals in (
        well,
        {each.name: _natural(each) for each in shown},
        {each.name: max(_natural(each), text.width(each.head)) for each in shown},
    ):
        spare = _grow(widths, goals, spare)
    return widths


def lines(columns: Sequence[Column], widths: dict[str, int], mark: str) -> Iterator[tuple[bool, list[tuple[str, str]]]]:
    """Yield for each line whether it belongs to the heads, and its padded cells, each with its column's name.

    `mark` replaces what is cut off.
    """
    shown = [each for each in columns if each.name in widths]
    heads = [_stacked(each.head, widths[each.name]) for each in shown]
    height = max(map(len, heads), default=0)
    yield from ((True, line) for line in _row(shown, widths, [[""] * (height - len(each)) + each for each in heads]))
    for cells in zip(*(each.cells for each in shown), strict=True):
        pieces = [_pieces(each.kind, cell, widths[each.name], mark) for each, cell in zip(shown, cells, strict=True)]
        yield from ((False, line) for line in _row(shown, widths, pieces))


def _pieces(kind: str, cell: str, room: int, mark: str) -> list[str]:
    """Return the lines of a cell."""
    if kind in ("whole", "flowing"):
        return text.wrapped(cell, room)
    if kind != "prose":
        return [text.cut(cell, room, mark)]
    for left in range(TALL * room, room, -1):
        pieces = text.wrapped(text.cut(cell, left, mark), room)
        if len(pieces) <= TALL:
            return pieces
    return [text.cut(cell, room, mark)]


def _row(
    shown: Sequence[Column], widths: dict[str, int], pieces: Sequence[Sequence[str]]
) -> Iterator[list[tuple[str, str]]]:
    for number in range(max(map(len, pieces), default=0)):
        yield [
            (each.name, text.padded(cell[number] if number < len(cell) else "", widths[each.name], right=each.right))
            for each, cell in zip(shown, pieces, strict=True)
        ]


def _stacked(head: str, room: int) -> list[str]:
    """Return the words of a head in as few lines as possible."""
    made: list[str] = []
    for word in head.split(" "):
        if made and text.width(made[-1]) + 1 + text.width(word) <= room:
            made[-1] += f" {word}"
        else:
            made.append(word)
    return made


def _natural(column: Column) -> int:
    """Return the width at which nothing is cut or wrapped except the head."""
    return max(_head(column), *map(text.width, column.cells), 0)


def _head(column: Column) -> int:
    return max(map(text.width, column.head.split(" ")))


def _least(column: Column) -> int:
    natural = _natural(column)
    if column.kind == "rigid":
        return natural
    least = max(_head(column), min(natural, WELL if column.kind == "flowing" else LEAST))
    if column.kind == "whole":
        longest = max(column.cells, key=text.width, default="")
        least = max(least, min(natural, -(-text.width(longest) // TALLEST)))
        while any(len(text.wrapped(cell, least)) > TALLEST for cell in column.cells if text.width(cell) > 2 * least):
            least += 2
    return least


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(len(widths) - 1, 0)


def _grow(widths: dict[str, int], goals: dict[str, int], spare: int) -> int:
    """Widen columns up to their goals, the narrowest first, and return the remaining room."""
    while spare > 0:
        short = [name for name in widths if widths[name] < goals[name]]
        if not short:
            break
        narrowest = min(short, key=lambda name: widths[name])
        widths[narrowest] += 1
        spare -= 1
    return spare
