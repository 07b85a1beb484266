"""A containerd with its Kubernetes plugin, spoken to as kubelet does: over gRPC, in the CRI's messages.

The messages are few and are put together by hand, by the numbers that fields have in kubernetes/cri-api
`pkg/apis/runtime/v1/api.proto`; so neither a compiler nor generated code is needed.
"""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING

import grpc

from .containerd import CONFIG, Containerd
from .engine import COMMAND_SECONDS, READY_SECONDS, EngineError
from .programs import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .programs import Programs

NAMESPACE = "k8s.io"
PAUSE = "docker.io/li/pause:1"
"""The image of sandboxes; the first program in each pod."""

PLUGIN = f"""\
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = "{{folder}}/cni"
  bin_dir = "{{folder}}/cni"
"""
ATTEMPTS = 5
NODE = 2
"""The host's network, which needs no CNI."""

CONTAINER_STATES = ("created", "running", "exited", "unknown")

Field = tuple[int, "str | bytes | int"]


def message(*fields: Field) -> bytes:
    """Put a message together: numbers are varints, all else has its length before it."""
    packed = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            packed += _varint(number << 3) + _varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            packed += _varint(number << 3 | 2) + _varint(len(content)) + content
    return bytes(packed)


def _varint(value: int) -> bytes:
    packed = bytearray()
    while value > 0x7F:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)
    return bytes(packed)


class Message:
    """The fields of a message, by number; absent ones are empty, as protobuf has it."""

    def __init__(self, content: bytes) -> None:
        self._fields: dict[int, list[bytes | int]] = {}
        self._content, self._at = content, 0
        while self._at < len(content):
            tag = self._varint()
            value: bytes | int = self._varint()
            if tag & 7 == 2:
                length = int(value)
                value = content[self._at : self._at + length]
                self._at += length
            elif tag & 7:
                raise EngineError(f"a field of type {tag & 7}")
            self._fields.setdefault(tag >> 3, []).append(value)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._content[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def number(self, field: int) -> int:
        """Return a number."""
        found = self._fields.get(field, [0])[0]
        return found if isinstance(found, int) else 0

    def texts(self, field: int) -> list[str]:
        """Return the texts of a repeated field."""
        return [value.decode() for value in self._fields.get(field, ()) if isinstance(value, bytes)]

    def text(self, field: int) -> str:
        """Return a text."""
        return next(iter(self.texts(field)), "")

    def all(self, field: int) -> list[Message]:
        """Return the messages of a repeated field."""
        return [Message(value) for value in self._fields.get(field, ()) if isinstance(value, bytes)]

    def below(self, field: int) -> Message:
        """Return a message within this one."""
        return next(iter(self.all(field)), Message(b""))


def called(channel: grpc.Channel, service: str, method: str, *fields: Field) -> Message:
    """Call a method of the RuntimeService or ImageService; raises EngineError."""
    method = f"/runtime.v1.{service}Service/{method}"
    call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=Message)
    try:
        answer: Message = call(message(*fields), timeout=COMMAND_SECONDS)
    except grpc.RpcError as error:
        raise EngineError(f"{method}: {error}") from error
    return answer


class Cri(Containerd):
    """A containerd as a Kubernetes node has it, with pods in the host's network."""

    def __init__(self, programs: Programs = HERE) -> None:
        super().__init__(programs)
        self._channel = grpc.insecure_channel(f"unix:{self.folder}/s")
        self._pods: dict[str, bytes] = {}

    def _config(self) -> str:
        settings = (CONFIG + PLUGIN).format(folder=self.folder)
        return settings.replace('disabled_plugins = ["io.containerd.grpc.v1.cri"]\n', "")

    def start(self) -> None:
        """Start the daemon and wait until the plugin answers too."""
        super().start()
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.call("Runtime", "ListPodSandbox")
            except EngineError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        """Remove all pods, then end as any containerd."""
        try:
            if self._daemon is not None and self._daemon.poll() is None:
                for pod in self.call("Runtime", "ListPodSandbox").all(1):
                    self.remove(pod.text(1))
        finally:
            self._channel.close()
            super().close()

    def call(self, service: str, method: str, *fields: Field) -> Message:
        """Call a method of the RuntimeService or ImageService; raises EngineError."""
        return called(self._channel, service, method, *fields)

    def crictl(self) -> str:
        """Return the command of a client, for a shell."""
        return shlex.join([sys.executable, "-m", "tests.engine.crictl", f"{self.folder}/s"])

    def await_images(self, *tags: str) -> None:
        """Wait until the plugin heard of images that were imported; raises EngineError."""
        deadline = time.monotonic() + READY_SECONDS
        while not {*tags} <= {tag for image in self.call("Image", "ListImages").all(1) for tag in image.texts(2)}:
            if time.monotonic() > deadline:
                raise EngineError(f"the plugin does not know {tags}")
            time.sleep(0.05)

    def run_pod(self, name: str) -> str:
        """Start a pod with no container but its sandbox, and return its id."""
        options = message((1, message((1, NODE))))  # of the namespaces: the network
        labels = message((1, "io.kubernetes.pod.name"), (2, name))
        config = message(
            (1, message((1, name), (2, f"uid-{name}"), (3, "tests"))),
            (3, f"{self.folder}/logs/{name}"),
            (6, labels),
            (8, message((2, options))),
        )
        pod = self.call("Runtime", "RunPodSandbox", (1, config)).text(1)
        self._pods[pod] = config
        return pod

    def create(self, pod: str, name: str, image: str, command: Sequence[str], *, labelled: bool = True) -> str:
        """Create a container in a pod, with the labels of kubelet, and return its id."""
        labels = message((1, "io.kubernetes.container.name"), (2, name))
        config = message(
            (1, message((1, name))),
            (2, message((1, image))),
            *((3, word) for word in command),
            *(((9, labels),) if labelled else ()),
            (11, f"{name}.log"),
        )
        given = ((1, pod), (2, config), (3, self._pods[pod]))
        return self.call("Runtime", "CreateContainer", *given).text(1)

    def run(self, container: str) -> None:
        """Start a container."""
        self.call("Runtime", "StartContainer", (1, container))

    def status(self, container: str) -> Message:
        """Return the plugin's status of a container."""
        return self.call("Runtime", "ContainerStatus", (1, container)).below(1)

    def state(self, container: str) -> str:
        """Return a container's state as a word."""
        return CONTAINER_STATES[self.status(container).number(3)]

    def remove(self, pod: str) -> None:
        """Stop and remove a pod with its containers; tries again as kubelet does: one may end while it is stopped."""
        for attempt in range(ATTEMPTS):
            try:
                self.call("Runtime", "StopPodSandbox", (1, pod))
                break
            except EngineError:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.1)
        self.call("Runtime", "RemovePodSandbox", (1, pod))
