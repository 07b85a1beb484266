"""`layerindex plan`: what can be freed in which order, and commands that no name in a store can bend."""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from layerindex import catalog, database, scan, stores
from layerindex.cli import group
from layerindex.plan import commands, steps, text
from layerindex.plan.things import Store, Thing
from layerindex.render import human_bytes
from tests.conftest import build_world, replaced
from tests.conftest import scanned as memory_scan
from tests.dataroot import DataRoot, regular
from tests.storageroot import StorageRoot
from tests.test_containerd_reclaim import Root
from tests.test_owner_queries import METADATA, WALK, asker
from tests.test_usage import du

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dataroot import Layer

AGAIN = "can be rebuilt or pulled again"
COLUMNS = "step class kind name bytes"


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give an empty data root."""
    return DataRoot(tmp_path / "docker", privileged=os.geteuid() == 0)


def scanned(root: DataRoot | StorageRoot | Root, options: scan.Options = WALK, host: str = "one") -> str:
    """Scan a root into a database beside it and return that."""
    path = str(root.path.parent / "plan.db")
    with database.writing(path, lambda _: None) as connection:
        for store in stores.open_stores(str(root.path)):
            scan.scan(connection, store, scan.Filing(scan.Host(host, None)), options)
    return path


def plan(path: str, *words: str) -> str:
    """Return what the command prints."""
    result = CliRunner().invoke(group, ["plan", "--db", path, *words])
    assert 0 == result.exit_code, result.output
    return result.stdout


def planned(path: str, *words: str) -> dict[str, Any]:
    """Return the one plan of a database."""
    (found,) = json.loads(plan(path, "--format", "json", *words))
    return dict(found)


def layer(root: DataRoot, size: int, parent: Layer | None = None) -> Layer:
    """Add a layer without files."""
    return root.layer(parent=parent, size=size, metadata_only=True, diff_id=f"sha256:{size:064x}")


# The query ----------------------------------------------------------------------------------------------------------


def test_images_that_share_what_goes_are_one_step(root: DataRoot) -> None:
    """A used image keeps what it has; of two that share a layer the last takes it along; a third shares nothing."""
    base = layer(root, 1000)
    shared = layer(root, 300, base)
    used = root.image(base, ["used:1"])
    root.image(layer(root, 20, shared), ["one:1"])
    root.image(layer(root, 10, shared), ["two:1"])
    root.image(layer(root, 5, base), ["three:1"])
    root.container(used, name="web", state="running")

    rows = asker(root, METADATA)("plan", "step name bytes")
    assert {(1, 330), (2, 5)} == {(step, sum(row[2] for row in rows if row[0] == step)) for step, *_ in rows}
    assert {("one:1", 1), ("two:1", 1), ("three:1", 2)} == {(name, step) for step, name, _ in rows}


def test_build_cache_and_images_that_block_each_other(root: DataRoot) -> None:
    """Layers of untagged images and of records are one step; a record on a tagged image's layer goes with that."""
    both = layer(root, 100)
    root.image(both)
    root.build_record(both, record_id="a" * 25)
    tagged = layer(root, 70)
    root.image(tagged, ["tool:1"])
    root.build_record(tagged, record_id="b" * 25)
    used = layer(root, 9)
    root.container(root.image(used, ["used:1"]), state="running")
    root.build_record(used, record_id="c" * 25)

    rows = asker(root, METADATA)("plan", "step kind id bytes")
    assert [(1, "image", 0), (1, "record", 100), (2, "image", 0), (2, "record", 70)] == [
        (step, kind, freed) for step, kind, _, freed in rows
    ]
    assert ["a" * 25, "b" * 25] == [id_ for _, kind, id_, _ in rows if kind == "record"]


def test_a_record_above_a_tagged_image(root: DataRoot) -> None:
    """It is freed with the build cache; what the image shares with it goes with the image."""
    base = layer(root, 1000)
    root.image(base, ["base:1"])
    root.build_record(layer(root, 50, base), record_id="a" * 25)

    expected = [(1, "record", 50), (2, "image", 1000)]
    assert expected == asker(root, METADATA)("plan", "step kind bytes")


