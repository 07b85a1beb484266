"""Words that a shell offers: queries, parameters and columns from the catalog, names from the database."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from layerindex import catalog, database, genuine, query
from layerindex.errors import LayerindexError

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

MOST = 500
"""Most names that are offered."""
SECONDS = 1.0
"""Longest that a shell waits for the database."""
_SAFE = re.compile(r"[\w./:@+][\w./:@+-]*", re.ASCII)
"""What no shell takes for more than a word: what a store calls its things may be anything."""

NAMES = {
    "host": "SELECT DISTINCT name FROM hosts",
    "image": "SELECT DISTINCT ref FROM current_image_refs",
    "tag": "SELECT DISTINCT ref FROM current_image_refs",
    "container": "SELECT DISTINCT name FROM current_containers",
    "snapshot": "SELECT name FROM hosts UNION SELECT CAST(snapshot_id AS TEXT) FROM snapshots",
    "thing": """SELECT ref FROM current_image_refs UNION SELECT name FROM current_containers
        UNION SELECT name FROM current_volumes""",
    "held": "SELECT ref FROM current_image_refs UNION SELECT name FROM current_containers",
    "category": "SELECT DISTINCT category FROM disk_usage",
}
"""By kind of a word, or by the parameter that takes it, the names that the database knows."""


def queries(_: click.Context, begun: str) -> list[str]:
    """Return the canned queries that begin so."""
    return [name for name in catalog.names() if name.startswith(begun)]


def parameters(ctx: click.Context, begun: str) -> list[str]:
    """Return what may follow -p: KEY= of the query that is named, or KEY=VALUE for what it takes."""
    canned = _canned(ctx)
    if canned is None:
        return []
    key, equals, value = begun.partition("=")
    if not equals:
        return [f"{name}=" for name in canned.params if name.startswith(key)]
    param = canned.params.get(key)
    if param is None:
        return []
    before, comma, last = value.rpartition(",") if param.type.endswith("s") else ("", "", value)
    kind = param.type.removeprefix(query.TOLD).removesuffix("s")
    known = param.values or names(ctx, kind if kind in NAMES else key, last)
    return [f"{key}={before}{comma}{word}" for word in known if word.startswith(last)]


def columns(ctx: click.Context, begun: str) -> list[str]:
    """Return the columns of the query that is named, behind those that are typed already."""
    canned = _canned(ctx)
    before, comma, last = begun.rpartition(",")
    known = [] if canned is None else [name for name in canned.columns if name not in before.split(",")]
    return [f"{before}{comma}{name}" for name in known if name.startswith(last)]


def tables(_: click.Context, begun: str) -> list[str]:
    """Return the tables and views that begin so, and what else `schema` explains."""
    known = [name for name, thing in genuine.things(genuine.REVISION).items() if thing.type in ("table", "view")]
    return [name for name in ("codes", "queries", "states", *sorted(known)) if name.startswith(begun)]


def names(ctx: click.Context, kind: str, begun: str) -> list[str]:
    """Return the names in the database that begin so; none where it cannot be read in time."""
    if kind not in NAMES:
        return []
    path = ctx.params.get("path") or os.environ.get("LAYERINDEX_DB") or "layerindex.db"
    sql = f"""WITH known (name) AS ({NAMES[kind]})
        SELECT name FROM known WHERE substr(name, 1, length(:begun)) = :begun ORDER BY name LIMIT {MOST}"""  # noqa: S608
    try:
        with query.limited(SECONDS), database.reading(path) as connection:
            found = query.run(connection, sql, {"begun": begun})
            return [name for (name,) in found.rows if name and _SAFE.fullmatch(name)]
    except LayerindexError:
        return []


def _canned(ctx: click.Context) -> catalog.Query | None:
    # Where the last option still lacks its value, click has not told which words are arguments.
    named = [word for word in (ctx.params.get("name"), *ctx.args) if word in catalog.names()]
    return catalog.load(named[0]) if named else None


OFFERS: dict[str, Callable[..., list[str]]] = {
    "queries": queries,
    "parameters": parameters,
    "columns": columns,
    "tables": tables,
    "names": names,
}
"""By what an option asks for."""
