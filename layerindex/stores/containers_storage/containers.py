"""Containers of containers-storage: Podman's, Buildah's working containers, CRI-O's containers and sandboxes.

The storage knows names, images and layers; only Podman's own state has what ran and how it ended.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from layerindex.guard import reading
from layerindex.problems import Damage
from layerindex.records import Container, ContainerVolume
from layerindex.stores.containers_storage.crio import of_pod
from layerindex.stores.containers_storage.libpod import mounted, state
from layerindex.stores.containers_storage.lists import read_objects, reference, said, texts
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.logs import LogKind, Logs, take_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.containers_storage.libpod import PodmanState
    from layerindex.stores.containers_storage.lists import Item
    from layerindex.stores.disk.files import Folder

LIST = "containers.json"
LOG = re.compile(r"ctr\.log(?:\.([0-9]{1,9}))?(?:\.gz)?")
"""Files that conmon writes for the k8s-file driver, whole and rotated."""
USERDATA = "userdata"


class StoredContainer(NamedTuple):
    """A container in the list."""

    container_id: str
    names: list[str]
    image: str | None
    layer: str | None
    metadata: dict[str, Any]
    created_at: str | None


def read_containers(folder: Folder) -> Iterator[StoredContainer | Damage]:
    """Return the containers of the lists in `<driver>-containers/`."""
    return read_objects(folder, LIST, _container)


def _container(item: Item) -> StoredContainer:
    field = item.field
    return StoredContainer(
        item.id,
        field.get("names", texts) or [],
        field.get("image", reference),
        field.get("layer", reference),
        field.get("metadata", _metadata) or {},
        field.get("created", ids.timestamp),
    )


def _metadata(value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON held
    """Return the engine's metadata of a container: JSON in a text; other clients may store anything."""
    text = ids.text(value)
    if text is None:
        return {}
    try:
        found = orjson.loads(text.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def of_podman(container: StoredContainer) -> bool:
    """Say whether Podman made a container: it stores a name in the metadata, and CRI-O the pod too, Buildah nothing."""
    return isinstance(container.metadata.get("name"), str) and not of_pod(container.metadata)


def read_logs(containers: Folder, container_id: str) -> Logs:
    """Return the log files in a container's folder; none is opened."""
    logs = Logs([], [])
    if not containers.exists(container_id):
        return logs
    try:
        with reading(containers.where(container_id), container_id):
            if (opened := containers.optional(container_id, USERDATA)) is not None:
                with opened as folder:
                    take_logs(logs, folder, container_id, _log_kind)
    except Damage as found:
        return logs._replace(damages=[*logs.damages, found], whole=False)
    return logs


def _log_kind(name: str) -> LogKind | None:
    match = LOG.fullmatch(name)
    return match and LogKind("k8s-file", int(match[1] or 0))


def container_record(
    container: StoredContainer, known: PodmanState, image_id: str | None, logs: Logs, driver: str | None
) -> Container:
    """Return the row of a container, from Podman's state, else from the storage."""
    container_id, metadata = container.container_id, container.metadata
    config = known.containers.get(container_id) or Fields({}, "", container_id)
    run = known.states.get(container_id) or Fields({}, "", container_id)
    status = state(known, container_id)
    exit_code = run.get("exitCode", ids.number)
    if exit_code is None and status == "exited":
        exit_code = 0
    return Container(
        container_id=container_id,
        namespace="",
        name=said(config.get("name", ids.text) or next((name for name in container.names if name), None)),
        image_id=image_id,
        image_ref=said(config.get("rootfsImageName", ids.text) or _text(metadata, "image-name")),
        state=status,
        created_at=config.get("createdTime", ids.timestamp) or container.created_at,
        started_at=run.get("startedTime", ids.timestamp),
        finished_at=run.get("finishedTime", ids.timestamp),
        exit_code=exit_code,
        driver=driver,
        mount_id=container.layer,
        log_driver=said(config.get("logDriver", ids.text)),
        log_path=said(config.get("logPath", ids.text)),
        log_bytes=logs.size,
        sandbox_id=said(config.get("pod", ids.text) or _text(metadata, "pod-id")),
    )


def _text(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) and value else None


def container_volumes(container_id: str, known: PodmanState) -> Iterator[ContainerVolume]:
    """Yield the mounts of a container, each destination once."""
    config = known.containers.get(container_id)
    seen: set[str] = set()
    for each in mounted(config) if config is not None else ():
        destination = said(_text(each, "destination"))
        if destination is None or destination in seen:
            continue
        seen.add(destination)
        name = said(_text(each, "name"))
        volume = None if name is None else known.volumes.get(name)
        options = each.get("options")
        yield ContainerVolume(
            container_id,
            destination,
            said(_text(each, "type")),
            name,
            said(_text(each, "source") or (volume.get("mountPoint", ids.text) if volume is not None else None)),
            None
            if name is None
            else said(volume.get("volumeDriver", ids.text) if volume is not None else None) or "local",
            int("ro" not in options) if isinstance(options, list) else 1,
        )
