"""One pass over a data root, as one storage driver sees it.

How the pieces hang together: moby `daemon/internal/{image,layer}` and `daemon/graphdriver/overlay2`.
"""

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from layerindex import shapes, standing
from layerindex.guard import FAILED, each
from layerindex.missing import going
from layerindex.names import on_disk, printable
from layerindex.problems import KINDS, Damage
from layerindex.records import Container, ContainerVolume, ImageRef, Layer, Mount, Problem, Record, Use
from layerindex.stores.disk import ids
from layerindex.stores.disk.salvage import salvage
from layerindex.stores.docker import elsewhere
from layerindex.stores.docker.blobs import LayerBlobs
from layerindex.stores.docker.containers import read_container
from layerindex.stores.docker.drivers import CONTAINERD, READABLE
from layerindex.stores.docker.imagedb import read_image, read_parent, read_references
from layerindex.stores.docker.layerdb import read_layer, read_mounts
from layerindex.stores.docker.plugins import FOLDER as PLUGINS
from layerindex.stores.docker.plugins import read_plugins
from layerindex.stores.docker.unfinished import unfinished_layer
from layerindex.stores.docker.volumes import is_local, reached_by_path
from layerindex.stores.shared import buildkit
from layerindex.stores.shared.claims import Claims, Need
from layerindex.stores.shared.configs import Config
from layerindex.stores.shared.overlay import PAUSE, directory_names, read_overlay
from layerindex.stores.shared.passes import TEMPORARY, leftover, settled
from layerindex.stores.shared.pulls import doubt_records
from layerindex.stores.shared.running import NEVER, running_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layerindex.stores.disk.files import Folder
    from layerindex.stores.docker.layout import DockerLayout
    from layerindex.stores.shared.claims import Sources

LAYER_NAME = re.compile(f"{shapes.HEX.pattern}|{shapes.REMOVING.pattern}")
WRITE_SET = re.compile(r"write-set-\d+")
ANY = re.compile(r"(?s).*")

UNREAD = {code for code, kind in KINDS.items() if kind.severity == "error"} | {"vanished"}
"""Findings after which a source may have more than was read."""


def read_clients(store: DockerLayout, root: Folder, sources: Sources) -> Iterator[Record | Damage]:
    """Yield the containers and volumes of an engine that keeps images in containerd; record which sources were read."""
    scan = Scan(store, root)
    yield from scan.clients()
    sources.merge(scan.claims.sources)


