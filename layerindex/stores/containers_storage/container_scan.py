"""Yields the containers of a store, also those that only Podman's state knows, and findings about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.guard import each
from layerindex.problems import Damage
from layerindex.records import Mount
from layerindex.stores.containers_storage import containers, crio
from layerindex.stores.containers_storage.libpod import PodmanState, read_again
from layerindex.stores.disk import ids
from layerindex.stores.shared.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Record
    from layerindex.stores.containers_storage.containers import StoredContainer
    from layerindex.stores.containers_storage.found import Found
    from layerindex.stores.containers_storage.image_scan import Images
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.disk.values import Fields


class Containers:
    """The containers of a store, read after its images."""

    def __init__(self, found: Found, images: Images) -> None:
        self.found, self.images = found, images
        self._apart = found.apart

    def records(self, state: PodmanState | None) -> Iterator[Record | Damage]:
        """Yield the containers; `state` is Podman's own state."""
        engine = state or PodmanState({}, {}, {}, {}, [], found=False)
        lists = self.found.lists
        if self.found.root.exists(f"{self.found.driver}-containers"):
            with self.found.folder("containers") as folder:
                listed = sorted(lists.containers.values())
                items = [item for container in listed for item in self._salvaged(container, folder, engine)]
                yield from crio.with_sandboxes(items)
        unlisted = sorted(engine.containers.keys() - lists.containers.keys())
        if unlisted:
            yield from self._unlisted(unlisted, engine)

    def _salvaged(self, container: StoredContainer, folder: Folder, engine: PodmanState) -> Iterator[Record | Damage]:
        """Yield a container; where a reader failed, a bare row that says that it exists."""
        name = container.container_id
        try:
            yield from list(each(lambda: self._container(container, folder, engine), folder.path, name))
        except Damage as found:
            self.found.claims.sources.damaged("containers", found)
            yield found
            unknown = PodmanState({}, {}, {}, {}, [], found=False)
            image_id = self._image_of(container)
            yield containers.container_record(
                container, unknown, image_id, Logs([], [], whole=False), self.found.driver
            )

    def _container(self, container: StoredContainer, folder: Folder, engine: PodmanState) -> Iterator[Record | Damage]:
        logs = containers.read_logs(folder, container.container_id)
        yield from logs.files
        yield from logs.damages
        record = containers.container_record(container, engine, self._image_of(container), logs, self.found.driver)
        of_pod = crio.of_pod(container.metadata) and container.container_id not in engine.containers
        yield from crio.with_state(folder, record) if of_pod else [record]
        yield from containers.container_volumes(container.container_id, engine)
        yield from _said(engine, container.container_id)
        known = self.found.known
        if container.layer is not None and container.layer in known:
            parent = known[container.layer].parent
            chain = None if parent is None else self.found.chains.of.get(parent)
            if parent is not None:
                self.found.claim(parent, "container-base", container.container_id, self._apart)
            yield Mount(container.container_id, container.layer, None, chain, container.container_id)

    def _image_of(self, container: StoredContainer) -> str | None:
        if container.image is None:
            return None
        own = f"sha256:{container.image}"
        return self.images.ids.get(container.image) or (own if shapes.DIGEST.fullmatch(own) else None)

    def _unlisted(self, names: list[str], engine: PodmanState) -> Iterator[Record | Damage]:
        """Yield containers that only Podman's state knows: partly removed, or with a root filesystem elsewhere.

        The latter have no driver.
        """
        now = read_again(self.found.root, self.found.run).containers
        for name in names:
            if name not in now:
                continue
            config = engine.containers[name]
            image = config.get("rootfsImageID", ids.text)
            stored = containers.StoredContainer(name, [], image, None, {}, None)
            driver = None if config.values.get("rootfs") else self.found.driver
            yield containers.container_record(stored, engine, self._image_of(stored), Logs([], []), driver)
            yield from containers.container_volumes(name, engine)
            yield from _said(engine, name)


def _said(engine: PodmanState, container_id: str) -> list[Damage]:
    """Return the findings about a container's values in Podman's state."""
    fields: list[Fields | None] = [engine.containers.get(container_id), engine.states.get(container_id)]
    return [damage for field in fields if field is not None for damage in field.damages]
