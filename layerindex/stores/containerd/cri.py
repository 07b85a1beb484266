"""Reads the states of the containers of containerd's Kubernetes plugin, from files beside containerd's databases.

Format: containerd `pkg/cri/store/container/status.go`. It keeps no states of sandboxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerindex.guard import reading
from layerindex.names import on_disk
from layerindex.problems import Damage
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import Folder
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.logs import LogKind, Logs, take_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Container

FOLDER = ("io.containerd.grpc.v1.cri", "containers")
NAME = "status"
STATUS = 1024 * 1024
"""Most bytes of a status, which ends with what a runtime said of a failure."""

LOG_DRIVER = "k8s-file"
"""What Podman calls the format of these logs."""


def with_status(root: Folder, container: Container) -> Iterator[Container | Damage]:
    """Yield a container with the state in its status file, or unchanged without one; and findings about that file."""
    try:
        with reading(f"{'/'.join(FOLDER)}/{container.container_id}/{NAME}", container.container_id):
            found, damages = _with_status(root, container)
    except Damage as damage:
        yield container
        if damage.problem.code != "missing":  # it is no container of the plugin's, or is being removed
            yield damage
        return
    yield found
    yield from damages


def _with_status(root: Folder, container: Container) -> tuple[Container, list[Damage]]:
    with root.folder(*FOLDER, container.container_id) as folder:
        field = Fields(folder.json(NAME, STATUS), folder.where(NAME), container.container_id)
    created, started, finished = (field.get(f"{each}At", _moment) for each in ("Created", "Started", "Finished"))
    # In the plugin's order of precedence (Status.State).
    state = "exited" if finished else "running" if started else "created" if created else "unknown"
    exit_code = field.get("ExitCode", ids.number) if finished else None
    told = container._replace(state=state, started_at=started, finished_at=finished, exit_code=exit_code)
    return told, field.damages


def read_logs(container: Container) -> Logs:
    """Return the log files that the plugin writes for a container of this host, rotated ones too; none is opened.

    They lie in the pod's folder, outside of any store; where the name is no whole path there are none.
    """
    logs = Logs([], [])
    names = (container.log_path or "").split("/")
    if names[0] or len(names) < 3 or not all(names[1:]) or {".", ".."} & set(names):
        return logs
    current = on_disk(names[-1])
    try:
        with (
            reading(container.log_path or "", container.container_id),
            Folder("/") as top,
            top.folder(*map(on_disk, names[1:-1])) as folder,
        ):
            take_logs(logs, folder, container.container_id, lambda name: _log_kind(name, current))
    except Damage:
        return Logs([], [], whole=False)  # it is kept elsewhere, or was removed with its pod
    return Logs([file._replace(path=f"/{file.path}") for file in logs.files], [], whole=not logs.damages)


def _log_kind(name: str, current: str) -> LogKind | None:
    """Say what a file beside a container's log is; None for those of the pod's other containers."""
    if name == current:
        return LogKind(LOG_DRIVER, 0)
    return LogKind(LOG_DRIVER, None) if name.startswith(f"{current}.") else None


def _moment(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return a time in nanoseconds since 1970 as text; None for absent and 0; raises ValueError."""
    number = ids.number(value)
    return ids.moment(ids.EPOCH, *divmod(number, 10**9)) if number else None
