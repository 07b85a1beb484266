"""Where graph roots may be on a host, and whose the files in a user's are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from layerindex.listings.rules import IdMap, Rules
from layerindex.listings.walk import Walk
from layerindex.stores.containers_storage import GraphRoot, find_stores, graph_roots
from layerindex.stores.disk.files import open_folder
from layerindex.stores.shared.id_maps import id_map_of
from tests.storageroot import StorageRoot

if TYPE_CHECKING:
    from pathlib import Path

USERS = """\
root:x:0:0:root:/root:/bin/bash
toor:x:0:0::/toor:/bin/sh
one:x:1000:1000::/home/one:/bin/bash
two:x:1001:1001::/home/two/:/bin/bash
daemon:x:1:1::/:/usr/sbin/nologin
broken:x:7
relative:x:8:8::home:/bin/sh
again:x:1002:1000::/home/one:/bin/bash
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Give the files of a host with two users."""
    for folder in ("etc/containers", "usr/share/containers", "home/one/.config/containers"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text(USERS)
    return tmp_path


def roots(host: Path) -> list[tuple[str, ...]]:
    """Return the roots with those that lend them images, each as it is on the host."""
    return [
        tuple(each.removeprefix(str(host)) for each in (place.root, *place.additional))
        for place in graph_roots(str(host))
    ]


USUAL = [
    ("/var/lib/containers/storage",),
    ("/home/one/.local/share/containers/storage",),
    ("/home/two/.local/share/containers/storage",),
]


def test_usual_places(host: Path) -> None:
    """Without settings there is the system's, and one below each user's home."""
    assert roots(host) == USUAL


def test_no_users(tmp_path: Path) -> None:
    """A host without a list of users has the system's."""
    assert roots(tmp_path) == USUAL[:1]


def test_runroots(host: Path) -> None:
    """What need not outlive the host is where settings say, by default below /run; a user names the user's own."""
    own = host / "home/one/.config/containers/storage.conf"
    own.write_text('[storage]\nrunroot = "/var/$UID"\n')
    found = [(place.run_root or "").removeprefix(str(host)) for place in graph_roots(str(host))]
    assert found == ["/run/containers/storage", "/var/1000", "/run/user/1001/containers"]
    (host / "var/1000").mkdir(parents=True)
    os.chown(host / "var/1000", 1, 1) if os.getuid() == 0 else (host / "var/1000").rmdir()
    (host / "etc/containers/storage.conf").write_text('[storage]\nrunroot = "/quick"\n')
    found = [(place.run_root or "").removeprefix(str(host)) for place in graph_roots(str(host))]
    assert found[0] == "/quick"
    assert found[1] == ("" if os.getuid() == 0 else "/var/1000")


def test_settings_of_the_system(host: Path) -> None:
    """The later of two settings counts; what lends images is a place of its own."""
    (host / "usr/share/containers/storage.conf").write_text('[storage]\ngraphroot = "/one"\n')
    assert roots(host)[0] == ("/one",)
    (host / "etc/containers/storage.conf").write_text(
        '[storage]\ngraphroot = "/two"\nimagestore = "/images"\nrootless_storage_path = "/users/$USER/${UID}"\n'
        '[storage.options]\nadditionalimagestores = ["/shared", "relative", 7, "/shared"]\n'
    )
    assert roots(host) == [
        ("/two", "/shared", "/images"),
        ("/shared",),
        ("/images",),
        ("/users/one/1000",),
        ("/users/two/1001",),
        ("/users/again/1002",),
    ]


def test_settings_of_a_user(host: Path) -> None:
    """A user's own settings are the user's."""
    (host / "home/one/.config/containers/storage.conf").write_text(
        '[storage]\ngraphroot = "$HOME/mine"\n[storage.options]\nadditionalimagestores = ["$HOME/lent"]\n'
    )
    assert ("/home/one/mine", "/home/one/lent") in roots(host)
    assert ("/home/one/lent",) in roots(host)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[storage",
        b"storage = 7",
        b"[storage]\ngraphroot = 7",
        b'[storage]\ngraphroot = ""',
        b"[[storage]]",
        b"[storage]\na = " + b"9" * 6000,
    ],
)
def test_settings_that_say_nothing(host: Path, content: bytes) -> None:
    """Settings that cannot be understood leave the usual places."""
    (host / "etc/containers/storage.conf").write_bytes(content)
    assert roots(host) == USUAL


