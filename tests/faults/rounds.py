"""One round of each kind of fault: what happens is drawn from a seed, and whatever it was, nothing is lost by it."""

from __future__ import annotations

import random
import re
import signal
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Final

import zstandard

from tests.faults.stage import Command, Done, Play, Stage, environment, line, outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SENTENCE: Final = re.compile(r"(Error: |Interrupted|.*: another process is ).+\S\n?")
"""What a command says that did not do all it was asked to."""

LEFT: Final = "what was removed is gone, but the file keeps its"
"""A prune that could not shrink the file exits with 1 and says that it did remove."""

STOPPING: Final = "kill", "torn"


def check_words(done: Done) -> None:
    """A command that fails says so in a sentence: no traceback, whatever it met."""
    assert done.status in {0, 1}, done
    assert "Traceback" not in done.said, done.said
    assert "Exception ignored" not in done.said, done.said
    if done.status:
        last = done.said.rstrip("\n").rpartition("\n")[2]
        assert SENTENCE.fullmatch(last), done.said


def check_whole(stage: Stage, command: Command, play: Play, done: Done | None) -> None:
    """The database has what it had, or all of what was to come; which of both, the exit status says (None: killed).

    Then the next scan works, adds its snapshot, and leaves no litter (in TMPDIR, the next export, which uses it, does
    not); and who may read the files is as it should be.
    """
    found = outcome(play.db)
    assert found in (command.before, command.after), found
    if done is not None:
        check_words(done)
        failed = done.status != 0 and LEFT not in done.said
        assert command.before == command.after or found == (command.before if failed else command.after), done
    older = command.name == "upgrade" and found == command.before
    scan = ("scan", "{store}", "--db", "{db}", "--host", "next")
    after = stage.run(scan, play)
    assert after.status == 0, after.said
    check_words(after)
    expected = command.after if older else found
    assert outcome(play.db) == expected + type(found)({("next", stage.whole): 1})
    if any(play.temporary.iterdir()):
        assert stage.run(("export", "-", "--db", "{db}", "-q"), play).status == 0
    check_files(stage, command, play)


def check_files(stage: Stage, command: Command, play: Play) -> None:
    """No litter is left, each export is whole, and what is made is for its owner alone."""
    names = {path.name for path in play.folder.iterdir()}
    assert names <= {"db", "in.db.zst", "out.db.zst"}, names
    left = sorted(path.name for path in play.temporary.iterdir())
    assert [] == left, f"{left} after {command.name}"
    for path in play.folder.iterdir():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == 0o600, f"{path.name} is {mode:o} after {command.name}"
    for path in play.folder.glob("*.db.zst"):
        content = path.read_bytes()
        if content != (command.template / "in.db.zst").read_bytes():
            plain = play.temporary / "plain.db"
            plain.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(content))
            assert {digest for _, digest in outcome(plain)} == {stage.whole}, f"{path.name} after {command.name}"


def drawn(stage: Stage, rng: random.Random) -> Command:
    """Return one of the commands."""
    return rng.choice(stage.commands)


def killed(stage: Stage, seed: int) -> str:
    """Kill a writing command: half of the times at a moment, else before a call, or in the middle of a write."""
    rng = random.Random(seed)
    command = drawn(stage, rng)
    play = stage.play(command.template)
    if rng.random() < 0.5:
        moment = rng.uniform(0, command.seconds * 1.1)
        what = f"{command.name} killed after {moment:.3f} s"
        process = subprocess.Popen(
            line(command.words, play, stage.store),
            env=environment(play),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moment)
        process.kill()
        process.wait()
    else:
        faults = fault(command, play, rng, "wstn", rng.choice(STOPPING))
        what = f"{command.name}: {faults['FAULT_ACTION']} at call {faults['FAULT_NTH']} of {faults['FAULT_CALLS']}"
        done = stage.run(command.words, play, faults)
        assert done.status in {0, -signal.SIGKILL}, done.said
    check_whole(stage, command, play, None)
    stage.close(play)
    return what


