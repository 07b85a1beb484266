"""What shows at a path where tars leave things unsaid: implied folders, chains of hard links, what is hidden, times."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import database, query
from layerindex.writing import folders
from tests.dataroot import DataRoot, Files, directory, hardlink, opaque, regular, symlink, whiteout
from tests.layer_tars import Member, tar
from tests.test_file_queries import ask, scanned

if TYPE_CHECKING:
    from pathlib import Path

    Row = tuple[Any, ...]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes whiteouts on disk")


class Shop:
    """A store whose images are stacks of tars, and what queries say of it."""

    def __init__(self, folder: Path, driver: str = "overlay2") -> None:
        self.root = DataRoot(folder / "docker", driver, privileged=os.geteuid() == 0)
        self.path = str(folder / "files.db")

    def image(self, tag: str, *tars: bytes) -> None:
        """Add an image of these layers, the base first."""
        top = None
        for content in tars:
            top = self.root.layer(tar=content, parent=top)
        self.root.image(top or (), [tag])

    def ask(self, name: str, columns: str, **params: str | int) -> list[Row]:
        """Scan at the first question, and return some columns of the rows of a canned query."""
        if not os.path.exists(self.path):
            scanned(self.path, self.root.path)
        with database.reading(self.path) as connection:
            return ask(connection, name, columns, **params)


@pytest.fixture(params=[True, False], ids=["folders remembered", "too many folders"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Give an empty store, whose listings are written with and without remembering their folders."""
    if not request.param:
        monkeypatch.setattr(folders, "_REMEMBERED", -1)
    return Shop(tmp_path)


PRIV = tar(Member("priv", "dir", mode=0o700, uid=1000), Member("opq", "dir", mode=0o700), Member("f", data=b"q"))
NEW = tar(Member("priv/new", data=b"n"), Member("opq/.wh..wh..opq"))


def test_folders_that_a_later_tar_only_implies(shop: Shop) -> None:
    """The engine makes them as root's 0755, and that shows; of an opaque marker's folder, too."""
    shop.image("impl:1", PRIV, NEW)
    shop.image("impl2:1", tar(Member("f/x/y", data=b"n")))
    columns = "path type mode uid modified_at"

    assert [
        ("/f", "file", "0644", 0, "2023-11-14T22:13:20Z"),
        ("/opq", "dir", "0755", 0, None),
        ("/priv", "dir", "0755", 0, None),
        ("/priv/new", "file", "0644", 0, "2023-11-14T22:13:20Z"),
    ] == shop.ask("image-files", columns, image="impl:1")
    assert [("type", "/f"), ("only b", "/f/x"), ("only b", "/f/x/y")] == [
        row for row in shop.ask("compare-images", "kind path", a="impl:1", b="impl2:1") if row[1].startswith("/f")
    ]
    assert [(0, "0700"), (1, "0755")] == shop.ask("find-file", "position mode", path="/priv", image="impl:1")
    assert [(3, 2)] == shop.ask("inodes", "inodes dirs")[:1]


def test_an_implied_folder_in_a_setgid_folder(shop: Shop) -> None:
    """The kernel hands the bit down."""
    shop.image("impl:1", tar(Member("g", "dir", mode=0o2700, gid=5), Member("g/h/i/x"), Member("g/o/.wh..wh..opq")))
    expected = [("/g", "2700", 5), *((path, "2755", 0) for path in ("/g/h", "/g/h/i", "/g/o"))]

    assert expected == [
        row for row in shop.ask("image-files", "path mode gid", image="impl:1") if not row[0].endswith("x")
    ]


def test_implied_folders_of_an_engine_that_unpacks_onto_what_is_below(tmp_path: Path) -> None:
    """There mode and owner are those of the layer below, and without one they are not known."""
    shop = Shop(tmp_path, "vfs")
    shop.image("impl:1", PRIV, NEW, tar(Member("priv/x/newer")))

    assert [("/priv", "0700", 1000, 2), ("/priv/x", None, None, 2)] == [
        row
        for row in shop.ask("image-files", "path mode uid position", image="impl:1")
        if row[0] in ("/priv", "/priv/x")
    ]


def test_names_of_implied_folders_that_are_not_utf8(shop: Shop) -> None:
    """Their bytes are kept."""
    shop.image("odd:1", tar(Member(os.fsdecode(b"\xff/\xe9/x"))))

    assert [("/\\xff",), ("/\\xff/\\xe9",), ("/\\xff/\\xe9/x",)] == shop.ask("image-files", "path", image="odd:1")
    with closing(sqlite3.connect(shop.path)) as connection:
        names = connection.execute("SELECT name_raw FROM entries WHERE type = 'dir' ORDER BY 1").fetchall()
        paths = connection.execute("SELECT path_raw FROM directories ORDER BY 1").fetchall()
    assert [(b"\xe9",), (b"\xff",)] == names
    assert [(None,), (b"/\xff",), (b"/\xff/\xe9",)] == paths