def test_account_that_no_call_takes(host: Path) -> None:
    """A line with a NUL is no account."""
    with (host / "etc/passwd").open("ab") as passwd:
        passwd.write(b"\0name:x:1005:1005::/home/three:/bin/sh\nname:x:1006:1006::/home/\0:/bin/sh\n")
    (host / "etc/containers/storage.conf").write_text('[storage]\nrootless_storage_path = "/s/$USER"')
    assert not any("\0" in root for root in roots(host))


def test_settings_that_are_no_file(host: Path) -> None:
    """A fifo, a folder or a link to itself in the place of settings holds nothing up."""
    os.mkfifo(host / "etc/containers/storage.conf")
    (host / "usr/share/containers/storage.conf").mkdir()
    own = host / "home/one/.config/containers/storage.conf"
    own.symlink_to(own)
    assert roots(host) == USUAL


def test_this_host() -> None:
    """The places of this host begin with root's."""
    assert isinstance(graph_roots()[0], GraphRoot)


# IdMap --------------------------------------------------------------------------------------------------------------


def test_id_map(tmp_path: Path) -> None:
    """Inside, a user is root, and the ids set apart for the user are the others in their order."""
    (tmp_path / "subuid").write_text("one:1:2\n4242:100000:65536\nother:7:7\n4242:500000:10\n4242:x:1\n4242:1\n\n")
    (tmp_path / "subgid").write_text("4242:200000:65536\n")
    id_map = id_map_of(4242, 4343, str(tmp_path))
    assert id_map == IdMap(((4242, 1, 0), (100000, 65536, 1), (500000, 10, 65537)), ((4343, 1, 0), (200000, 65536, 1)))
    inside = [IdMap.inside(each, id_map.uids) for each in (4242, 100000, 165535, 500009, 500010, 0)]
    assert inside == [0, 1, 65536, 65546, 500010, 0]
    assert id_map_of(0, 0) is None


def test_id_map_without_files(tmp_path: Path) -> None:
    """Without ids set apart there is the user."""
    assert id_map_of(4242, 4343, str(tmp_path)) == IdMap(((4242, 1, 0),), ((4343, 1, 0),))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files to other users")
def test_walk_of_a_users_files(tmp_path: Path) -> None:
    """A walk tells whose files are inside: of plain files, of folders, of links and of the root."""
    (tmp_path / "tree/folder").mkdir(parents=True)
    (tmp_path / "tree/file").touch()
    (tmp_path / "tree/link").symlink_to("file")
    (tmp_path / "tree/strange").touch()
    for name, uid, gid in (("", 1000, 1000), ("folder", 100004, 1000), ("file", 1000, 100009), ("strange", 7, 7)):
        os.chown(tmp_path / "tree" / name, uid, gid)
    os.chown(tmp_path / "tree/link", 100000, 100000, follow_symlinks=False)
    ranges = ((1000, 1, 0), (100000, 65536, 1))
    rules = Rules.of("overlay", rootless=True)._replace(id_map=IdMap(ranges, ranges))
    found: dict[str, tuple[int, int]] = {}
    handle = open_folder(str(tmp_path / "tree"))
    try:
        for batch in Walk(handle, rules).batches():
            found |= {row[1]: (row[5], row[6]) for row in batch.rows}
            for columns in batch.columns.values():
                uids, gids = (memoryview(columns.values[position]).cast("q") for position in (1, 2))
                found |= dict(zip(columns.names.split("\0"), zip(uids, gids, strict=True), strict=True))
    finally:
        os.close(handle)
    assert found == {"": (0, 0), "folder": (5, 0), "file": (0, 10), "link": (1, 1), "strange": (7, 7)}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a folder to another user")
def test_rules_of_a_user(tmp_path: Path) -> None:
    """In a user's store the user's attributes mark what is opaque, and owners are mapped; not so in root's."""
    root = StorageRoot(tmp_path / "storage")
    (store,) = find_stores(str(root.path))
    assert store.rules.id_map is None
    assert "trusted.overlay.opaque" in store.rules.opaque
    os.chown(root.path / "overlay", 1000, 1001)
    rules = find_stores(str(root.path))[0].rules
    assert rules.id_map is not None
    assert (rules.id_map.uids[0], rules.id_map.gids[0]) == ((1000, 1, 0), (1001, 1, 0))
    assert "user.overlay.opaque" in rules.opaque
