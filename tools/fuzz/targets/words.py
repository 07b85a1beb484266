"""Names and words: of files, of images, on the command line, and the headers of queries."""

from __future__ import annotations

import os
import unicodedata

from layerindex import catalog, names
from layerindex.errors import LayerindexError, UsageError
from layerindex.show import paths, things
from layerindex.stores.shared.references import normalized, split
from tools.fuzz.target import Target, hold
from tools.fuzz.targets.docker import DIGEST, ID, LINK

ROOTS = ["/srv/copy/var/lib/docker", "/var/lib/docker"]


def _names(data: bytes) -> None:
    """Names lose nothing on their way into the database and back, and no two become one."""
    text, raw = names.escape(data)
    hold(names.as_bytes(text) == data, "bytes that do not come back", text)
    hold(raw in (None, data) and (raw is not None) is (text.encode() != data), "bytes kept without need", text, raw)
    path, raw = names.escape_path(data)
    parts = [names.as_bytes(part) for part in path.split("/")]
    hold(b"/".join(parts) == data, "a path that does not come back", path)
    clean = names.clean(data)
    hold(clean is None or not {b"", b".", b".."} & set(clean), "components that lead elsewhere", clean)
    listed = names.from_os(os.fsdecode(data))
    hold(os.fsencode(names.on_disk(listed)) == data, "a name that does not come back", listed)
    for word in (text, names.typed(os.fsdecode(data)), data.decode(errors="replace")):
        shown = names.printable(word)
        odd = [each for each in shown if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
        hold(not odd, "characters that move a terminal's cursor", odd)
        shown.encode()


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _references(data: bytes) -> None:
    """A reference falls apart so that it can be put together again, and in full it stays as it is."""
    reference = _text(data)
    name, tag, digest = split(reference)
    whole = name + ("" if tag is None else f":{tag}") + ("" if digest is None else f"@{digest}")
    hold(whole == reference, "parts that are not the whole", whole, reference)
    full = normalized(reference)
    hold(normalized(full) == full, "a full name that has a fuller one", full, normalized(full))
    hold(len(full) <= len(reference) + 32, "a name that grew", full)


def _things(data: bytes) -> None:
    """What a user asks `show` for is read in a few ways, or refused in a sentence, as a word and as lines."""
    text = _text(data)
    for listed in (False, True):
        try:
            found = things.things(text, ROOTS, listed=listed)
        except UsageError as error:
            hold(len(str(error)) < 500, "a sentence that is none", error)
        else:
            _few(found)
    inside = f"{DIFF}/{text.strip()}"
    try:
        found = things.things(inside, ROOTS)
    except UsageError:
        return
    if ".." not in text and not things.colon_list(inside):  # which lead elsewhere
        first = [(thing.readings[0].word, thing.readings[0].kind) for thing in found]
        hold(first == [(ID, "directory")], "a file that passes for another thing", found)


def _few(found: list[things.Thing]) -> None:
    """A few things, of which each is read in a few ways."""
    hold(0 < len(found) <= things.THINGS, "too many things", len(found))
    for thing in found:
        hold(len(thing.readings) <= 2 * paths.READINGS, "too many ways to read one", thing)
        for reading in thing.readings:
            hold(len(reading.path or "") <= paths.PATH, "a path that is too long", reading)
            reading.word.encode()
            (reading.path or "").encode()


def _parameters(data: bytes) -> None:
    """Words for a canned query's parameters become values that SQLite takes, or are refused in a sentence."""
    name, _, words = _text(data).partition("\0")
    given = dict((each.partition("=")[::2]) for each in words.split("\0"))
    try:
        canned = catalog.load(names.typed(name))
        values = catalog.values(canned, {key: names.typed(word) for key, word in given.items()})
    except UsageError as error:
        hold("\n" not in names.printable(str(error)), "a sentence that is none", error)
        return
    hold(all(not isinstance(each, int) or -(2**63) <= each < 2**63 for each in values.values()), "too large", values)


def _header(data: bytes) -> None:
    """A query's header gives what it says, or is refused in a sentence."""
    try:
        found = catalog.parsed("fuzz", data.decode(errors="replace"))
    except LayerindexError as error:
        hold("fuzz.sql" in str(error), "a sentence that does not say where", error)
        return
    texts = [found.title, found.description, *found.columns.values(), *(param.help for param in found.params.values())]
    hold(all(isinstance(text, str) for text in texts), "a header whose words are none", found)
    try:
        values = catalog.values(found, {key: "1" for key, param in found.params.items() if param.required})
    except UsageError:
        return  # 1 is none of its values
    hold(values.keys() == found.params.keys(), "parameters without a value", values)


REFERENCES = [
    b"debian:12",
    b"localhost:5000/a/b:t@" + DIGEST.encode(),
    b"index.docker.io/x",
    b"Registry/x",
    ID.encode(),
]
DIFF = f"/var/lib/docker/overlay2/{ID}/diff"
THINGS = [
    f"{DIFF}/etc/passwd".encode(),
    b"web",
    f"lowerdir=/l/{LINK}:/x,upperdir=/y".encode(),
    f'{{"UpperDir": "{DIFF}"}}'.encode(),
    f"map[LowerDir:{DIFF} UpperDir:/b]".encode(),
    b"overlay / overlay rw,lowerdir=/a\\072b 0 0",
    f"/x/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/{ID}".encode(),
    f"docker://{ID}".encode(),
    f"docker-pullable://acme/web@sha256:{ID}".encode(),
    f"0::/system.slice/docker-{ID}.scope/kubepods/pod1/{ID[::-1]}\n12:pids:/a b\n".encode(),
    f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/rootfs/etc/passwd".encode(),
    f"/var/lib/docker/rootfs/overlayfs/{ID}/etc/passwd".encode(),
    f'time=x level=error msg="{ID[:12]}: {DIFF}: busy"\n[{ID}]'.encode(),
    f"1 2 0:3 / / rw - overlay overlay rw,lowerdir=/l/{LINK},upperdir={DIFF}\n"
    f"2 1 8:1 /var/lib/docker/volumes/data/_data /x rw - ext4 /dev/a rw\n".encode(),
    f"overlay on /a type overlay (rw,upperdir={DIFF})\n/dev/a / ext4 rw 0 0\n{ID[:12]}\n".encode(),
    f'{{"status": {{"id": "{ID}"}}}}'.encode(),
    f"/var/lib/docker/tmp/x/{DIFF}".encode(),
]
HEADER = (
    b'-- title = "T"\n-- description = """\n-- D"""\n-- [params]\n'
    b'-- p = { help = "h", type = "integer", default = 1 }\n'
    b'-- [columns]\n-- a = "A"\nSELECT 1'
)

TARGETS = (
    Target(
        "names",
        "Names come back byte for byte, no two become one, and none moves a terminal's cursor.",
        lambda: [b"usr/bin/\xff\\x80", b"\\\\", "\u202e\u00e9\u4e2d".encode(), b"../a/./b", b"\x1b[31m"],
        _names,
        (b"\\x80", b"\\\\", b"/", b"..", b"\xc3\xa9", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xf3\xa0\x81\x81"),
        512,
    ),
    Target(
        "references",
        "A reference is the sum of its parts, and its full name has no fuller one.",
        lambda: REFERENCES,
        _references,
        (b"docker.io/", b"library/", b"@sha256:", b":", b"/", b"localhost/", b"__"),
        512,
    ),
    Target(
        "things",
        "What `show` is asked for is read in a few ways, or refused in a sentence.",
        lambda: THINGS,
        _things,
        (
            b"lowerdir=",
            b"upperdir=",
            b"UpperDir:",
            b'"Id":"',
            b"overlay2/",
            b"/diff/",
            b"\\072",
            b"\xff",
            b"snapshots/",
            b"docker://",
            b".scope",
            b"0::/",
            b"rootfs/",
            b" - overlay overlay rw,",
            b"\n",
            ID.encode(),
        ),
        2048,
    ),
    Target(
        "parameters",
        "Words for a query's parameters become values that SQLite takes, or are refused in a sentence.",
        lambda: [b"images\0limit=5", b"find-file\0pattern=*\0limit=x"],
        _parameters,
        (b"\0", b"=", b"limit", b"image="),
        256,
    ),
    Target(
        "query-header",
        "The header of a query gives texts and values, or is refused in a sentence that names it.",
        lambda: [HEADER],
        _header,
        (b"-- ", b"[params]", b"[columns]", b' = "', b"help", b"type", b"default", b"\n"),
        1024,
    ),
)
