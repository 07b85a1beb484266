"""Two hosts with an example of every case that a canned query tells apart, in one database; each id has a name.

`web-1` was scanned twice: before and after a tag moved. It has all the odd things, and BuildKit's folder, so that
nothing there is called an orphan. `db-1` shares a base with it and is in order but for its orphans. Sizes are round, so
that sums can be checked by eye; times do not depend on when the tests run.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from layerindex import database, scan, stores
from tests.dataroot import Container, DataRoot, Image, Layer, Mount, OverlayDir, stamp
from tests.rewrite import rewriting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WEB = scan.Host("web-1", "11111111111111111111111111111111")
DB = scan.Host("db-1", None)
IDS = re.compile(r"(?:sha256:)?[0-9a-f]{64}|\b[A-Z2-7]{26}\b|\b[0-9a-z]{25}\b")
"""Digests, cache-ids and container ids, short names, BuildKit's names."""

NOBODY = "e" * 64
DIGESTS = {"c": "digest:kit", "d": "digest:web", "e": "image:nobody", "f": "image:ghost", "b": "diff:forger"}
RECORDS = {"1": "record:base", "2": "record:cached", "3": "record:mount", "4": "record:lost"}
LINKS = {"A": "link:dangling", "B": "link:outside", "C": "link:folder", "D": "link:second", "E": "link:nowhere"}


class Exhibits(NamedTuple):
    """The database, and the name of each id in it."""

    path: str
    names: dict[str, str]

    def named(self, value: object) -> object:
        """Return a cell with the ids in it replaced by their names."""
        return IDS.sub(lambda found: self._name(found[0]), value) if isinstance(value, str) else value

    def _name(self, id_: str) -> str:
        """Return the name of an id; a base layer's chain_id is its diff_id and has that one's name."""
        return self.names.get(id_) or self.names.get(f"sha256:{id_}") or id_

    def id_of(self, name: str) -> str:
        """Return the id that has a name."""
        (found,) = (id_ for id_, given in self.names.items() if given == name)
        return found


class _Host:
    """A data root whose layers, images and directories get names as they are made."""

    def __init__(self, path: Path, seed: int, names: dict[str, str]) -> None:
        self.root = DataRoot(path, seed=seed)
        self.path, self.host, self.names = path, path.name, names

    def name(self, id_: str, name: str) -> None:
        """Give an id its name."""
        assert self.names.setdefault(id_, name) == name

    def layer(
        self, name: str, size: int, parent: Layer | None = None, *, same_as: Layer | None = None, **options: str
    ) -> Layer:
        """Add a layer without files; `same_as` is the layer whose content it has at another place."""
        diff_id = same_as.diff_id if same_as else "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        made = self.root.layer(
            parent=parent, diff_id=diff_id, size=size, metadata_only=True, cache_id=options.get("cache_id")
        )
        if same_as is None:
            self.name(diff_id, f"diff:{name}")
        if parent is not None:
            self.name(made.chain_id, f"chain:{name}")
        self.name(made.cache_id, f"dir:{name}@{self.host}")
        self.name(made.link, f"link:{name}@{self.host}")
        return made

    def image(
        self, name: str, layer: Layer | None, steps: list[str], tags: tuple[str, ...] = (), **options: object
    ) -> Image:
        """Add an image; a step that begins with # makes no layer."""
        day = len([known for known in self.names.values() if known.startswith("image:")])
        created = stamp(24 * 60 * day)
        history: list[Mapping[str, object]] = [
            {"created": created, "created_by": step.removeprefix("#")}
            | ({"empty_layer": True} if step[0] == "#" else {})
            for step in steps
        ]
        made = self.root.image(layer or (), tags, created=created, history=history, **options)  # type: ignore[arg-type]
        self.name(made.image_id, f"image:{name}")
        return made

    def directory(self, name: str, made: OverlayDir) -> OverlayDir:
        """Name a directory that is no layer."""
        self.name(made.cache_id, f"dir:{name}@{self.host}")
        self.name(made.link, f"link:{name}@{self.host}")
        return made

    def mount(self, name: str, made: Mount) -> Mount:
        """Name a writable layer and its init layer."""
        self.name(made.mount_id, f"dir:{name}@{self.host}")
        self.name(made.link, f"link:{name}@{self.host}")
        if made.init_id is not None:
            init = self.root.overlay_file(made.init_id, "link").read_text()
            self.name(init, f"link:{name}-init@{self.host}")
        return made

    def container(self, image: Image, name: str, state: str, **options: object) -> Container:
        """Add a container; its id is that of its name."""
        container_id = hashlib.sha256(name.encode()).hexdigest()
        made = self.root.container(image, name=name, state=state, container_id=container_id, **options)  # type: ignore[arg-type]
        self.name(made.container_id, f"container:{name}")
        self.mount(f"rw-{name}", made.mount)
        return made


