"""One pass over a graph root: the lists first, then what they name, then the driver's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from layerindex import standing
from layerindex.missing import going
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Record, UnfinishedLayer
from layerindex.stores.containers_storage import evidence, images, layers, volumes
from layerindex.stores.containers_storage.container_scan import Containers
from layerindex.stores.containers_storage.found import Found
from layerindex.stores.containers_storage.image_scan import Images
from layerindex.stores.containers_storage.lending import read_lent, used_by_others, used_elsewhere
from layerindex.stores.containers_storage.libpod import read_again, read_libpod
from layerindex.stores.containers_storage.moment import KIND_OF_LIST, names_of, opened_run
from layerindex.stores.shared.claims import Claims
from layerindex.stores.shared.overlay import LATE, PAUSE, directory_names, in_motion, read_overlay
from layerindex.stores.shared.passes import TEMPORARY, leftover, part
from layerindex.stores.shared.pulls import doubt_new, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerindex.records import Use
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.layout import StorageLayout
    from layerindex.stores.containers_storage.moment import Lists
    from layerindex.stores.disk.files import Folder

Part = tuple[Callable[[], Iterable[Record | Damage]], str]
"""A reader of a part of a store, and the folder that it reads."""

STAGED = 10_000
"""Most directories that are recorded from a folder of layers that are being pulled or removed."""


def has_mount_program(folder: Folder) -> bool:
    """Say whether fuse-overlayfs mounts what is in a driver's folder, which marks deletions by names; raises Damage."""
    return ".has-mount-program" in folder and folder.text(".has-mount-program") == "true"


