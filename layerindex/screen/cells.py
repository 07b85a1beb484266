"""Formats values for people on a terminal, and recognises the kind of a column: number, id, time, path or text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import render
from layerindex.names import printable
from layerindex.screen.text import spelt

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)(?:\.\d+)?Z", re.ASCII)
_ID = re.compile(r"(?<![/\w.-])(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}(-init)?(?![/\w.-])")
"""An id that is not part of a path: a printed path must stay valid."""
_TOKEN = re.compile(r"[^\s/:]{0,26}")
_PATH = re.compile(r"/\S*")
_SIDE = re.compile(r"[ab]_|_[ab]$")
WHOLE = frozenset(
    (
        *("path", "place", "root", "merged", "location", "source", "destination", "log_path", "link_target", "link"),
        *("example", "missing", "repair", "command", "title", "upper", "work", "file"),
    )
)
"""Columns of paths and commands, which are useless when they are cut."""
WORDS = frozenset(("example", "missing", "repair", "command", "title"))
"""Those of them that are more than a path."""
PROSE = frozenset(("because", "blocked_by", "detail", "note", "problem", "reason"))
"""Columns of sentences, which are cut where they take more than two lines."""
EXACT = frozenset(("started_at", "seen_at", "scanned_at"))
"""Times that distinguish rows, which are not shown as ages."""
AGES = ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h"), (1209600, 86400, "d"), (6048000, 604800, "w"))
MONTH, YEAR = 2629746, 31556952

SHADES: dict[str, dict[str, int]] = {
    "severity": {"error": 31, "warning": 33},
    "standing": {"unused": 32, "unknown": 33},
    "status": {"unused": 32, "unknown": 33, "missing": 31},
    "confidence": {"certain": 32, "likely": 33, "unknown": 33},
    "class": {
        **dict.fromkeys(("nothing is lost", "can be rebuilt or pulled again", "rebuilt or pulled"), 32),
        **dict.fromkeys(("log lines are lost", "log lines go", "unknown"), 33),
        **dict.fromkeys(("the engine does not know of it", "engine knows not"), 33),
        "data: look first": 31,
    },
}
"""The colours of words, by column."""


class Style(NamedTuple):
    """How values are shown: cut or whole, times as ages (where `now` is given) or to the minute, and the encoding."""

    trunc: bool = True
    now: float | None = None
    encoding: str = "utf-8"


class Column(NamedTuple):
    """A column of a table: its cells as text.

    `rigid` ones are never cut, `whole` ones go on in the next two lines, `flowing` ones in as many as it takes, `prose`
    goes on and is cut, and `text` is cut.
    """

    name: str
    head: str
    cells: list[str]
    right: bool
    kind: str


def column(name: str, values: Sequence[Any], style: Style, *, whole: bool = False) -> Column:
    """Return a column formatted for people."""
    present = [value for value in values if value is not None]
    numbers = bool(present) and all(isinstance(value, int | float) for value in present)
    cells = [shown(name, value, style) for value in values]
    if numbers or all(_TOKEN.fullmatch(cell) for cell in cells):
        kind = "rigid"
    elif whole:
        kind = "flowing"
    elif not style.trunc or is_whole(name, present):
        kind = "whole"
    else:
        kind = "prose" if name in PROSE else "text"
    return Column(name, head(name, style.encoding), cells, numbers, kind)


def head(name: str, encoding: str = "utf-8") -> str:
    """Return the head of a column."""
    return spelt(printable(name).upper().replace("_", " "), encoding)


def is_whole(name: str, values: Sequence[Any]) -> bool:
    """Say whether a column has paths or commands, by its name or by all its values."""
    if _SIDE.sub("", name) in WHOLE:
        return True
    return bool(values) and all(isinstance(value, str) and _PATH.fullmatch(value) for value in values)


def is_path(name: str, value: object) -> bool:
    """Say whether a value is a path, which can only be copied where it is in one piece."""
    if not isinstance(value, str) or _SIDE.sub("", name) in WORDS:
        return False
    return "/" in value and (" " not in value or value.startswith("/")) and is_whole(name, [value])


def shown(name: str, value: Any, style: Style) -> str:  # noqa: ANN401 - any SQLite value
    """Return the text of a value."""
    if not isinstance(value, str):
        return render.for_people(name, value, trunc=style.trunc)
    if style.trunc and (found := TIME.fullmatch(value)):
        return f"{found[1]} {found[2]}Z" if style.now is None or name in EXACT else age(value, style.now)
    text = spelt(printable(value), style.encoding)
    return _ID.sub(r"\1\2", text) if style.trunc else text


def age(moment: str, now: float) -> str:
    """Return how long ago a time is, in a few letters."""
    from datetime import datetime  # noqa: PLC0415 - not every answer has times

    try:
        seconds = int(now - datetime.fromisoformat(f"{moment[:19]}+00:00").timestamp())
    except ValueError:  # a date that does not exist
        return moment
    text = _span(abs(seconds))
    return f"in {text}" if seconds < 0 else f"{text} ago"


def _span(seconds: int) -> str:
    for limit, unit, letters in AGES:
        if seconds < limit:
            return f"{seconds // unit}{letters}"
    return f"{seconds // MONTH}mo" if seconds < 2 * YEAR else f"{seconds // YEAR}y"


def painted(name: str, line: str, before: str = "") -> str:
    """Return a cell in the colour of its word; its padding, and the text before it in the line, have none."""
    word = line[len(before) :].strip(" ")
    number = SHADES.get(name, {}).get(word)
    return line if number is None else before + line[len(before) :].replace(word, f"\x1b[{number}m{word}\x1b[0m")
