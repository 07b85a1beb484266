"""JSON that parses and is still not what an engine writes, or does not parse: each wrong value costs only itself."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerindex.stores.disk import ids
from tests.conftest import World, codes, problems, replaced, scanned, serious, table

if TYPE_CHECKING:
    from pathlib import Path


def files(world: World) -> dict[str, Path]:
    """Return the files of a store that hold JSON."""
    return {
        "repositories.json": world.root.repositories_file,
        "image config": world.root.config_file(world.image),
        "config.v2.json": world.root.container_file(world.container),
        "hostconfig.json": world.root.container_file(world.container, "hostconfig.json"),
        "opts.json": world.root.file("volumes/data/opts.json"),
        "sources": world.root.file(f"image/overlay2/distribution/v2metadata-by-diffid/sha256/{world.base.diff_id[7:]}"),
    }


FILES = ("repositories.json", "image config", "config.v2.json", "hostconfig.json", "opts.json", "sources")


def with_content(world: World, file: str, content: bytes) -> Any:  # noqa: ANN401 - a connection, closed by nobody
    """Scan the store with other content in one file."""
    path = files(world)[file]
    with replaced(path):
        path.write_bytes(content)
        return scanned(world.root)


BROKEN = {
    "deep lists": (b"[" * 100_000, "bad-json"),
    "deep and closed": (b"[" * 100_000 + b"]" * 100_000, "bad-json"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "bad-json"),
    "not a number": (b'{"a": NaN}', "bad-json"),
    "beyond a float": (b'{"a": 1e999}', "bad-json"),
    "half a surrogate": (b'{"a": "\\ud800"}', "bad-json"),
    "NUL bytes": (b"\0" * 1000, "bad-json"),
    "two documents": (b"{}{}", "bad-json"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "bad-json"),
    "UTF-16": ('{"a": "caf\u00e9"}'.encode("utf-16"), "bad-text"),
    "a string": (b'"text"', "bad-value"),
    "a number": (b"7", "bad-value"),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("broken", BROKEN)
def test_document_that_is_none(lasting: World, file: str, broken: str) -> None:
    """A file that is not the JSON it must be is a problem with a code of its own."""
    content, code = BROKEN[broken]
    where = str(files(lasting)[file].relative_to(lasting.root.path))
    assert where in [path for path, _ in problems(with_content(lasting, file, content), code)]


def changed(world: World, **values: object) -> bytes:
    """Return the container's config with other values; State's own keys are given as state_<key>."""
    config = copy.deepcopy(dict(world.container.config))
    state = config["State"]
    assert isinstance(state, dict)
    for key, value in values.items():
        (state if key.startswith("state_") else config)[key.removeprefix("state_")] = value
    return json.dumps(config).encode()


@pytest.mark.parametrize("code", [2**63, 2**64, 2**70, -(2**63) - 1, 1.5, "0", True, [], {}])
def test_exit_code_that_is_none(lasting: World, code: object) -> None:
    """An exit code that is no 64-bit integer is NULL and a problem; the container is there."""
    connection = with_content(lasting, "config.v2.json", changed(lasting, state_ExitCode=code))
    assert codes(connection) == {"bad-value"}
    row = ("web", "exited", None, "2023-11-14T22:18:20.000000005Z")
    assert row in table(connection, "name, state, exit_code, started_at", "containers")


TIMES = [
    "99999-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "-001-01-01T00:00:00Z",
    "2023-02-30T00:00:00Z",
    "2023-01-01T25:00:00Z",
    "2023-01-01T00:00:60Z",
    "2023-01-01T00:00:00",
    "2023-01-01 00:00:00Z",
    "2023-01-01T00:00:00+99:99",
    "9999-12-31T23:59:59-01:00",
    "0001-01-01T00:00:00+01:00",
    "\u0662\u0660\u0662\u0663-01-01T00:00:00Z",
    "2023-01-01T00:00:00.1234567890Z",
    "yesterday",
    "a" * 100_000,
    1_700_000_000,
    {"a": []},
]


@pytest.mark.parametrize("time", TIMES, ids=lambda time: str(time)[:30])
def test_time_that_is_none(lasting: World, time: object) -> None:
    """A time that is none is NULL and a problem, in an image and in a container; the rest of both is there."""
    connection = with_content(lasting, "config.v2.json", changed(lasting, Created=time))
    assert codes(connection) == {"bad-value"}
    assert ("web", None, "overlay2") in table(connection, "name, created_at, driver", "containers")
    config = {**json.loads(lasting.image.config), "created": time}
    connection = with_content(lasting, "image config", json.dumps(config).encode())
    assert codes(connection) == {"bad-value", "image-id-mismatch"}
    row = (lasting.image.image_id, None, "amd64", 0)
    assert row in table(connection, "image_id, created_at, architecture, verified", "images")


def test_zero_times_are_none(lasting: World) -> None:
    """Go's zero time stands for never, in each of its spellings."""
    for time in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "", None):
        connection = with_content(lasting, "config.v2.json", changed(lasting, state_StartedAt=time))
        assert codes(connection) == set()
        assert ("web", "created", None) in table(connection, "name, state, started_at", "containers")


