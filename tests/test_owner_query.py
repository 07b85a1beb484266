"""The query `owner`: a directory by any of its names, and every reason why it exists."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, query
from tests import exhibits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

    from tests.exhibits import Exhibits

    Row = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Exhibits:
    """Give the database with an example of every case."""
    return exhibits.build(tmp_path_factory.mktemp("owner"))


@pytest.fixture
def connection(store: Exhibits) -> Iterator[Connection]:
    """Give that database as a query sees it."""
    with database.reading(store.path) as opened:
        yield opened


def ask(connection: Connection, store: Exhibits, thing: str | None) -> list[Row]:
    """Return the rows about a thing, with names in the place of ids."""
    result = query.run(connection, catalog.load("owner").sql, {"thing": thing})
    return [
        {column: store.named(value) for column, value in zip(result.columns, row, strict=True)} for row in result.rows
    ]


def directories(connection: Connection, store: Exhibits, thing: str) -> set[Any]:
    """Return the directories that a thing leads to."""
    return {row["directory"] for row in ask(connection, store, thing)}


def test_every_name(connection: Connection, store: Exhibits) -> None:
    """A directory is found by any path, by its name, link, chain_id and diff_id, whole or shortened."""
    app, link = store.id_of("dir:app@web-1"), store.id_of("link:app@web-1")
    chain = store.id_of("chain:app")
    for thing in (
        *(app, app[:12], f"overlay2/{app}", f"/var/lib/docker/overlay2/{app}/diff/srv/app", f"overlay2/{app[:20]}"),
        *(f"/mnt/evidence/overlay2/{app}/merged", link, f"l/{link}", f"overlay2/l/{link}/srv", f"overlay2//{app}"),
        *(chain, chain.removeprefix("sha256:"), chain[:20]),
    ):
        assert {"dir:app@web-1"} == directories(connection, store, thing), thing


def test_a_diff_id_is_every_place_of_it(connection: Connection, store: Exhibits) -> None:
    """The same content at two places of the store is two directories."""
    assert {"dir:app@web-1", "dir:flat@web-1"} == directories(connection, store, store.id_of("diff:app"))


def test_containers_and_mounts(connection: Connection, store: Exhibits) -> None:
    """A writable layer is found by its mount id and by its name in layerdb, and names its container."""
    mount = store.id_of("dir:rw-front@web-1")
    rows = ask(connection, store, store.id_of("container:front"))

    assert {"dir:rw-front@web-1", "dir:rw-front@web-1-init"} == directories(connection, store, mount)
    assert {"dir:rw-front@web-1"} == {row["directory"] for row in rows}
    assert {("container", "container", "container:front", "front")} == {
        (row["role"], row["kind"], row["owner"], row["containers"]) for row in rows
    }
    assert {"dir:image-mount@web-1"} == directories(connection, store, "container-debian_12")


def test_one_row_for_each_reason(connection: Connection) -> None:
    """The rows of a directory are those of overlay_dir_owners, each once."""
    for cache_id, snapshot_id in connection.execute(
        "SELECT cache_id, snapshot_id FROM overlay_dirs JOIN selected_snapshots USING (snapshot_id)"
    ).fetchall():
        owners = connection.execute(
            "SELECT kind, owner FROM overlay_dir_owners WHERE snapshot_id = ? AND cache_id = ? ORDER BY 1, 2",
            (snapshot_id, cache_id),
        ).fetchall()
        rows = query.run(connection, catalog.load("owner").sql, {"thing": cache_id}).rows
        found = [row[2:4] for row in rows if row[0] == cache_id]
        assert (owners or [(None, None)]) == found


def test_layer(connection: Connection, store: Exhibits) -> None:
    """The row of a layer names its chain, its place, and the images and containers that need it."""
    rows = ask(connection, store, store.id_of("dir:db@db-1"))
    (row,) = (row for row in rows if row["kind"] == "layer")

    assert ("layer", "chain:db", "chain:db", "diff:db", 1) == tuple(
        row[column] for column in ("role", "owner", "chain_id", "diff_id", "position")
    )
    assert ("db:16, debian:12", "db", "db-1") == (row["images"], row["containers"], row["host"])


def test_no_reason(connection: Connection, store: Exhibits) -> None:
    """A directory without owners is one row, with the role that follows."""
    (orphan,) = ask(connection, store, store.id_of("dir:orphan@db-1"))

    assert ("orphan", None, None, None) == tuple(orphan[key] for key in ("role", "kind", "owner", "images"))


@pytest.mark.parametrize("thing", ["/", "overlay2/", "overlay2/l/", "nothing", "sha256:", "%", "*", "/etc/passwd"])
def test_nothing(connection: Connection, store: Exhibits, thing: str) -> None:
    """What names no directory finds none."""
    assert [] == ask(connection, store, thing)


def test_build_cache(store: Exhibits, tmp_path: Path) -> None:
    """What BuildKit says of a directory is said."""
    path = shutil.copy(store.path, tmp_path / "copy.db")
    kit = store.id_of("dir:snapshot@web-1")
    insert = (
        "INSERT INTO build_cache (snapshot_id, record_id, cache_id, description, deleting)"
        f" VALUES (2, 'r1', '{kit}', 'mount / from exec make', 0), (2, 'r2', '{kit}', NULL, 0)"
    )
    with database.connect(str(path), "rw") as connection:
        connection.execute(insert)
        rows = ask(connection, store, kit)
    connection.close()

    assert {"r1 mount / from exec make; r2"} == {row["cache_entry"] for row in rows}


def test_runs_in_the_sqlite3_shell(store: Exhibits) -> None:
    """The file runs in the plain shell, with the parameter set there."""
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    app = store.id_of("dir:app@web-1")
    sql = (Path(__file__).resolve().parents[1] / "queries" / "owner.sql").read_bytes()
    command = ["sqlite3", "-readonly", "-bail", "-cmd", f".parameter set :thing '/x/overlay2/{app}/diff/a'", store.path]
    lines = subprocess.run(command, input=sql, capture_output=True, check=True).stdout.decode().splitlines()

    assert {app} == {line.partition("|")[0] for line in lines}