def test_everything_else(root: DataRoot) -> None:
    """Logs before data, data before what the engine does not know; a container's bytes are without its log's."""
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    root.container(image, name="runs", state="running", log=b"x" * 9000)
    done = root.container(image, name="done", log=b"y" * 5000, files={"f": regular(b"1" * 5000)})
    root.volume("used")
    root.container(image, name="has", state="running", volumes=["used:/x"])
    root.volume("lonely", files={"data": regular(b"2" * 300_000)})
    stray = root.orphan(files={"x": regular(b"3" * 5000)})
    ask = asker(root, WALK)

    volume = du(root.path / "volumes" / "lonely")
    mount = root.overlay_dir(done.mount)
    held = du(mount) + du(root.overlay_dir(str(done.mount.init_id))) + du(root.path / "containers" / done.container_id)
    expected = [
        (1, "log lines are lost", "log", "runs", 12_288),
        (2, "log lines are lost", "log", "done", 8192),
        (3, "data: look first", "volume", "lonely", volume),
        (4, "data: look first", "container", "done", held - 8192),
        (5, "the engine does not know of it", "directory", f"overlay2/{stray.cache_id}", du(root.overlay_dir(stray))),
    ]
    assert expected == ask("plan", COLUMNS)


def test_a_doubt_gives_no_advice(root: DataRoot) -> None:
    """With a container that cannot be read no image, volume and directory is unused: each says which file it was."""
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    root.image(root.layer({"b": b"1"}), ["b:1"])
    torn = root.container(image, name="torn")
    root.container_file(torn).write_bytes(b"{")
    root.volume("data")
    root.orphan()
    rows = [row for row in asker(root, METADATA)("plan", "step class kind because") if row[2] != "log"]

    assert {"image", "volume", "directory", "container"} >= {kind for _, _, kind, _ in rows} >= {"image", "volume"}
    for step, class_, kind, because in rows:
        assert (step, class_) == (None, "unknown")
        assert kind == "container" or f"containers/{torn.container_id}" in because


# The command --------------------------------------------------------------------------------------------------------


def full(root: DataRoot) -> None:
    """Put something of each class into a root."""
    base = root.layer({"base": regular(b"1" * 50_000)})
    image = root.image(base, ["a:1"])
    root.container(image, name="runs", state="running", log=b"x" * 9000)
    root.container(image, name="done", files={"f": regular(b"1" * 5000)})
    for number in range(20):
        root.image(root.layer({f"{number}": regular(b"1" * 90_000)}, parent=base))
    top = root.layer({"t": regular(b"1" * 30_000)}, parent=base)
    root.image(top, [f"registry.example:5000/a-rather-long-name/of-a-team/and-its-application:{n}" for n in range(9)])
    for number in range(5):
        root.build_record(root.buildkit_dir(files={"r": regular(b"2" * 8000)}), cache_description=f"RUN {number}")
    root.volume("lonely", files={"data": regular(b"2" * 70_000)})
    root.orphan(files={"x": regular(b"3" * 5000)})
    root.write_set(3, named=True)


def test_it_fits_a_terminal(root: DataRoot) -> None:
    """No line is wider than 80 but one with a name or path that is."""
    full(root)
    for words in ((), ("--no-trunc",)):
        printed = plan(scanned(root), *words)
        for line in printed.splitlines():
            assert len(line) <= text.WIDTH or max(map(len, line.split())) > text.WIDTH - 10, line
        assert "docker volume rm lonely" in printed
        assert "registry.example:5000/a-rather-long-name/of-a-team/and-its-application:0 \\" in printed


def test_whole_commands_run_as_they_are_printed(root: DataRoot) -> None:
    """What a shell makes of the printed lines are the words of the commands."""
    full(root)
    path = scanned(root)
    found = planned(path)
    printed = plan(path, "--no-trunc")
    lines = printed[printed.index("\n1  ") :].replace("\\\n", "").splitlines()
    words = [shlex.split(line) for line in lines if line.split(" ")[:4][-1:] and line.startswith("   ")]
    expected = [command for step in found["steps"] for command in step["commands"]]
    assert [each for each in expected if each not in words] == []


