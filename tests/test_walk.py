"""The walk on trees made by hand."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerindex.listings import walk as module
from layerindex.listings.batches import BATCH_ROWS, TYPES, Batch, Entry, Finding
from layerindex.listings.rules import IdMap, Rules, trusted_readable
from layerindex.listings.walk import Totals, Walk
from tests.packing import widen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

root = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and trusted attributes")
NOBODY = 65534


class Walked:
    """A finished walk of a path, by full path."""

    def __init__(self, path: Path | int | str, rules: Rules | None = None, *, trusted: bool | None = None) -> None:
        handle = path if isinstance(path, int) else os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        walk = Walk(handle, rules or Rules.of("overlay2"), trusted=trusted)
        self.entries: list[Entry] = []
        self.problems: list[Finding] = []
        self.last: Batch | None = None
        try:
            for batch in walk.batches():
                self.entries += [e._replace(type=TYPES.get(e.type, e.type)) for e in widen([batch])]
                self.last = batch
                self.problems += batch.problems
        finally:
            if not isinstance(path, int):
                os.close(handle)
        self.totals: Totals = walk.totals

    def __getitem__(self, path: str) -> Entry:
        head, _, name = path.rpartition("/")
        [entry] = [e for e in self.entries if (e.directory, e.name) == (head or "/", name)]
        return entry

    @property
    def paths(self) -> list[str]:
        """All paths, sorted; opaque news left out."""
        return sorted(f"{e.directory.rstrip('/')}/{e.name}" for e in self.entries if e.type != "opaque")

    @property
    def codes(self) -> list[tuple[str, str | None]]:
        """Code and path of each problem."""
        return sorted((p.code, p.path) for p in self.problems)


@pytest.fixture(autouse=True)
def handles() -> Iterator[None]:
    """No handle stays open, and the working directory is where it was."""
    gc.collect()  # what earlier tests left is not closed in between
    before, place = len(os.listdir("/proc/self/fd")), os.getcwd()
    yield
    assert (len(os.listdir("/proc/self/fd")), os.getcwd()) == (before, place)


@pytest.fixture
def tree() -> Iterator[Path]:
    """An empty directory to fill; pytest's own could not be removed by pytest when it is thousands deep."""
    place = tempfile.mkdtemp(prefix="walk")
    path = Path(place, "diff")
    path.mkdir(mode=0o755)
    yield path
    subprocess.run(["rm", "-rf", place], check=True)


