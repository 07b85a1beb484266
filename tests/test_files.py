"""A store's files are reached one name at a time, and read only when they are what they must be."""

from __future__ import annotations

import gc
import os
import socket
from typing import TYPE_CHECKING

import pytest

from layerindex.problems import Damage
from layerindex.stores.disk.files import WORD, Folder
from tests.conftest import in_time, nobody_special

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def code_of(call: Callable[[], object]) -> str:
    """Return the code of the damage that a call must raise."""
    with in_time(), pytest.raises(Damage) as raised:
        call()
    return raised.value.problem.code


def test_text(tmp_path: Path) -> None:
    """Text is given without the white space around it, as moby trims it."""
    (tmp_path / "plain").write_bytes(b"\n value of caf\xc3\xa9 \r\n")
    with Folder(str(tmp_path)) as folder:
        assert folder.text("plain") == "value of caf\u00e9"
        assert folder.read("plain", WORD) == b"\n value of caf\xc3\xa9 \r\n"


def test_bound_is_exact(tmp_path: Path) -> None:
    """A file of exactly the bound is read, one byte more is not."""
    (tmp_path / "exact").write_bytes(b"x" * 10)
    (tmp_path / "more").write_bytes(b"x" * 11)
    with Folder(str(tmp_path)) as folder:
        assert folder.read("exact", 10) == b"x" * 10
        assert code_of(lambda: folder.read("more", 10)) == "too-large"


def test_file_that_never_ends() -> None:
    """A file that says it is empty and is not is read up to its bound."""
    with Folder(f"/proc/{os.getpid()}") as folder:
        assert folder.read("status", 1_000_000).startswith(b"Name:")
        assert code_of(lambda: folder.read("status", 100)) == "too-large"


def test_what_the_system_cannot_read() -> None:
    """An error of the system is a finding with its words."""
    with Folder(f"/proc/{os.getpid()}") as folder, pytest.raises(Damage) as raised:
        folder.read("mem", WORD)
    assert raised.value.problem[1:] == ("unreadable", "mem", None, "Input/output error")


def test_what_is_no_file(tmp_path: Path) -> None:
    """Folders, fifos, sockets and symlinks are not read, whatever they lead to."""
    (tmp_path / "file").write_text("secret")
    (tmp_path / "symlink").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        with Folder(str(tmp_path)) as folder:
            for name in ("symlink", "loop", "folder", "fifo", "socket"):
                assert code_of(lambda name=name: folder.read(name, WORD)) == "not-regular", name  # type: ignore[misc]


@pytest.mark.parametrize("instead", ["symlink", "fifo", "folder", "nothing"])
def test_exchanged_after_it_was_listed(tmp_path: Path, instead: str) -> None:
    """A file that became something else since its folder was listed is not followed and not waited for."""
    path = tmp_path / "file"
    path.write_text("text")
    with Folder(str(tmp_path)) as folder:
        path.unlink()
        if instead == "symlink":
            path.symlink_to("/etc/passwd")
        elif instead == "fifo":
            os.mkfifo(path)
        elif instead == "folder":
            path.mkdir()
        expected = "vanished" if instead == "nothing" else "not-regular"
        assert code_of(lambda: folder.text("file")) == expected


def test_folder_exchanged_after_it_was_listed(tmp_path: Path) -> None:
    """A folder that became a symlink since it was listed is not followed."""
    (tmp_path / "below").mkdir()
    with Folder(str(tmp_path)) as folder:
        (tmp_path / "below").rmdir()
        (tmp_path / "below").symlink_to("/etc")
        assert code_of(lambda: folder.folder("below")) == "elsewhere"
        assert not folder.exists("below", "passwd")
        assert folder.exists("below")


def test_grown_since_it_was_looked_at(tmp_path: Path) -> None:
    """What was appended meanwhile is read with the rest."""
    path = tmp_path / "file"
    path.write_text("one")
    with Folder(str(tmp_path)) as folder:
        path.write_text("one two")
        assert folder.text("file") == "one two"