def test_target(root: DataRoot) -> None:
    """The plan ends where enough is freed, within a step too, but not within the build cache."""
    full(root)
    path = scanned(root)
    whole = planned(path)
    cache, untagged = whole["steps"][:2]
    assert [{"record"}, {"image"}] == [{thing["kind"] for thing in step["things"]} for step in (cache, untagged)]
    assert [cache] == planned(path, "--target", "1kB")["steps"]
    target = cache["frees"] + 200_000
    cut = planned(path, "--target", f"{target}")
    assert [cache["step"], untagged["step"]] == [step["step"] for step in cut["steps"]]
    assert target <= cut["frees"] < target + 100_000
    assert whole["steps"] == planned(path, "--target", "1PB")["steps"]
    assert "The target of 1PB is not reached" in plan(path, "--target", "1PB")
    assert "not reached" not in plan(path, "--target", "1kB")
    assert planned(path, "--target", "0.1KiB")["frees"] > 0
    for word in ("much", "5x", "iB", "-1", "1e9"):
        result = CliRunner().invoke(group, ["plan", "--db", path, "--target", word])
        assert 2 == result.exit_code
        assert "such as 20G" in f"{result.output}{result.exception}"


HOSTILE = ("$(reboot)", "a b", "-rf", "a;b", "a\nb", "../../etc", "`x`", "'", "\x1b[31m", "a'$(x)'")


def test_hostile_names(root: DataRoot) -> None:
    """A name that no engine gives stands in no command and no script, and cannot move a terminal."""
    base = root.layer({"a": regular(b"1" * 9000)})
    for number, name in enumerate(HOSTILE):
        root.image(root.layer({f"{number}": regular(b"1" * 9000)}, parent=base), [f"{name}:1"])
        root.build_record(root.buildkit_dir(files={"r": b"1"}), record_id=name)
        if "/" not in name:
            root.volume(name, files={"data": regular(b"2" * 9000)})
    root.volume("good", files={"data": regular(b"2" * 9000)})
    path = scanned(root)
    found = planned(path)
    assert [["docker", "volume", "rm", "good"]] == [words for step in found["steps"] for words in step["commands"]]
    printed = plan(path, "--no-trunc")
    assert "\x1b" not in printed
    assert "no command for it is safe" in printed
    script = plan(path, "--script")
    assert not [name for name in HOSTILE if name in script.partition("step_1() {")[2].partition("\n}")[0]]
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_a_plan_for_each_store(root: DataRoot, tmp_path: Path) -> None:
    """Several hosts have a plan each; a script is for one of them."""
    full(root)
    path = scanned(root)
    scanned(root, host="two")
    assert ["one", "two"] == [found["host"] for found in json.loads(plan(path, "--format", "json"))]
    assert 2 == plan(path).count("need not be there")
    result = CliRunner().invoke(group, ["plan", "--db", path, "--script"])
    assert "name one with --snapshot: 1 (one " in f"{result.output}{result.exception}"
    assert plan(path, "--script", "--host", "two").startswith(
        "#!/bin/sh\n# Written by layerindex plan for Docker: two,"
    )
    assert tmp_path.exists()


def test_nothing_to_free(root: DataRoot) -> None:
    """An empty store has a plan that says so, and a script that does nothing."""
    path = scanned(root)
    assert "nothing was found that need not be there" in plan(path)
    assert 0 == subprocess.run(["sh"], input=plan(path, "--script"), text=True, check=True).returncode


def test_what_is_known_of_the_version(root: DataRoot) -> None:
    """Docker 23 and later leave their id in the root, and may have another builder."""
    full(root)
    assert "Docker before 23" in plan(scanned(root))
    (root.path / "engine-id").write_text("0123-4567")
    (root.path.parent / "plan.db").unlink()
    assert "Docker 23 or later" in plan(scanned(root))
    assert "--builder default" in plan(str(root.path.parent / "plan.db"))
    assert commands.engine(STORE._replace(engine_id=None, moved=0)).version == "before 23"
    assert commands.engine(STORE._replace(engine_id=None, moved=1)).version is None  # a copy may lack the file


