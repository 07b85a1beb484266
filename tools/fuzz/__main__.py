"""The command line of the harness; see `tools.fuzz`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools import fuzz
from tools.fuzz import corpus, plain, scratch
from tools.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from tools.fuzz.target import Target

ALL = "all"
"""In place of a target: each in turn."""
ROUND = 50_000
"""Most executions of one process: what atheris traces it never forgets, up to tens of kilobytes for each."""
DONE = re.compile(rb"Done (\d+) runs in (\d+) second")


def main(words: list[str] | None = None) -> int:
    """Run a target; 1 where its promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=fuzz.__doc__, formatter_class=_Plain)
    parser.add_argument("target", nargs="?", choices=[ALL, *sorted(TARGETS)], metavar="TARGET")
    parser.add_argument("--list", action="store_true", help="list the targets and what they promise")
    parser.add_argument("--runs", type=int, default=100_000, help="how many inputs (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for how long at most")
    parser.add_argument("--corpus", type=Path, help="a folder with more inputs; what atheris finds is added to it")
    parser.add_argument("--seed", type=int, default=0, help="other mutations")
    parser.add_argument("--plain", action="store_true", help="do without atheris")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="read one input and show how it ends")
    parser.add_argument("--minimise", type=Path, metavar="FILE", help="write the shortest that breaks alike")
    options = parser.parse_args(words)
    if options.list or options.target is None:
        for name, each in sorted(TARGETS.items()):
            print(f"{name:20} {each.promise}")
        return 0
    if options.target == ALL:
        if options.corpus or options.replay or options.minimise:
            parser.error("--corpus, --replay and --minimise are for one target")
        return max([_run(target, options) for target in TARGETS.values()])
    target = TARGETS[options.target]
    if options.corpus is not None:
        options.corpus.mkdir(parents=True, exist_ok=True)
    if options.replay is not None:
        target.run(options.replay.read_bytes())
        return 0
    if options.minimise is not None:
        print(corpus.keep_broken(target, plain.minimised(target, options.minimise.read_bytes()), options.corpus))
        return 0
    return _run(target, options)


def _run(target: Target, options: argparse.Namespace) -> int:
    if options.plain or importlib.util.find_spec("atheris") is None:
        return _plain(target, options)
    return _guided(target, options)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Leaves the description as it stands."""


def _plain(target: Target, options: argparse.Namespace) -> int:
    found = plain.loop(target, corpus.inputs(target, options.corpus), options.runs, options.seconds, options.seed)
    print(f"{target.name}: {found.executions} executions in {found.seconds:.0f} s, without atheris", flush=True)
    if found.broken is None:
        return 0
    print(f"{corpus.keep_broken(target, found.broken, options.corpus)}: {type(found.error).__name__}: {found.error}")
    return 1


def _guided(target: Target, options: argparse.Namespace) -> int:
    with scratch.made() as folder:
        seeds, found, words = (Path(folder, name) for name in ("seeds", "found", "words"))
        seeds.mkdir()
        found.mkdir()
        for number, data in enumerate(corpus.inputs(target)):
            seeds.joinpath(f"{number}").write_bytes(data)
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        command = [sys.executable, "-m", "tools.fuzz.guided", target.name]
        command += [f"-max_len={target.largest}", f"-timeout={plain.HANG}"]
        command += [f"-dict={words}"] if target.words else []  # an empty one is refused
        command += [f"-artifact_prefix={folder}/broken-", "-rss_limit_mb=2048", "-print_final_stats=0"]
        command += [str(options.corpus or found), str(seeds)]
        done = seconds = 0
        while done < options.runs and seconds < options.seconds:
            ended = _round(command, options, done, seconds, folder)
            if match := DONE.search(ended.stderr):
                done, seconds = done + int(match[1]), seconds + int(match[2])
            for path in Path(folder).glob("broken-*"):
                print(corpus.keep_broken(target, path.read_bytes(), options.corpus))
            if ended.returncode or not match:
                sys.stderr.write(ended.stderr.decode(errors="replace")[-6000:])
                return 1
            print(f"{target.name}: {done} executions in {seconds} s, guided by atheris", flush=True)
        return 0


def _round(
    command: list[str], options: argparse.Namespace, done: int, seconds: int, folder: str
) -> subprocess.CompletedProcess[bytes]:
    """Run some of the executions that are left; what they find, the next round begins with."""
    limits = [f"-runs={min(ROUND, options.runs - done)}", f"-seed={(options.seed or 1) + done // ROUND}"]
    if options.seconds != float("inf"):
        limits.append(f"-max_total_time={max(1, options.seconds - seconds):.0f}")
    return subprocess.run(
        [*command[:4], *limits, *command[4:]], env=os.environ | {"TMPDIR": folder}, stderr=subprocess.PIPE, check=False
    )


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