class Scan:
    """One pass over a store: the metadata first, with the driver's folder listed before and read after it."""

    def __init__(self, store: DockerLayout, root: Folder) -> None:
        self.store, self.root, self.driver = store, root, store.driver
        self.since = running_since(root)
        self.layers: dict[str, Layer] = {}
        self.tried: set[str] = set()
        """Layers that were read, or that exist but could not be read."""
        self.images: set[str] = set()
        self.unread: set[str] = set()
        """Files of images that something names but that were not read: new or damaged ones."""
        self.needed: set[str] = set()
        """The layers of images."""
        self.image_tops: dict[str, str] = {}
        """The chain id of each image's top layer."""
        self.refs: list[ImageRef] = []
        self.mounts: dict[str, Mount] = {}
        self.containers: dict[str, str | None] = {}
        self.told: set[Problem] = set()
        """Findings about folders that several parts need."""
        self.image_mounts: set[str] = set()
        """Directories that containers have mounted as images."""
        self.volumes: set[tuple[str, str]] = set()
        """The volumes that must exist, each with a container that has it."""
        self.claims = Claims()

    def items(self) -> Iterator[Record | Damage]:
        """Yield everything; a folder that cannot be opened ends only its own part."""
        before = directory_names(self.root, self.driver)
        if self.store.limits is not None:
            code = "other-store" if self.driver == CONTAINERD else "other-driver"
            yield Damage(code, self.driver, self.store.limits)
        if self.driver == CONTAINERD:
            for item in self.clients():
                yield elsewhere.of_containerd(item) if isinstance(item, Container) else item
            yield from self.claims.sources
            return
        yield from self._metadata()
        yield from self.clients()
        if self.driver in READABLE:
            if "buildkit" in self.root:
                yield from self._part(self._read_buildkit, None, buildkit.FOLDER)
            self._note_lost(before)
            yield from self._part(partial(self._read_overlay, before), None, self.driver)
            check = partial(elsewhere.check_directories, self.root, self.driver, self.claims, self._again)
            yield from self._part(check, None, self.driver)
        shared = elsewhere.SHARED if self.store.first else ()
        yield from self._part(partial(elsewhere.own_filesystems, self.root, (self.driver, *shared)), None, "")
        for where in sorted(self.unread):
            self.claims.sources.note("images", where, standing.MOTION, "it came while images were read")
        yield from self.claims.sources

    def _read_overlay(self, before: set[str]) -> Iterator[Record | Damage]:
        try:
            yield from read_overlay(self.root, self.driver, before, self.claims, self._again)
        except Damage as found:
            raise elsewhere.unstartable(found) from found

    def _note_lost(self, names: set[str]) -> None:
        """Record absent sources of directories whose names show that the engine made them."""
        builds = any(shapes.BUILDKIT_ID.fullmatch(name) for name in names)
        if builds and not self.claims.sources.known("build cache", buildkit.SOURCE):
            self.claims.sources.note("build cache", buildkit.SOURCE, standing.LOST, "directories of BuildKit are here")
        mounts = self._where("layerdb", "mounts")
        if any(name.endswith("-init") for name in names) and not self.claims.sources.known("mounts", mounts):
            self.claims.sources.note("mounts", mounts, standing.LOST, "directories of containers are here")

    def clients(self) -> Iterator[Record | Damage]:
        """Yield containers and volumes."""
        yield from self._part(self._read_containers, "containers", "containers")
        yield from self._part(self._check_mounts, None, self._where("layerdb", "mounts"))
        if self.store.first:
            yield from self._part(partial(elsewhere.unopened_remaps, self.root), None, "")
            if "volumes" in self.root:
                wait = 0 if self.since == NEVER else PAUSE
                volumes = partial(elsewhere.read_all_volumes, self.root, self.volumes, wait)
                yield from self._part(volumes, "volumes", "volumes")
            else:
                self.claims.sources.note("volumes", "volumes", standing.LOST, "the engine always makes it")
            if PLUGINS in self.root:
                yield from self._part(partial(read_plugins, self.root), None, PLUGINS)

    def _again(self, wait: float) -> Claims:
        """Read again, after so many seconds, what names directories; its findings are reported already.

        Where no engine runs, nothing can change.
        """
        if self.since != NEVER:
            time.sleep(wait)
        second = Scan(self.store, self.root)
        deque(second._directories(), maxlen=0)
        deque(second._part(second._read_mounts, "mounts", second._where("layerdb", "mounts")), maxlen=0)
        deque(second._part(second._read_containers, "containers", "containers"), maxlen=0)
        deque(second._part(second._check_mounts, None, self._where("layerdb", "mounts")), maxlen=0)
        if "buildkit" in self.root:
            deque(second._part(second._read_buildkit, None, buildkit.FOLDER), maxlen=0)
        return second.claims

    def _read_buildkit(self) -> Iterator[Record | Damage]:
        return buildkit.read_buildkit(
            self.root, {layer.chain_id: layer.cache_id for layer in self.layers.values()}, self.claims
        )

    def _metadata(self) -> Iterator[Record | Damage]:
        """Yield the content of `image/<driver>/`."""
        yield from self._directories()
        yield from self._part(self._read_references, "names", self._where("repositories.json"))
        yield from self._part(self._read_images, "images", self._where("imagedb"))
        yield from self._part(self._check_references, None, self._where("repositories.json"))
        yield from self._part(self._check_parents, None, self._where("layerdb", "sha256"))
        blobs = LayerBlobs(self._optional)
        yield from self._part(blobs.of_repositories, None, self._where("distribution", "v2metadata-by-diffid"))
        yield from self._part(blobs.others, None, self._where("distribution", "diffid-by-digest"))
        yield from self._part(self._read_mounts, "mounts", self._where("layerdb", "mounts"))
        yield from self._part(self._doubt_new, None, self._where("layerdb", "sha256"))

    def _doubt_new(self) -> Iterator[Damage]:
        """Record layers without image that may be getting one, or are being removed, by a running engine."""
        if self.since != NEVER and (lonely := sorted(self.layers.keys() - self.needed)):
            with self._folder("layerdb", "sha256") as folder:
                doubt_records(self.claims.sources, folder, [chain.removeprefix("sha256:") for chain in lonely])
        yield from ()

    def _directories(self) -> Iterator[Record | Damage]:
        """Yield layers, unfinished ones first, so that one that is registered meanwhile is seen at least once."""
        yield from self._part(self._read_write_sets, "layers", self._where("layerdb", "tmp"))
        yield from self._part(self._read_layers, "layers", self._where("layerdb", "sha256"))

    def _part(
        self, part: Callable[[], Iterator[Record | Damage]], tells: str | None, source: str
    ) -> Iterator[Record | Damage]:
        """Yield one part of the pass; where it could not be read, the kind of facts that it `tells` is in doubt.

        `source` is the path of the part. Where a reader without its own kind of facts failed, all kinds are in doubt.
        """
        whole = True
        try:
            for item in each(part, source):
                # A file that was removed before it was read may have named a user, like a damaged one.
                if tells and isinstance(item, Damage) and item.problem.code in UNREAD:
                    whole = False
                    self.claims.sources.damaged(tells, item)
                yield item
        except Damage as found:
            whole = False
            if tells:
                self.claims.sources.damaged(tells, found)
            elif found.problem.code == FAILED:
                self.claims.sources.failed(found)
            if found.problem not in self.told:
                self.told.add(found.problem)
                yield found
        if tells and whole:
            self.claims.sources.note(tells, source, standing.READ)

    def _where(self, *names: str) -> str:
        return "/".join(("image", self.driver, *names))

    def _folder(self, *names: str) -> Folder:
        return self.root.folder("image", self.driver, *names)

    def _optional(self, *names: str) -> Folder | None:
        """Open a folder that moby makes when it first needs it."""
        return self.root.optional("image", self.driver, *names)

    def _opened(self, tells: str, *names: str) -> Folder | None:
        """Open the same, and record it as an absent source where it does not exist."""
        opened = self._optional(*names)
        if opened is None:
            self.claims.sources.note(tells, self._where(*names), standing.ABSENT)
        return opened

    def _exists(self, *names: str) -> bool:
        return self.root.exists("image", self.driver, *names)

    def _read_layers(self) -> Iterator[Record | Damage]:
        if (opened := self._opened("layers", "layerdb", "sha256")) is not None:
            with opened as folder:
                self.tried.update(f"sha256:{name}" for name in folder.entries)
                yield from self._take_layers(salvage(self._read_layer, folder, LAYER_NAME))

    def _read_layer(self, folder: Folder, name: str) -> Iterator[Record | Damage]:
        return (
            unfinished_layer(folder, name, "removing", self.claims, self.since)
            if "-" in name
            else read_layer(folder, name)
        )

    def _take_layers(self, items: Iterable[Record | Damage]) -> Iterator[Record | Damage]:
        for item in items:
            if isinstance(item, Layer):
                self.layers[item.chain_id] = item
                self.claims.add(item.cache_id, "layer", item.chain_id)
            yield item

    def _read_write_sets(self) -> Iterator[Record | Damage]:
        if (opened := self._opened("layers", "layerdb", "tmp")) is not None:
            with opened as folder:
                yield from salvage(
                    partial(unfinished_layer, state="writing", claims=self.claims, since=self.since), folder, WRITE_SET
                )

    def _read_references(self) -> Iterator[Record | Damage]:
        with self._folder() as folder:
            yield from (leftover(folder, name) for name in sorted(folder.entries) if name.startswith(TEMPORARY))
            for item in read_references(folder):
                if isinstance(item, ImageRef):
                    self.refs.append(item)
                yield item

    def _check_references(self) -> Iterator[Record | Damage]:
        missing = [ref for ref in self.refs if self._is_missing(ref.image_id)]
        if missing:
            # The name may have been removed with its image since it was read.
            with self._folder() as folder:
                now = set(read_references(folder))
            for ref in missing:
                if ref in now:
                    config = self._where("imagedb", "content", "sha256", ref.image_id.removeprefix("sha256:"))
                    self.claims.lost("images", config, f"the name {ids.shorten(ref.ref)}")
                else:
                    yield going("image", ref.image_id, ref.ref)

    def _read_images(self) -> Iterator[Record | Damage]:
        with ExitStack() as stack:
            content = stack.enter_context(self._folder("imagedb", "content", "sha256"))
            metadata = None
            try:
                metadata = stack.enter_context(self._folder("imagedb", "metadata", "sha256"))
            except Damage as found:
                yield found
            for item in salvage(lambda folder, name: read_image(folder, name, metadata), content, shapes.HEX):
                if isinstance(item, Config):
                    yield from self._read_new_layers(item)
                    yield from self._image(item, content)
                else:
                    yield item
            if metadata is not None:
                yield from self._unread_children(content, metadata)

    def _unread_children(self, content: Folder, metadata: Folder) -> Iterator[Record | Damage]:
        """Yield the use of each parent by a child whose config is lost: a file of its own records the parent."""
        for name in sorted(metadata.entries):
            unread = shapes.HEX.fullmatch(name) and f"sha256:{name}" not in self.images
            if unread and metadata.exists(name, "parent"):
                parent, damages = read_parent(metadata, name)
                yield from (settled(found, metadata, name, wait=False) for found in damages)
                if parent is not None:
                    if not content.exists(name):
                        self.claims.lost("images", content.where(name), "the record of its parent")
                    yield Use("image", parent, "child image", f"sha256:{name}", "images")

    def _read_new_layers(self, config: Config) -> Iterator[Record | Damage]:
        """Yield layers of an image that were registered after layerdb was read."""
        chains = [layer.chain_id for layer in config.layers if layer.chain_id not in self.layers]
        new = [chain.removeprefix("sha256:") for chain in chains if chain not in self.tried]
        if any(self._exists("layerdb", "sha256", name) for name in new):
            try:
                with self._folder("layerdb", "sha256") as folder:
                    folder.keep(new)
                    self.tried.update(chains)
                    yield from self._take_layers(salvage(read_layer, folder, shapes.HEX))
            except Damage:
                pass  # Reported when all layers were read.

    def _image(self, config: Config, content: Folder) -> Iterator[Record | Damage]:
        image = config.image
        self.images.add(image.image_id)
        self.needed.update(layer.chain_id for layer in config.layers)
        if config.layers:
            self.image_tops[image.image_id] = config.layers[-1].chain_id
        layers = [self.layers.get(layer.chain_id) for layer in config.layers]
        name = image.image_id.removeprefix("sha256:")
        sizes = [layer.size for layer in layers if layer is not None and layer.size is not None]
        size = sum(sizes) if len(sizes) == len(layers) else None
        if size is not None and size >= 2**63:
            yield Damage("bad-value", content.where(name), f"its layers' sizes make {size} bytes", image.image_id)
            size = None
        yield image._replace(size=size)
        yield from config.layers
        yield from config.history
        yield from self._check_layers(config, layers, content)

    def _check_layers(self, config: Config, layers: list[Layer | None], content: Folder) -> Iterator[Record]:
        """Record each layer of an image that has no record in layerdb."""
        name = config.image.image_id.removeprefix("sha256:")
        below: Layer | None = None
        for layer, found in zip(config.layers, layers, strict=True):
            above, below = below, found
            if found is not None and found.cache_id is not None:
                continue
            if not content.exists(name):
                yield going("layer", layer.chain_id, config.image.image_id)
                continue
            who = f"layer {layer.position} of image {name[:12]}"
            if layer.position == 0 or (above is not None and above.cache_id is not None):
                need = Need(who, above.cache_id if above else None)
                self.claims.lose_directory("layers", self._record(layer.chain_id), need)
            else:
                self.claims.lost("layers", self._record(layer.chain_id), who)

    def _record(self, chain_id: str) -> str:
        """Return the path of a layer in layerdb."""
        return self._where("layerdb", "sha256", chain_id.removeprefix("sha256:"))

    def _check_parents(self) -> Iterator[Record]:
        for layer in self.layers.values():
            parent = layer.parent_chain_id
            if parent is None:
                continue
            name = layer.chain_id.removeprefix("sha256:")
            if parent in self.layers:
                self.claims.expect(layer.cache_id, self.layers[parent].cache_id)
            elif not self._exists("layerdb", "sha256", name):
                yield going("layer", parent, layer.chain_id)
            elif parent not in self.tried:
                self.claims.lost("layers", self._record(parent), f"the layer {layer.chain_id[:19]} on it")

    def _read_mounts(self) -> Iterator[Record | Damage]:
        if (opened := self._opened("mounts", "layerdb", "mounts")) is not None:
            with opened as folder:
                for item in salvage(read_mounts, folder, ANY):
                    if isinstance(item, Mount):
                        self.mounts[item.name] = item
                    else:
                        yield item

    def _read_containers(self) -> Iterator[Record | Damage]:
        with self.root.folder("containers") as folder:
            for item in salvage(self._read_container, folder, shapes.HEX):
                if isinstance(item, Container):
                    mount = self.mounts.get(item.container_id) or self._new_mount(item.container_id)
                    yield item._replace(mount_id=mount.mount_id if mount else None)
                    yield from self._check_container(item, mount, folder)
                else:
                    yield item

    def _read_container(self, folder: Folder, name: str) -> Iterator[Record | Damage]:
        """Yield a container, unless it was made with another driver and so belongs to that driver's store."""
        items = list(read_container(folder, name))
        driver = next((item.driver for item in items if isinstance(item, Container)), None)
        if self.store.keeper(driver) == self.driver:
            self.containers[name] = None
            sources = [item.source for item in items if isinstance(item, ContainerVolume) and item.type == "image"]
            # …/overlay2/<directory>/merged
            self.image_mounts.update(source.split("/")[-2] for source in sources if source and source.count("/") > 1)
            local = (item for item in items if isinstance(item, ContainerVolume) and is_local(item))
            self.volumes.update((item.name, name) for item in local if item.name)
            yield from items
            yield from elsewhere.moved_mounts(items, self.store.root, folder.where(name), name)
            yield from dict.fromkeys(filter(None, (reached_by_path(item, self.root) for item in items)))

    def _new_mount(self, container_id: str) -> Mount | None:
        """Return the writable layer of a container that was made after layerdb/mounts was read."""
        if self.driver == CONTAINERD or not self._exists("layerdb", "mounts", container_id):
            return None
        try:
            with self._folder("layerdb", "mounts") as folder:
                for item in read_mounts(folder, container_id):
                    if isinstance(item, Mount):
                        self.mounts[item.name] = item
                        return item
        except Damage:
            pass  # It is being removed again; the container is then reported to have none.
        return None

    def _check_container(self, container: Container, mount: Mount | None, folder: Folder) -> Iterator[Record]:
        """Record what a container needs and lacks; one that was removed meanwhile needs nothing."""
        name, image_id = container.container_id, container.image_id
        if self.driver == CONTAINERD:
            return
        there = folder.exists(name)
        if mount is None and container.state != "dead":
            if there:
                self._lose_mount(container)
            else:
                yield going("mount", name, name)
        if image_id is not None and self._is_missing(image_id) and not there:
            yield going("image", image_id, name)

    def _lose_mount(self, container: Container) -> None:
        """Record that layerdb lost the writable layer of a container, which is above the top layer of its image."""
        tops = self.image_tops.get(container.image_id or "")
        top = self.layers.get(tops) if tops else None
        who = f"the writable layer of container {printable(container.name or container.container_id[:12])}"
        where = self._where("layerdb", "mounts", container.container_id)
        if top is not None and top.cache_id is not None:
            self.claims.lose_directory("mounts", where, Need(who, top.cache_id))
        else:
            self.claims.lost("mounts", where, who)

    def _check_mounts(self) -> Iterator[Record | Damage]:
        """Yield the writable layers, as the containers are known now, and findings about them."""
        for name, mount in sorted(self.mounts.items()):
            container_id = name if name in self.containers else None
            self.claims.add(mount.mount_id, "container" if container_id else self._mount_kind(mount), name)
            self.claims.add(mount.init_id, "init" if container_id else "mount-init", name)
            if mount.init_id is not None:
                parent = self.layers.get(mount.parent_chain_id or "")
                self.claims.expect(mount.mount_id, mount.init_id)
                self.claims.expect(mount.init_id, parent.cache_id if parent else None)
            yield mount._replace(container_id=container_id)
            parent_known = mount.parent_chain_id is None or mount.parent_chain_id in self.layers.keys() | self.tried
            if not self._exists("layerdb", "mounts", *map(on_disk, name.split("/"))):
                if mount.parent_chain_id is not None and not parent_known:
                    yield going("layer", mount.parent_chain_id, name)
                continue
            where = f"image/{self.driver}/layerdb/mounts/{printable(name)}"
            # An existing folder may be a container that cannot be read.
            gone = container_id is None and not (shapes.HEX.fullmatch(name) and self.root.exists("containers", name))
            if gone and self._mount_kind(mount) == "mount":
                self.claims.lost("containers", f"containers/{printable(name)}", "its writable layer in layerdb/mounts")
            if gone:
                yield Damage("stale-mount", where, "containers/ has no container of that name", name)
            if mount.parent_chain_id is not None and not parent_known:
                who = f"the writable layer of {printable(name)[:12]}"
                self.claims.lost("layers", self._record(mount.parent_chain_id), who)

    def _is_missing(self, image_id: str) -> bool:
        """Say whether an image does not exist, as opposed to being unread."""
        where = ("imagedb", "content", "sha256", image_id.removeprefix("sha256:"))
        there = image_id in self.images or self._exists(*where)
        if there and image_id not in self.images:
            self.unread.add(self._where(*where))
        return not there

    def _mount_kind(self, mount: Mount) -> str:
        """Say what asked for a writable layer without a container.

        Docker 28 makes one for each image mount, named by the container and the image, and mounts it there; builders
        make some without an init layer (moby `builder/dockerfile/imagecontext.go`, BuildKit's under its own ids).
        """
        if mount.mount_id in self.image_mounts or mount.name[:64] in self.containers:
            return "image-mount"
        return "build-mount" if shapes.BUILDKIT_ID.fullmatch(mount.name) or mount.init_id is None else "mount"