def as_nobody(work: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return what `work` returns in a child without root's powers."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writer, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return pickle.loads(data)  # noqa: S301


def find(tree: Path, form: str) -> list[bytes]:
    """Return what GNU find prints, less what follows the last."""
    run = subprocess.run(["find", tree, "-printf", form + r"\0"], capture_output=True, check=True)
    return run.stdout.split(b"\0")[:-1]


def du(tree: Path) -> int:
    """Return what du counts on disk."""
    out = subprocess.run(["du", "-s", "--block-size=1", "-x", tree], capture_output=True, check=True).stdout
    return int(out.split()[0])


def assert_totals(tree: Path, walked: Walked) -> None:
    """Hold the totals to du's and find's."""
    assert walked.totals.disk_bytes == du(tree)
    sizes = {}
    for line in find(tree, "%i %s %y %T@"):
        inode, size, kind, _ = line.split()
        if kind != b"d":
            sizes[inode] = int(size)
    assert walked.totals.apparent_bytes == sum(sizes.values())
    assert walked.totals.entry_count == len(walked.paths) == len(find(tree, "%p"))
    newest = max(os.lstat(os.path.join(os.fsencode(tree), path)).st_mtime_ns for path in find(tree, "%P"))
    assert walked.totals.newest_mtime_ns == newest
    assert walked.totals.complete


def test_every_type_as_find_sees_it(tree: Path) -> None:
    (tree / "dir").mkdir(mode=0o750)
    (tree / "dir" / "file").write_bytes(b"content")
    (tree / "dir" / "file").chmod(0o4711)
    (tree / "link").symlink_to("/etc/../../escape")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/cwd/{os.path.relpath(tree / 'socket')}"[:107])
    os.utime(tree / "dir" / "file", ns=(0, 1_600_000_000_123_456_789))
    os.utime(tree / "pipe", ns=(0, -1_500_000_000))
    walked = Walked(tree)
    assert [(e.name, e.type) for e in sorted(walked.entries, key=lambda e: e.name)] == [
        ("", "dir"), ("dir", "dir"), ("file", "file"), ("link", "symlink"), ("pipe", "fifo"), ("socket", "socket"),
    ]  # fmt: skip
    file = walked["/dir/file"]
    assert (file.mode, file.size, file.mtime, file.mtime_ns) == (0o4711, 7, 1_600_000_000, 123_456_789)
    assert (walked["/link"].link_target, walked["/link"].size) == ("/etc/../../escape", 17)
    assert (walked["/pipe"].mtime, walked["/pipe"].mtime_ns) == (-2, 500_000_000)
    assert walked["/dir"].size == 0
    seen = {line.split(b" ", 4)[4]: line.split(b" ", 4)[:4] for line in find(tree, "%m %U %G %T@ %P")}
    for entry in walked.entries:
        mode, uid, gid, _ = seen[os.fsencode(f"{entry.directory.strip('/')}/{entry.name}".strip("/"))]
        assert (entry.mode, entry.uid, entry.gid) == (int(mode, 8), int(uid), int(gid))
    assert_totals(tree, walked)


def test_names(tree: Path) -> None:
    names = [
        b"\xff\xfe",
        b"new\nline",
        b"tab\there",
        b"-dash",
        b"x" * 255,
        rb"\xff\xfe",
        rb"c:\dir",
        "grüß".encode(),
        b"\x1b[31m",
    ]
    os.mkdir(os.path.join(os.fsencode(tree), b"d\xe9"))
    for name in names:
        for folder in (b"", b"d\xe9"):
            with open(os.path.join(os.fsencode(tree), folder, name), "wb"):
                pass
    os.symlink(b"to/\xff/there", os.path.join(os.fsencode(tree), b"link"))
    walked = Walked(tree)
    top = {e.name: e.name_raw for e in walked.entries if e.directory == "/" and e.type == "file"}
    assert top == {
        "\\xff\\xfe": b"\xff\xfe", "new\nline": None, "tab\there": None, "-dash": None, "x" * 255: None,
        "\\\\xff\\\\xfe": rb"\xff\xfe", "c:\\dir": None, "grüß": None, "\x1b[31m": None,
    }  # fmt: skip
    assert {e.directory_raw for e in walked.entries if e.directory == "/d\\xe9"} == {b"/d\xe9"}
    assert (walked["/link"].link_target, walked["/link"].link_target_raw) == ("to/\\xff/there", b"to/\xff/there")
    assert_totals(tree, walked)


def deep(tree: Path, depth: int, name: str, *, file: bool = False) -> None:
    """Make a chain of directories, each with a sibling where `file`, beyond what a path can say."""
    handle = os.open(tree, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(name, dir_fd=handle)
        if file:
            os.mkdir(f"side{level}", dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


def test_five_thousand_deep(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATH_LENGTH", 32_768)
    deep(tree, 5000, "d", file=True)
    walked = Walked(tree)
    assert walked.totals.entry_count == 1 + 2 * 5000 + 1
    assert "/d" * 5000 + "/bottom" in walked.paths
    assert {e.name for e in walked.entries} >= {f"side{level}" for level in range(5000)}
    assert (walked.codes, walked.totals.complete) == ([], True)
    assert walked.totals.disk_bytes == du(tree)


def test_a_path_beyond_path_max(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATH_LENGTH", 32_768)
    deep(tree, 30, "n" * 255)
    walked = Walked(tree)
    assert "".join(["/" + "n" * 255] * 30) + "/bottom" in walked.paths
    assert_totals_only_du(tree, walked)


def assert_totals_only_du(tree: Path, walked: Walked) -> None:
    """Find's -printf of sizes works at any depth, os.lstat on its paths does not."""
    assert walked.totals.disk_bytes == du(tree)
    assert walked.totals.entry_count == len(find(tree, "%i"))


def test_a_path_beyond_our_bound_is_listed_but_not_entered(tree: Path) -> None:
    deep(tree, 200, "n" * 255)
    walked = Walked(tree)
    [(code, path)] = walked.codes
    assert (code, len(path or ""), walked.totals.complete) == ("too-deep", 17 * 256, False)
    assert walked.totals.entry_count == 1 + 17


@pytest.mark.parametrize("handles", [1, 2, 3, 7])
def test_few_handles_give_the_same(tree: Path, monkeypatch: pytest.MonkeyPatch, handles: int) -> None:
    deep(tree, 40, "d", file=True)
    for level in range(0, 40, 5):
        deep(tree.joinpath(*["d"] * level), 9, "e", file=True) if level % 10 else None
    expected = Walked(tree)
    monkeypatch.setattr(module, "HANDLES", handles)
    few = Walked(tree)
    assert few.paths == expected.paths
    assert few.totals.__dict__ == expected.totals.__dict__


def test_many_in_one_directory(tree: Path) -> None:
    handle = os.open(tree, os.O_RDONLY)
    for number in range(3 * BATCH_ROWS):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    sizes = [len(widen([batch])) for batch in Walk(handle, Rules.of("overlay2")).batches()]
    os.close(handle)
    assert sum(sizes) == 3 * BATCH_ROWS + 1
    assert max(sizes) < BATCH_ROWS + module.CHUNK


def test_a_directory_swapped_for_a_symlink_is_not_followed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    for name in ("fifo", "link", "gone"):
        (tree / name).mkdir()
        (tree / name / "inner").touch()
    (tree / "stays").mkdir()
    (tree / "stays" / "file").touch()
    opened = module.open_folder

    def swap(name: str, folder: int | None = None) -> int:
        if name in ("fifo", "link", "gone"):
            (tree / name / "inner").unlink()
            (tree / name).rmdir()
        if name == "link":
            (tree / name).symlink_to(tmp_path / "outside")
        elif name == "fifo":
            os.mkfifo(tree / name)
        return opened(name, folder)

    monkeypatch.setattr(module, "open_folder", swap)
    walked = Walked(tree)
    assert walked.paths == ["/", "/fifo", "/gone", "/link", "/stays", "/stays/file"]
    assert walked.codes == [("not-a-folder", "/fifo"), ("not-a-folder", "/link"), ("vanished", "/gone")]
    assert (walked.totals.vanished, walked.totals.complete) == (1, False)


def test_a_directory_moved_while_its_handle_was_closed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDLES", 1)
    deep(tree, 6, "d", file=True)
    handle = os.open(tree, os.O_RDONLY)
    opened = module.open_folder
    moved: list[str] = []

    def move(name: str, folder: int | None = None) -> int:
        fd = opened(name, folder)
        if len(os.listdir(fd)) == 1 and not moved:  # the bottom
            os.rename(tree / "d", tree / "moved")
            os.mkdir(tree / "d")
            moved.append(name)
        return fd

    monkeypatch.setattr(module, "open_folder", move)
    walk = Walk(handle, Rules.of("overlay2"))
    problems = [problem.code for batch in walk.batches() for problem in batch.problems]
    os.close(handle)
    assert (problems, walk.totals.complete) == (["vanished"], False)


def test_entries_that_vanish_between_listing_and_stat(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        (tree / f"f{number}").touch()
    original = Walk._read  # noqa: SLF001 - the moment between two steps

    def read(self: Walk, chunk: Any, frame: Any) -> None:  # noqa: ANN401
        for number in range(3):
            (tree / f"f{number}").unlink(missing_ok=True)
        original(self, chunk, frame)

    monkeypatch.setattr(Walk, "_read", read)
    walked = Walked(tree)
    assert walked.codes == [("vanished", f"/f{number}") for number in range(3)]
    assert (walked.totals.vanished, walked.totals.complete, len(walked.paths)) == (3, True, 8)


def test_hard_links(tree: Path) -> None:
    (tree / "a").mkdir()
    (tree / "a" / "one").write_bytes(b"x" * 5000)
    for name in ("two", "a/three"):
        os.link(tree / "a" / "one", tree / name)
    os.symlink("t", tree / "s")
    os.link(tree / "s", tree / "s2", follow_symlinks=False)
    walked = Walked(tree)
    kinds = sorted((e.type, e.size) for e in walked.entries if e.type != "dir")
    assert kinds == [("file", 5000), ("hardlink", 0), ("hardlink", 0), ("hardlink", 0), ("symlink", 1)]
    [first] = [e for e in walked.entries if e.type == "file"]
    targets = {e.link_target for e in walked.entries if e.type == "hardlink" and not e.name.startswith("s")}
    assert targets == {f"{first.directory.rstrip('/')}/{first.name}"}
    assert (walked.totals.apparent_bytes, walked.totals.file_bytes) == (5001, 5000)
    assert_totals(tree, walked)


def test_links_leave_no_memory_behind(tree: Path) -> None:
    for number in range(50):
        (tree / f"f{number}").touch()
        os.link(tree / f"f{number}", tree / f"g{number}")
    handle = os.open(tree, os.O_RDONLY)
    walk = Walk(handle, Rules.of("overlay2"))
    list(walk.batches())
    os.close(handle)
    assert not walk._links  # noqa: SLF001 - memory that must not grow


def test_sparse_files_and_totals(tree: Path) -> None:
    with (tree / "sparse").open("wb") as stream:
        stream.truncate(1 << 30)
    (tree / "full").write_bytes(b"x" * 10_000)
    walked = Walked(tree)
    assert walked["/sparse"].size == 1 << 30
    assert walked.totals.disk_bytes < 1 << 20
    assert_totals(tree, walked)


@root
def test_whiteouts_devices_and_opaque_directories(tree: Path) -> None:
    os.mknod(tree / "gone", stat.S_IFCHR, os.makedev(0, 0))
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(tree / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 300))
    (tree / ".wh.data").touch()
    for name, value in (("yes", b"y"), ("x", b"x"), ("plain", b"")):
        (tree / name).mkdir()
        if value:
            os.setxattr(tree / name, "trusted.overlay.opaque", value)
    os.setxattr(tree / "plain", "user.overlay.opaque", b"y")
    os.setxattr(tree / "yes", "trusted.overlay.origin", b"o")
    os.setxattr(tree / "x", "trusted.overlay.redirect", b"/r")
    walked = Walked(tree)
    assert [walked[f"/{name}"].type for name in ("gone", "null", "loop", ".wh.data")] == [
        "whiteout",
        "char",
        "block",
        "file",
    ]
    assert (walked["/null"].device, walked["/loop"].device, walked["/gone"].device) == ("1:3", "7:300", None)
    assert [(walked[f"/{n}"].opaque, walked[f"/{n}"].xattrs) for n in ("yes", "x", "plain")] == [
        (1, None), (0, '["trusted.overlay.opaque", "trusted.overlay.redirect"]'), (0, '["user.overlay.opaque"]'),
    ]  # fmt: skip
    assert Walked(tree, Rules.of("overlay2", rootless=True))["/plain"].opaque == 1
    assert Walked(tree, trusted=False)["/plain"].opaque is None
    assert_totals(tree, walked)


@root
def test_attributes_of_files(tree: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    (tree / "ping").touch()
    os.setxattr(tree / "ping", "security.capability", capability)
    os.setxattr(tree / "ping", "user.note", b"n")
    os.setxattr(tree / "ping", "trusted.overlay.metacopy", b"")
    os.setxattr(tree / "ping", "trusted.overlay.nlink", b"U+1")
    entry = Walked(tree)["/ping"]
    assert entry.xattrs == '["security.capability", "trusted.overlay.metacopy", "user.note"]'
    assert entry.capability == capability


@root
def test_capabilities_of_a_user_namespace(tree: Path) -> None:
    """What the kernel adds to a capability for a user's namespace goes, where it is the namespace's own root."""
    plain = bytes.fromhex("0100000200040000000000000000000000000000")
    rules = Rules.of("overlayfs", rootless=True)._replace(id_map=IdMap(((NOBODY, 1, 0),), ((NOBODY, 1, 0),)))
    for name, owner in (("own", NOBODY), ("other", 7)):
        (tree / name).touch()
        value = plain[:3] + b"\x03" + plain[4:] + owner.to_bytes(4, "little")
        os.setxattr(tree / name, "security.capability", value)
    walked = Walked(tree, rules)
    assert walked["/own"].capability == plain
    assert walked["/other"].capability == value
    assert Walked(tree)["/own"].capability not in (plain, None)


def test_aufs_markers_are_the_drivers_matter(tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "d" / ".wh..wh..opq").touch()
    (tree / "d" / ".wh.x").touch()
    (tree / "d" / "y").touch()
    plain = Walked(tree)
    assert plain.paths == ["/", "/d", "/d/.wh..wh..opq", "/d/.wh.x", "/d/y"]
    fuse = Walked(tree, Rules.of("fuse-overlayfs"))
    assert fuse.paths == ["/", "/d", "/d/x", "/d/y"]
    assert fuse["/d/x"].type == "whiteout"
    [news] = [e for e in fuse.entries if e.type == "opaque"]
    assert (news.directory, news.name, news.opaque) == ("/", "d", 1)
    assert fuse.totals.disk_bytes == plain.totals.disk_bytes


@root
def test_without_root_what_is_closed_is_a_problem_and_opaque_unknown(tree: Path) -> None:
    for name, mode in (("closed", 0o700), ("listed", 0o744), ("open", 0o755)):
        (tree / name).mkdir()
        (tree / name / "file").touch()
        (tree / name).chmod(mode)
    os.setxattr(tree / "open", "trusted.overlay.opaque", b"y")
    assert Walked(tree)["/open"].opaque == 1
    handle = os.open(tree, os.O_RDONLY)
    paths, codes, opaque, complete = as_nobody(
        lambda: (lambda w: (w.paths, w.codes, [e.opaque for e in w.entries if e.type == "dir"], w.totals.complete))(  # noqa: PLC3002
            Walked(handle)
        )
    )
    os.close(handle)
    assert paths == ["/", "/closed", "/listed", "/open", "/open/file"]
    assert codes == [("permission-denied", "/closed"), ("permission-denied", "/listed/file")]
    assert (opaque, complete) == ([None] * 4, False)


@root
def test_trusted_attributes_need_the_first_user_namespace() -> None:
    assert trusted_readable()
    assert not as_nobody(trusted_readable)
    code = "from layerindex.listings import rules; print(rules.trusted_readable())"
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@root
def test_one_filesystem(tree: Path) -> None:
    (tree / "mnt").mkdir()
    (tree / "after").touch()
    (tree / "bound").touch()
    subprocess.run(["mount", "-t", "tmpfs", "none", tree / "mnt"], check=True)
    subprocess.run(["mount", "--bind", "/proc/version", tree / "bound"], check=True)
    try:
        (tree / "mnt" / "inside").write_bytes(b"x" * 9000)
        walked = Walked(tree)
        assert walked.totals.disk_bytes == du(tree)
    finally:
        subprocess.run(["umount", tree / "mnt"], check=True)
        subprocess.run(["umount", tree / "bound"], check=True)
    assert walked.paths == ["/", "/after", "/bound", "/mnt"]
    assert walked.codes == [("other-filesystem", "/bound"), ("other-filesystem", "/mnt")]


def test_with_other_threads_the_working_directory_stays(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "d").mkdir()
    (tree / "d" / "f").touch()
    os.setxattr(tree / "d" / "f", "user.note", b"")
    monkeypatch.setattr(os, "fchdir", lambda _: pytest.fail("the working directory was changed"))
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert Walked(tree)["/d/f"].xattrs == '["user.note"]'


def test_a_walk_that_is_given_up_closes_its_handles(tree: Path) -> None:
    deep(tree, 20, "d", file=True)
    handle = os.open(tree, os.O_RDONLY)
    batches = Walk(handle, Rules.of("overlay2")).batches()
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    os.close(handle)


def test_trouble_of_our_own_ends_the_walk(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "d").mkdir()

    def full(_name: str, _folder: int | None = None) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(module, "open_folder", full)
    with pytest.raises(OSError, match="Too many"):
        Walked(tree)


@pytest.mark.parametrize(("number", "code"), [(5, "unreadable"), (36, "unreadable"), (13, "permission-denied")])
def test_errors_of_the_disk(tree: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str) -> None:
    (tree / "d").mkdir()
    (tree / "f").touch()

    def broken(_name: str, _folder: int | None = None) -> int:
        raise OSError(number, "broken")

    monkeypatch.setattr(module, "open_folder", broken)
    walked = Walked(tree)
    assert (walked.paths, walked.codes, walked.totals.complete) == (["/", "/d", "/f"], [(code, "/d")], False)
