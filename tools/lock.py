"""Make the lock files of requirements/ from pyproject.toml, with hashes for every platform and Python it takes.

    python -m tools.lock [--uv PROGRAM] [--upgrade]

`run.lock` has what the program needs, `dev.lock` also what builds and tests it, `audit.lock` what makes and audits
these files (such as uv). Without `--upgrade`, locked versions are kept where pyproject.toml allows them.
"""

from __future__ import annotations

import argparse
import subprocess
import tomllib
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = CHECKOUT / "requirements"


def wanted() -> dict[str, list[str]]:
    """Return the requirements of pyproject.toml, by the name of the lock file."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    run = project["dependencies"]
    return {"run": run, "dev": run + extras["dev"], "audit": extras["audit"]}


def lock(uv: str, name: str, requirements: list[str], *options: str) -> None:
    """Write one lock file; raises `CalledProcessError` where the requirements cannot be met."""
    command = [uv, "pip", "compile", "-q", "--no-config", "--universal", "--python-version", "3.11", "--no-annotate"]
    command += ["--generate-hashes", "--custom-compile-command", "python -m tools.lock", "-o", f"{name}.lock", *options]
    subprocess.run([*command, "-"], cwd=FOLDER, input="\n".join(requirements), text=True, check=True)


def main() -> None:
    """Make all lock files; a package has one version in all of them."""
    parser = argparse.ArgumentParser(description="Make the lock files of requirements/.")
    parser.add_argument("--uv", default="uv", help="the uv to use (default: the one on PATH)")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    given = parser.parse_args()
    upgrade = ["--upgrade"] if given.upgrade else []
    same: list[str] = []
    for name, requirements in wanted().items():
        lock(given.uv, name, requirements, *upgrade, *same)
        same += ["--constraint", f"{name}.lock"]


if __name__ == "__main__":
    main()
