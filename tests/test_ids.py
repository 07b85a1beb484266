"""Ids and times keep to their specifications."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerindex import shapes
from layerindex.stores.disk import ids

if TYPE_CHECKING:
    import re

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}")


def test_chain_id() -> None:
    """A base's chain id is its diff_id; above, it is the digest of both with one space between."""
    assert ids.chain_id(None, A) == A
    assert ids.chain_id(A, B) == "sha256:" + hashlib.sha256(f"{A} {B}".encode()).hexdigest()


def test_chain_id_as_the_shell_computes_it() -> None:
    """The chain of two layers is what `printf '%s %s' $diff0 $diff1 | sha256sum` prints."""
    assert ids.chain_ids([A, B]) == [A, "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"]


@given(st.lists(DIGESTS, max_size=6))
def test_chain_ids(diff_ids: list[str]) -> None:
    """Each position's chain id depends on all diff_ids up to it, and on nothing above."""
    chains = ids.chain_ids(diff_ids)
    assert len(chains) == len(diff_ids)
    assert chains[:1] == diff_ids[:1]
    assert all(ids.chain_ids(diff_ids[: end + 1]) == chains[: end + 1] for end in range(len(diff_ids)))
    assert all(
        chain == ids.sha256(f"{below} {diff_id}".encode())
        for below, diff_id, chain in zip(chains, diff_ids[1:], chains[1:], strict=False)
    )


def test_one_layer_twice_has_two_chains() -> None:
    """The same content at two positions are two layers."""
    assert len(set(ids.chain_ids([A, A, A]))) == 3


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"),
        ("2023-11-14T22:13:20.123456789Z", "2023-11-14T22:13:20.123456789Z"),
        ("2023-11-14T22:13:20.5+01:00", "2023-11-14T21:13:20.5Z"),
        ("2023-12-31T23:59:59.999999999-05:30", "2024-01-01T05:29:59.999999999Z"),
        ("2023-11-14t22:13:20z", "2023-11-14T22:13:20Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("0001-01-01T00:00:01Z", "0001-01-01T00:00:01Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_timestamp(written: str | None, read: str | None) -> None:
    """A time is given in UTC with its fraction as written; Go's zero time and nothing are none."""
    assert ids.timestamp(written) == read


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001


@given(MOMENTS)
def test_timestamps_of_all_zones(moment: datetime) -> None:
    """Every moment is the same moment in UTC, at whatever precision and in whatever zone it was written."""
    found = ids.timestamp(moment.isoformat())
    assert found is not None
    assert datetime.fromisoformat(found) == moment.astimezone(UTC)
    assert found.endswith("Z")


@given(st.text(max_size=40) | st.integers() | st.floats() | st.lists(st.text(), max_size=2))
def test_anything_as_a_time(value: object) -> None:
    """What is no time raises ValueError and nothing else."""
    try:
        found = ids.timestamp(value)
    except ValueError:
        return
    assert found is None or found.endswith("Z")


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        (shapes.DIGEST, [A], ["a" * 64, "sha256:" + "A" * 64, "sha512:" + "a" * 64, A + "\n", A[:-1], " " + A]),
        (shapes.MOUNT_ID, ["a" * 64, "a" * 64 + "-init"], ["a" * 63, "a" * 64 + "-init-init", "a" * 64 + "\n"]),
        (
            shapes.LINK,
            ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "2" * 26],
            ["A" * 25, "a" * 26, "A" * 26 + "\n", "0" * 26, "1" * 26],
        ),
        (shapes.CACHE_ID, ["a" * 64, "0" * 25, "a.b-c_D"], ["", ".", "..", ".a", "a/b", "a\0", "a\n", "-a", "a" * 256]),
        (
            shapes.REMOVING,
            ["a" * 64 + "-" + "0" * 64 + "-removing"],
            ["a" * 64 + "-removing", "a" * 64 + "-x-removing"],
        ),
        (shapes.LINK_TARGET, ["../abc/diff"], ["../../diff", "../a/diff/", "../a/b/diff", "/a/diff", "../a/diff\n"]),
    ],
    ids=["digest", "mount-id", "link", "cache-id", "removing", "target"],
)
def test_shapes(shape: re.Pattern[str], good: list[str], bad: list[str]) -> None:
    """Each kind of id is known by its shape, to the last character."""
    assert [text for text in good if not shape.fullmatch(text)] == []
    assert [text for text in bad if shape.fullmatch(text)] == []


def test_shaped() -> None:
    """An id without its shape raises, quoted in one short line."""
    assert ids.shaped(shapes.DIGEST, A) == A
    with pytest.raises(ValueError, match=r"'\\x1b\\n' does not have the shape") as raised:
        ids.shaped(shapes.DIGEST, "\x1b\n")
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="does not have the shape") as raised:
        ids.shaped(shapes.DIGEST, "x" * 5000)
    assert len(str(raised.value)) < 300


def test_numbers() -> None:
    """Numbers are integers that SQLite can hold; a flag is none."""
    assert [ids.number(value) for value in (None, 0, -(2**63), 2**63 - 1)] == [None, 0, -(2**63), 2**63 - 1]
    for value in (2**63, -(2**63) - 1, True, 1.0, "1", [1]):
        with pytest.raises(ValueError, match="is no 64-bit integer"):
            ids.number(value)


def test_text_lists_and_objects() -> None:
    """Text, lists and objects are none when absent, and nothing else passes for them."""
    assert (ids.text("a"), ids.text(""), ids.text(None)) == ("a", None, None)
    assert (ids.sequence([1]), ids.sequence(None)) == ([1], [])
    assert (ids.mapping({"a": 1}), ids.mapping(None)) == ({"a": 1}, {})
    for check, value in ((ids.text, 1), (ids.sequence, {}), (ids.sequence, "ab"), (ids.mapping, [])):
        with pytest.raises(ValueError, match="is no"):
            check(value)
