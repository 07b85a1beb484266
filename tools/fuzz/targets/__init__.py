"""All targets, by name."""

from __future__ import annotations

from tools.fuzz.targets import containerd, databases, docker, layers, podman, settings, words

MODULES = (layers, docker, podman, containerd, settings, words, databases)
TARGETS = {target.name: target for module in MODULES for target in module.TARGETS}