def build(folder: Path) -> Exhibits:
    """Build both data roots below a folder, scan them into a database there and set its clocks."""
    names = {f"sha256:{letter * 64}": name for letter, name in DIGESTS.items()}
    names |= {letter * 26: name for letter, name in LINKS.items()}
    names |= {digit * 25: name for digit, name in RECORDS.items()}
    names |= {"9" * 64: "dir:nowhere", "5" * 64: "mount:stale"}
    path = str(folder / "exhibits.db")
    web, db = _Host(folder / "web-1", 1, names), _Host(folder / "db-1", 2, names)
    base, old = _before(web)
    scan_into(path, web.path, WEB, "before the update")
    _after(web, base, old)
    scan_into(path, web.path, WEB, None)
    _database_host(db, base)
    scan_into(path, db.path, DB, "nightly | all")
    _set_clocks(path)
    return Exhibits(path, names)


def scan_into(path: str, root: Path, as_host: scan.Host, label: str | None) -> None:
    """Scan a data root of one store into a database file."""
    with database.writing(path, lambda _: None) as connection:
        (store,) = stores.open_stores(str(root))
        scan.scan(connection, store, scan.Filing(as_host, label), scan.Options(files=False))


def _set_clocks(path: str) -> None:
    """Let nothing in the database tell when, where and by which version it was made."""
    with sqlite3.connect(path) as connection:
        for number, minute in ((1, 20 * 1440), (2, 30 * 1440), (3, 30 * 1440 + 5)):
            values = (f"{number:032x}", *[stamp(minute)[:19] + "Z"] * 2, stamp(minute)[:19] + ".000Z", number)
            connection.execute(
                "UPDATE snapshots SET root = '/var/lib/docker', tool_version = '1', uid = ?, started_at = ?,"
                " finished_at = ?, ordered_at = ?"
                " WHERE snapshot_id = ?",
                values,
            )
        # Blocks are the filesystem's choice.
        connection.execute(
            "UPDATE container_logs SET disk_bytes = 4096 * (apparent_bytes > 0), modified_at = ?", (stamp(20 * 1440),)
        )
        with rewriting(connection):
            connection.execute(
                "UPDATE disk_usage SET disk_bytes = 4096 * (apparent_bytes > 0) WHERE category = 'container logs'"
            )
    connection.close()


def _before(web: _Host) -> tuple[Layer, Image]:
    """The base, and a web image whose tag is going to move."""
    base = web.layer("base", 100_000_000)
    web.image("debian", base, ["ADD rootfs", '#CMD ["bash"]'], ("debian:12",))
    old = web.image(
        "old", web.layer("old", 7_000_000, base), ["ADD rootfs", "COPY old"], ("acme/web:1.0", "acme/web:latest")
    )
    web.container(old, "front", "running", volumes=["pages:/srv:ro", "/etc/ssl:/ssl"], log=b"x" * 1234)
    return base, old


def _after(web: _Host, base: Layer, old: Image) -> None:
    """All the rest of `web-1`."""
    debian = _image_named(web, "image:debian")
    _classic(web, base, old, debian)
    _odd_images(web, base)
    _containers(web, old, debian)
    _unfinished(web, base)
    _broken_links(web, base)
    _build_cache(web, base)
    web.root.volume("lonely")
    shutil.rmtree(web.path / "volumes" / "cache")


