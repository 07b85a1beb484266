"""A small dose of every fault; `python -m tools.faults` gives a full one. LAYERINDEX_FAULT_SEED begins elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import need
from tests.faults import rounds
from tests.faults.stage import Stage

SEED = int(os.environ.get("LAYERINDEX_FAULT_SEED", "0"))


def seeds(count: int) -> range:
    """Return the seeds of a small dose."""
    return range(SEED, SEED + count)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Give the store, the databases and the commands."""
    need(None if shutil.which("cc") else "needs a C compiler for the library that makes faults")
    return Stage(Path(tmp_path_factory.mktemp("faults")))


@pytest.mark.parametrize("seed", seeds(12))
def test_killed(stage: Stage, seed: int) -> None:
    """A command that is killed leaves all or nothing of its work, and the next one works and cleans up."""
    rounds.killed(stage, seed)


@pytest.mark.parametrize("seed", seeds(12))
def test_broken(stage: Stage, seed: int) -> None:
    """A disk that fails is one sentence, and what was written is whole."""
    rounds.broken(stage, seed)


@pytest.mark.parametrize("seed", seeds(8))
def test_filled(stage: Stage, seed: int) -> None:
    """A full disk is one sentence, and what was written is whole."""
    need(None if os.geteuid() == 0 else "needs root, to mount a small disk")
    rounds.filled(stage, seed)


@pytest.mark.parametrize("seed", seeds(3))
def test_first_scans(stage: Stage, seed: int) -> None:
    """A scan that gives up takes nothing of another's away."""
    rounds.first_scans(stage, seed)


def test_together(stage: Stage) -> None:
    """Scans, imports, prunes and readers at once: each does its work, or says in a sentence why not."""
    rounds.together(stage, SEED, count=16)


@pytest.mark.parametrize("seed", seeds(3))
def test_clock_back(stage: Stage, seed: int) -> None:
    """Whatever the clock says, the later scan is the newest one."""
    rounds.clock_back(stage, seed)
