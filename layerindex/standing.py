"""What must be known before a thing may be called unused: the terms that scan, schema and queries share.

The law: hiding, tearing or removing anything that is read may turn an answer into unknown, but never used into unused.
So each place that could name a user of something is a source with a state; a use that leads nowhere is a source in the
state lost; and a thing without a use is unused only where no source that could name a user is in doubt.
"""

from __future__ import annotations

READ = "read"
ABSENT = "absent"
LOST = "lost"
DAMAGED = "damaged"
DENIED = "denied"
ELSEWHERE = "elsewhere"
UNSEEN = "not looked at"
MOTION = "in motion"

STATES = {
    READ: "it was read whole",
    ABSENT: "it is not there, and the engine need not have made it",
    LOST: "something names it, or the engine always makes it, and it is not there",
    DAMAGED: "not all of it could be read",
    DENIED: "we may not read it",
    ELSEWHERE: "a symlink or mount stands in its place, which is not followed",
    UNSEEN: "this scan did not look at it",
    MOTION: "it changed while it was read, or is being written",
}
"""The states of a source, and what each means."""

CLEAR = (READ, ABSENT)
"""States of a source that leave no doubt: it names no user beyond the recorded ones."""

FACTS = {
    "layers": "which layers there are and which directory each is in",
    "mounts": "the writable layers of containers and builds",
    "containers": "containers: their image, volumes and directories",
    "images": "image configs and manifests: which layers an image needs",
    "manifests": "manifest lists, and the images that they name",
    "names": "names of images",
    "build cache": "records of the build cache and what each holds",
    "volumes": "which volumes there are",
    "links": "short names and lower lists: which directory stands on which",
    "directories": "which directories of the driver are there",
    "pulls": "layers that are being pulled, built or removed: what needs them is written after them",
    "borrowers": "other stores that use images of this one",
}
"""The kinds of facts that sources tell, and what each says."""

NAMED_BY = {
    "directory": ("layers", "mounts", "containers", "images", "build cache", "links"),
    "layer": ("layers", "mounts", "containers", "images", "build cache", "borrowers", "pulls"),
    "image": ("containers", "manifests", "borrowers"),
    "volume": ("containers",),
    "mount": ("containers",),
    "name": ("names",),
    "missing directory": ("directories",),
    "missing layer": ("layers",),
    "missing image": ("images",),
    "missing mount": ("mounts", "layers", "containers"),
    "missing snapshot": ("directories", "layers", "build cache"),
    "missing volume": ("volumes",),
}
"""For each kind of thing the facts that could name a user of it; for a name, those that say whether an image has it;
for a missing thing, those that may hold it after all."""

TOLD = 3
"""Most sources that one sentence names."""