def test_podman(tmp_path: Path) -> None:
    """Podman's store has Podman's commands."""
    root = StorageRoot(tmp_path / "storage", privileged=os.geteuid() == 0)
    root.image(root.layer({"a": b"1" * 9000}), ["localhost/a:1"])
    (root.volume("data") / "x").write_bytes(b"1" * 9000)
    root.save()
    found = planned(scanned(root))
    words = [words for step in found["steps"] for words in step["commands"]]
    assert [["podman", "rmi", "localhost/a:1"], ["podman", "volume", "rm", "data"]] == words


def test_what_a_script_moved_aside_is_a_step(root: DataRoot) -> None:
    """Its bytes are not free before it is deleted, which nothing but a person decides."""
    aside = root.file("layerindex-quarantine") / "abc"
    aside.mkdir(parents=True)
    (aside / "big").write_bytes(b"1" * 100_000)
    path = scanned(root)
    (step,) = planned(path)["steps"]
    assert ("data: look first", "what a plan's script moved aside", []) == (
        step["class"],
        step["what"],
        step["commands"],
    )
    assert du(aside.parent) == step["frees"]
    assert step["remarks"] == [f"when nothing missed it: rm -r {aside.parent}"]
    assert f"   # rm -r {aside.parent}\n" in plan(path)
    done = subprocess.run(["sh", "-s", "1"], input=plan(path, "--script"), capture_output=True, text=True, check=False)
    assert (1, "") == (done.returncode, done.stderr)
    assert f"left: by hand: when nothing missed it: rm -r {aside.parent}" in done.stdout
    assert aside.exists()


def test_the_smallest_steps_are_left_out(root: DataRoot) -> None:
    """A table for people ends where it would fill the screen, and loses nothing that is worth it."""
    for size in range(1, text.STEPS + 3):
        root.image(layer(root, 10 ** (size % 9) * 7 + size), [f"size:{size}"])
    path = scanned(root, METADATA)
    freed = sorted((step["frees"] for step in planned(path)["steps"]), reverse=True)
    shown = [line for line in plan(path).splitlines() if re.match(r"[0-9]+ +rebuilt", line)]
    assert len(shown) == text.STEPS < len(freed)
    assert f"{len(freed) - text.STEPS} smaller: --no-trunc" in plan(path)
    assert [human_bytes(size) for size in freed[: text.STEPS]] == [line.split()[-1].lstrip("~") for line in shown]


