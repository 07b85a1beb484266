"""The files that the index lists are those that the engine, its tars and its containers have."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from fastcrc.crc64 import go_iso

from layerindex.names import as_bytes

from .archives import Member, pack
from .conftest import new_engine
from .engine import BUSYBOX
from .program import CHECKOUT, PROGRAM_SECONDS, Index, layerindex, scan
from .store import BUILDKIT, CLASSIC, FOREVER, RUN, build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .engine import Engine

pytestmark = pytest.mark.engine

GNU, PAX = "gnu:1", "pax:1"
SPARSE = {"sparse:pax": "posix"}
"""An image whose sparse member is sparse in the tar too, so that no engine can save it; GNU's form it refuses."""
BUILT = {"classic:1": (GNU, CLASSIC), "kit:1": (PAX, BUILDKIT)}
IMAGES = (GNU, PAX, *BUILT)
APPLETS = ("sh", "sleep", "rm", "mkdir", "chmod", "chown", "ln", "mv", "cat", "touch", "mkfifo", "true")
STEPS = (
    "rm /w/gone /every/latin*",
    "rm -r /w/remade && mkdir /w/remade && echo new > /w/remade/new",
    "chmod 600 /w/mode && chmod 700 /w/modedir && chmod 4711 /links/b",
    "rm -r /w/tofile /w/tolink && echo file > /w/tofile && ln -s remade /w/tolink",
    "echo again > /w/gone && rm -r /w/remade && mkdir -p /w/remade/sub && echo newer > /w/remade/sub/newer",
    "rm -r /w/tofile && mkdir /w/tofile && echo other > /w/tofile/other && rm /links/a && chown 7:8 /w/modedir/inside",
    "mv /w/moved /w/elsewhere && ln /w/mode /w/linked && mkfifo /w/pipe && rm /every/linked",
)
CHANGES = {
    "delete": "rm /w/again && rm -r /c/whole",
    "opaque": "rm -r /c/remade && mkdir /c/remade && echo new > /c/remade/new",
    "opaque-same-names": "rm -r /c/same && mkdir -p /c/same/sub && echo old > /c/same/old",
    "chmod": "chmod 640 /c/keep/deep/file && chmod 711 /c/onlydir",
    "edit": "echo more >> /c/edit/file",
    "owner": "chown 7:8 /c/owned && chown -h 7:8 /every/long",
    "touch": "touch -t 202001020304.05 /c/touched",
    "open": "true >> /c/opened",
    "to-file": "rm -r /c/tofile && echo file > /c/tofile",
    "to-link": "rm -r /c/tolink && ln -s remade /c/tolink",
    "to-folder": "rm /c/todir && mkdir /c/todir && echo in > /c/todir/in",
    "re-create": "rm /c/again && echo again > /c/again",
    "re-create-deleted": "rm -r /w/tofile && mkdir /w/tofile && echo 3 > /w/tofile/inside",
    "add": "mkdir -p /new/a/b && echo 1 > /new/a/b/c && ln /new/a/b/c /new/hard && mkfifo /new/pipe && ln -s /x /new/l",
    "names": "echo 1 > '/new/a\nline' && rm /c/*odd",
    "links": "rm /every/absolute && ln -s /else /every/absolute && rm /every/within && ln -s setuid /every/within",
    "broken-link": "rm /every/nowhere && ln -s /also/nowhere /every/nowhere",
    "hard-link": "echo more >> /links/c",
    "into-removed": "echo 1 > /c/deep/er/new && rm /c/deep/er/new",
}
FAR = {"after-2100": 4_102_444_900, "after-2262": 10_000_000_000, "before-1970": -31_536_000, "epoch": 0}
LAST_SECOND = 9_223_372_036
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
ADDED = {
    *("/.dockerenv", "/dev/console", "/dev/pts", "/dev/shm", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
    *("/etc/mtab", "/proc", "/sys"),
}
"""What the engine puts into every container; it touches the folders that these are in."""
TOUCHED = {b"/etc", b"/dev"}
KINDS = {0: "C", 1: "A", 2: "D"}
TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


class Entry(NamedTuple):
    """One file or folder, as a tar member or as a row."""

    type: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    mtime: tuple[int, int] | None = None
    link: bytes | None = None
    device: str | None = None
    crc: int | None = None
    opaque: bool = False
    xattrs: tuple[str, ...] = ()
    capability: bytes | None = None


# The store ---------------------------------------------------------------------------------------------------------


def make_tree(tree: Path) -> None:
    """Make a folder with every kind of entry, and files that later steps and containers change."""
    files = {name: name for name in ("w/gone", "w/mode", "w/again", "w/moved/in/file", "w/modedir/inside")}
    files |= {f"w/{name}": name for name in ("remade/old", "remade/sub/older", "tofile/inside", "tolink/inside")}
    files |= {f"c/{name}": name for name in ("whole/a/b", "remade/old", "same/old", "same/sub/x", "keep/deep/file")}
    files |= {f"c/{name}": name for name in ("onlydir/x", "edit/file", "tofile/x", "tolink/x", "todir", "again")}
    files |= {f"c/{name}": name for name in ("owned", "touched", "opened")}
    files |= {"c/deep/er/x": "x", "etc/passwd": "root:x:0:0::/:/bin/sh\n", "every/empty": ""}
    files |= {f"every/{name}": name for name in ("setuid", "capable", "noted", "owned", "new\nline", "tab\there", *FAR)}
    files |= {f"every/{name}": name for name in ("back\\slash", "like\\xff", "naïve \U0001f600", "n" * 255, " space ")}
    files |= {"/".join(letter * 200 for letter in "xyz") + "/file": "deep", "links/a": "linked\n", "alone/s": "s"}
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    for raw in (b"every/latin-\xe9\xff", b"every/other-\xff\xe9", b"c/\xffodd"):
        Path(os.fsdecode(os.fsencode(tree) + b"/" + raw)).write_bytes(b"raw")
    (tree / "bin").mkdir()
    (tree / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (tree / "bin/busybox").chmod(0o755)
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    every = tree / "every"
    os.link(tree / "links/a", tree / "links/b")
    os.link(tree / "links/a", tree / "links/c")
    os.link(tree / "links/a", tree / "links/d")
    os.link(tree / "links/a", every / "linked")
    with (every / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 20)
        sparse.seek(1 << 19)
        sparse.write(b"data")
    os.mkfifo(every / "fifo")
    os.mknod(every / "null", 0o20666, os.makedev(1, 3))
    os.mknod(every / "loop", 0o60660, os.makedev(7, 300))
    for name, target in {
        "absolute": "/etc/passwd",
        "escaping": "../../../../../../etc/shadow",
        "nowhere": "no/where",
        "within": "setuid",
        "long": "t" * 200,
    }.items():
        (every / name).symlink_to(target)
    os.symlink(b"/to/\xff", os.fsencode(every / "odd-link"))
    for name, mode in {"sticky": 0o1777, "setgid": 0o2775, "void": 0o000}.items():
        (every / name).mkdir()
        (every / name).chmod(mode)
    os.chown(every / "owned", 3_000_000, 2_500_000)
    (every / "setuid").chmod(0o4755)
    os.setxattr(every / "capable", "security.capability", CAPABILITY)
    os.setxattr(every / "noted", "user.note", b"a\0b")
    for name, second in FAR.items():
        os.utime(every / name, ns=(0, second * 10**9 + 123_456_789))


def pack_tree(tree: Path, *options: str) -> bytes:
    """Return the tar that GNU tar makes of a folder."""
    command = ["tar", *options, "--sort=name", "-C", str(tree), "-cf", "-", "."]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def fill(engine: Engine) -> None:
    """Import the tree from tars of two formats, build on both, and change containers of what was built."""
    tree = engine.folder / "tree"
    tree.mkdir()
    make_tree(tree)
    engine.docker("import", "-", GNU, input=pack_tree(tree, "--format=gnu"))
    engine.docker("import", "-", PAX, input=pack_tree(tree, "--format=posix", "--xattrs", "--xattrs-include=*"))
    for image, form in SPARSE.items():
        engine.docker("import", "-", image, input=pack_tree(tree / "every", f"--format={form}", "--sparse"))
    with ThreadPoolExecutor() as pool:
        for lane in [pool.submit(_lane, engine, image) for image in BUILT]:
            lane.result()


def _lane(engine: Engine, image: str) -> None:
    base, env = BUILT[image]
    steps = [f"RUN {step}" for step in STEPS]
    build(engine, image, "\n".join([f"FROM {base}", "COPY app /srv/app", *steps, ""]), {"app": b"app\n"}, env)
    name = image.partition(":")[0]
    script = " && ".join(CHANGES.values())
    engine.docker("run", *RUN, "--name", f"{name}-ended", image, "sh", "-c", script)
    engine.docker("run", "-d", *RUN, "--name", f"{name}-runs", image, *FOREVER)
    engine.docker("exec", f"{name}-runs", "sh", "-c", script)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give a running engine with the store of these tests."""
    with new_engine() as started:
        fill(started)
        subprocess.run(["sync", "-f", str(started.root)], check=True, timeout=60)
        yield started


def walk(root: Path, db: Path) -> Index:
    """Scan a root with both witnesses."""
    layerindex("scan", root, "--db", db, "--host", "h1", "-q", "--walk")
    return Index(db)


@pytest.fixture(scope="module")
def plain(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of a scan that reads layers from their tar-splits."""
    return scan(engine.root, tmp_path_factory.mktemp("plain") / "db")


@pytest.fixture(scope="module")
def walked(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of a scan that walks all directories."""
    return walk(engine.root, tmp_path_factory.mktemp("walked") / "db")


@pytest.fixture(scope="module")
def saved(engine: Engine) -> dict[str, bytes]:
    """Give the layers of `docker save`, by diff_id."""
    path = engine.folder / "saved.tar"
    engine.docker("save", "-o", path, *IMAGES)
    layers = {}
    with tarfile.open(path) as archive:
        for image in json.load(archive.extractfile("manifest.json") or io.BytesIO()):
            for name in image["Layers"]:
                member = archive.extractfile(name)
                assert member
                content = member.read()
                layers[f"sha256:{hashlib.sha256(content).hexdigest()}"] = content
    return layers


# What tars and rows say --------------------------------------------------------------------------------------------


def below_root(name: bytes) -> bytes:
    """Return a tar's name as a path from the root."""
    return b"/" + b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


def clamp(seconds: int, nanoseconds: int) -> tuple[int, int]:
    """Return a time as Docker writes it to disk."""
    return (seconds, nanoseconds) if 0 <= seconds < LAST_SECOND else (0, 0)


def read_tar(content: bytes) -> dict[bytes, Entry]:
    """Return the members of a tar by their paths."""
    members = {}
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            data = archive.extractfile(info) if info.isreg() else None
            members[below_root(os.fsencode(info.name))] = _member(info, data.read() if data else None)
    return members


def _member(info: tarfile.TarInfo, content: bytes | None) -> Entry:
    kind = TYPES[info.type]
    seconds, _, fraction = info.pax_headers.get("mtime", str(int(info.mtime))).partition(".")
    link = os.fsencode(info.linkname)
    prefix = "SCHILY.xattr."
    xattrs = {key[len(prefix) :]: value for key, value in info.pax_headers.items() if key.startswith(prefix)}
    return Entry(
        kind,
        info.mode & 0o7777,
        info.uid,
        info.gid,
        {"file": info.size, "symlink": len(link)}.get(kind, 0),
        clamp(int(seconds), int(fraction[:9].ljust(9, "0"))) if seconds[0] != "-" else (0, 0),
        {"symlink": link, "hardlink": below_root(link)}.get(kind),
        f"{info.devmajor}:{info.devminor}" if kind in ("char", "block") else None,
        None if content is None else go_iso(content),
        xattrs=tuple(sorted(xattrs)),
        capability=os.fsencode(xattrs["security.capability"]) if "security.capability" in xattrs else None,
    )


def without_markers(members: Mapping[bytes, Entry]) -> dict[bytes, Entry]:
    """Return a layer's members with what AUFS' names for deletions stand for."""
    found = {path: entry for path, entry in members.items() if b"/.wh." not in path}
    for path in members:
        folder, _, name = path.rpartition(b"/")
        if name == b".wh..wh..opq":
            found[folder] = found[folder]._replace(opaque=True)
        elif name.startswith(b".wh."):
            found[folder + b"/" + name.removeprefix(b".wh.")] = Entry("whiteout")
    return found


def listing(index: Index, listing_id: int) -> dict[bytes, Entry]:
    """Return the rows of a listing by their paths."""
    sql = """SELECT coalesce(d.path_raw, d.path), coalesce(e.name_raw, e.name), type, mode, uid, gid, size, mtime,
               coalesce(mtime_ns, 0), coalesce(link_target_raw, link_target), device, content_crc64, opaque, xattrs,
               capability
             FROM entries AS e JOIN directories AS d USING (directory_id) WHERE listing_id = ?"""
    found = {}
    for folder, name, kind, mode, uid, gid, size, mtime, rest, link, device, crc, opaque, xattrs, cap in index.rows(
        sql, listing_id
    ):
        entry = Entry(kind)
        if kind != "whiteout":
            unsigned = None if crc is None else crc % (1 << 64)
            time, target = (mtime, rest), None if link is None else raw(link)
            names = tuple(json.loads(xattrs or "[]"))
            entry = Entry(kind, mode, uid, gid, size, time, target, device, unsigned, opaque == 1, names, cap)
        found[below_root(raw(folder) + b"/" + raw(name))] = entry
    return found


def raw(value: str | bytes) -> bytes:
    """Return a name's bytes, which are in a column of their own where they are not UTF-8."""
    return value if isinstance(value, bytes) else value.encode()


def path_bytes(text: str) -> bytes:
    """Return the bytes of a path that a query printed."""
    return b"/".join(map(as_bytes, text.split("/")))


def linked(entries: Mapping[bytes, Entry]) -> tuple[dict[bytes, Entry], set[frozenset[bytes]]]:
    """Give each name of a hard link what its first name has; return also the sets of names."""
    sets: dict[bytes, set[bytes]] = {}
    found = dict(entries)
    for path, entry in entries.items():
        if entry.type == "hardlink":
            first = entry.link or b""
            sets.setdefault(first, {first}).add(path)
            found[path] = entries[first]
    return found, {frozenset(names) for names in sets.values()}


# Layers ------------------------------------------------------------------------------------------------------------


def test_both_witnesses_agree(walked: Index) -> None:
    """On a store that nobody touched, no layer's directory differs from its tar-split."""
    sql = """SELECT count(*), count(disk_bytes), count(listing_id) FROM overlay_dirs WHERE role = 'layer'"""
    [counts] = walked.rows(sql)

    assert len(set(counts)) == 1
    assert counts[0] >= 2 + len(SPARSE) + len(BUILT) * (len(STEPS) + 1)
    assert [] == walked.rows("SELECT cache_id, path, kind, expected, found FROM drift")
    assert [] == walked.query("drift")


def test_listing_has_no_problems(plain: Index, walked: Index) -> None:
    """A store that an engine made and runs gives no problem worse than a note."""
    for index in (plain, walked):
        assert [] == index.rows("SELECT * FROM problems WHERE severity <> 'info'")


def test_layers_are_the_tars_of_docker_save(plain: Index, saved: dict[str, bytes]) -> None:
    """Each layer has the rows of its tar, in every column."""
    ids = dict(plain.rows("SELECT DISTINCT diff_id, listing_id FROM layers"))

    assert saved.keys() <= ids.keys()
    # Steps of both builders that fell into one second may give one layer.
    assert 2 + len(BUILT) * (len(STEPS) + 1) >= len(saved) > 2 + len(STEPS)
    for diff_id, content in saved.items():
        assert without_markers(read_tar(content)) == listing(plain, ids[diff_id]), diff_id


def test_store_holds_every_case(plain: Index, saved: dict[str, bytes]) -> None:
    """The layers have each kind of entry, so that no test passes on nothing."""
    entries = [entry for tar in saved.values() for entry in without_markers(read_tar(tar)).values()]
    names = {path for tar in saved.values() for path in read_tar(tar)}

    assert {*TYPES.values(), "whiteout"} == {entry.type for entry in entries}
    assert any(entry.opaque for entry in entries)
    assert any(entry.capability == CAPABILITY for entry in entries)
    assert any("user.note" in entry.xattrs for entry in entries)
    assert any((entry.mode or 0) & 0o4000 for entry in entries)
    assert any(b"\xff" in name for name in names)
    assert any(b"\n" in name for name in names)
    assert any(len(name) > 600 for name in names)
    assert [(1,)] == plain.rows("SELECT count(*) FROM entries WHERE sparse")


# Images and containers ---------------------------------------------------------------------------------------------


def exported(engine: Engine, image: str) -> tuple[dict[bytes, Entry], set[frozenset[bytes]]]:
    """Return what a fresh container of an image shows, less what the engine adds."""
    name = f"fresh-{image.replace(':', '-')}"
    engine.docker("create", *RUN, "--name", name, image, "/none")
    path = engine.folder / f"{name}.tar"
    try:
        engine.docker("export", "-o", path, name)
    finally:
        engine.docker("rm", name)
    entries, sets = linked(read_tar(path.read_bytes()))
    return {path: shown(path, entry) for path, entry in entries.items() if path != b"/" and not added(path)}, sets


def added(path: bytes) -> bool:
    """Say whether the engine brought a path that no layer has."""
    return path.decode(errors="replace") in ADDED


def shown(path: bytes, entry: Entry) -> Entry:
    """Return what `image-files` can show of an entry: seconds, and neither devices nor attributes."""
    time = None if path in TOUCHED or entry.mtime is None else (entry.mtime[0], 0)
    return entry._replace(mtime=time, device=None, opaque=False, xattrs=(), capability=None)


@pytest.mark.parametrize("image", IMAGES)
def test_image_files_are_what_a_fresh_container_shows(engine: Engine, plain: Index, image: str) -> None:
    """`image-files` has each path of `docker export`, with its owner, mode, size, time, target and content."""
    expected, expected_sets = exported(engine, image)
    found: dict[bytes, Entry] = {}
    for row in plain.query("image-files", image=image):
        path, link = path_bytes(row["path"]), row["link_target"]
        if path in {b"/", b"/dev"} or added(path):
            continue
        time = int(datetime.fromisoformat(row["modified_at"]).timestamp())
        target = None if link is None else path_bytes(link)
        crc = None if row["crc64"] is None else int(row["crc64"], 16)
        owner = (int(row["mode"], 8), row["uid"], row["gid"])
        found[path] = shown(path, Entry(row["type"], *owner, row["size"], (time, 0), target, None, crc))
    found, sets = linked(found)
    kept = {path for path in expected if path != b"/dev"}

    assert {path: expected[path] for path in kept} == found
    assert expected_sets == sets
    assert ({b"/links/c", b"/links/d"} in sets) == (image in BUILT)  # a name that no more shows came first


@pytest.mark.parametrize("name", ["classic-ended", "classic-runs", "kit-ended", "kit-runs"])
def test_container_changes_are_those_of_docker_diff(engine: Engine, plain: Index, name: str) -> None:
    """`container-changes` has the kinds and paths of `docker diff`."""
    changes = engine.get(f"/containers/{name}/changes")
    expected = {(KINDS[change["Kind"]], change["Path"]) for change in changes}
    rows = plain.query("container-changes", container=name)
    found = {(row["kind"], path_bytes(row["path"]).decode(errors="replace")) for row in rows}

    assert {"A", "C", "D"} == {kind for kind, _ in expected}
    assert expected == found
    assert len(changes) == len(rows)


# Sizes -------------------------------------------------------------------------------------------------------------


def apparent(diff: Path) -> int:
    """Add up st_size of all but folders, each inode once."""
    sizes = {}
    for folder, folders, files in os.walk(diff):
        for name in (*folders, *files):
            status = Path(folder, name).lstat()
            if not Path(folder, name).is_dir() or Path(folder, name).is_symlink():
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


def test_apparent_bytes(engine: Engine, plain: Index, walked: Index) -> None:
    """A directory's apparent bytes are those of its files and links, whichever witness told them."""
    diffs = {path.parent.name: path for path in (engine.root / "overlay2").glob("*/diff")}
    expected = {cache_id: apparent(diff) for cache_id, diff in diffs.items()}
    sql = "SELECT cache_id, apparent_bytes FROM overlay_dirs"

    assert expected == dict(walked.rows(sql))
    assert expected == dict(plain.rows(sql))


def test_disk_bytes_are_those_of_du(engine: Engine, walked: Index) -> None:
    """A directory's disk bytes are what `du` prints."""
    diffs = sorted((engine.root / "overlay2").glob("*/diff"))
    # One process each: in one, du counts an inode that two arguments share once.
    expected = {}
    for diff in diffs:
        said = subprocess.run(
            ["du", "-s", "-x", "--block-size=1", diff], check=True, capture_output=True, text=True, timeout=60
        )
        expected[diff.parent.name] = int(said.stdout.split()[0])

    assert expected == dict(walked.rows("SELECT cache_id, disk_bytes FROM overlay_dirs"))


def test_container_size_is_the_engines(engine: Engine, plain: Index) -> None:
    """A container's directory has the bytes that `docker ps -s` calls its size."""
    listed = engine.get("/containers/json?all=1&size=1")
    expected = {item["Id"]: item.get("SizeRw", 0) for item in listed}
    used = engine.get("/system/df")["Containers"]
    sql = """SELECT container_id, apparent_bytes FROM mounts AS m
             JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = m.mount_id"""

    assert 4 == sum(size > 0 for size in expected.values())
    assert expected == dict(plain.rows(sql))
    assert expected == {item["Id"]: item.get("SizeRw", 0) for item in used}


# Again -------------------------------------------------------------------------------------------------------------


def opened_tar_splits(root: Path, db: Path) -> int:
    """Scan, and count how often a tar-split was opened."""
    watch = (
        "import os, runpy, sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and 'tar-split' in str(args[0]): os.write(1, b'.')\n"
        "sys.addaudithook(hook)\n"
        "runpy.run_module('layerindex', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-c", watch, "scan", str(root), "--db", str(db), "--host", "h1", "-q"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, timeout=PROGRAM_SECONDS, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.count(b".")


def test_second_scan_reads_no_tar_split(engine: Engine, tmp_path: Path) -> None:
    """A second scan of the same store opens no tar-split, and lists again only what may have changed."""
    index = Index(tmp_path / "db")
    first = opened_tar_splits(engine.root, index.path)
    layers = "SELECT chain_id, listing_id FROM layers WHERE snapshot_id = ? ORDER BY 1"
    directories = "SELECT cache_id, listing_id, apparent_bytes, disk_bytes FROM overlay_dirs WHERE snapshot_id = ?"
    before = index.rows("SELECT count(*) FROM listings WHERE diff_id IS NOT NULL")
    second = opened_tar_splits(engine.root, index.path)
    live = "(role = 'container' OR (role = 'build-cache' AND NOT committed))"
    settled = f"{directories} AND NOT {live} ORDER BY 1"

    assert first >= len(index.rows(layers, 1)) > 0
    assert 0 == second
    assert before == index.rows("SELECT count(*) FROM listings WHERE diff_id IS NOT NULL")
    assert index.rows(layers, 1) == index.rows(layers, 2)
    assert index.rows(settled, 1) == index.rows(settled, 2)
    of = "SELECT listing_id FROM overlay_dirs WHERE snapshot_id ="
    new = f"{of} 2 EXCEPT {of} 1"
    assert sorted(index.rows(new)) == sorted(
        index.rows(f"SELECT listing_id FROM overlay_dirs WHERE snapshot_id = 2 AND {live}")
    )


# A layer that somebody changed -------------------------------------------------------------------------------------


def test_drift_is_what_was_done_to_a_layer(idle_engine: Engine, tmp_path: Path) -> None:
    """What is done directly to a layer's directory shows in `drift`, and nothing else, also with the engine stopped."""
    names = ("touched", "removed", "mode", "owner", "grown", "kind", "dir/inside", "same")
    members = [Member("dir/"), *(Member(name, b"content\n") for name in names), Member("link", symlink="same")]
    members += [Member("dir/gone/"), Member("dir/gone/x"), Member("one", b"one"), Member("two", hardlink="one")]
    idle_engine.docker("import", "-", "victim:1", input=pack(members))
    idle_engine.docker("import", "-", "other:1", input=pack([Member("file")]))
    assert [] == walk(idle_engine.root, tmp_path / "before").rows("SELECT * FROM drift")

    [image] = idle_engine.inspect("victim:1")
    diff = Path(image["GraphDriver"]["Data"]["UpperDir"])
    times = diff.lstat()
    folder = (diff / "dir").lstat()
    os.utime(diff / "touched", ns=(0, 1_600_000_000_500_000_000))
    (diff / "removed").unlink()
    (diff / "mode").chmod(0o4755)
    os.chown(diff / "owner", 12, 13)
    kept = (diff / "grown").lstat()
    (diff / "grown").write_bytes(b"longer content\n")
    os.utime(diff / "grown", ns=(0, kept.st_mtime_ns))
    (diff / "kind").unlink()
    (diff / "kind").symlink_to("same")
    (diff / "link").unlink()
    (diff / "link").symlink_to("elsewhere")
    (diff / "added").write_bytes(b"new")
    (diff / "dir/gone/x").unlink()
    (diff / "dir/gone").rmdir()
    (diff / "dir/new").mkdir()
    (diff / "dir/new/file").write_bytes(b"new")
    (diff / "two").unlink()
    (diff / "two").write_bytes(b"one")
    for path, status in ((diff / "dir", folder), (diff, times)):
        os.utime(path, ns=(0, status.st_mtime_ns))
    fields = {
        "/touched": {"mtime", "mtime_ns"},
        "/mode": {"mode"},
        "/owner": {"uid", "gid"},
        "/grown": {"size"},
        "/kind": {"mode", "type", "size", "link_target", "device", "mtime", "mtime_ns"},
        "/link": {"link_target", "mtime", "mtime_ns"},
        "/two": {"mtime", "mtime_ns", "same_file_as"},
    }
    expected = {
        **dict.fromkeys(("/removed", "/dir/gone", "/dir/gone/x"), "removed"),
        **dict.fromkeys(("/added", "/dir/new", "/dir/new/file"), "added"),
        **dict.fromkeys(fields, "changed"),
    }
    running = walk(idle_engine.root, tmp_path / "running")
    idle_engine.stop()
    stopped = walk(idle_engine.root, tmp_path / "stopped")
    for index in (running, stopped):
        rows = index.rows("SELECT cache_id, path, kind, expected, found FROM drift")

        assert {diff.parent.name} == {row[0] for row in rows}
        assert expected == {row[1]: row[2] for row in rows}
        for _, path, kind, before, after in rows:
            if kind == "changed":
                assert json.loads(before).keys() == json.loads(after).keys(), path
                assert fields[path] >= json.loads(before).keys() > set(), path
        assert expected == {row["path"]: row["kind"] for row in index.query("drift", cache=diff.parent.name)}
