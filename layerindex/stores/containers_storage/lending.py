"""Stores of one host that share images: a shared image is in use in its own store, and not missing in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes, standing
from layerindex.guard import reading
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Use
from layerindex.stores.containers_storage import images, layers
from layerindex.stores.containers_storage.found import Lent
from layerindex.stores.containers_storage.moment import opened_run, read_lists
from layerindex.stores.disk.files import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layerindex.stores.containers_storage.found import Found
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.moment import Lists
    from layerindex.stores.containers_storage.settings import GraphRoot


def read_lent(driver: str, lenders: Sequence[str]) -> Lent:
    """Return what the named graph roots share; if two have the same layer or image, the first counts."""
    lent = Lent({}, set(), {}, [])
    for path in lenders:
        try:
            with reading(""), Folder(path) as root:
                lists = read_lists(root, driver)
                lent.layers.update({each: layer for each, layer in lists.layers.items() if each not in lent.layers})
                lent.images.update(item.id for item in lists.images)
                lent.links.update(_short_names(root, driver))
        except Damage as found:
            detail = f"{from_os(path)}, which lends it images: {found.problem.detail}"
            lent.damages.append(Damage(found.problem.code, found.problem.path, detail))
    return lent


def _short_names(root: Folder, driver: str) -> Iterator[tuple[str, str]]:
    try:
        with root.folder(driver, "l") as folder:
            for name in folder.entries:
                match = shapes.LINK_TARGET.fullmatch(folder.target(name)) if shapes.LINK.fullmatch(name) else None
                if match is not None:
                    yield name, match[1]
    except Damage:
        return  # then its lowers are reported to lead nowhere


def used_elsewhere(found: Found) -> Iterator[Use]:
    """Yield uses for what a store needs and others share, so that it is not taken for missing."""
    own = found.root.path or "."
    here, lent = found.lists.layers, found.lent
    needed = {layer.parent for layer in here.values() if layer.parent is not None}
    tops = needed | {top for item in found.lists.images for top in images.top_layers(item)}
    for layer_id in sorted(layers.reached(tops, found.known) - here.keys()):
        names = {layer_id, found.chains.of.get(layer_id) or layer_id}
        yield from (Use("layer", name, "borrowed", own, "layers") for name in sorted(names))
    for image in sorted({held.image for held in found.lists.containers.values() if held.image in lent.images}):
        yield Use("image", f"sha256:{image}", "borrowed", own, "images")


def used_by_others(found: Found, ids: Mapping[str, str], borrowers: Sequence[GraphRoot]) -> Iterator[Use]:
    """Yield what other stores of this host need of this one, whose image ids are given by storage id."""
    sources = found.claims.sources
    if not borrowers and not found.root.exists(f"{found.driver}-containers"):
        sources.note("borrowers", found.root.path or ".", standing.UNSEEN, "others may run what is kept here")
    tops: dict[str, list[str]] = {}
    for item in found.lists.images:
        for top in images.top_layers(item):
            tops.setdefault(top, []).append(ids.get(item.id, f"sha256:{item.id}"))
    for path, run_root in ((each.root, each.run_root) for each in borrowers):
        try:
            with reading(""), Folder(path) as root, opened_run(run_root) as run:
                other = read_lists(root, found.driver, run)
        except Damage as damage:
            sources.note("borrowers", from_os(path), standing.DAMAGED, damage.problem.detail)
            continue
        if not other.complete:
            sources.note("borrowers", from_os(path), standing.DAMAGED, "its lists were not read whole")
        yield from _borrowed(path, other, {**found.lists.layers, **other.layers}, tops)


def _borrowed(
    path: str, other: Lists, stored: Mapping[str, StoredLayer], tops: Mapping[str, list[str]]
) -> Iterator[Use]:
    """Yield the users, in the store at a path, of the images of `tops`, by top layer; `stored` are all layers."""
    users = [
        (f"container {next(iter(each.names), None) or each.container_id}", [each.layer] if each.layer else [])
        for each in other.containers.values()
    ]
    for item in other.images:
        field = item.field.values.get("names")
        names = [name for name in field if isinstance(name, str)] if isinstance(field, list) else []
        users.append((f"image {next(iter(names), item.id)}", images.top_layers(item)))
    told: set[Use] = set()
    for user, own in users:
        for layer_id in sorted(layers.reached(own, stored) & tops.keys()):
            for image_id in tops[layer_id]:
                use = Use("image", image_id, "store", from_os(f"{path}: {user}"), "borrowers")
                if use not in told:
                    told.add(use)
                    yield use