def test_the_script_does_nothing_by_itself(root: DataRoot) -> None:
    """It lists its steps, refuses others, and touches nothing where the engine does not answer."""
    full(root)
    script = root.path.parent / "free.sh"
    script.write_text(plan(scanned(root), "--script"))
    environment = {"PATH": os.environ["PATH"], "ENGINE": "false", "LAYERINDEX": "false"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", script, *words], capture_output=True, text=True, env=environment, check=False)

    before = du(root.path)
    assert 0 == run().returncode
    assert "lonely" in run().stdout
    assert 2 == run("99").returncode
    done = run("1")
    assert (1, before) == (done.returncode, du(root.path))
    assert "the engine does not answer" in done.stdout


def test_the_script_knows_the_program_that_wrote_it(root: DataRoot) -> None:
    """It was perhaps not on the PATH, and is less so under sudo; where it is gone the script says that, and no more."""
    root.orphan(files={"x": regular(b"3" * 5000)})
    program = root.path.parent / "bin" / "layerindex"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m layerindex "$@"\n')
    program.chmod(0o755)
    with patch.object(sys, "argv", [str(program)]):
        script = plan(scanned(root), "--script")
    assert f"LAYERINDEX=${{LAYERINDEX:-{program}}}\n" in script
    program.unlink()
    done = subprocess.run(["sh", "-s", "1"], input=script, capture_output=True, text=True, check=False)
    assert f"no {program}: LAYERINDEX names it" in done.stdout
    assert (1, "") == (done.returncode, done.stderr)
    assert "LAYERINDEX=${LAYERINDEX:-layerindex}\n" in plan(scanned(root), "--script")


def test_safe_steps_of_the_script(root: DataRoot) -> None:
    """One word does all that loses neither data nor log lines; the others need their number, or the word for all."""
    full(root)
    db = scanned(root)
    script = root.path.parent / "free.sh"
    script.write_text(plan(db, "--script"))
    environment = {"PATH": os.environ["PATH"], "ENGINE": "false", "LAYERINDEX": "false"}
    tried = {}
    for word in ("safe", "all"):
        done = subprocess.run(["sh", script, word], capture_output=True, text=True, env=environment, check=False)
        tried[word] = [int(number) for number in re.findall("^step ([0-9]+)$", done.stdout, re.MULTILINE)]
    classes = {step["step"]: step["class"] for step in planned(db)["steps"]}
    losing = {number for number, class_ in classes.items() if class_ in ("data: look first", "log lines are lost")}
    assert losing & set(tried["all"])
    assert tried["safe"] == [number for number in tried["all"] if number not in losing]
    assert tried["safe"]


@pytest.mark.parametrize(
    ("answered", "scanned_at", "ours"),
    [
        ("{root}", "{root}", True),
        ("{link}", "{root}", True),
        ("{root}/../other", "{root}", False),
        ("/nowhere/docker", "{root}", False),
        ("/nowhere/docker", "/nowhere/docker", True),  # an engine on another host
        ("/nowhere/other", "/nowhere/docker", False),
    ],
)
def test_the_script_asks_the_engine_for_its_root(root: DataRoot, answered: str, scanned_at: str, ours: bool) -> None:
    """It leaves all as it is where the engine has another root than the one that was scanned, or none that is here."""
    full(root)
    script, (link, engine) = plan(scanned(root), "--script"), (root.path.parent / name for name in ("link", "engine"))
    link.symlink_to(root.path)
    (root.path.parent / "other").mkdir()
    said, wanted = (path.format(root=root.path, link=link) for path in (answered, scanned_at))
    engine.write_text(
        f'#!/bin/sh\ncase "$*" in *DockerRootDir*) echo {said} ;; *Driver*) echo overlay2 ;; *) exit 1 ;; esac\n'
    )
    engine.chmod(0o755)
    done = subprocess.run(
        ["sh", "-s", "1"],
        input=script.replace(f"ROOT={root.path}\n", f"ROOT={wanted}\n"),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "ENGINE": f"{engine}"},
        check=False,
    )
    assert ours == ("this engine's root is" not in done.stdout), done.stdout


def test_scan_says_the_headline(root: DataRoot) -> None:
    """The end of a scan says how much there is to be had, and which command says what."""
    full(root)
    result = CliRunner().invoke(group, ["scan", str(root.path), "--db", str(root.path.parent / "new.db")])
    assert "need not be there" in result.stderr
    assert "`layerindex plan --snapshot 1`" in result.stderr


# containerd ---------------------------------------------------------------------------------------------------------


def test_containerd(tmp_path: Path) -> None:
    """Each namespace has its own commands: ctr's, Kubernetes' where its plugin named the image, Docker's."""
    root = Root(tmp_path / "containerd")
    layers = [root.layer({"a": b"a" * 9000})]
    root.app("docker.io/acme/plain:1", layers, "default")
    for number, namespace in enumerate(("k8s.io", "moby")):
        image = root.app(f"docker.io/acme/app:{number}", [root.layer({f"{number}": b"b" * 9000})], namespace)
        if namespace == "k8s.io":
            root.name(image.image_id, image.target, namespace=namespace)
    root.app("docker.io/acme/bad:1", [root.layer({"bad": b"a" * 9000})], "a b; reboot")
    root.write()
    path = scanned(root)
    found = planned(path)
    words = sorted(words for step in found["steps"] for words in step["commands"])
    assert ["crictl", "rmi"] == words[0][:2]
    assert words[1:] == [
        ["ctr", "--namespace", "default", "images", "rm", "--sync", "docker.io/acme/plain:1"],
        ["docker", "image", "rm", "docker.io/acme/app:1"],
    ]
    assert found["unknown"][0]["because"] == steps.NO_NAME
    script = plan(path, "--script")
    assert "reboot" not in script
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_the_script_asks_containerd_for_its_root(tmp_path: Path) -> None:
    """A plan of a copy, or of another host, touches nothing of the containerd that runs here."""
    root = Root(tmp_path / "containerd")
    layers = [root.layer({"a": b"a" * 9000})]
    root.app("docker.io/acme/plain:1", layers, "default")
    image = root.app("docker.io/acme/app:0", [root.layer({"b": b"b" * 9000})], "k8s.io")
    root.name(image.image_id, image.target, namespace="k8s.io")
    root.write()
    script, answers = plan(scanned(root), "--script"), tmp_path / "answers"
    answers.write_text(
        """#!/bin/sh
case $1 in
  plugins) printf 'Exports:\n      root      %s/io.containerd.content.v1.content\n' "$SAID" ;;
  info) printf '{\n  "config": {\n    "containerdRootDir": "%s",\n' "$SAID" ;;
  *) echo "asked: $*" ;;
esac
"""
    )
    answers.chmod(0o755)
    for told in (str(tmp_path), str(root.path), ""):
        environment = {"PATH": os.environ["PATH"], "CTR": str(answers), "CRICTL": str(answers), "SAID": told}
        done = subprocess.run(
            ["sh", "-s", "all"], input=script, capture_output=True, text=True, env=environment, check=False
        )
        assert (1, "") == (done.returncode, done.stderr)
        assert ("asked:" in done.stdout) == (told == str(root.path))
        if told == str(tmp_path):
            assert 2 == done.stdout.count(f"this containerd's root is {told}, and the plan is for {root.path}")


