"""The wheel, built from a copy of the checkout and installed where nothing of the checkout is, does the main job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layerindex import __version__, catalog
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from collections.abc import Callable

    Program = Callable[..., subprocess.CompletedProcess[str]]

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = ("layerindex", "man", "migrations", "queries", "pyproject.toml", "README.md", "LICENSE")
"""What a wheel is made of."""


PIP = (sys.executable, "-m", "pip")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its good end, without anything of this environment that Python would look at."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LAYERINDEX"))}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    copy.mkdir()
    for name in PROJECT:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    run(*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, copy, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def environment(wheel: Path) -> Path:
    """Give a fresh virtual environment with the wheel and what run.lock says that it needs, and nothing else."""
    made = wheel.parent / "environment"
    venv.create(made, with_pip=True)
    pip = (made / "bin" / "python", "-m", "pip")
    run(*pip, "install", "-q", "--require-hashes", "-r", CHECKOUT / "requirements" / "run.lock", cwd=wheel.parent)
    run(*pip, "install", "-q", "--no-deps", wheel, cwd=wheel.parent)
    run(*pip, "check", cwd=wheel.parent)
    return made


@pytest.fixture(scope="session")
def installed(environment: Path) -> Program:
    """Give the program as it is installed there, to be run from a folder of the caller's choice."""
    return lambda *words, cwd: run(environment / "bin" / "layerindex", *words, cwd=cwd)


def test_contents(wheel: Path) -> None:
    """The wheel carries the package with its data, the migrations, the queries and the man page, and nothing else."""
    folders = {"layerindex": "layerindex", "layerindex/_migrations": "migrations", "layerindex/_queries": "queries"}
    expected = {
        f"{there}/{path.relative_to(CHECKOUT / here)}"
        for there, here in folders.items()
        for path in (CHECKOUT / here).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected.add(f"layerindex-{__version__}.data/data/share/man/man1/layerindex.1")
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert expected == found
    assert {"layerindex/schema.sql", "layerindex/py.typed", "layerindex/demo/root.tar.xz"} <= found


def test_lists_the_queries(installed: Program, tmp_path: Path) -> None:
    """The installed program finds the queries that the wheel carries."""
    listed = installed("query", "--format", "tsv", cwd=tmp_path).stdout

    assert catalog.names() == [line.split("\t")[0] for line in listed.splitlines()[1:]]


def test_man_page(installed: Program, environment: Path) -> None:
    """The man page lies where `man` looks for those of programs on the PATH."""
    assert (environment / "share" / "man" / "man1" / "layerindex.1").read_text().startswith(".TH LAYERINDEX 1")
    assert installed("--version", cwd=environment).stdout


def test_scans_and_answers(installed: Program, tmp_path: Path) -> None:
    """From any folder the installed program scans a store, answers from it and keeps its database in order."""
    root = DataRoot(tmp_path / "docker")
    base = root.layer({"etc/os-release": b"ID=debian\n"})
    for name in ("one", "two"):
        root.image(root.layer({name: b"x"}, parent=base), [f"{name}:1"])
    said = installed("scan", root.path, "--host", "web-1", cwd=tmp_path).stderr
    shared = installed("query", "shared-layers", "--format", "csv", cwd=tmp_path).stdout.splitlines()

    assert "2 images, 3 layers" in said
    assert [f'{base.chain_id},{base.diff_id},{base.cache_id},10,2,"one:1, two:1",10,web-1'] == shared[1:]
    assert "already" in installed("db", "upgrade", cwd=tmp_path).stderr
    assert "whole" in installed("db", "check", cwd=tmp_path).stderr


UPGRADE = """
import sqlite3, sys
from layerindex import genuine, migrate
made = sqlite3.connect(sys.argv[1], isolation_level=None)
for thing in genuine.things("0001").values():
    made.execute(thing.sql)
made.execute("INSERT INTO alembic_version VALUES ('0001')")
made.execute(f"PRAGMA application_id = {genuine.APPLICATION_ID}")
made.close()
migrate.upgrade(sys.argv[1])
"""
"""Makes a database of the first revision, and upgrades it."""


def test_upgrades(environment: Path, installed: Program, tmp_path: Path) -> None:
    """The installed program finds the migrations that the wheel carries: from the first on they make the schema."""
    path = tmp_path / "layerindex.db"
    run(environment / "bin" / "python", "-c", UPGRADE, path, cwd=tmp_path)

    assert "whole" in installed("db", "check", cwd=tmp_path).stderr
    assert installed("query", "images", "--format", "jsonl", cwd=tmp_path).stdout == ""


def test_demo(installed: Program, tmp_path: Path) -> None:
    """The installed program has the demo's data root with it."""
    assert "CHAIN ID" in installed("demo", tmp_path / "demo", cwd=tmp_path).stdout
