"""Names from disk keep their bytes as text, and cannot reach a terminal's controls."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerindex.names import as_bytes, as_text, from_os, on_disk, printable

# Bytes that meet the escapes' own letters far more often than chance would.
PIECES = st.sampled_from(
    [b"\\", b"\\\\", b"x", b"\\x", b"ff", b"\\xff", b"\\x7f", b"\xff", b"\xc3\xa9", b"a", b"\n", b"\x1b"]
)
NAMES = st.binary(max_size=12) | st.lists(PIECES, max_size=8).map(b"".join)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (b"caf\xe9", r"caf\xe9"),
        (b"C:\\dir", r"C:\dir"),
        (rb"\xff", r"\\xff"),
        (rb"\x7f", r"\x7f"),
        (b"\\\xff", r"\\\xff"),
        (b"two\nlines", "two\nlines"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),
    ],
)
def test_as_text(name: bytes, text: str) -> None:
    """UTF-8 stands for itself, other bytes are escaped, and what looks escaped is marked as it is."""
    assert as_text(name) == text
    assert as_bytes(text) == name


@given(NAMES)
def test_bytes_come_back(name: bytes) -> None:
    """Every name can be had back from its text, which SQLite can hold."""
    assert as_bytes(as_text(name)) == name
    as_text(name).encode()


@given(NAMES, NAMES)
def test_names_stay_distinct(one: bytes, other: bytes) -> None:
    """Two names have one text only if they are one name."""
    assert (as_text(one) == as_text(other)) == (one == other)


@given(NAMES)
def test_listed_names(name: bytes) -> None:
    """A name as Python lists it has the same text as its bytes, and leads back to the same file."""
    assert from_os(os.fsdecode(name)) == as_text(name)
    assert on_disk(as_text(name)) == os.fsdecode(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e9 \U0001f600", "plain \u00e9 \U0001f600"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31m\x07\x7f\x9b", r"\x1b[31m\x07\x7f\x9b"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\u2028\ufeff\u200f", r"\u2028\ufeff\u200f"),
        ("\udcff", r"\udcff"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """Controls, line separators and marks that turn the writing direction are shown as escapes."""
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_is_one_line_without_controls(text: str) -> None:
    """Whatever a name holds, what is shown is one line and can be encoded."""
    shown = printable(text)
    assert shown.splitlines() in ([shown], [])
    assert all(ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0 for char in shown)
    shown.encode()