def test_blobs_that_steps_share_go_with_the_last(tmp_path: Path) -> None:
    """What is promised of all steps is what all blobs and layers have, each once."""
    root = Root(tmp_path / "containerd")
    one, two, three = (root.layer({name: name.encode() * 9000}) for name in "123")
    root.app("docker.io/acme/a:1", [one, two])
    root.app("docker.io/acme/a:2", [one, three])
    root.app("docker.io/acme/b:1", [two, one])
    root.write()
    found = planned(scanned(root, METADATA))
    blobs = sum((len(content) + 4095) // 4096 * 4096 for content in root.blobs.values())
    assert 2 == len(found["steps"])
    with database.reading(str(tmp_path / "plan.db")) as connection:
        (layers,) = connection.execute(
            "SELECT sum(size) FROM containerd_snapshots WHERE chain_id IS NOT NULL"
        ).fetchone()
    assert blobs + layers == found["frees"]


# Words --------------------------------------------------------------------------------------------------------------


def test_what_is_unknown_is_never_called_an_orphan(root: DataRoot) -> None:
    """A person may move an orphan: only what the standings call unused has that word, or a command."""
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    torn = root.container(image, name="torn")
    root.container_file(torn).write_bytes(b"{")
    root.orphan()
    root.removing(root.layer({"gone": b"1"}))
    printed = plan(scanned(root))
    assert "orphan" not in printed.replace("orphaned", "")
    assert "Have it read (as root)" in " ".join(printed.split())
    assert "a restart of the engine" in " ".join(printed.split())
    for other in ("docker image rm", "docker volume rm", "mv "):
        assert other not in printed


def test_interrupted_downloads(root: DataRoot) -> None:
    """What lies in tmp/ goes with a restart of the engine, which a script does not do."""
    (root.path / "tmp" / "GetImageBlob1").parent.mkdir(exist_ok=True)
    (root.path / "tmp" / "GetImageBlob1").write_bytes(b"1" * 90_000)
    path = scanned(root)
    found = planned(path)
    assert [("nothing is lost", [])] == [(step["class"], step["commands"]) for step in found["steps"]]
    assert found["frees"] >= 90_000
    assert "systemctl restart docker" in plan(path)
    script = plan(path, "--script")
    assert "(by hand)" in script
    assert "restart docker" not in script.partition("step_1")[0].replace("# ", "")
    assert 0 == subprocess.run(["sh", "-s", "all"], input=script, text=True, check=False).returncode


def test_working_containers_and_pods(tmp_path: Path) -> None:
    """Buildah's working container may go; of one in a pod only CRI-O knows whether it runs."""
    root = StorageRoot(tmp_path / "storage", privileged=os.geteuid() == 0)
    image = root.image(root.layer({"a": b"1" * 9000}), ["localhost/a:1"])
    working = root.container(image, name="a-working-container", state=None, metadata={})
    pod = {"pod-name": "p", "pod-id": "e" * 64, "image-name": "k8s.example/a:1"}
    root.container(image, name="k8s_a", state=None, metadata=pod)
    root.container(image, name="runs", state="running")
    root.save()
    found = planned(scanned(root))
    assert [["buildah", "rm", working.container_id]] == [words for step in found["steps"] for words in step["commands"]]
    assert "k8s_a" in {thing["name"] for thing in found["unknown"]}


def test_containers_of_crio(tmp_path: Path) -> None:
    """Their state is known, and they keep their images: what no pod needs is a step; Kubernetes removes the rest."""
    root = StorageRoot(tmp_path / "storage", privileged=os.geteuid() == 0)
    base = root.layer({"a": b"1" * 9000})
    used, unused = (
        root.image(root.layer({name: b"2" * 9000}, parent=base), [f"k8s.example/{name}:1"]) for name in "ab"
    )
    sandbox = root.of_crio(used, "k8s_POD_p", state={"status": ""})
    for name, state in (("k8s_ended_p", "stopped"), ("k8s_runs_p", "running")):
        root.of_crio(used, name, sandbox.container_id, {"status": state})
    root.save()
    found = planned(scanned(root))
    assert [[["podman", "rmi", "k8s.example/b:1"]]] == [step["commands"] for step in found["steps"]]
    assert [f"sha256:{unused.storage_id}"] == [thing["id"] for step in found["steps"] for thing in step["things"]]
    assert [] == found["unknown"]
    assert ["without podman: crictl rmi takes the same names and ids"] == [
        remark for step in found["steps"] for remark in step["remarks"] if "crictl" in remark
    ]


def test_what_a_registry_has_comes_first(root: DataRoot) -> None:
    """An image that nothing but this host has comes after one that can be pulled again, however large it is."""
    root.image(layer(root, 5000), ["here:1"])
    pulled = root.image(layer(root, 50), ["there:1"])
    root.tag(pulled, "there@sha256:" + "d" * 64)
    path = scanned(root, METADATA)
    assert [[["docker", "image", "rm", "there:1"]], [["docker", "image", "rm", "here:1"]]] == [
        step["commands"] for step in planned(path)["steps"]
    ]
    assert 1 == plan(path).count("save first what")


def test_no_lost_file_makes_advice(tmp_path: Path) -> None:
    """Whichever of the engine's own files is removed, nothing gets a command that had none before."""
    world = build_world(tmp_path / "docker")
    world.root.volume("free")
    world.root.orphan()
    world.root.image(world.root.layer({"z": b"z"}), ["free:1"])
    world.root.build_record(world.top)
    sql = catalog.load("plan").sql

    def advised(path: Path) -> set[tuple[str, str]]:
        with closing(memory_scan(path)) as connection:
            rows = connection.execute(sql).fetchall()
        return {(row[2], row[3]) for row in rows if row[1] != steps.UNKNOWN and row[2] != "record"}

    expected = advised(world.root.path)
    assert {"image", "volume", "directory", "container"} == {kind for kind, _ in expected}
    files = [path for path in sorted(world.root.path.rglob("*")) if path.is_file() and path.suffix != ".log"]
    assert len(files) > 30
    for path in files[::3]:
        with replaced(path):
            assert advised(world.root.path) <= expected, path


ID = "a" * 64
STORE = Store(
    1, "h", "docker-overlay2", "docker", "/var/lib/docker", "overlay2", "overlay2", None, "2026-01-01", "walk", 9, 0, 0
)
LOGS = {
    f"containers/{ID}/{ID}-json.log": True,
    f"overlay-containers/{ID}/userdata/ctr.log": True,
    "/var/log/pods/kube-system_etcd-1_4ab5/etcd/0.log": True,
    "/etc/shadow": False,
    "/var/log/auth.log": False,
    "/var/log/pods/../../../etc/x/0.log": False,
    "/var/log/pods/a/../0.log": False,
    f"containers/{ID}/../../etc/x.log": False,
    f"containers/{ID}/a b.log": False,
    f"containers/{ID}/x.log\n": False,
}
"""What a database may name as a log, and whether an engine or Kubernetes would write one there."""


@pytest.mark.parametrize("path", LOGS)
def test_only_logs_are_cut(path: str) -> None:
    """A database of a stranger, or a store, may name any file as a log: no command cuts another file."""
    thing = Thing("log", ID, None, path, None, None, 5, 1, None, None)
    assert LOGS[path] == commands.is_safe(STORE, thing)


@pytest.mark.parametrize(("folder", "safe"), [("overlay2", 1), ("/mnt/x/overlay", 1), ("/etc", 0), ("", 0), ("/", 0)])
def test_only_directories_of_drivers_are_moved(folder: str, safe: int) -> None:
    """A database of a stranger may say that the driver's folder is any folder: no command moves what is there."""
    thing = Thing("directory", "ssh", None, None, None, None, 5, 1, None, None)
    assert safe == commands.is_safe(STORE._replace(folder=folder), thing)


@pytest.mark.parametrize("root", ["/var/\x1b[31m", "/a\nrm -rf b", "--help", "docker", "/var/../etc"])
def test_only_places_that_can_be_printed_are_in_commands(root: str) -> None:
    """A root is called as a database says: no command moves a cursor, and none is about another place."""
    log = Thing("log", ID, None, f"containers/{ID}/{ID}-json.log", None, None, 5, 1, None, None)
    orphan = Thing("directory", ID, None, None, None, None, 5, 1, None, None)
    assert [True, True, False, False] == [
        commands.is_safe(store, thing) for store in (STORE, STORE._replace(root=root)) for thing in (log, orphan)
    ]


def test_an_engine_that_contradicts_its_store(root: DataRoot) -> None:
    """A database of a stranger may say that a store is another engine's, and that its logs are of any size."""
    full(root)
    path = scanned(root)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE container_logs SET disk_bytes = {2**63 - 1}")
        connection.execute(
            """INSERT INTO container_logs SELECT snapshot_id, container_id, path || '.log', driver, rotation,
               apparent_bytes, disk_bytes, modified_at FROM container_logs"""
        )
        connection.execute("UPDATE snapshots SET engine = 'containerd'")
    found = planned(path)
    assert found["steps"]
    assert {"image", "log", "directory"} >= {each["kind"] for step in found["steps"] for each in step["things"]}


@pytest.mark.parametrize("swapped", ["containers/{id}", "layerindex-quarantine", "layerindex-quarantine/moved.log"])
def test_no_symlink_leads_a_script_elsewhere(root: DataRoot, swapped: str) -> None:
    """The owner of a store may put symlinks in it once the script is written: nothing behind them is changed."""
    image = root.image(root.layer({"a": regular(b"1")}), ["a:1"])
    container = root.container(image, state="running", log=b"x" * 9000)
    root.orphan()
    script = plan(scanned(root), "--script")
    victim = root.path.parent / "victim"
    place = root.path / swapped.format(id=container.container_id)
    victim.mkdir()
    victim.chmod(0o755)
    if place.is_dir():
        for file in place.iterdir():
            file.rename(victim / file.name)
        place.rmdir()
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(victim if place.suffix == "" else victim / "log")
    before = {file.name: file.stat().st_size for file in victim.iterdir()}
    environment = {"PATH": os.environ["PATH"], "LAYERINDEX": "echo orphan"}
    done = subprocess.run(
        ["sh", "-s", "all"], input=script, capture_output=True, text=True, env=environment, check=False
    )
    assert (1, before) == (done.returncode, {file.name: file.stat().st_size for file in victim.iterdir()}), done.stdout
    assert 0o755 == victim.stat().st_mode & 0o7777
    assert "symlink" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_script_changes_no_store_of_another_user(root: DataRoot) -> None:
    """Its owner could change what a name leads to between a check and what follows."""
    container = root.container(root.image(root.layer({"a": b"1"}), ["a:1"]), state="running", log=b"x" * 9000)
    script = plan(scanned(root), "--script")
    os.chown(root.path, 1234, 1234)
    done = subprocess.run(["sh", "-s", "all"], input=script, capture_output=True, text=True, check=False)
    assert "another user's" in done.stdout
    assert 9000 <= next(root.path.glob(f"containers/{container.container_id}/*.log")).stat().st_size