class Scan:
    """One pass over what a driver keeps under a graph root."""

    def __init__(self, root: Folder, store: StorageLayout) -> None:
        self.root, self.store, self.driver = root, store, store.driver

    def items(self) -> Iterator[Record | Damage]:
        """Yield everything; a folder that cannot be opened ends only its own part."""
        with ExitStack() as stack:
            run = None
            with suppress(Damage):  # the containers of a transient store are then in doubt
                run = stack.enter_context(opened_run(self.store.run_root))
            yield from self._items(run)

    def _items(self, run: Folder | None) -> Iterator[Record | Damage]:
        before = directory_names(self.root, self.driver) if self.store.walkable else set()
        lent = read_lent(self.driver, self.store.additional)
        found = Found.of(self.root, run, self.driver, lent, Claims())
        yield from found.lists.damages
        yield from self._absent(found.lists, before)
        yield from lent.damages
        _claim(found)
        self._doubt_containers(found)
        self._doubt_images(found)
        for read, where in self._parts(found, before):
            yield from part(read, where, found.claims.sources.failed)
        yield from found.claims.sources

    def _parts(self, found: Found, before: set[str]) -> Iterator[Part]:
        """Yield the readers of the parts of the store, each with its folder."""
        kept = {kind: f"{self.driver}-{kind}" for kind in KIND_OF_LIST}
        live = _live(found.lists, found.known) if found.lists.complete else None
        pictures = Images(found)
        state = read_libpod(self.root, found.run) if self.store.first else None
        if state is not None:
            evidence.doubt_state(found.claims.sources, self.root, state, found.lists.containers, "libpod")
        yield partial(self._check_layers, found), kept["layers"]
        yield partial(layers.layer_records, found.lists.layers, found.chains, live), kept["layers"]
        yield self._leftovers, ""
        yield pictures.records, kept["images"]
        yield partial(used_by_others, found, pictures.ids, self.store.borrowers), kept["images"]
        if state is not None:
            yield lambda: state.damages, "libpod"
        yield partial(Containers(found, pictures).records, state), kept["containers"]
        if state is not None:
            read = partial(read_again, self.root, found.run)
            yield (
                partial(volumes.read_volumes, self.root, self.store.root, state, read, found.claims.sources),
                "volumes",
            )
            yield partial(volumes.going_volumes, self.root, state, read), "volumes"
        if live is not None:
            yield partial(self._dangling, found, live), kept["layers"]
        if self.store.walkable:
            again = partial(self._again, found)
            overlay = partial(read_overlay, self.root, self.driver, before, found.claims, again, found.lent.links)
            yield from ((each, self.driver) for each in (overlay, self._passing, self._mount_program))
            yield partial(self._going, found), self.driver
        yield partial(used_elsewhere, found), kept["layers"]

    def _absent(self, lists: Lists, before: set[str]) -> Iterator[Damage]:
        """Return the finding that the list of layers is lost although things that need it exist."""
        if lists.layers or not (before or lists.images or lists.containers):
            return
        if not any(self.root.exists(f"{self.driver}-layers", name) for name in names_of("layers")):
            where = f"{self.driver}-layers/{layers.LIST}"
            lists.sources.note("layers", where, standing.LOST, "there are directories, images or containers")
            yield Damage("missing", where, "there are directories, images or containers, and no list of layers")

    def _doubt_containers(self, found: Found) -> None:
        """Record that a list of containers is absent where something proves that it existed."""
        kind, lists = f"{self.driver}-containers", found.lists
        absent = [name for name in names_of("containers") if not self.root.exists(kind, name)]
        if not absent:
            return
        tops = {top for item in lists.images for top in images.top_layers(item)}
        tops |= {each.layer for each in lists.containers.values() if each.layer is not None}
        folders = sorted(set(evidence.folders(self.root, kind)) - lists.containers.keys())
        proofs = [f"container {name} has a folder" for name in folders]
        proofs += [f"layer {name} is one of a container" for name in evidence.writable(lists.layers, tops)]
        if not lists.containers and found.run is None and self._may_be_transient(kind):
            detail = "the lists of a transient store are in its runroot, which is not known"
            for fact in ("containers", "mounts"):
                found.claims.sources.note(fact, kind, standing.UNSEEN, detail)
        evidence.doubt_lists(found.claims.sources, f"{kind}/{absent[0]}", proofs)

    def _doubt_images(self, found: Found) -> None:
        """Record that an unknown store must have the images of containers, where no image is listed here."""
        kind, lists = f"{self.driver}-images", found.lists
        users = [each for each in lists.containers.values() if each.image and each.image not in found.lent.images]
        if not users or any(self.root.exists(kind, name) for name in names_of("images")):
            return
        name = next(iter(users[0].names), users[0].container_id)
        detail = f"container {from_os(name)} has an image, which another store may keep: an imagestore"
        for fact in ("images", "layers"):
            found.claims.sources.note(fact, f"{kind}/{images.LIST}", standing.UNSEEN, detail)

    def _may_be_transient(self, kind: str) -> bool:
        """Say whether no list of containers was ever locked here: a transient store locks the one in its runroot."""
        return self.root.exists(kind) and not self.root.exists(kind, "containers.lock")

    def _again(self, before: Found, wait: float) -> Claims:
        """Read the lists once more, after so many seconds; what is wrong with them was said before."""
        time.sleep(wait)
        found = Found.of(self.root, before.run, self.driver, before.lent, Claims())
        _claim(found)
        return found.claims

    # Layers --------------------------------------------------------------------------------------------------------

    def _check_layers(self, found: Found) -> Iterator[Damage]:
        for layer_id, layer in sorted(found.lists.layers.items()):
            if layer.incomplete:
                yield Damage("incomplete-layer", layer.where, "its flags say that it is not whole", layer_id)
        for layer_id in found.chains.circles:
            yield Damage("layer-circle", f"{self.driver}-layers/{layers.LIST}", "it stands on itself", layer_id)

    def _dangling(self, found: Found, live: set[str]) -> Iterator[Damage]:
        """Yield layers that nothing needs at two looks: a pull writes layers before the image."""
        lists = found.lists
        dangling = [each for each, layer in lists.layers.items() if each not in live and not layer.incomplete]
        if not dangling:
            return
        time.sleep(PAUSE)
        now = found.now()
        live_now = _live(now, now.layers)
        for layer_id in sorted(dangling):
            layer = lists.layers[layer_id]
            made = moment(layer.created_at) if layer_id in now.layers else None
            doubt_new(found.claims.sources, f"{layer.where}: {layer_id}", made)
            if now.complete and now.layers.get(layer_id) == lists.layers[layer_id] and layer_id not in live_now:
                detail = "no image and no container stands on it"
                yield Damage("dangling-layer", lists.layers[layer_id].where, detail, layer_id)

    def _going(self, found: Found) -> Iterator[Use]:
        """Yield `going` for layers without a directory that are in no list a moment later."""
        lists = found.lists
        missing = [each for each in sorted(lists.layers) if not self.root.exists(self.driver, each)]
        if not missing:
            return
        time.sleep(PAUSE)
        now = found.now().layers
        for layer_id in missing:
            # A layer of that name may have been made again.
            if now.get(layer_id) != lists.layers[layer_id] or self.root.exists(self.driver, layer_id):
                for owner in {owner: None for _, owner in found.claims.owners[layer_id]}:
                    yield going("directory", layer_id, owner)

    def _leftovers(self) -> Iterator[Damage]:
        """Yield temporary files of atomic writes that still exist a moment later."""
        waited = False
        for kind in KIND_OF_LIST:
            try:
                with self.root.folder(f"{self.driver}-{kind}") as folder:
                    names = [name for name in sorted(folder.entries) if name.startswith(TEMPORARY)]
                    if names and not waited:
                        time.sleep(LATE if in_motion(folder) else PAUSE)
                        waited = True
                    for name in names:
                        if folder.exists(name):
                            yield leftover(folder, name)
            except Damage:
                continue  # reported when its list was read

    def _passing(self) -> Iterator[Record | Damage]:
        """Yield the entries of the folders for layers that are being pulled or removed."""
        for kind, state, code in (("staging", "writing", "write-set"), ("tempdirs", "removing", "removing-layer")):
            if not self.root.exists(self.driver, kind):
                continue
            try:
                with self.root.folder(self.driver, kind) as folder:
                    names = [name for name in sorted(folder.entries) if folder.has_folder(name)]
                    for name in names[:STAGED]:
                        text = f"{kind}/{from_os(name)}"
                        yield UnfinishedLayer(text, state, None, None, None, None, None)
                        yield Damage(code, folder.where(name), "its layers still use space", text)
            except Damage as found:
                yield found

    def _mount_program(self) -> Iterator[Damage]:
        """Yield the finding that the file that decides how deletions are marked cannot be read."""
        if self.root.has_folder(self.driver):
            with self.root.folder(self.driver) as folder:
                has_mount_program(folder)
        yield from ()


def _claim(found: Found) -> None:
    """Record who needs which directory according to the lists, and the states of these."""
    claims, lists = found.claims, found.lists
    claims.sources.merge(lists.sources)
    for layer in lists.layers.values():
        chain = found.chains.of.get(layer.layer_id)
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
    # A layer in no list is lost to the engine, but may still be needed.
    for top in (top for item in lists.images for top in images.top_layers(item)):
        if top not in lists.layers:
            claims.add(top, "storage-layer", top)


def _live(lists: Lists, known: Mapping[str, StoredLayer]) -> set[str]:
    """Return the layers that images and containers need."""
    tops = [top for item in lists.images for top in images.top_layers(item)]
    tops += [container.layer for container in lists.containers.values() if container.layer is not None]
    return layers.reached(tops, known)
