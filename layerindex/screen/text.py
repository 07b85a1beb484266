"""Measures text in columns of a terminal: wide characters take two, combining marks none."""

from __future__ import annotations

import re

NARROW = 14
"""Fewest columns that a text which goes on in the next line is given beside its label."""

_WORD = re.compile("( *)([^ ]+)")
_WORDS = re.compile("( *)((?:`[^`]*`|[^ ])+)")
"""Words, and those that are not parted in a command in backticks; with the spaces before them."""


def ellipsis(encoding: str) -> str:
    """Return the mark for text that was cut off."""
    return _or("…", "...", encoding)


def dot(encoding: str) -> str:
    """Return the separator of two things in a line."""
    return _or(" · ", " | ", encoding)


def _or(text: str, plain: str, encoding: str) -> str:
    return text if spelt(text, encoding) == text else plain


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if character < "\u0300":
        return 1
    import unicodedata  # noqa: PLC0415 - most texts need none of it

    # Combining marks take no column; neither do vowels and finals of decomposed Hangul.
    if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def spelt(text: str, encoding: str) -> str:
    """Return a text as a stream of an encoding writes it, with characters outside of the encoding escaped."""
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def padded(text: str, room: int, *, right: bool = False) -> str:
    """Return a text padded with spaces to a width."""
    blank = " " * (room - width(text))
    return blank + text if right else text + blank


def cut(text: str, room: int, mark: str = "…") -> str:
    """Return a text of at most so many columns: the beginning and the end of a longer one."""
    if width(text) <= room:
        return text
    left = max(room - width(mark), 0)
    head = text[: _fitting(text, left - left // 2)]
    backwards = text[::-1]
    tail = backwards[: _fitting(backwards, left // 2)][::-1]
    while tail and width(tail[0]) == 0:  # an accent whose letter is cut off
        tail = tail[1:]
    return f"{head}{mark}{tail}"


def wrapped(text: str, room: int) -> list[str]:
    """Return a text in pieces that fit, broken behind a space or slash where possible; no character is lost."""
    pieces = []
    while width(text) > room:
        end = max(_fitting(text, room), 1)
        broken = max(text.rfind(mark, room // 2, end) for mark in " /,") + 1
        end = broken or end
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text]


def folded(said: str, room: int, later: str = "") -> list[str]:
    """Return a sentence in lines of at most so many columns, broken at spaces only, the next lines behind `later`.

    A word, and a command in backticks, stays whole; a word that is longer than a line has one of its own.
    """
    made = [""]
    for blank, word in _WORDS.findall(said):
        fits = width(later) + width(word) <= room
        for gap, piece in [(blank, word)] if fits else _WORD.findall(blank + word):
            if made[-1].strip(" ") and width(made[-1]) + width(gap) + width(piece) > room:
                made.append(later + piece)
            else:
                made[-1] += gap + piece
    return made


def hanging(before: str, text: str, room: int, *, whole: bool = False, paths: bool = False) -> list[str]:
    """Return a text behind its label, in lines of at most so many columns.

    Further lines are indented below the text; an id or path that does not fit there gets a line of its own if it fits
    that, and always if it is `whole`, for a line that is longer can be copied and pieces cannot. With `paths` those in
    a sentence stay whole too.
    """
    beside = room - width(before)
    if width(text) <= beside:
        return [before + text]
    blank = before[: len(before) - len(before.lstrip(" "))] + "    "
    if whole or (width(text) <= room - width(blank) and " " not in text):
        return [before.rstrip(), blank + text]
    broken = _sentence if paths and "/" in text else wrapped
    if beside < NARROW:
        return [before.rstrip(), *(blank + piece.rstrip() for piece in broken(text, room - width(blank)))]
    first, *others = broken(text, beside)
    return [before + first.rstrip(), *(" " * width(before) + piece.rstrip() for piece in others)]


def _sentence(said: str, room: int) -> list[str]:
    """Return a text in pieces that fit, except for the paths in it, which are not broken."""
    made: list[str] = []
    for piece in folded(said, room):
        whole = width(piece) <= room or piece.lstrip("'\"(").startswith("/")
        made += [piece] if whole else wrapped(piece, room)
    return made


def _fitting(text: str, room: int) -> int:
    """Return how many characters of a text fit in a width."""
    if text.isascii():
        return min(room, len(text))
    taken = 0
    for number, character in enumerate(text):
        taken += _columns(character)
        if taken > room:
            return number
    return len(text)
