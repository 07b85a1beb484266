"""What a plan's script asks of `crictl`, done as its source does it (cri-tools `cmd/crictl`): Debian has none.

python -m tests.engine.crictl SOCKET ps --all --quiet --image IMAGE
python -m tests.engine.crictl SOCKET rmi IMAGE
python -m tests.engine.crictl SOCKET info
"""

from __future__ import annotations

import sys

import grpc

from .cri import Message, called, message


def main(socket: str, *words: str) -> None:
    """Run one command."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        match words:
            case ("ps", "--all", "--quiet", "--image", image):
                wanted = _image_id(channel, image)
                for container in called(channel, "Runtime", "ListContainers").all(1):
                    if wanted and wanted == _image_id(channel, container.below(4).text(1)):
                        sys.stdout.write(f"{container.text(1)}\n")
            case ("info",):
                told = called(channel, "Runtime", "Status", (1, 1)).all(2)
                sys.stdout.writelines(f"{entry.text(2)}\n" for entry in told if entry.text(1) == "config")
            case ("rmi", image):
                called(channel, "Image", "RemoveImage", (1, message((1, image))))
            case _:
                sys.exit(f"no such command: {words}")


def _image_id(channel: grpc.Channel, image: str) -> str:
    """Return the id of an image by any name, empty for none (matchesImage)."""
    answer: Message = called(channel, "Image", "ImageStatus", (1, message((1, image))))
    return answer.below(1).text(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