CHAIN = tar(
    Member("a", data=b"x" * 100), Member("b", "hardlink", link="a"), Member("c", "hardlink", link="b"),
    Member("d/id_rsa", "hardlink", link="c"),
)  # fmt: skip


def test_a_chain_of_hard_links(shop: Shop) -> None:
    """The bytes show as long as one of the names does, and are waste when none does."""
    cut, all_cut = (
        tar(Member(".wh.a"), Member(".wh.b")),
        tar(Member(".wh.a"), Member(".wh.b"), Member(".wh.c"), Member(".wh.d")),
    )
    shop.image("chain:1", CHAIN, cut)
    shop.image("gone:1", CHAIN, all_cut)
    shop.image("same:1", tar(Member("c", data=b"x" * 100), Member("d/id_rsa", "hardlink", link="c")))

    shown = shop.ask("image-files", "path type size link_target", image="chain:1")
    assert [("/c", "file", 100, None), ("/d", "dir", 0, None), ("/d/id_rsa", "hardlink", 0, "/c")] == shown
    assert [] == shop.ask("deleted-files", "path", image="chain:1")
    assert [] == shop.ask("wasted-space", "path", image="chain:1")
    assert [] == shop.ask("compare-images", "path kind", a="chain:1", b="same:1")
    assert [("/d/id_rsa", 100, 1)] == shop.ask("secrets", "path size visible", image="chain:1")
    assert [("/a", 100)] == shop.ask("deleted-files", "path size", image="gone:1")
    assert [("/a", 100)] == shop.ask("wasted-space", "path wasted_bytes", image="gone:1")


def test_the_view_in_the_sqlite3_shell(tmp_path: Path) -> None:
    """What an image or container shows is one SELECT, by any of its names, and that of its newest snapshot."""
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    shop = Shop(tmp_path)
    shop.image("acme/web:1.0", CHAIN, tar(Member(".wh.a"), Member("d/.wh..wh..opq"), Member("new", data=b"12")))
    image = shop.root.image(shop.root.layer(tar=CHAIN), ["box:1"])
    shop.root.container(image, name="box", files={"d/id_rsa": b"0", "f": b"1"})
    shop.ask("images", "image_id")
    shop.root.image(shop.root.layer(tar=tar(Member("later"))), ["acme/later:1.0"])
    scanned(shop.path, shop.root.path)

    def shell(sql: str) -> list[list[str]]:
        command = ["sqlite3", "-readonly", "-bail", "-csv", shop.path, sql]
        return list(csv.reader(io.StringIO(subprocess.run(command, capture_output=True, check=True, text=True).stdout)))

    expected = [["/b", "100"], ["/c", "0"], ["/d", "0"], ["/new", "2"]]
    for name in ("acme/web:1.0", "docker.io/acme/web:1.0"):
        assert expected == shell(f"SELECT path, size FROM image_files WHERE image = '{name}' ORDER BY path")
    assert [["/later"]] == shell("SELECT path FROM image_files WHERE image = 'acme/later:1.0'")
    own = "container = 'box' AND role = 'container' AND type = 'file'"
    assert [["/d/id_rsa", "1"], ["/f", "1"]] == shell(f"SELECT path, size FROM container_files WHERE {own} ORDER BY 1")
    with database.reading(shop.path) as connection:
        query.select_snapshots(connection, [], ["1"])
        assert [] == connection.execute("SELECT path FROM image_files WHERE image = 'acme/later:1.0'").fetchall()
        assert 4 == len(connection.execute("SELECT path FROM image_files WHERE image = 'acme/web:1.0'").fetchall())


def test_a_hard_link_is_what_it_names(shop: Shop) -> None:
    """A second name of a symlink is a symlink, of a fifo a fifo: no file differs, none runs as its owner."""
    links = (Member("l", "symlink", link="/t"), Member("p", "fifo", mode=0o4755))
    shop.image(
        "linked:1", tar(*links, Member("l2", "hardlink", link="l"), Member("p2", "hardlink", link="p", mode=0o4755))
    )
    shop.image("plain:1", tar(*links, Member("l2", "symlink", link="/t"), Member("p2", "fifo", mode=0o4755)))
    shop.image("file:1", tar(*links, Member("l2"), Member("p2", mode=0o4755)))
    shop.image("setuid:1", tar(Member("s", data=b"12", mode=0o4755), Member("s2", "hardlink", link="s", mode=0o4755)))

    assert [] == shop.ask("compare-images", "kind path", a="linked:1", b="plain:1")
    assert [("type", "/l2"), ("type", "/p2")] == shop.ask("compare-images", "kind path", a="linked:1", b="file:1")
    assert [("/p2", 0), ("/s", 2), ("/s2", 2)] == shop.ask("suid", "path size")


