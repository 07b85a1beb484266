"""Names of images in full, as every engine means them."""

from __future__ import annotations

import pytest

from layerindex.stores.shared.references import normalized, split


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("debian:12", "docker.io/library/debian:12"),
        ("debian", "docker.io/library/debian:latest"),
        ("docker.io/debian:12", "docker.io/library/debian:12"),
        ("index.docker.io/library/debian:12", "docker.io/library/debian:12"),
        ("team/app:1", "docker.io/team/app:1"),
        ("ghcr.io/team/app:1", "ghcr.io/team/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("LOCAL/app:1", "LOCAL/app:1"),
        (f"debian@sha256:{'1' * 64}", f"docker.io/library/debian@sha256:{'1' * 64}"),
        (f"debian:12@sha256:{'1' * 64}", f"docker.io/library/debian:12@sha256:{'1' * 64}"),
        (f"sha256:{'1' * 64}", f"sha256:{'1' * 64}"),
        ("Not A Name", "Not A Name"),
        ("a//b:1", "a//b:1"),
        ("", ""),
    ],
)
def test_normalized(reference: str, full: str) -> None:
    """A reference becomes the form that compares; what is none stays as it is, and so does a full one."""
    assert normalized(reference) == full
    assert normalized(full) == full


def test_split() -> None:
    """The tag stands behind the last colon that no slash follows, the digest behind the @."""
    assert split("localhost:5000/app") == ("localhost:5000/app", None, None)
    assert split("localhost:5000/app:1") == ("localhost:5000/app", "1", None)
    assert split("app@sha256:1") == ("app", None, "sha256:1")
