"""Names from disk as text that loses nothing: distinct bytes give distinct text, and the bytes can be had back."""

from __future__ import annotations

import os
import re

_LOOKS_ESCAPED = re.compile(r"\\x[89a-f][0-9a-f]")
_ESCAPED = re.compile(rb"\\(\\|x[89a-f][0-9a-f])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def as_text(name: bytes) -> str:
    r"""Return a file name as text.

    UTF-8 stands for itself. Otherwise each byte that is not UTF-8 becomes `\xNN` and each backslash is doubled; so is
    the rare UTF-8 name that itself holds such a `\xNN`, so that no two names become equal.
    """
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return name.replace(b"\\", b"\\\\").decode(errors="backslashreplace")
    return text.replace("\\", "\\\\") if "\\x" in text and _LOOKS_ESCAPED.search(text) else text


def as_bytes(text: str) -> bytes:
    """Return the bytes of a name that `as_text` made."""
    raw = text.encode()
    if not _LOOKS_ESCAPED.search(text):
        return raw
    return _ESCAPED.sub(lambda match: b"\\" if match[1] == b"\\" else bytes([int(match[1][1:], 16)]), raw)


def listed(name: str) -> str:
    """Return a name that the operating system listed (`os.listdir`, `os.readlink`) as text for the database."""
    return name if name.isascii() and "\\" not in name else as_text(os.fsencode(name))


def typed(word: str) -> str:
    """Return a word of the command line as text for the database: where it is not UTF-8, as `listed` escapes it."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return listed(word)
    return word


def on_disk(text: str) -> str:
    """Return the name, as the operating system takes it, that `listed` made text of."""
    return os.fsdecode(as_bytes(text))


def printable(text: str) -> str:
    """Return text that cannot move a terminal's cursor, colour it or turn its writing direction."""
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(match[0])
    return short.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