def test_parts_of_a_path_are_not_followed(tmp_path: Path) -> None:
    """No symlink on the way is followed; folders below one another are opened one by one."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/c/file").write_text("x")
    (tmp_path / "short").symlink_to("a/b")
    with Folder(str(tmp_path)) as folder:
        with folder.folder("a", "b", "c") as below:
            assert below.path == "a/b/c"
            assert below.text("file") == "x"
        assert code_of(lambda: folder.folder("short", "c")) == "elsewhere"
        assert code_of(lambda: folder.folder("a", "x", "c")) == "missing"
        assert not folder.exists("short", "c")
        assert folder.exists("a", "b", "c", "file")
        assert (folder.has_folder("a"), folder.has_folder("short"), folder.has_folder("none")) == (1, 0, 0)


def test_no_handle_is_left_open(tmp_path: Path) -> None:
    """Whatever goes wrong, every folder and file is closed again."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "big").write_bytes(b"x" * 5000)
    gc.collect()  # what earlier tests left is not closed in between
    before = os.listdir("/proc/self/fd")
    with Folder(str(tmp_path)) as folder:
        folder.exists("a", "b", "none")
        for call in (lambda: folder.folder("a", "none"), lambda: folder.folder("big"), lambda: folder.text("big")):
            code_of(call)
    assert before == os.listdir("/proc/self/fd")


def test_what_may_not_be_looked_at_counts_as_there(tmp_path: Path) -> None:
    """A place behind a closed folder is neither read nor called missing."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    with nobody_special(), Folder(str(tmp_path)) as folder:
        assert code_of(lambda: folder.folder("closed")) == "permission-denied"
        assert folder.exists("closed", "whatever")
        assert not folder.exists("whatever")
    (tmp_path / "closed").chmod(0o700)


def test_access_times_are_kept(tmp_path: Path) -> None:
    """Reading leaves no trace in the store: access times are evidence."""
    path = tmp_path / "file"
    path.write_text("x")
    for each in (path, tmp_path):
        os.utime(each, (1_000_000_000, 2_000_000_000))
    with Folder(str(tmp_path)) as folder:
        folder.text("file")
    assert [os.stat(each).st_atime for each in (path, tmp_path)] == [1_000_000_000] * 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "bad-json"),
        (b"{'a': 1}", "bad-json"),
        (b'{"a": "\xff"}', "bad-text"),
        (b"[]", "bad-value"),
        (b"null", "bad-value"),
    ],
)
def test_json_that_is_no_object(tmp_path: Path, content: bytes, code: str) -> None:
    """Each way not to be a JSON object has a code."""
    (tmp_path / "file").write_bytes(content)
    with Folder(str(tmp_path)) as folder:
        assert code_of(lambda: folder.json("file")) == code


def test_odd_names(tmp_path: Path) -> None:
    """Names are found by their bytes and shown so that a terminal takes them as text."""
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\n\x1b[31m")
    with Folder(str(tmp_path)) as folder:
        (name,) = folder.entries
        assert os.fsencode(name) == b"\xff\n\x1b[31m"
        assert folder.where(name) == r"\xff\n\x1b[31m"
        with folder.folder(name) as below:
            assert below.path == r"\xff\n\x1b[31m"
            assert below.where("a") == r"\xff\n\x1b[31m/a"


def test_sizes(tmp_path: Path) -> None:
    """Sizes are those of regular files with one of the beginnings, sparse or not."""
    (tmp_path / "log").touch()
    os.truncate(tmp_path / "log", 10**9)
    (tmp_path / "log.1").write_bytes(b"12345")
    (tmp_path / "log.2").symlink_to("log")
    (tmp_path / "other").write_bytes(b"1")
    with Folder(str(tmp_path)) as folder:
        assert sorted(folder.sizes(("log",))) == [5, 10**9]