def test_image_without_rootfs(lasting: World) -> None:
    """Moby refuses an image without rootfs: a problem, and no image; it is there all the same, and not missing."""
    config = {key: value for key, value in json.loads(lasting.image.config).items() if key != "rootfs"}
    connection = with_content(lasting, "image config", json.dumps(config).encode())
    assert "bad-value" in serious(connection)
    assert "missing-image" not in serious(connection)
    assert lasting.image.image_id not in [name for (name,) in table(connection, "image_id", "images")]


def test_reference_under_two_repositories(lasting: World) -> None:
    """A reference that stands twice is taken once and is a problem the second time."""
    image, other = lasting.image.image_id, lasting.other.image_id
    content = json.dumps({"Repositories": {"a": {"a:1": image}, "b": {"a:1": other, "b:1": other}}})
    connection = with_content(lasting, "repositories.json", content.encode())
    assert problems(connection, "bad-value") == [("image/overlay2/repositories.json", "a:1")]
    found = table(connection, "ref, repository, tag, image_id", "image_refs ORDER BY ref")
    assert found == [("a:1", "a", "1", image), ("b:1", "b", "1", other)]


def test_odd_references(lasting: World) -> None:
    """Names an engine would never write are kept as they are; ids that are none are problems."""
    image = lasting.image.image_id
    names = {
        "": image,
        ":": image,
        "@": image,
        "a\nb:1": image,
        "\x00:1": image,
        "x:1": "sha256:../../etc",
        "y:1": None,
    }
    content = json.dumps({"Repositories": {"": names, "z": None}}).encode()
    connection = with_content(lasting, "repositories.json", content)
    assert [subject for _, subject in problems(connection, "bad-value")] == ["x:1", "y:1"]
    found = sorted(str(ref) for (ref,) in table(connection, "ref", "image_refs"))
    assert found == sorted(["", ":", "@", "a\nb:1", "\x00:1"])


def test_blob_known_without_repository(lasting: World) -> None:
    """A blob whose repository is empty or unknown is one row, whichever of the two files says it."""
    entry = {"Digest": lasting.blob, "SourceRepository": "", "HMAC": ""}
    connection = with_content(lasting, "sources", json.dumps([entry, entry, {"Digest": lasting.blob}]).encode())
    assert codes(connection) == set()
    found = table(connection, "diff_id, digest, source_repository", "layer_blobs")
    assert found == [(lasting.base.diff_id, lasting.blob, "")]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(TIMES[:9]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in a JSON document, the document's own included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, below in inner for place in places(below, (*at, key)))]


def placed(document: object, place: tuple[Any, ...], value: object) -> object:
    """Return the document with another value at one place."""
    if not place:
        return value
    document = copy.copy(document)
    assert isinstance(document, dict | list)
    document[place[0]] = placed(document[place[0]], place[1:], value)
    return document


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=40)
@given(data=st.data())
def test_any_value_anywhere(lasting: World, file: str, data: st.DataObject) -> None:
    """Whatever value stands at whichever key, the scan comes to its end and what is not JSON's is text."""
    document = json.loads(files(lasting)[file].read_bytes())
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(places(document)))
        document = placed(document, place, data.draw(ANYTHING))
    connection = with_content(lasting, file, json.dumps(document).encode())
    assert (lasting.other.image_id,) in table(connection, "image_id", "images")


@given(st.text())
def test_shortened_text_is_one_printable_line(text: str) -> None:
    """What a problem's detail quotes cannot move a cursor and is short."""
    assert ids.shorten(text).isprintable()
    assert len(ids.shorten(text)) < 1300