def _image_named(web: _Host, name: str) -> Image:
    (image_id,) = (id_ for id_, given in web.names.items() if given == name)
    return Image(image_id, (), (), None, b"")


def _classic(web: _Host, base: Layer, old: Image, debian: Image) -> None:
    """The tag moves to an image of the classic builder, whose intermediate images stay; one of them ran."""
    app = web.layer("app", 20_000_000, base)
    tool = web.layer("tool", 3_000, app)
    steps = ["ADD rootfs", '#CMD ["bash"]', "COPY app", "#ENV A=1", "RUN tool"]
    step1 = web.image("step1", app, steps[:3], parent=debian)
    step2 = web.image("step2", app, steps[:4], parent=step1)
    web.container(step2, "inside", "exited", exit_code=1)
    for tag in list(old.tags):
        web.root.untag(tag)
    tags = ("acme/web:1.0", "acme/web:latest", "localhost:5000/acme/web:1.0")
    new = web.image("web", tool, steps, tags, parent=step2, last_updated="2023-12-01T13:00:00.5+01:00")
    web.root.tag(new, "acme/web@" + "sha256:" + "d" * 64)
    web.image("commit", web.layer("commit", 500, tool), [*steps, "RUN commit"], ("acme/web:debug",), parent=new)
    web.image(
        "stray", base, ["ADD rootfs", "#LABEL stray"], ("stray:1",), parent=Image(f"sha256:{NOBODY}", (), (), None, b"")
    )
    flat = web.layer("flat", 20_000_000, same_as=app)
    web.image("flat", flat, ["COPY app"], ("flat:1",))
    web.root.distribution(base)


def _odd_images(web: _Host, base: Layer) -> None:
    """Images known by digest only, without layers, with a layer twice, and with layers that are not there."""
    kit = web.layer("kit", 1_000_000, base, cache_id=web.root.buildkit_id())
    web.image("kit", kit, ["ADD rootfs", "COPY . /kit # buildkit"], ("registry.example:5000/kit@sha256:" + "c" * 64,))
    web.image("empty", None, ['#CMD ["true"]', "#LABEL a=1"], ("empty:1",))
    once = web.layer("once", 4_000)
    web.image("twice", web.layer("again", 4_000, once, same_as=once), ["COPY a", "COPY a"], ("twice:1",))
    lost = web.layer("lost", 50, web.layer("lost-base", 60))
    web.image("lost", lost, ["ADD lost-base", "RUN lost"], ("lost:1",))
    shutil.rmtree(web.root.layer_dir(lost))
    gone = web.layer("gone", 70, base)
    web.image("gone", gone, ["ADD rootfs", "RUN gone", "RUN more than there are layers"], ("gone:1",))
    shutil.rmtree(web.root.overlay_dir(gone))
    web.root.tag("sha256:" + "f" * 64, "ghost:1")


def _containers(web: _Host, old: Image, debian: Image) -> None:
    """Containers in every state; one whose image was removed by force, one whose config cannot be read."""
    base = Image(debian.image_id, old.layers[:1], ("debian:12",), None, b"")
    for state in ("running", "paused", "restarting", "created", "dead", "removing"):
        web.container(base, f"is-{state}", state)
    web.container(base, "failed", "exited", exit_code=137, volumes=["pages:/srv", "cache:/cache"])
    removed = web.image("removed", web.layer("removed", 90, old.layers[0]), ["ADD rootfs", "RUN x"], ("removed:1",))
    web.container(removed, "survivor", "exited")
    web.root.remove_image(removed)
    web.root.container_file(web.container(base, "torn", "exited")).write_bytes(b'{"ID":"')
    bare = Image(next(id_ for id_, name in web.names.items() if name == "image:empty"), (), ("empty:1",), None, b"")
    web.container(bare, "bare", "created")


