"""`layerindex find`: what it takes for a name, a path or a size, and how it ends."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex.cli import group
from tests import exhibits
from tests.dataroot import DataRoot, regular, symlink
from tests.test_file_queries import scanned

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database of a small store on two hosts."""
    folder = tmp_path_factory.mktemp("find")
    for seed, host in enumerate(("one", "two")):
        root = DataRoot(folder / host, seed=seed)
        base = root.layer(
            {"etc/app.conf": b"x" * 1000, "usr/lib/app.jar": b"x" * 20_000, os.fsdecode(b"caf\xe9"): b"1"}
        )
        image = root.image(base, ["base:1"])
        root.image(root.layer({"opt/app.jar": symlink("../usr"), "opt/tiny": regular(b"")}, parent=base), ["app:1"])
        if host == "one":
            root.container(image, name="box", files={"etc/app.conf": b"mine"})
        scanned(str(folder / "find.db"), root.path, host)
    return str(folder / "find.db")


def run(db: str, *words: str) -> Result:
    """Run find within this process."""
    return CliRunner().invoke(group, ["find", *words, "--db", db], prog_name="layerindex")


def found(db: str, *words: str) -> list[tuple[str, str | None]]:
    """Return path and image, or container, of what is found on the first host."""
    result = run(db, *words, "--host", "one", "--format", "json")
    assert (0, "") == (result.exit_code, result.stderr)
    return [(row["path"], row["image"] or row["container"]) for row in json.loads(result.stdout)]


ODD = ("usr/bin/[", "n/a", "n/b", "n/!", "n/a[1", "app/[id]/x", "app/i/x", "\\xff", os.fsdecode(b"\xff"))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/usr/bin/[", ["/usr/bin/["]),
        ("[", ["/usr/bin/["]),
        ("[[]", ["/usr/bin/["]),
        ("/usr/bin/[[]", ["/usr/bin/["]),
        ("a[1", ["/n/a[1"]),
        ("/n/[!a]", ["/n/!", "/n/b"]),
        ("/n/[^a]", ["/n/!", "/n/b"]),
        ("[!a]", ["/app/[id]/x", "/app/i", "/app/i/x", "/n", "/n/!", "/n/b", "/usr/bin/["]),
        ("/app/[id]/x", ["/app/[id]/x", "/app/i/x"]),
        ("[id]", ["/app/[id]", "/app/i"]),
        ("\\xff", ["/\\xff"]),
        ("\\\\xff", ["/\\\\xff"]),
        ("/\\\\xff", ["/\\\\xff"]),
    ],
)
def test_names_with_signs_of_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    """What is called just so is found, beside what the pattern matches; [!a] is as in a shell."""
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer(dict.fromkeys(ODD, b"")), ["odd:1"])
    scanned(str(tmp_path / "odd.db"), root.path, "one")

    assert expected == [path for path, _ in found(str(tmp_path / "odd.db"), pattern)]


def test_a_name_as_it_is_on_disk(tmp_path: Path) -> None:
    """Four characters that look like an escaped byte are found by themselves where no such byte is."""
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer({"d/\\xff": b""}), ["odd:1"])
    scanned(str(tmp_path / "odd.db"), root.path, "one")

    for pattern in ("\\xff", "/d/\\xff", "/d/\\\\xff"):
        assert [("/d/\\\\xff", "odd:1")] == found(str(tmp_path / "odd.db"), pattern)


