"""One pass over a graph root: the lists first, then what they name, then the driver's folder."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from layerindex import shapes, standing
from layerindex.guard import each, reading
from layerindex.names import listed
from layerindex.problems import KINDS, Damage, vanished
from layerindex.records import Mount, UnfinishedLayer, Use
from layerindex.stores import ids
from layerindex.stores.claims import Claims, Sources
from layerindex.stores.containers import Logs
from layerindex.stores.containers_storage import containers, evidence, images, layers, volumes
from layerindex.stores.containers_storage.borrowers import borrowed
from layerindex.stores.containers_storage.instances import ManifestLists
from layerindex.stores.containers_storage.libpod import Known, read_libpod
from layerindex.stores.containers_storage.lists import KEPT, VOLATILE, read_list
from layerindex.stores.files import Folder
from layerindex.stores.imagedb import LAYERS
from layerindex.stores.overlay import PAUSE, directory_names, read_overlay
from layerindex.stores.parts import TEMPORARY, leftover, part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from layerindex.records import Image, Record
    from layerindex.stores.containers_storage.containers import StoredContainer
    from layerindex.stores.containers_storage.images import StoredImage
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.lists import Item
    from layerindex.stores.imagedb import Config
    from layerindex.stores.values import Fields

T = TypeVar("T")

KIND_OF_LIST = {"layers": layers.LIST, "images": images.LIST, "containers": containers.LIST}
TELLS = {"layers": ("layers",), "images": ("images", "manifests", "names"), "containers": ("containers", "mounts")}
"""What each list tells."""
ATTEMPTS = 5
"""How often the lists are read anew that were replaced meanwhile: together they must tell of one moment."""
STAGED = 10_000
"""Most directories that are told of in a folder of what is being pulled or removed."""


def _names(kind: str) -> tuple[str, str]:
    """Return the names of a list and of its volatile twin."""
    return KIND_OF_LIST[kind], f"{VOLATILE}{KIND_OF_LIST[kind]}"


def has_mount_program(folder: Folder) -> bool:
    """Say whether fuse-overlayfs mounts what is in a driver's folder, which marks deletions by names; raises Damage."""
    return ".has-mount-program" in folder and folder.text(".has-mount-program") == "true"


class Lists(NamedTuple):
    """What the lists say at one moment, and what is wrong with them."""

    layers: dict[str, StoredLayer]
    images: list[Item]
    containers: dict[str, StoredContainer]
    damages: list[Damage]
    sources: Sources
    """The lists and their states."""
    complete: bool
    """Whether all that stands on layers could be read."""


class Lent(NamedTuple):
    """What another graph root lends: its layers, the ids of its images, and its short names."""

    layers: dict[str, StoredLayer]
    images: set[str]
    links: dict[str, str]


