"""Answers on a terminal: what it can show, and tables that fit it. Output to pipes and files never comes here."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NARROWEST = 20
"""The least columns that a terminal is assumed to have."""


class Screen(NamedTuple):
    """A terminal: its columns and lines, its encoding, and whether colour is wanted."""

    width: int
    height: int
    encoding: str = "utf-8"
    colour: bool = False


WAYS = ("--wide", "--columns a,b", "--format json")
"""How to see columns that are left out, where a command has all options of tables."""


class Look(NamedTuple):
    """How a table is to look.

    `first` are the columns that must be shown, if the query names some; `whole` those whose texts are not cut, however
    many lines they take. With `paths` a path is never broken, and has a line of its own where it does not fit. `fixed`
    is set where the user chose the columns; `ways` is how to see those that are left out. Without a screen, or with
    `wide`, the table has its natural width.
    """

    screen: Screen | None
    trunc: bool = True
    wide: bool = False
    vertical: bool = False
    fixed: bool = False
    first: Sequence[str] = ()
    whole: Sequence[str] = ()
    paths: bool = False
    indent: str = ""
    ways: Sequence[str] = WAYS


def of(stream: TextIO) -> Screen | None:
    """Return the terminal that a stream writes to, None where it is not a terminal.

    The variables COLUMNS and LINES override the size of the terminal, as in other programs.
    """
    if not stream.isatty():
        return None
    try:
        width, height = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        width, height = 0, 0
    width, height = (
        _number(os.environ.get(name, "")) or size or usual
        for name, size, usual in (("COLUMNS", width, 80), ("LINES", height, 24))
    )
    return Screen(max(width, NARROWEST), height, stream.encoding, coloured(os.environ, terminal=True))


def current() -> Screen | None:
    """Return the terminal that standard output is."""
    return of(sys.stdout)


def coloured(environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Say whether colour is wanted: NO_COLOR forbids it, FORCE_COLOR and CLICOLOR_FORCE demand it also in a pipe."""
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return terminal and environment.get("TERM", "dumb") != "dumb"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
