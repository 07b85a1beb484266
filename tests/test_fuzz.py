"""Every target of the fuzz harness keeps its promise for its corpus, and for some thousand mutations of it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tools.fuzz import corpus, plain
from tools.fuzz.__main__ import main
from tools.fuzz.target import BrokenPromise, Target, hold
from tools.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

RUNS = {"import": 100, "read": 100, "podman-sqlite": 500, "tar-split": 500, "tar-split-members": 500}
"""Executions of targets that are slow; of the others there are more."""
USUAL = 2000


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_promise(name: str) -> None:
    """No input of the corpus and no mutation breaks what a target promises."""
    target = TARGETS[name]
    found = plain.loop(target, corpus.inputs(target), RUNS.get(name, USUAL))
    if found.error is not None:
        raise found.error
    assert found.executions == RUNS.get(name, USUAL)


def test_corpus_is_of_targets() -> None:
    """Every folder in the tree's corpus is a target's, and all together are small."""
    folders = [each for each in corpus.KEPT.iterdir() if each.is_dir()]
    assert {each.name for each in folders} <= TARGETS.keys()
    assert sum(file.stat().st_size for each in folders for file in each.iterdir()) < 300_000


def _planted(data: bytes) -> None:
    hold(not data.startswith(b"ab\xff"), "it begins so", data)


PLANTED = Target("planted", "It does not begin so.", lambda: [b"ab", b"abcdef"], _planted, (b"\xff",))


def test_a_broken_promise_is_found_kept_and_made_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loop is the same each time; what breaks a promise is written, can be read again and made smaller."""
    monkeypatch.setitem(TARGETS, "planted", PLANTED)
    assert main(["planted", "--plain", "--corpus", str(tmp_path)]) == 1
    (path,) = tmp_path.iterdir()
    assert f"{path}: BrokenPromise: it begins so" in capsys.readouterr().out
    first, again = (plain.loop(PLANTED, PLANTED.seeds(), 100_000) for _ in range(2))
    assert (first.broken, first.executions) == (again.broken, again.executions) == (path.read_bytes(), first.executions)
    with pytest.raises(BrokenPromise):
        main(["planted", "--replay", str(path)])
    path.write_bytes(path.read_bytes() + b"x" * 100)
    main(["planted", "--minimise", str(path), "--corpus", str(tmp_path)])
    assert min(tmp_path.iterdir(), key=lambda each: each.stat().st_size).read_bytes() == b"ab\xff"


def test_a_hang_is_a_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that takes too long is told."""
    monkeypatch.setattr(plain, "HANG", 0.1)

    def hang(_: bytes) -> None:
        while True:
            pass

    found = plain.loop(Target("hang", "It ends.", lambda: [b""], hang), [b"x"], 10)
    assert (found.broken, found.executions) == (b"x", 1)
    assert isinstance(found.error, BrokenPromise)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """All targets are listed with what they promise."""
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == sorted(TARGETS)


def test_guided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where atheris is installed it chooses the inputs."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs atheris: pip install -e '.[fuzz]'")
    assert main(["pax", "--runs", "500", "--corpus", str(tmp_path)]) == 0
    assert "pax: 500 executions" in capsys.readouterr().out