def _unfinished(web: _Host, base: Layer) -> None:
    """What crashes leave: layers being written, removed below an image, or damaged, and mounts of no container."""
    half = web.layer("half", 300, base)
    web.image("half", half, ["ADD rootfs", "RUN half"], ("half:1",))
    removing = web.root.removing(half)
    web.name(removing.name.split("-")[1], "random")
    web.directory("writing", web.root.write_set(11))
    web.directory("written", web.root.write_set(12, named=True))
    unsized = web.layer("unsized", 400, base)
    web.root.layer_file(unsized, "size").write_bytes(b"")
    child = web.layer("child", 600, web.layer("parent", 500))
    shutil.rmtree(web.root.layer_dir(child.chain[0]))
    forged = web.layer("forged", 700, base)
    web.root.layer_file(forged, "diff").write_text("sha256:" + "b" * 64)
    web.layer("loose", 800, base)
    web.mount("stale", web.root.mount("5" * 64, parent=base))
    web.mount("image-mount", web.root.mount("container-debian_12", parent=base, init=False))
    web.directory("snapshot", web.root.buildkit_dir(parent=base))


def _build_cache(web: _Host, base: Layer) -> None:
    """Records of a layer that images have, of one that only the cache holds, of a cache mount, and of nothing."""
    cached = web.layer("cached", 9_000, base)
    shared, own, cache_mount, lost = (digit * 25 for digit in RECORDS)
    web.root.build_record(base, record_id=shared, cache_description="pulled from debian:12", cache_usageCount=2)
    web.root.build_record(cached, record_id=own, parent=shared, cache_description="RUN make", snapshot_size=9_000)
    web.root.build_record(
        web.directory("mount-cache", web.root.buildkit_dir()),
        record_id=cache_mount,
        cache_description="cached mount /go",
        cache_recordType="exec.cachemount",
        snapshot_size=5_000_000,
    )
    web.root.build_record(None, record_id=lost, parent=own, cache_description="COPY . .")


def _broken_links(web: _Host, base: Layer) -> None:
    """Every way in which a short name or a lower list can lead nowhere."""
    link = web.root.link_file
    link("A" * 26).symlink_to("../" + "9" * 64 + "/diff")
    link("B" * 26).symlink_to("../../../etc")
    link("C" * 26).mkdir()
    link("D" * 26).symlink_to(f"../{base.cache_id}/diff")
    unlinked, emptied, torn, swapped, cut = (
        web.directory(name, web.root.orphan(parent=base))
        for name in ("unlinked", "emptied", "torn-lower", "swapped", "cut")
    )
    link(unlinked.link).unlink()
    web.root.overlay_file(emptied.cache_id, "link").write_bytes(b"")
    web.root.overlay_file(torn.cache_id, "lower").write_bytes(b"")
    link(swapped.link).unlink()
    link(swapped.link).symlink_to(f"../{base.cache_id}/diff")
    web.root.overlay_file(cut.cache_id, "lower").write_text(f"l/{base.link}:l/{'E' * 26}")


def _database_host(db: _Host, shared: Layer) -> None:
    """A host in order, where a directory that nothing owns is an orphan, unless a container stands on it."""
    shutil.rmtree(db.path / "buildkit")
    base = db.root.layer(diff_id=shared.diff_id, size=shared.size, metadata_only=True)
    db.name(base.cache_id, "dir:base@db-1")
    db.name(base.link, "link:base@db-1")
    image = db.image("db", db.layer("db", 40_000_000, base), ["ADD rootfs", "RUN db"], ("db:16", "debian:12"))
    db.container(image, "db", "running", volumes=["tables:/var/lib/db"], log=b"")
    db.directory("orphan-above", db.root.orphan(parent=db.directory("orphan", db.root.orphan(parent=base))))
    below = db.directory("below", db.root.orphan())
    builder = db.mount("builder", db.root.mount("builder", init=False))
    db.root.overlay_file(builder, "lower").write_text(f"l/{below.link}")
