"""Make the small data root that `layerindex demo` unpacks, with a real engine.

Run as root in the checkout; FILE defaults to layerindex/demo/root.tar.xz:

    python -m tools.make_demo [FILE]

The store is that of the host of a small web shop. Images that would come from a registry are loaded, so that their ids
are the same in every run; ids of the host (cache-ids, links, containers) and those that BuildKit makes are new each
time.

An unprivileged user must be able to unpack the tarball with `tarfile`'s `data` filter and to read all of it, so some
things of the engine's own root are left out or changed. An index by tar-split is the same with and without them; a walk
of `diff/` sees the difference:

* device nodes: overlay2's whiteouts (0:0) and `backingFsBlockDev`; the layer's tar-split still has the whiteouts;
* absolute symlinks: `etc/mtab -> /proc/mounts`, which the engine puts into every container's init directory;
* owners (all 0, and the user's own when he unpacks), `trusted.*` xattrs (opaque directories), and modes: the owner may
  read and write everything (`u+rwX`).

Of the root, only the folders below are packed: no sockets, no network database, no containerd.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.engine.archives import ImageSource, Member, Step, archive, pack
from tests.engine.engine import Engine, why_not
from tests.engine.store import BUILDKIT, CLASSIC, RUN, build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TARGET: Final = Path(__file__).resolve().parents[1] / "layerindex" / "demo" / "root.tar.xz"
FOLDERS: Final = ("buildkit", "containers", "image", "overlay2", "volumes")
WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"

BASE: Final = "acme/base:1"
WEB_OLD: Final = "acme/web:1.0"
WEB: Final = "acme/web:1.1"
WORKER: Final = "acme/worker:latest"
TOOL: Final = "acme/tool:0.3"


def main() -> None:
    """Make the store, pack it, and prove that it unpacks."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    if reason := why_not():
        sys.exit(f"make_demo: {reason}")
    with Engine() as engine:
        make_store(engine)
        print(engine.docker("images", "--all"))
        print(engine.docker("ps", "--all"))
        engine.stop()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pack_root(engine.root))
    prove(target)


# The store ---------------------------------------------------------------------------------------------------------


def make_store(engine: Engine) -> None:
    """Fill an engine with the shop's images, containers and volume."""
    for images in ([base()], [web_old()], [web_draft()], [web()]):
        engine.docker("load", input=archive(images))
    engine.docker("tag", WEB, "acme/web:latest")
    engine.docker("tag", WEB, "registry.acme.example:5000/web:1.1")
    worker = (
        f"FROM {BASE}\n"
        'LABEL maintainer="ops@acme.example"\n'
        "ENV QUEUE=orders\n"
        "COPY worker.conf /etc/worker.conf\n"
        "COPY catalog.json /var/lib/worker/catalog.json\n"
        'CMD ["/usr/bin/acme"]\n'
    )
    build(engine, WORKER, worker, {"worker.conf": b"queue = orders\nretries = 3\n", "catalog.json": CATALOG}, CLASSIC)
    tool = "FROM scratch\nCOPY acme /acme\nCOPY tool.conf /etc/tool.conf\n"
    build(engine, TOOL, tool, {"acme": PROGRAM, "tool.conf": b"verbose = yes\n"}, BUILDKIT)

    engine.docker("create", *RUN, "--name", "web-1", "-v", "orders:/srv/orders", WEB, "/usr/bin/acme")
    notes = pack([Member("hotfix.txt", b"patched by hand, never committed\n")])
    engine.docker("cp", "-", "web-1:/srv/www", input=notes)
    engine.docker("create", *RUN, "--name", "worker-1", WORKER)
    engine.docker("start", "worker-1")
    engine.docker("wait", "worker-1")


def base() -> ImageSource:
    """Return the base image: a system in two layers."""
    return ImageSource(
        [BASE], [*BASE_STEPS, CMD_SHELL], {"Env": PATH_ENV, "Cmd": ["/bin/sh"]}, created="2025-03-03T08:00:00Z"
    )


def web_old() -> ImageSource:
    """Return the shop's first version, which copied a secret in and removed it one layer later."""
    steps = [
        *BASE_STEPS,
        CMD_SHELL,
        HTTPD,
        _step("COPY site /srv/www # buildkit", _site("Acme shop")),
        _step("COPY .env /srv/.env # buildkit", [_folder("srv/"), _file("srv/.env", SECRET, mode=0o600)]),
        _step("/bin/sh -c rm /srv/.env", [_folder("srv/"), _file(f"srv/{WHITEOUT}.env")]),
        CMD_HTTPD,
    ]
    return ImageSource([WEB_OLD], steps, WEB_CONFIG, created="2025-04-01T09:30:00.25Z")


