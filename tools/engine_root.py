"""Make a Debian root with current Podman, Buildah and containerd, which the engine tests run besides this machine's.

    python3 -m tools.engine_root [FOLDER]

FOLDER is $LAYERINDEX_ENGINES or ~/.cache/layerindex-engines/forky unless given, and is kept: an existing root is not
made anew. It takes root, debootstrap, a mirror of Debian, some minutes and 700 MB. Exits 1 and says why where it cannot
be made; the tests of these engines are then skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUITE = "forky"
SCRIPT = "sid"
"""The script for a suite that this machine's debootstrap does not know yet: that of unstable."""
PACKAGES = "podman,buildah,containerd,runc,crun,netavark,uidmap,ca-certificates,busybox-static,python3-minimal"
VARIABLE = "LAYERINDEX_ENGINES"
DEBOOTSTRAP = "/usr/sbin/debootstrap"
FILES = {"etc/hosts": "127.0.0.1 localhost\n", "etc/resolv.conf": ""}
MAKING_SECONDS = 900
"""Seconds after which a mirror that does not answer is not used."""
LOG_TAIL = 3000
"""Characters of the output of debootstrap that are shown."""
PROGRAMS = ("usr/bin/podman", "usr/bin/buildah", "usr/bin/containerd", "usr/bin/ctr", "usr/bin/crun", "usr/sbin/runc")


def place() -> Path:
    """Return where the root is kept."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "layerindex-engines" / SUITE)


def why_not(root: Path) -> str | None:
    """Say why no current engine can run from a root, or nothing where it has them."""
    lost = [name for name in PROGRAMS if not os.access(root / name, os.X_OK)]
    return f"{root} has no {lost[0]} (python3 -m tools.engine_root makes such a root)" if lost else None


def mirror() -> str:
    """Return the mirror of Debian that this machine's own packages come from; empty where there is none."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    except OSError:
        return ""
    return next((each for each in found if "security" not in each), "")


def make(root: Path) -> str | None:
    """Make the root if there is none; return the reason where that fails."""
    if why_not(root) is None:
        _finish(root)
        return None
    where = mirror()
    if lacking := _lacking(where):
        return lacking
    unfinished = root.with_name(f"{root.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    options = ("--variant=minbase", f"--include={PACKAGES}")
    command = [DEBOOTSTRAP, *options, SUITE, str(unfinished), where, SCRIPT]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAKING_SECONDS)
    except subprocess.TimeoutExpired:
        return f"debootstrap did not end within {MAKING_SECONDS} s"
    if made.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        return f"debootstrap failed: {(made.stdout + made.stderr)[-LOG_TAIL:]}"
    shutil.rmtree(unfinished / "var" / "cache" / "apt", ignore_errors=True)
    _finish(unfinished)
    unfinished.rename(root)
    return why_not(root)


def _finish(root: Path) -> None:
    """Add the files to a root that the installer of a whole system writes and engines copy into containers."""
    for name, text in FILES.items():
        path = root / name
        if not os.path.lexists(path):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _lacking(where: str) -> str | None:
    if os.geteuid() != 0:
        return "a Debian is made by root"
    if not os.access(DEBOOTSTRAP, os.X_OK):
        return f"{DEBOOTSTRAP} is missing (Debian package debootstrap)"
    return None if where else "apt-get names no mirror of Debian"


def main() -> None:
    """Make it, or say why not."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else place()
    reason = make(root)
    if reason:
        sys.exit(f"no engines of today: {reason}")
    print(root)


if __name__ == "__main__":
    main()
