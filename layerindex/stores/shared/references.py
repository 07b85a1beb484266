"""Names of images: splits them, and makes the full form that is the same in every store.

https://github.com/distribution/reference/blob/main/normalize.go
"""

from __future__ import annotations

import re
from typing import NamedTuple

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"

_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*")
_ID = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{64}")


class Reference(NamedTuple):
    """A reference in its parts."""

    repository: str
    tag: str | None
    digest: str | None


def split(reference: str) -> Reference:
    """Split a reference from the right: a digest after @, else a tag after the last colon that no slash follows."""
    name, at, digest = reference.rpartition("@")
    if at:
        return Reference(name, None, digest)
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return Reference(reference, None, None)
    return Reference(name, tag, None)


def normalized(reference: str) -> str:
    """Return a reference in full: docker.io/library/debian:12 for debian:12; what is no reference stays as it is."""
    if _ID.fullmatch(reference):
        return reference
    name, at, digest = reference.partition("@")
    repository, tag, _ = split(name)
    domain, slash, path = repository.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost" or domain.lower() != domain):
        domain, path = DEFAULT_DOMAIN, repository
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"{OFFICIAL}{path}"
    if not _PATH.fullmatch(path):
        return reference
    if tag is None and not at:
        tag = "latest"
    return f"{domain}/{path}{'' if tag is None else f':{tag}'}{at}{digest}"