def web_draft() -> ImageSource:
    """Return a version that lost its tag to the next one."""
    steps = [
        *BASE_STEPS,
        CMD_SHELL,
        HTTPD,
        _step("COPY site /srv/www # buildkit", _site("Acme shop (draft)")),
        CMD_HTTPD,
    ]
    return ImageSource([WEB], steps, WEB_CONFIG, created="2025-05-02T10:00:00Z")


def web() -> ImageSource:
    """Return the shop's version in use: it holds the catalogue twice, and hides a whole directory of its base."""
    modules = [_folder("etc/"), _folder("etc/httpd/"), _folder("etc/httpd/conf.d/")]
    steps = [
        *BASE_STEPS,
        CMD_SHELL,
        HTTPD,
        _step("COPY site /srv/www # buildkit", _site("Acme shop, now with search")),
        _step(
            "/bin/sh -c chmod 640 /srv/www/catalog.json",
            [_folder("srv/"), _folder("srv/www/"), _file("srv/www/catalog.json", CATALOG, mode=0o640)],
        ),
        _step(
            "/bin/sh -c cd /etc/httpd && rm -r conf.d && mkdir conf.d && echo 'Search on' > conf.d/search.conf",
            [*modules, _file(f"etc/httpd/conf.d/{OPAQUE}"), _file("etc/httpd/conf.d/search.conf", b"Search on\n")],
        ),
        CMD_HTTPD,
    ]
    return ImageSource([WEB], steps, WEB_CONFIG, created="2025-05-02T11:15:00.123456789Z")


def _step(created_by: str, members: Sequence[Member] | None = None) -> Step:
    return Step(created_by, None if members is None else pack(members), created="2025-03-03T08:00:00Z")


def _folder(path: str) -> Member:
    return Member(path, mtime=DAY)


def _file(path: str, content: bytes = b"", mode: int = 0o644) -> Member:
    return Member(path, content, mode=mode, mtime=DAY)


def _site(title: str) -> list[Member]:
    page = f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n<script src=shop.js></script>\n".encode()
    return [
        _folder("srv/"),
        _folder("srv/www/"),
        _file("srv/www/catalog.json", CATALOG),
        _file("srv/www/index.html", page),
        _file("srv/www/shop.js", b"fetch('catalog.json').then(r => r.json()).then(show)\n"),
    ]


def _program(text: bytes, status: int) -> bytes:
    """Return a minimal x86-64 program that prints a text and exits, so that a container can run without a system."""
    start, header = 0x400000, 0x78
    code = b"".join(
        (
            b"\xb8\x01\x00\x00\x00\xbf\x01\x00\x00\x00",  # mov eax, 1 (write); mov edi, 1 (stdout)
            b"\xbe" + struct.pack("<I", start + header + 34),  # mov esi, text
            b"\xba" + struct.pack("<I", len(text)),  # mov edx, length
            b"\x0f\x05",  # syscall
            b"\xb8\x3c\x00\x00\x00\xbf" + struct.pack("<I", status),  # mov eax, 60 (exit); mov edi, status
            b"\x0f\x05",  # syscall
        )
    )
    size = header + len(code) + len(text)
    elf = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, start + header, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000)
    return elf + segment + code + text


