"""Writes all tables: in their natural width to pipes and files, and fitted to a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerindex import render
from layerindex.screen import coloured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.query import Result
    from layerindex.screen import Look


def lines(result: Result, look: Look) -> Iterator[str]:
    """Yield a table."""
    if look.vertical or (look.screen is not None and not look.wide):
        from layerindex.screen import rows  # noqa: PLC0415 - what is piped starts without it

        yield from rows.lines(result, look)
    elif coloured(os.environ, terminal=look.screen is not None):
        from layerindex.screen import cells  # noqa: PLC0415 - what is piped starts without it

        yield from render.as_table(result, trunc=look.trunc, paint=cells.painted)
    else:
        yield from render.as_table(result, trunc=look.trunc)