JAR, CONF, LINK = "/usr/lib/app.jar", "/etc/app.conf", "/opt/app.jar"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tiny"], [("/opt/tiny", "app:1")]),
        (["t?ny"], [("/opt/tiny", "app:1")]),
        (["*.jar", "--image", "app:1"], [(LINK, "app:1"), (JAR, "app:1")]),
        (["*.jar", "--type", "symlink"], [(LINK, "app:1")]),
        ([CONF], [(CONF, "box"), (CONF, "app:1"), (CONF, "base:1")]),
        (["etc/app.conf", "--image", "base:1"], [(CONF, "base:1")]),
        (["/etc/app.conf/", "--image", "base:1"], [(CONF, "base:1")]),
        (["/usr/*.jar", "--image", "base:1"], [(JAR, "base:1")]),
        (["app.*", "--container", "box"], [(CONF, "box"), (CONF, "box"), (JAR, "box")]),
        (["app.*", "--image", "base:1", "--size", "+10k"], [(JAR, "base:1")]),
        (["app.*", "--image", "base:1", "--size", "-1k"], [(CONF, "base:1")]),
        (["app.*", "--image", "base:1", "--size", "1000"], [(CONF, "base:1")]),
        ([os.fsdecode(b"caf\xe9"), "--image", "base:1"], [("/caf\\xe9", "base:1")]),
        (["/caf\\xe9", "--image", "base:1"], [("/caf\\xe9", "base:1")]),
    ],
)
def test_found(db: str, words: list[str], expected: list[tuple[str, str]]) -> None:
    """The entries are those that the words mean."""
    assert sorted(expected) == sorted(found(db, *words))


def test_hosts(db: str) -> None:
    """Every host answers, or the one that is chosen."""
    hosts = [
        {row["host"] for row in json.loads(run(db, "tiny", *words, "--format", "json").stdout)}
        for words in ([], ["--host", "two"], ["--snapshot", "two"])
    ]

    assert [{"one", "two"}, {"two"}, {"two"}] == hosts


@pytest.mark.parametrize(
    "words", [["nothing"], ["/etc/nothing"], ["tiny", "--size", "+1"], ["tiny", "--image", "base:1"]]
)
def test_nothing_found(db: str, words: list[str]) -> None:
    """Status 1 and silence, as grep ends."""
    result = run(db, *words)

    assert (1, "", "") == (result.exit_code, result.stdout, result.stderr)


def test_no_listings(tmp_path: Path) -> None:
    """A database without listings says so."""
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer({"a": b""}), ["a:1"])
    exhibits.scan_into(str(tmp_path / "no.db"), root.path, exhibits.DB, None)
    result = run(str(tmp_path / "no.db"), "a")

    assert (1, "") == (result.exit_code, result.stdout)
    assert "The database has no file listings: scan without --no-files.\n" == result.stderr


@pytest.mark.parametrize("size", ["", "k", "1.5M", "++1", "10kB", "1T"])
def test_bad_size(db: str, size: str) -> None:
    """A size that is none is an error of usage."""
    result = run(db, "tiny", "--size", size)

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"not {size!r}" in result.stderr


@pytest.mark.parametrize("option", ["--image", "--container"])
def test_names_that_are_not_utf8(db: str, option: str) -> None:
    """They are names of nothing, not a traceback."""
    result = run(db, "tiny", option, "\udcff")

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"no {option[2:]} " in result.stderr


def test_largest_size(db: str) -> None:
    """A size beyond every file's is one that none has."""
    assert run(db, "tiny", "--size", "+999999999999999G").exit_code == 1
    assert run(db, "tiny", "--size", "-999999999999999G").exit_code == 0


@pytest.mark.parametrize(("option", "word", "meant"), [("--image", "appp:1", "app:1"), ("--container", "bax", "box")])
def test_misspelt(db: str, option: str, word: str, meant: str) -> None:
    """A misspelt image or container is not an empty answer."""
    result = run(db, "tiny", option, word)

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"no {option[2:]} {word!r} in the selected snapshots (did you mean {meant}" in result.stderr


def test_help(db: str) -> None:
    """The help says what a pattern is, and which status means nothing."""
    text = " ".join(run(db, "--help").stdout.split())

    assert "PATTERN is a name (passwd), a glob for names ('*.jar')" in text
    assert "Exit status 1: nothing found." in text