DAY: Final = 1_740_988_800
"""2025-03-03, the time of every file in the images."""
CATALOG: Final = b"".join(
    b'{"sku": "A%05d", "name": "Widget no. %d", "price": %d.%02d}\n' % (n, n, n * 7 % 90 + 10, n * 13 % 100)
    for n in range(700)
)
PACKAGES: Final = b"".join(b"package-%04d 1.%d.%d\n" % (n, n % 7, n % 11) for n in range(1500))
SECRET: Final = b"SHOP_DB_PASSWORD=correct-horse-battery-staple\n"
PROGRAM: Final = _program(b"acme: queue 'orders' is unreachable\n", 3)
PATH_ENV: Final = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
WEB_CONFIG: Final = {
    "Env": PATH_ENV,
    "Cmd": ["/usr/bin/httpd"],
    "ExposedPorts": {"80/tcp": {}},
    "Labels": {"org.opencontainers.image.title": "web"},
}
CMD_SHELL: Final = _step('/bin/sh -c #(nop)  CMD ["/bin/sh"]')
CMD_HTTPD: Final = _step('CMD ["/usr/bin/httpd"]')
BASE_STEPS: Final = (
    _step(
        "/bin/sh -c #(nop) ADD file:0b3d4c2f in / ",
        [
            Member("bin", symlink="usr/bin", mtime=DAY),
            _folder("etc/"),
            _file("etc/os-release", b'ID=acme\nNAME="Acme Linux"\nVERSION_ID=1\n'),
            _file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/srv/www:/bin/false\n"),
            _folder("usr/"),
            _folder("usr/bin/"),
            _file("usr/bin/acme", PROGRAM, mode=0o755),
            _folder("usr/share/"),
            _folder("usr/share/doc/"),
            _file("usr/share/doc/README", b"Acme Linux, for demonstrations only.\n"),
            _folder("var/"),
            _folder("var/cache/"),
            _folder("var/cache/pkg/"),
        ],
    ),
    _step(
        "/bin/sh -c pkg update && pkg install ca-certificates",
        [
            _folder("etc/"),
            _folder("etc/ssl/"),
            _file("etc/ssl/ca.pem", b"".join(b"# Acme Root CA %d\n" % n for n in range(60))),
            _folder("var/"),
            _folder("var/cache/"),
            _folder("var/cache/pkg/"),
            _file("var/cache/pkg/index", PACKAGES),
        ],
    ),
)
HTTPD: Final = _step(
    "/bin/sh -c pkg install httpd && rm /var/cache/pkg/index",
    [
        _folder("etc/"),
        _folder("etc/httpd/"),
        _folder("etc/httpd/conf.d/"),
        _file("etc/httpd/conf.d/welcome.conf", b"Welcome on\n"),
        _file("etc/httpd/httpd.conf", b"Listen 80\nDocumentRoot /srv/www\nInclude conf.d/*.conf\n"),
        _folder("usr/"),
        _folder("usr/bin/"),
        _file("usr/bin/httpd", b"#!/bin/sh\nexec acme\n", mode=0o755),
        Member("usr/bin/httpd-worker", hardlink="usr/bin/httpd", mode=0o755, mtime=DAY),
        _folder("var/"),
        _folder("var/cache/"),
        _folder("var/cache/pkg/"),
        _file(f"var/cache/pkg/{WHITEOUT}index"),
    ],
)


# The tarball -------------------------------------------------------------------------------------------------------


def pack_root(root: Path) -> bytes:
    """Return the compressed tar of a data root, its names in order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz", format=tarfile.PAX_FORMAT, preset=9) as packed:
        inodes: dict[tuple[int, int], str] = {}
        for path in _paths(root):
            if info := _info(root, path, inodes):
                with path.open("rb") if info.isreg() else io.BytesIO() as content:
                    packed.addfile(info, content)
    return stream.getvalue()


def _paths(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        yield root / folder
        for parent, folders, files in os.walk(root / folder):
            folders.sort()
            yield from (Path(parent, name) for name in sorted((*folders, *files)))


def _info(root: Path, path: Path, inodes: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    """Return the header of a path, or nothing for a file that an unprivileged user could not unpack."""
    status = path.lstat()
    info = tarfile.TarInfo(str(path.relative_to(root)))
    info.mtime = int(status.st_mtime)
    info.mode = stat.S_IMODE(status.st_mode) & 0o777 | 0o600
    if stat.S_ISDIR(status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, info.mode | 0o100
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        if info.linkname.startswith("/"):
            return None
    elif not stat.S_ISREG(status.st_mode):
        return None
    elif first := inodes.get((status.st_dev, status.st_ino)):
        info.type, info.linkname = tarfile.LNKTYPE, first
    else:
        info.size = status.st_size
        inodes[status.st_dev, status.st_ino] = info.name
    return info


def prove(target: Path) -> None:
    """Unpack the tarball as `layerindex demo` would, and print what is in it."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(target) as packed:
        members = packed.getmembers()
        packed.extractall(folder, filter="data")
        size = sum(member.size for member in members)
        missing = [member.name for member in members if not os.path.lexists(Path(folder, member.name))]
    if missing:
        sys.exit(f"make_demo: not unpacked: {missing}")
    print(f"{target}: {target.stat().st_size} bytes, {len(members)} entries, {size} bytes of files")


if __name__ == "__main__":
    main()
