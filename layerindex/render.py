"""Output formats: each turns a result into lines of text.

Formats for people follow Docker: upper-case heads, 12-character ids, kB MB GB, control characters escaped. Formats for
machines have whole ids and integers.
"""

from __future__ import annotations

import csv
import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from layerindex.errors import QueryError
from layerindex.names import printable
from layerindex.query import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}(-init)?")
_BYTES = re.compile(r"(?:.*_)?(?:size|bytes)|reclaimable")
_MARKUP = re.compile(r"[\\`*_~|<>\[\]&$]")
_LINK = re.compile(r"(?i)www(?=\.)|:(?=//)")
"""Text that GitHub turns into a link without markup."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a text that spreadsheets take for a formula, or skip to find one."""
WIDTH = 60
"""Longest text in a table cell before it is cut, unless --no-trunc."""


def human_bytes(size: float) -> str:
    """Return a size as Docker prints it: decimal units, up to four digits."""
    units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    while abs(size) >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.4g}{units[0]}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def for_people(column: str, value: Any, *, trunc: bool) -> str:  # noqa: ANN401 - any SQLite value
    """Return a cell as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and trunc and _BYTES.fullmatch(column):
        return human_bytes(value)
    text = printable(str(value))
    if not trunc:
        return text
    text = _ID.sub(r"\1\2", text)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _cells(result: Result, *, trunc: bool) -> list[list[str]]:
    return [
        [for_people(column, value, trunc=trunc).strip() for column, value in zip(result.columns, row, strict=True)]
        for row in result.rows
    ]


def as_table(result: Result, *, trunc: bool = True, paint: Callable[[str, str], str] | None = None) -> Iterator[str]:
    """Yield aligned columns under upper-case heads; `paint` colours a cell that it gets with its column's name."""
    heads = [printable(column).upper().replace("_", " ") for column in result.columns]
    rows = _cells(result, trunc=trunc)
    places = range(len(heads))
    widths = _widths(heads, rows)
    aligned = [str.rjust if rows and _BYTES.fullmatch(column) else str.ljust for column in result.columns]
    yield "  ".join(aligned[place](heads[place], widths[place]) for place in places).rstrip()
    for row in rows:
        cells = [aligned[place](row[place], widths[place]) for place in places]
        if paint is not None:
            cells = list(map(paint, result.columns, cells))
        yield "  ".join(cells).rstrip()


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is: two more than its head at least, as tables of this program always were."""
    return [max(len(head) + 2, max((len(row[place]) for row in rows), default=0)) for place, head in enumerate(heads)]


def as_markdown(result: Result, *, trunc: bool = True) -> Iterator[str]:
    """Yield a Markdown table."""
    heads = [printable(column) for column in result.columns]
    heads, *rows = ([_inert(cell) for cell in row] for row in (heads, *_cells(result, trunc=trunc)))
    widths = _widths(heads, rows)
    yield _framed(map(str.ljust, heads, widths))
    yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    for row in rows:
        yield _framed(map(str.ljust, row, widths))


def as_html(result: Result, *, trunc: bool = True) -> Iterator[str]:
    """Yield a table of HTML without style or script, to paste: numbers of bytes to the right, all else as text."""
    right = [' align="right"' if _BYTES.fullmatch(column) else "" for column in result.columns]
    yield "<table>"
    heads = [printable(column) for column in result.columns]
    yield f"<thead>{_tagged('th', right, heads)}</thead>"
    yield "<tbody>"
    for row in _cells(result, trunc=trunc):
        yield _tagged("td", right, row)
    yield "</tbody>"
    yield "</table>"


def _tagged(tag: str, right: Iterable[str], cells: Iterable[str]) -> str:
    line = "".join(f"<{tag}{aligned}>{escape(cell)}</{tag}>" for aligned, cell in zip(right, cells, strict=True))
    return f"<tr>{line}</tr>"


def _framed(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _inert(text: str) -> str:
    """Return text escaped for GitHub's Markdown: it cannot end a cell or become a link, a tag, code or emphasis."""
    return _LINK.sub(r"\g<0>\\", _MARKUP.sub(r"\\\g<0>", text))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any SQLite value
    return value.hex() if isinstance(value, bytes) else value


def _separated(result: Result, delimiter: str) -> Iterator[str]:
    buffer = io.StringIO()
    # csv quotes texts with a character of the line terminator: name both, whatever ends the line.
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    for row in ([result.columns], result.rows):
        for values in row:
            writer.writerow([_plain(value) for value in values])
            yield buffer.getvalue().removesuffix("\r\n")
            buffer.seek(0)
            buffer.truncate()


def as_csv(result: Result, *, trunc: bool = False) -> Iterator[str]:  # noqa: ARG001 - machines get whole ids
    """Yield comma-separated lines, heads first."""
    return _separated(result, ",")


def as_safe_csv(result: Result, *, trunc: bool = False) -> Iterator[str]:
    """Yield csv for spreadsheets: a text that they would run as a formula gets a `'` before it."""
    rows = (tuple(_no_formula(value) for value in row) for row in result.rows)
    return as_csv(Result([_no_formula(column) for column in result.columns], rows), trunc=trunc)


def _no_formula(value: Any) -> Any:  # noqa: ANN401 - any SQLite value
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_tsv(result: Result, *, trunc: bool = False) -> Iterator[str]:  # noqa: ARG001 - machines get whole ids
    """Yield tab-separated lines, heads first; a text that holds a tab, quote or newline is quoted."""
    return _separated(result, "\t")


def as_jsonl(result: Result, *, trunc: bool = False) -> Iterator[str]:  # noqa: ARG001 - machines get whole ids
    """Yield one JSON object per line."""
    import orjson  # noqa: PLC0415 - a table starts without it

    twice = {column for column in result.columns if result.columns.count(column) > 1}
    if twice:
        raise QueryError(f"two columns are called {min(twice)}; JSON needs a name for each: use AS")
    for row in result.rows:
        yield orjson.dumps({column: _plain(value) for column, value in zip(result.columns, row, strict=True)}).decode()


def as_json(result: Result, *, trunc: bool = False) -> Iterator[str]:  # noqa: ARG001 - machines get whole ids
    """Yield one JSON array of objects, one object per line."""
    begin = "["
    for line in as_jsonl(result):
        yield begin + line
        begin = ","
    yield "[]" if begin == "[" else "]"


FORMATS: dict[str, Callable[..., Iterable[str]]] = {
    "table": as_table,
    "csv": as_csv,
    "csv-safe": as_safe_csv,
    "tsv": as_tsv,
    "json": as_json,
    "jsonl": as_jsonl,
    "markdown": as_markdown,
    "html": as_html,
}
"""The formats by the name that --format takes."""