def fault(command: Command, play: Play, rng: random.Random, calls: str, action: str) -> dict[str, object]:
    """Return the settings of a fault at one of the calls that the command makes: of each kind as likely."""
    (call,) = rng.choices(calls, [min(command.calls[each], 1) for each in calls])
    nth = rng.randint(1, command.calls[call])
    paths = f"{play.folder}:{play.temporary}"
    return {"FAULT_PATHS": paths, "FAULT_CALLS": call, "FAULT_NTH": nth, "FAULT_ACTION": action}


def broken(stage: Stage, seed: int) -> str:
    """Let a read, write, fsync, ftruncate, or the making or taking of a name fail with EIO, once or from then on."""
    rng = random.Random(seed)
    command = drawn(stage, rng)
    play = stage.play(command.template)
    faults = fault(command, play, rng, "rwstn", rng.choice(["eio", "eio-on"]))
    what = f"{command.name}: {faults['FAULT_ACTION']} at call {faults['FAULT_NTH']} of {faults['FAULT_CALLS']}"
    done = stage.run(command.words, play, faults)
    check_whole(stage, command, play, done)
    stage.close(play)
    return what


def filled(stage: Stage, seed: int) -> str:
    """Let a disk run full under a command: that of the database, or that of temporary files."""
    rng = random.Random(seed)
    command = drawn(stage, rng)
    with stage.disk() as disk:
        beside = rng.random() < 0.5
        play = stage.play(command.template, disk if beside else None, None if beside else disk)
        room = rng.randint(0, command.size // 4096) * 4096
        _fill(disk, room)
        done = stage.run(command.words, play)
        what = f"{command.name}: {room} bytes left {'for the database' if beside else 'in TMPDIR'}, exit {done.status}"
        if done.status:
            assert re.search(r"full|no room|No space", done.said), done.said
        (disk / "filler").unlink()
        check_whole(stage, command, play, done)
        stage.close(play)
    return what


def _fill(disk: Path, room: int) -> None:
    """Fill a disk but for some bytes."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 65536):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - room))


def first_scans(stage: Stage, seed: int) -> str:
    """Two scans make the same database, and one of them is stopped: the other's snapshot is there."""
    rng = random.Random(seed)
    play = stage.play()
    began = [_start(stage, play, ("scan", "{store}", "--db", "{db}", "--host", name)) for name in ("one", "two")]
    stop = rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
    moment = rng.uniform(0, stage.commands[0].seconds * 1.5)
    time.sleep(moment)
    began[0].send_signal(stop)
    stopped, other = (_end(process) for process in began)
    found = {host for host, _ in outcome(play.db)}
    assert other.status == 0, other.said
    assert "two" in found
    assert ("one" in found) >= (stopped.status == 0)
    assert {digest for _, digest in outcome(play.db)} == {stage.whole}
    if stopped.status > 0 and "Fatal Python error: init" not in stopped.said:  # Python had not begun
        assert "Traceback" not in stopped.said, stopped.said
    stage.close(play)
    return f"two first scans, one met {stop.name} after {moment:.3f} s and exited with {stopped.status}"


def _start(stage: Stage, play: Play, words: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["env", "--default-signal=INT", *line(words, play, stage.store)],  # what runs in the background may ignore it
        env=environment(play),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> Done:
    printed, said = process.communicate(timeout=300)
    return Done(process.returncode, said, printed)


WRITERS: Final[Mapping[str, tuple[str, ...]]] = {
    "scan": ("scan", "{store}", "--db", "{db}", "--host"),
    "common": ("scan", "{store}", "--db", "{db}", "--host", "common"),
    "import": ("import", "{folder}/in.db.zst", "--db", "{db}"),
    "prune": ("snapshots", "prune", "--keep", "1", "--db", "{db}"),
}
COUNTS: Final = """
SELECT s.snapshot_id, (SELECT count(*) FROM images AS i WHERE i.snapshot_id = s.snapshot_id),
  (SELECT count(*) FROM layers AS l JOIN entries AS e USING (listing_id) WHERE l.snapshot_id = s.snapshot_id)
FROM snapshots AS s"""
READERS: Final[Mapping[str, tuple[str, ...]]] = {
    "query": ("query", "--db", "{db}", "--format", "tsv", "--sql", COUNTS.replace("\n", " ")),
    "list": ("snapshots", "list", "--db", "{db}"),
    "show": ("show", "acme/app-1:1", "--db", "{db}"),
    "check": ("db", "check", "--db", "{db}"),
    "export": ("export", "-", "--db", "{db}", "-q"),
}


def together(stage: Stage, seed: int, count: int, at_once: int = 8) -> str:
    """Let many scans, imports, prunes and readers work on one database: each does its work or says why not."""
    rng = random.Random(seed)
    play = stage.play(stage.commands[1].template)
    kinds = rng.choices([*WRITERS, *READERS], [4, 2, 2, 1] + [2] * len(READERS), k=count)
    running: list[tuple[int, str, subprocess.Popen[bytes]]] = []
    ends: dict[int, tuple[str, Done]] = {}
    for number, kind in enumerate(kinds):
        if len(running) >= at_once:
            _reap(running.pop(0), ends)
        words = WRITERS.get(kind) or READERS[kind]
        words = (*words, f"own-{number}") if kind == "scan" else words
        process = subprocess.Popen(
            line(words, play, stage.store), env=environment(play), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        running.append((number, kind, process))
    for each in running:
        _reap(each, ends)
    refused = _check_ends(ends)
    found = outcome(play.db)
    assert {digest for _, digest in found} == {stage.whole}
    scanned = {f"own-{number}" for number, (kind, done) in ends.items() if kind == "scan" and done.status == 0}
    assert scanned == {host for host, _ in found if host.startswith("own-")}
    check_files(stage, stage.commands[1], play)
    stage.close(play)
    return f"{count} processes on one database, {at_once} at once; {refused} readers were told to try again"


def _reap(each: tuple[int, str, subprocess.Popen[bytes]], ends: dict[int, tuple[str, Done]]) -> None:
    number, kind, process = each
    printed, said = process.communicate(timeout=300)
    ends[number] = kind, Done(process.returncode, said.decode(), printed.decode("utf-8", "replace"))


def _check_ends(ends: Mapping[int, tuple[str, Done]]) -> int:
    """Every writer did its work; every reader gave a whole answer, or one sentence; returns how many gave that."""
    refused = 0
    whole: set[tuple[str, ...]] = set()
    for kind, done in ends.values():
        check_words(done)
        assert kind in READERS or done.status == 0, (kind, done.said)
        refused += done.status
        if done.status:
            assert done.said.count("\n") == 1, done.said
            assert done.printed == "", done.printed
        elif kind == "query":
            whole |= {tuple(row.split("\t")[1:]) for row in done.printed.splitlines()[1:]}
    assert len(whole) <= 1, f"parts of a snapshot were seen: {whole}"
    return refused


def clock_back(stage: Stage, seed: int) -> str:
    """Set the clock back between two scans, or in the middle of one: the later scan is the newest, and stays."""
    rng = random.Random(seed)
    play = stage.play()
    scan = ("scan", "{store}", "--db", "{db}", "--host", "web-1", "--label")
    back, step = rng.choice([60, 86_400, 400 * 86_400]), rng.choice([0, 0, rng.randint(1, 40)])
    assert stage.run((*scan, "first"), play).status == 0
    faults = {"FAULT_CLOCK": -back, "FAULT_STEP": step}
    done = stage.run((*scan, "second"), play, faults)
    assert done.status == 0, done.said
    assert "Traceback" not in done.said
    newest = stage.run(("query", "--db", "{db}", "--format", "tsv", "--sql", NEWEST), play).printed.splitlines()[1:]
    assert newest == ["2\tsecond"], newest
    pruned = stage.run(("snapshots", "prune", "--keep", "1", "--db", "{db}"), play, faults)
    assert pruned.status == 0, pruned.said
    left = stage.run(("query", "--db", "{db}", "--format", "tsv", "--sql", LABELS), play).printed.splitlines()[1:]
    assert left == ["second"], left
    assert outcome(play.db) == {("web-1", stage.whole): 1}
    stage.close(play)
    return f"clock {back} s back {f'at its reading {step}' if step else 'before the scan'}"


NEWEST: Final = "SELECT snapshot_id, label FROM selected_snapshots JOIN snapshots USING (snapshot_id)"
LABELS: Final = "SELECT label FROM snapshots"