def test_under_is_no_pattern(shop: Shop) -> None:
    """A folder with brackets in its name is itself, and no other."""
    shop.image("next:1", tar(*(Member(name) for name in ("app/[id]/x", "app/[id]/sub/y", "app/i/WRONG", "app/[id]2"))))
    expected = [("/app/[id]",), ("/app/[id]/sub",), ("/app/[id]/sub/y",), ("/app/[id]/x",)]

    assert expected == shop.ask("image-files", "path", image="next:1", under="/app/[id]")
    assert expected == shop.ask("image-files", "path", image="next:1", under="/app/[id]/")
    assert 8 == len(shop.ask("image-files", "path", image="next:1", under="/"))


# Containers -----------------------------------------------------------------------------------------------------------


def changed(shop: Shop, layers: list[Files], files: Files) -> list[Row]:
    """Return what a container changed that has these files of its own."""
    top = None
    for layer in layers:
        top = shop.root.layer(layer, parent=top)
    shop.root.container(shop.root.image(top or (), ["base:1"]), name="box", files=files)
    return shop.ask("container-changes", "kind path", container="box")


BELOW: Files = {"d/e/f": b"1", "d/g": b"2"}


@only_root
@pytest.mark.parametrize(
    ("hiding", "own", "expected"),
    [
        ({"d": whiteout()}, {"d": directory()}, ["A /d"]),
        ({"d": whiteout()}, {"d/e/n": b"x", "d/g": b""}, ["A /d", "A /d/e", "A /d/e/n", "A /d/g"]),
        ({"d": opaque(), "d/k": b"k"}, {"d/e": directory()}, ["C /d", "A /d/e"]),
        ({"d": b"file"}, {"d": whiteout()}, ["D /d"]),
        ({"d": b"file"}, {"d/e": directory()}, ["C /d", "A /d/e"]),
        ({}, {"d/e": directory(mode=0o700)}, ["C /d", "C /d/e"]),
    ],
)
def test_what_a_lower_layer_hid_is_added(shop: Shop, hiding: Files, own: Files, expected: list[str]) -> None:
    """Whatever hides entries in an image hides them from a container's changes too."""
    assert expected == [f"{kind} {path}" for kind, path in changed(shop, [BELOW, hiding], own)]


def test_a_new_name_of_a_hard_linked_symlink_is_no_change_of_type(shop: Shop) -> None:
    """The kernel copies up one name; it is a symlink as before."""
    shop.image(
        "linked:1",
        tar(Member("d", "dir", mode=0o755), Member("d/a", "symlink", link="/t"), Member("d/b", "hardlink", link="d/a")),
    )
    image = shop.root.image(
        shop.root.layer(
            tar=tar(
                Member("d", "dir", mode=0o755),
                Member("d/a", "symlink", link="/t", mode=0o777),
                Member("d/b", "hardlink", link="d/a"),
            )
        ),
        ["x:1"],
    )
    shop.root.container(image, name="box", files={"d/b": symlink("/t", mtime=1_700_000_000)})

    assert [] == shop.ask("container-changes", "kind path", container="box")


def test_copies_whose_content_was_not_compared(shop: Shop) -> None:
    """Equal size and time is what is said of them; same only of what has no content, or an equal one."""
    image = shop.root.image(
        shop.root.layer({"f": b"AAAA", "mode": b"1234", "empty": b"", "g": b"123", "h": hardlink("g")}), ["x:1"]
    )
    own: Files = {"a": b"BBB\n", "f": hardlink("a"), "mode": regular(b"1234", mode=0o600), "empty": b"", "h": b"123"}
    shop.root.container(image, name="box", files=own)
    shop.ask("copied-up", "path")
    expected = {
        "/f": "size and time agree",
        "/mode": "metadata, size and time agree",
        "/empty": "same",
        "/h": "size and time agree",
    }

    assert expected == dict(shop.ask("copied-up", "path change", container="box"))
    with closing(sqlite3.connect(shop.path)) as connection, connection:
        connection.execute(
            """UPDATE entries SET content_crc64 = (
                 SELECT o.content_crc64 FROM entries AS o WHERE o.name = entries.name AND o.content_crc64 IS NOT NULL)
               WHERE name IN ('f', 'mode') AND content_crc64 IS NULL"""
        )
    assert {**expected, "/f": "same", "/mode": "metadata"} == dict(
        shop.ask("copied-up", "path change", container="box")
    )


# Times ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache_id", "driver", "years"),
    [
        (None, "overlay2", [1970, 1970, 1969]),
        ("k" * 25, "overlay2", [1969, 1969, 1969]),
        (None, "vfs", [1970, 1970, 1969]),
    ],
)
def test_times_before_1970(tmp_path: Path, cache_id: str | None, driver: str, years: list[int]) -> None:
    """Unpacking clamps them, but not a symlink's; a directory that BuildKit made is not unpacked."""
    shop = Shop(tmp_path, driver)
    old = -1000.5
    content = tar(Member("d", "dir", mtime=old), Member("f", mtime=old), Member("l", "symlink", link="x", mtime=old))
    shop.root.image(shop.root.layer(tar=content, cache_id=cache_id), ["old:1"])

    assert years == [int(time[:4]) for (time,) in shop.ask("image-files", "modified_at", image="old:1")]