class Scan:
    """One pass over what a driver keeps under a graph root."""

    def __init__(  # noqa: PLR0913 - what a store is
        self,
        root: Folder,
        driver: str,
        additional: Sequence[str],
        *,
        walkable: bool,
        first: bool,
        borrowers: Sequence[str] = (),
    ) -> None:
        self.borrowers = borrowers
        self.root, self.driver, self.additional = root, driver, additional
        self.walkable, self.first = walkable, first
        self.claims = Claims()
        self.image_ids: dict[str, str] = {}
        """Of each image in the list the id that is the same in every store."""
        self.manifest_lists = ManifestLists()
        self.apart: set[str] = set()
        """Layers whose users do not show by their chain: they have none, or another layer stands for it."""

    def items(self) -> Iterator[Record | Damage]:
        """Yield everything; what cannot be opened ends only its own part."""
        before = directory_names(self.root, self.driver) if self.walkable else set()
        lists = self._lists()
        yield from lists.damages
        yield from self._absent(lists, before)
        lent = self._lent()
        yield from lent.damages
        known = {**lent.value.layers, **lists.layers}
        chains = layers.Chains(known)
        self.claims = self._claims(lists, chains)
        self.apart = lists.layers.keys() - layers.standing(lists.layers, chains).values()
        self._doubt_containers(lists)
        live = self._live(lists, known) if lists.complete else None
        state = read_libpod(self.root) if self.first else None
        parts: list[tuple[Callable[[], Iterable[Record | Damage]], str]] = [
            (lambda: self._check_layers(lists, known, chains), f"{self.driver}-layers"),
            (lambda: layers.layer_records(lists.layers, chains, live), f"{self.driver}-layers"),
            (self._leftovers, ""),
            (lambda: self._images(lists, known, chains), f"{self.driver}-images"),
            (lambda: self._borrowed(lists), f"{self.driver}-images"),
            (lambda: () if state is None else state.damages, "libpod"),
            (lambda: self._containers(lists, known, chains, lent.value, state), f"{self.driver}-containers"),
        ]
        if state is not None:
            evidence.doubt_state(self.claims.sources, self.root, state, lists.containers, "libpod")
            parts.append((lambda: volumes.read_volumes(self.root, state, self._libpod_again), "volumes"))
        if live is not None:
            parts.append((lambda: self._dangling(lists, live), f"{self.driver}-layers"))
        if self.walkable:
            overlay = partial(read_overlay, self.root, self.driver, before, self.claims, self._again, lent.value.links)
            parts += [(overlay, self.driver), (self._passing, self.driver), (self._mount_program, self.driver)]
            parts.append((lambda: self._missing_directories(lists), self.driver))
        parts.append((lambda: self._used_elsewhere(lists, chains, lent.value), f"{self.driver}-layers"))
        for read, where in parts:
            yield from part(read, where, self.claims.sources.failed)
        yield from self.claims.sources

    def _folder(self, kind: str) -> Folder:
        return self.root.folder(f"{self.driver}-{kind}")

    # The lists -----------------------------------------------------------------------------------------------------

    def _lists(self) -> Lists:
        """Return the lists as they were at one moment, or as they are after that many attempts."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE / 5)
            before = self._identity()
            found = self._read_lists()
            if self._identity() == before:
                return found
        found.damages.append(
            Damage("inconsistent", f"{self.driver}-layers", "lists were replaced each time they were read")
        )
        return found

    def _identity(self) -> list[tuple[int, ...] | None]:
        """Return what changes when a list is replaced."""
        found: list[tuple[int, ...] | None] = []
        for kind, name in KIND_OF_LIST.items():
            for file in (name, f"{VOLATILE}{name}"):
                try:
                    folder = os.open(f"{self.driver}-{kind}", os.O_PATH | os.O_NOFOLLOW, dir_fd=self.root.handle)
                except OSError:
                    found.append(None)
                    continue
                try:
                    status = os.stat(file, dir_fd=folder, follow_symlinks=False)
                    found.append((status.st_ino, status.st_size, status.st_mtime_ns))
                except OSError:
                    found.append(None)
                finally:
                    os.close(folder)
        return found

    def _read_lists(self) -> Lists:
        damages: list[Damage] = []
        sources = Sources()
        found = {item.layer_id: item for item in self._read("layers", layers.read_layers, damages)}
        self._judge("layers", damages, sources)
        above: list[Damage] = []
        pictures = list(self._read("images", lambda folder: read_list(folder, images.LIST), above))
        self._judge("images", above, sources)
        holding: list[Damage] = []
        holders = {item.container_id: item for item in self._read("containers", containers.read_containers, holding)}
        self._judge("containers", holding, sources)
        complete = not any(_hides(each) for each in above + holding)
        return Lists(found, pictures, holders, damages + above + holding, sources, complete)

    def _judge(self, kind: str, damages: list[Damage], sources: Sources) -> None:
        """Note the state of a list: what may be hidden in it is in doubt."""
        hidden = [each for each in damages if _hides(each)]
        for fact in TELLS[kind]:
            for found in hidden:
                sources.damaged(fact, found)
            if not hidden:
                there = any(self.root.exists(f"{self.driver}-{kind}", name) for name in _names(kind))
                where = f"{self.driver}-{kind}/{KIND_OF_LIST[kind]}"
                sources.note(fact, where, standing.READ if there else standing.ABSENT)

    def _read(self, kind: str, read: Callable[[Folder], Iterator[T | Damage]], damages: list[Damage]) -> Iterator[T]:
        if kind == "containers" and not self.root.exists(f"{self.driver}-{kind}"):
            return  # as in an image store that others use
        count = 0
        try:
            with reading(f"{self.driver}-{kind}"), self._folder(kind) as folder:
                for item in read(folder):
                    if not isinstance(item, Damage):
                        yield item
                        continue
                    count += 1
                    if count <= KEPT:
                        damages.append(item)
        except Damage as found:
            damages.append(found)
        if count > KEPT:
            damages.append(Damage("more-problems", f"{self.driver}-{kind}", f"{count - KEPT} more like these"))

    def _absent(self, lists: Lists, before: set[str]) -> Iterator[Damage]:
        """Say that the list of layers is gone while what it must name is there."""
        if lists.layers or not (before or lists.images or lists.containers):
            return
        if not any(self.root.exists(f"{self.driver}-layers", name) for name in _names("layers")):
            where = f"{self.driver}-layers/{layers.LIST}"
            lists.sources.note("layers", where, standing.LOST, "there are directories, images or containers")
            yield Damage("missing", where, "there are directories, images or containers, and no list of layers")

    def _claims(self, lists: Lists, chains: layers.Chains) -> Claims:
        claims = Claims()
        claims.sources.merge(lists.sources)
        for layer in lists.layers.values():
            chain = chains.of.get(layer.layer_id)
            if layer.incomplete:
                claims.add(layer.layer_id, "writing", layer.layer_id)
            elif chain is not None:
                claims.add(layer.layer_id, "layer", chain)
            else:
                claims.add(layer.layer_id, "storage-layer", layer.layer_id)
            if layer.parent in lists.layers:
                claims.expect(layer.layer_id, layer.parent)
        for container in lists.containers.values():
            claims.add(container.layer, "container", container.container_id)
        # What stands in no list of layers is lost to the engine, but not nobody's.
        for top in (top for item in lists.images for top in images.top_layers(item)):
            if top not in lists.layers:
                claims.add(top, "storage-layer", top)
        return claims

    def _doubt_containers(self, lists: Lists) -> None:
        """Say where a list of containers is not there and something proves that it was."""
        kind = f"{self.driver}-containers"
        absent = [name for name in _names("containers") if not self.root.exists(kind, name)]
        if not absent:
            return
        tops = {top for item in lists.images for top in images.top_layers(item)}
        tops |= {each.layer for each in lists.containers.values() if each.layer is not None}
        folders = sorted(set(evidence.folders(self.root, kind)) - lists.containers.keys())
        proofs = [f"container {name} has a folder" for name in folders]
        proofs += [f"layer {name} is one of a container" for name in evidence.writable(lists.layers, tops)]
        evidence.doubt_lists(self.claims.sources, f"{kind}/{absent[0]}", proofs)

    def _again(self, wait: float) -> Claims:
        """Read the lists once more, after so many seconds; what is wrong with them was said before."""
        time.sleep(wait)
        lists = self._lists()
        return self._claims(lists, layers.Chains({**self._lent().value.layers, **lists.layers}))

    # What others lend ----------------------------------------------------------------------------------------------

    def _lent(self) -> _Lent:
        lent = Lent({}, set(), {})
        damages: list[Damage] = []
        for path in self.additional:
            try:
                with reading(""), Folder(path) as root:
                    other = Scan(root, self.driver, (), walkable=self.walkable, first=False)
                    lists = other._lists()
                    for layer_id, layer in lists.layers.items():
                        lent.layers.setdefault(layer_id, layer)
                    lent.images.update(item.id for item in lists.images)
                    lent.links.update(other._short_names())
            except Damage as found:
                detail = f"{listed(path)}, which lends it images: {found.problem.detail}"
                damages.append(Damage(found.problem.code, found.problem.path, detail))
        return _Lent(lent, damages)

    def _borrowed(self, lists: Lists) -> Iterator[Record | Damage]:
        """Yield what stores of this host that borrow from this one need here."""
        sources = self.claims.sources
        if not self.borrowers and not self.root.exists(f"{self.driver}-containers"):
            sources.note("borrowers", self.root.path or ".", standing.UNSEEN, "others may run what is kept here")
        tops: dict[str, list[str]] = {}
        for item in lists.images:
            for top in images.top_layers(item):
                tops.setdefault(top, []).append(self.image_ids.get(item.id, f"sha256:{item.id}"))
        for path in self.borrowers:
            try:
                with reading(""), Folder(path) as root:
                    borrower = Scan(root, self.driver, (), walkable=self.walkable, first=False)
                    other = borrower._lists()
            except Damage as found:
                sources.note("borrowers", listed(path), standing.DAMAGED, found.problem.detail)
                continue
            if not other.complete:
                sources.note("borrowers", listed(path), standing.DAMAGED, "its lists were not read whole")
            stored = {**lists.layers, **other.layers}
            yield from borrowed(path, stored, other.containers, other.images, tops)

    def _used_elsewhere(self, lists: Lists, chains: layers.Chains, lent: Lent) -> Iterator[Record | Damage]:
        """Yield what this store needs and another lends it, so that it is not taken for missing."""
        own = self.root.path or "."
        needed = {layer.parent for layer in lists.layers.values() if layer.parent is not None}
        tops = needed | {top for item in lists.images for top in images.top_layers(item)}
        for layer_id in sorted(layers.reached(tops, {**lent.layers, **lists.layers}) - lists.layers.keys()):
            if (chain := chains.of.get(layer_id)) is not None:
                yield Use("layer", chain, "borrowed", own, "layers")
        for image in sorted({held.image for held in lists.containers.values() if held.image in lent.images}):
            yield Use("image", f"sha256:{image}", "borrowed", own, "images")

    def _short_names(self) -> Iterator[tuple[str, str]]:
        try:
            with self.root.folder(self.driver, "l") as folder:
                for name in folder.entries:
                    match = shapes.LINK_TARGET.fullmatch(folder.target(name)) if shapes.LINK.fullmatch(name) else None
                    if match is not None:
                        yield name, match[1]
        except Damage:
            return  # then its lowers are said to lead nowhere

    # Layers --------------------------------------------------------------------------------------------------------

    def _check_layers(self, lists: Lists, known: dict[str, StoredLayer], chains: layers.Chains) -> Iterator[Damage]:
        whole = not self.claims.sources.doubts("missing layer")
        for layer_id, layer in sorted(lists.layers.items()):
            if layer.parent is not None and layer.parent not in known and whole:
                yield Damage("missing-parent", layer.where, f"{layer.parent} is in no list", layer_id)
            if layer.incomplete:
                yield Damage("incomplete-layer", layer.where, "its flags say that it is not whole", layer_id)
        for layer_id in chains.circles:
            yield Damage("layer-circle", f"{self.driver}-layers/{layers.LIST}", "it stands on itself", layer_id)

    def _live(self, lists: Lists, known: dict[str, StoredLayer]) -> set[str]:
        tops = [top for item in lists.images for top in images.top_layers(item)]
        tops += [container.layer for container in lists.containers.values() if container.layer is not None]
        return layers.reached(tops, known)

    def _dangling(self, lists: Lists, live: set[str]) -> Iterator[Damage]:
        """Yield layers that nothing needs, also not a moment later: a pull puts layers first, then the image."""
        dangling = [each for each, layer in lists.layers.items() if each not in live and not layer.incomplete]
        if not dangling:
            return
        time.sleep(PAUSE)
        now = self._lists()
        live_now = self._live(now, now.layers)
        for layer_id in sorted(dangling):
            if now.complete and now.layers.get(layer_id) == lists.layers[layer_id] and layer_id not in live_now:
                detail = "no image and no container stands on it"
                yield Damage("dangling-layer", lists.layers[layer_id].where, detail, layer_id)

    def _missing_directories(self, lists: Lists) -> Iterator[Damage]:
        missing = [
            each
            for each, layer in sorted(lists.layers.items())
            if not layer.incomplete and not self.root.exists(self.driver, each)
        ]
        if not missing:
            return
        # A directory is removed before the list is written, and one of that name may have come again.
        time.sleep(PAUSE)
        now = self._lists().layers
        for layer_id in missing:
            if now.get(layer_id) == lists.layers[layer_id] and not self.root.exists(self.driver, layer_id):
                detail = f"{self.driver}/{layer_id} is not there"
                yield Damage("missing-directory", now[layer_id].where, detail, layer_id)

    def _leftovers(self) -> Iterator[Damage]:
        """Yield files of atomic writes that are there a moment later too."""
        waited = False
        for kind in KIND_OF_LIST:
            try:
                with self._folder(kind) as folder:
                    names = [name for name in sorted(folder.entries) if name.startswith(TEMPORARY)]
                    if names and not waited:
                        time.sleep(PAUSE)
                        waited = True
                    for name in names:
                        if folder.exists(name):
                            yield leftover(folder, name)
            except Damage:
                continue  # said when its list was read

    def _passing(self) -> Iterator[Record | Damage]:
        """Yield what lies in the folders of layers that are being pulled or removed."""
        for kind, state, code in (("staging", "writing", "write-set"), ("tempdirs", "removing", "removing-layer")):
            if not self.root.exists(self.driver, kind):
                continue
            try:
                with self.root.folder(self.driver, kind) as folder:
                    names = [name for name in sorted(folder.entries) if folder.has_folder(name)]
                    for name in names[:STAGED]:
                        text = f"{kind}/{listed(name)}"
                        yield UnfinishedLayer(text, state, None, None, None, None, None)
                        yield Damage(code, folder.where(name), "its layers still use space", text)
            except Damage as found:
                yield found

    def _mount_program(self) -> Iterator[Damage]:
        """Say when it cannot be read what decides how deletions are marked here."""
        if self.root.has_folder(self.driver):
            with self.root.folder(self.driver) as folder:
                has_mount_program(folder)
        yield from ()

    # Images --------------------------------------------------------------------------------------------------------

    def _images(self, lists: Lists, known: dict[str, StoredLayer], chains: layers.Chains) -> Iterator[Record | Damage]:
        """Yield the images: who is whose parent shows when all are known, so that configs are read twice."""
        family = images.Family()
        young = False
        with self._folder("images") as folder:
            for item in images.read_items(folder, lists.images):
                if isinstance(item, Damage):
                    young |= item.problem.code in ("missing", "vanished")
                elif item.config is not None:
                    family.add(item.config)
        if young:
            # An engine writes an image, then its config, and removes them the other way round.
            time.sleep(PAUSE)
        now = {item.id: item for item in self._lists().images} if young else {}
        items = [now.get(item.id, item) for item in lists.images]
        sizes = {chain: known[each].size for each, chain in sorted(chains.of.items(), reverse=True) if chain}
        seen: set[str] = set()
        manifests: set[tuple[str, str, str]] = set()
        damages: list[Damage] = []
        with self._folder("images") as folder:
            for stored in images.read_items(folder, items):
                if isinstance(stored, Damage):
                    damages.append(stored)
                else:
                    yield from self._image(stored, seen, manifests, family, known, sizes)
        yield from self.manifest_lists.records()
        yield from self._unless_removed(damages)

    def _unless_removed(self, damages: list[Damage]) -> Iterator[Damage]:
        """Yield findings about images, or that the image was removed meanwhile: its files go before its name."""
        absent = {found.problem.subject for found in damages if found.problem.code in ("missing", "vanished")}
        gone: set[str | None] = set()
        for _ in range(ATTEMPTS):
            if gone == absent:
                break
            time.sleep(PAUSE)
            now = self._lists()
            # One that was away for a moment may have come again.
            gone |= absent - {item.id for item in now.images} if now.complete else set()
        kind = f"{self.driver}-images"
        for found in damages:
            problem = found.problem
            if evidence.hides(found):
                self.claims.sources.damaged("images", found)
                self.claims.sources.damaged("manifests", found)
            again = problem.path == f"{kind}/{problem.subject}" and self.root.exists(kind, problem.subject or "")
            if (again or problem.subject in gone) and problem.code in ("missing", "vanished"):
                yield vanished(problem.path, problem.subject)
            else:
                yield found

    def _image(  # noqa: PLR0913, PLR0917
        self,
        stored: StoredImage,
        seen: set[str],
        manifests: set[tuple[str, str, str]],
        family: images.Family,
        known: dict[str, StoredLayer],
        sizes: dict[str, int | None],
    ) -> Iterator[Record | Damage]:
        image_id = self._image_id(stored)
        if image_id is None:
            return
        self.image_ids[stored.storage_id] = image_id
        yield from images.references(stored, image_id)
        self.manifest_lists.add(stored.names, stored.instances)
        for manifest in stored.manifests:
            self.manifest_lists.add_image(manifest)
            key = (manifest.digest, manifest.image_id, manifest.index_digest)
            if key not in manifests:
                manifests.add(key)
                yield manifest
        if stored.config is None:
            self._claim_all(stored, image_id, known)
        if stored.config is None or image_id in seen:
            return
        seen.add(image_id)
        config = stored.config
        for top in stored.layers:
            self._claim_apart(top, "image", image_id, known)
        way = _way(stored.layers[0], known) if stored.layers else []
        yield self._sized(config, way, sizes)._replace(parent_image_id=family.parent(config))
        yield from config.layers
        yield from config.history
        yield from self._check_image(stored, config, way, known, sizes)

    def _claim_all(self, stored: StoredImage, image_id: str, known: dict[str, StoredLayer]) -> None:
        """Note all layers of an image whose config, which would name them, cannot be read."""
        for top in stored.layers:
            for layer in _way(top, known):
                self.claims.add(layer.layer_id, "image", image_id)

    def _claim_apart(self, top: str, kind: str, owner: str, known: dict[str, StoredLayer]) -> None:
        for layer in _way(top, known):
            if layer.layer_id in self.apart:
                self.claims.add(layer.layer_id, kind, owner)

    @staticmethod
    def _image_id(stored: StoredImage) -> str | None:
        if stored.config is not None:
            return stored.config.image.image_id
        digests = [manifest.digest for manifest in stored.manifests if manifest.kind == "index"]
        own = f"sha256:{stored.storage_id}"
        return digests[0] if digests else own if shapes.DIGEST.fullmatch(own) else None

    @staticmethod
    def _sized(config: Config, way: list[StoredLayer], sizes: dict[str, int | None]) -> Image:
        image = config.image
        if len(way) == len(config.layers):
            found = [layer.size for layer in way]
        else:
            found = [sizes.get(layer.chain_id) for layer in config.layers]
        whole = [size for size in found if size is not None]
        total = sum(whole)
        return image._replace(size=total if len(whole) == len(found) and total < 2**63 else None)

    def _check_image(
        self,
        stored: StoredImage,
        config: Config,
        way: list[StoredLayer],
        known: dict[str, StoredLayer],
        sizes: dict[str, int | None],
    ) -> Iterator[Damage]:
        where = f"{self.driver}-images/{images.LIST}"
        image_id = config.image.image_id
        if self.claims.sources.doubts("missing layer"):
            return  # what is in no list that could be read may be in another
        if stored.layers and stored.layers[0] not in known:
            yield Damage("missing-layer", where, f"its top layer {stored.layers[0]} is in no list", image_id)
            return
        # Where the diff_id of a layer is not known, there is nothing to compare but their number.
        if len(way) == len(config.layers) and any(layer.diff_id is None for layer in way):
            return
        for layer in config.layers:
            if layer.chain_id not in sizes:
                detail = f"layer {layer.position}, chain {layer.chain_id}, is in no list"
                yield Damage("missing-layer", where, detail, image_id)

    # Containers ----------------------------------------------------------------------------------------------------

    def _containers(
        self,
        lists: Lists,
        known: dict[str, StoredLayer],
        chains: layers.Chains,
        lent: Lent,
        state: Known | None,
    ) -> Iterator[Record | Damage]:
        engine = state or Known({}, {}, {}, [], found=False)
        image_ids = lent.images | {item.id for item in lists.images}
        if self.root.exists(f"{self.driver}-containers"):
            with self._folder("containers") as folder:
                for container in sorted(lists.containers.values()):
                    yield from self._salvaged(container, folder, engine, known, chains)
                    yield from self._check_container(container, lists, image_ids)
        unlisted = sorted(engine.containers.keys() - lists.containers.keys())
        if unlisted:
            yield from self._unlisted(unlisted, engine, complete=lists.complete)

    def _salvaged(
        self,
        container: StoredContainer,
        folder: Folder,
        engine: Known,
        known: dict[str, StoredLayer],
        chains: layers.Chains,
    ) -> Iterator[Record | Damage]:
        """Yield a container; where reading what is known of it failed, that it is there."""
        name = container.container_id
        try:
            yield from list(each(lambda: self._container(container, folder, engine, known, chains), folder.path, name))
        except Damage as found:
            self.claims.sources.damaged("containers", found)
            yield found
            unknown = Known({}, {}, {}, [], found=False)
            image_id = self._image_of(container)
            yield containers.container_record(container, unknown, image_id, Logs([], [], whole=False), self.driver)

    def _container(
        self,
        container: StoredContainer,
        folder: Folder,
        engine: Known,
        known: dict[str, StoredLayer],
        chains: layers.Chains,
    ) -> Iterator[Record | Damage]:
        logs = containers.read_logs(folder, container.container_id)
        yield from logs.files
        yield from logs.damages
        yield containers.container_record(container, engine, self._image_of(container), logs, self.driver)
        yield from containers.container_volumes(container.container_id, engine)
        yield from _said(engine, container.container_id)
        if container.layer is not None and container.layer in known:
            parent = known[container.layer].parent
            chain = None if parent is None else chains.of.get(parent)
            if parent is not None:
                self._claim_apart(parent, "container-base", container.container_id, known)
            yield Mount(container.container_id, container.layer, None, chain, container.container_id)

    def _image_of(self, container: StoredContainer) -> str | None:
        if container.image is None:
            return None
        own = f"sha256:{container.image}"
        return self.image_ids.get(container.image) or (own if shapes.DIGEST.fullmatch(own) else None)

    def _check_container(self, container: StoredContainer, lists: Lists, image_ids: set[str]) -> Iterator[Damage]:
        where = f"{self.driver}-containers/{containers.LIST}"
        name = container.container_id
        doubts = self.claims.sources.doubts
        if container.layer is not None and container.layer not in lists.layers and not doubts("missing layer"):
            yield Damage("container-without-mount", where, f"its layer {container.layer} is in no list", name)
        if container.image is not None and container.image not in image_ids and not doubts("missing image"):
            yield Damage("missing-image", where, f"its image {container.image} is gone", name)

    def _unlisted(self, names: list[str], engine: Known, *, complete: bool) -> Iterator[Record | Damage]:
        """Yield containers that only Podman's state knows: of a root filesystem elsewhere, or half removed."""
        now = self._libpod_again().containers
        for name in names:
            if name not in now:
                continue
            config = engine.containers[name]
            image = config.get("rootfsImageID", ids.text)
            stored = containers.StoredContainer(name, [], image, None, {}, None)
            yield containers.container_record(stored, engine, self._image_of(stored), Logs([], []), self.driver)
            yield from containers.container_volumes(name, engine)
            yield from _said(engine, name)
            if complete and not config.values.get("rootfs"):
                detail = "Podman's state knows it, the storage does not"
                yield Damage("container-without-mount", config.where, detail, name)

    def _libpod_again(self) -> Known:
        time.sleep(PAUSE)
        return read_libpod(self.root)


class _Lent(NamedTuple):
    value: Lent
    damages: list[Damage]


def _said(engine: Known, container_id: str) -> list[Damage]:
    """Return what was wrong with the values that Podman's state has of a container."""
    fields: list[Fields | None] = [engine.containers.get(container_id), engine.states.get(container_id)]
    return [damage for field in fields if field is not None for damage in field.damages]


def _hides(found: Damage) -> bool:
    """Say whether a finding about a list means that something in it is not known; those with a subject have its id."""
    problem = found.problem
    return problem.subject is None and (KINDS[problem.code].severity == "error" or problem.code == "vanished")


def _way(top: str, known: dict[str, StoredLayer]) -> list[StoredLayer]:
    """Return a layer with all below it, as far as an image can go."""
    way: list[StoredLayer] = []
    seen: set[str] = set()
    at: str | None = top
    while at is not None and at in known and at not in seen and len(way) <= LAYERS:
        seen.add(at)
        way.append(known[at])
        at = known[at].parent
    return way
