"""What a canned query says where the thing that it is asked about is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex import catalog, query
from layerindex.cli import group
from tests.conftest import program

if TYPE_CHECKING:
    from tests.conftest import World

NAMING = [
    *(("growth", "host"), ("snapshots", "host"), ("fleet-sharing", "host"), ("host-similarity", "host")),
    *(("dirs", "dir"), ("drift", "cache"), ("links", "link"), ("owner", "thing"), ("tag-drift", "tag")),
    *(("first-seen", "image"), ("first-seen", "layer"), ("last-seen", "image"), ("last-seen", "layer")),
    *(("reclaim", "image"), ("reclaim", "container"), ("layers", "layer"), ("images", "image"), ("logs", "container")),
]
"""Queries and their parameters that name a thing."""


@pytest.fixture(scope="module")
def lasting_db(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the database of a store where all is well."""
    db = str(tmp_path_factory.mktemp("named") / "one.db")
    assert program("scan", "-q", "--db", db, "--host", "web-1", str(lasting.root.path)).returncode == 0
    return db


@pytest.mark.parametrize(("name", "param"), NAMING)
def test_what_is_asked_for_is_not_there(lasting_db: str, name: str, param: str) -> None:
    """A parameter that names what is not there is an error that says so, with status 1, and no empty table."""
    kind = catalog.load(name).params[param].type.removeprefix(query.TOLD).removesuffix("s")
    result = CliRunner().invoke(group, ["query", name, "--db", lasting_db, "-p", f"{param}=nope"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: no {kind} 'nope'")
    empty = CliRunner().invoke(group, ["query", name, "--db", lasting_db, "-p", f"{param}="])
    assert (empty.exit_code, empty.stderr) == (0, "")


def test_what_is_asked_for_is_there_and_has_no_row(lasting_db: str, lasting: World) -> None:
    """No row of something that is there is an empty answer, and so is what another parameter leaves out."""
    upper = lasting.container.mount.mount_id
    for words in (
        ("drift", "-p", f"cache={upper[:9]}"),
        ("dirs", "-p", f"dir={upper}", "-p", "role=orphan"),
        ("dirs", "-p", f"dir=l/{lasting.base.link}", "-p", "role=orphan"),
        ("host-similarity", "-p", "host=web-1"),
        ("tag-drift", "-p", "tag=acme/web:1.0"),
        ("tag-drift", "-p", "tag=docker.io/acme/web:1.0"),
        ("problems", "-p", "code=nope"),
    ):
        result = CliRunner().invoke(group, ["query", "--db", lasting_db, *words, "--format", "json"])
        assert (result.exit_code, result.stdout, result.stderr) == (0, "[]\n", ""), words
    near = CliRunner().invoke(group, ["query", "growth", "--db", lasting_db, "-p", "host=web-2"])
    assert near.stderr == "Error: no host 'web-2' (did you mean web-1?); the database has web-1\n"


def test_every_parameter_that_names_a_thing_says_so() -> None:
    """Of these the header tells what it names."""
    words = {"host", "dir", "cache", "link", "thing", "tag", "image", "container", "layer", "a", "b"}
    for name in catalog.names():
        for key, param in catalog.load(name).params.items():
            assert (param.type not in ("text", "integer")) == (key in words), (name, key)
