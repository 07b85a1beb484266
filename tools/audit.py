"""Look for publicly known vulnerabilities of the versions that the lock files pin.

    python -m tools.audit [PROGRAM]

PROGRAM is pip-audit (default: the one on PATH). Exit status 1: a known vulnerability, or an unreadable lock file.
Where no source of advisories can be reached, or none knows the packages, the audit is skipped with the reason, and that
is not a failure.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any, Final, NamedTuple

from tools.lock import CHECKOUT, FOLDER

SOURCES: Final = ("pypi", "osv")
"""The sources of advisories that pip-audit can ask, in the order of asking."""

UNREACHABLE: Final = re.compile(
    r"Could not connect|not redirecting|Connection|[Tt]ime(d )?-?out|HTTPError|ServiceError"
)
"""Found in the last line of pip-audit when the network failed, and not the lock file."""


class Answer(NamedTuple):
    """The result of one source for the lock files."""

    found: list[str]
    """One line for each known vulnerability."""
    audited: int
    """Packages that the source knows."""
    unaudited: list[str]
    """Packages that it does not know, which are not audited."""
    unreachable: str | None = None
    """Why it could not be asked."""


def read(report: str, said: str) -> Answer:
    """Read what pip-audit printed, JSON on stdout; raises `ValueError` where pip-audit itself failed."""
    if not report.strip():
        last = said.strip().rpartition("\n")[2]
        if not UNREACHABLE.search(said):
            raise ValueError(last or "pip-audit said nothing")
        return Answer([], 0, [], last)
    packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    found = [
        f"{package['name']} {package['version']}: {', '.join([each['id'], *each.get('aliases', [])])}"
        + (f"; mended in {', '.join(each['fix_versions'])}" if each.get("fix_versions") else "")
        for package in known
        for each in package["vulns"]
    ]
    return Answer(found, len(known), sorted(package["name"] for package in packages if "skip_reason" in package))


def ask(program: str, source: str) -> Answer:
    """Let pip-audit ask a source about all lock files; raises `ValueError` where pip-audit itself failed."""
    command = [program, "-s", source, "-f", "json", "--progress-spinner", "off", "--require-hashes", "--disable-pip"]
    for path in sorted(FOLDER.glob("*.lock")):
        command += ["-r", str(path.relative_to(CHECKOUT))]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return read(done.stdout, done.stderr)


def report(answers: dict[str, Answer]) -> tuple[int, str]:
    """Return the exit status, and the report on all answers."""
    lines = [f"known vulnerability: {line}" for answer in answers.values() for line in answer.found]
    best = max(answers.values(), key=lambda answer: answer.audited)
    if best.audited:
        known = "the above" if lines else "nothing"
        lines.append(f"audit: {known} is known against the {best.audited} packages audited")
        lines += [f"audit: not known to the source, not audited: {', '.join(best.unaudited)}"] if best.unaudited else []
    else:
        reasons = (
            f"{name}: {answer.unreachable or f'knows none of the {len(answer.unaudited)} packages'}"
            for name, answer in answers.items()
        )
        lines.append(f"audit skipped, no source of advisories can be reached from here: {'; '.join(reasons)}")
    return int(any(answer.found for answer in answers.values())), "\n".join(lines)


def main() -> int:
    """Ask the sources until one knows the packages."""
    program = sys.argv[1] if len(sys.argv) > 1 else "pip-audit"
    answers: dict[str, Answer] = {}
    for source in SOURCES:
        try:
            answers[source] = ask(program, source)
        except ValueError as error:
            sys.exit(f"audit: {error}")
        if answers[source].audited:
            break
    status, text = report(answers)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
