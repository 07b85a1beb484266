"""Turns names from disk into text without loss: distinct bytes give distinct text, which gives the bytes back."""

from __future__ import annotations

import os
import re

_LOOKS_ESCAPED = re.compile(rb"\\x[89a-f][0-9a-f]")
_ESCAPED = re.compile(rb"\\(\\|x[89a-f][0-9a-f])")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that are invisible although Unicode calls them letters, marks or symbols: fillers, variation selectors, a
blank."""


def escape(name: bytes) -> tuple[str, bytes | None]:
    r"""Return a file name as text, and its bytes where the text is not their plain UTF-8 decoding.

    Bytes that are not UTF-8 become `\xNN` and every backslash is doubled; the same is done to the rare UTF-8 name that
    itself contains a `\xNN`, so that no two names become equal.
    """
    if not _LOOKS_ESCAPED.search(name):
        try:
            return name.decode(), None
        except UnicodeDecodeError:
            pass
    return name.replace(b"\\", b"\\\\").decode(errors="backslashreplace"), name


def escape_path(path: bytes) -> tuple[str, bytes | None]:
    """Return the text and the bytes of a path or a link's target, component by component."""
    if b"\\" not in path:
        try:
            return path.decode(), None
        except UnicodeDecodeError:
            pass
    parts = [escape(part) for part in path.split(b"/")]
    return "/".join(text for text, _ in parts), path if any(raw is not None for _, raw in parts) else None


def clean(name: bytes) -> list[bytes] | None:
    """Return the components of a name below a layer's root, or None where it climbs out of it.

    Purely lexical, like ``filepath.Clean`` in moby's ``vendor/github.com/moby/go-archive/archive.go`` (Unpack): no link
    is looked at.
    """
    kept: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not kept:
                return None
            kept.pop()
        elif part not in (b"", b"."):
            kept.append(part)
    return kept


def as_text(name: bytes) -> str:
    """Return a file name as text."""
    return escape(name)[0]


def as_bytes(text: str) -> bytes:
    """Return the bytes of a name that `as_text` made."""
    raw = text.encode()
    if not _LOOKS_ESCAPED.search(raw):
        return raw
    return _ESCAPED.sub(lambda match: b"\\" if match[1] == b"\\" else bytes([int(match[1][1:], 16)]), raw)


def from_os(name: str) -> str:
    """Return a name from the operating system (`os.listdir`, `os.readlink`) as text for the database."""
    return name if name.isascii() and "\\" not in name else as_text(os.fsencode(name))


def from_os_path(path: str) -> tuple[str, bytes | None]:
    """Return a path or a link's target as text, and its bytes where the text is not their plain UTF-8 decoding."""
    return (path, None) if path.isascii() and "\\" not in path else escape_path(os.fsencode(path))


def typed(word: str) -> str:
    """Return a word of the command line as text for the database, escaped as by `from_os` where it is not UTF-8."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return from_os(word)
    return word


def on_disk(text: str) -> str:
    """Return the name for the operating system from a text that `from_os` made."""
    return os.fsdecode(as_bytes(text))


def printable(text: str) -> str:
    """Return text that cannot move a terminal's cursor, change its colours or writing direction, or hide characters.

    Escapes controls, formats, surrogates, private and unassigned characters, every space except U+0020 (that is what
    `str.isprintable` tests) and invisible characters, so that different names never look the same.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isprintable() and not _INVISIBLE.match(each) else _escape(each) for each in text)


def _escape(character: str) -> str:
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return short.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
