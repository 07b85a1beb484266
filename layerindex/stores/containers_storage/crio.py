"""Reads the states that CRI-O keeps of its containers and sandboxes, each in its own folder of the storage.

Format: cri-o `internal/oci/container.go` (ContainerState, a runtime's state with times), and
`internal/storage/runtime.go` for the metadata, which always names the pod. The state of a sandbox without a process of
its own is empty: it runs while one of its containers runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerindex.guard import reading
from layerindex.problems import Damage
from layerindex.records import Container
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from layerindex.records import Record
    from layerindex.stores.disk.files import Folder

NAME = "state.json"
USERDATA = "userdata"
STATES = {"creating": "created", "created": "created", "running": "running", "paused": "paused", "stopped": "exited"}
"""The states of runtimes, in Docker's words. One that stopped is never started again: Kubernetes makes a new one."""


def of_pod(metadata: dict[str, Any]) -> bool:
    """Say whether CRI-O made a container: only CRI-O stores the pod in the metadata."""
    return isinstance(metadata.get("pod-id"), str)


def with_state(containers: Folder, container: Container) -> Iterator[Container | Damage]:
    """Yield a container with the state in its file, or unchanged without one; and findings about that file."""
    name = container.container_id
    try:
        with reading(containers.where(f"{name}/{USERDATA}/{NAME}"), name):
            found, damages = _with_state(containers, container)
    except Damage as damage:
        yield container
        if damage.problem.code != "missing":  # it is being made or removed
            yield damage
        return
    yield found
    yield from damages


def _with_state(containers: Folder, container: Container) -> tuple[Container, list[Damage]]:
    with containers.folder(container.container_id, USERDATA) as folder:
        field = Fields(folder.json(NAME), folder.where(NAME), container.container_id)
    state = STATES.get(field.get("status", ids.text) or "", "unknown")
    finished = field.get("finished", ids.timestamp)
    told = container._replace(
        state=state,
        started_at=field.get("started", ids.timestamp),
        finished_at=finished if state == "exited" else None,
        exit_code=field.get("exitCode", ids.number) if state == "exited" else None,
    )
    return told, field.damages


def with_sandboxes(items: Collection[Record | Damage]) -> Iterator[Record | Damage]:
    """Yield the records of containers, of which a sandbox without a state runs while one of its containers does."""
    running = {item.sandbox_id for item in items if isinstance(item, Container) and item.state == "running"}
    for item in items:
        pod = isinstance(item, Container) and item.state == "unknown" and item.container_id in running
        yield item._replace(state="running") if pod and isinstance(item, Container) else item
