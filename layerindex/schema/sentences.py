"""What the columns mean that views work out. Of a column that a view takes as it is, its own table says it."""

from __future__ import annotations

from layerindex.schema.columns import metadata


def _of(table: str, column: str) -> str:
    """Return what a table says of a column."""
    found = metadata.tables[table].c[column]
    return str(found.info.get("said", found.comment))


_SNAPSHOT = {"snapshot_id": "The snapshot this fact belongs to."}
_IMAGE = {"image_id": _of("part_stored_images", "image_id")}
_STANDING = {
    "standing": "used; unknown where what may name a user of it was not read whole; else unused.",
    "because": "Of what is unknown: why, such as the places that were not read; NULL for others.",
}
_STACK = {
    "above": "Listings of the layers above, the nearest first, as a JSON list; null in it for one that has none.",
    "below": "Listings of the layers below, the nearest first, as a JSON list; null in it for one that has none.",
}
_ENTRY = {
    "directory_id": _of("entries", "directory_id"),
    "path": "Its path from the root.",
    "shown": "1 when no layer above hides it, else 0; a whiteout never shows.",
    "kept": "1 when its file shows, if only under another of its names, else 0.",
    "replaced_in": "Position of the lowest layer above that has its path; NULL for none.",
    "replaced_by": "Type of the entry there; NULL for none.",
    "folder_hidden_in": "Position of the lowest layer above that hides all in its folder; NULL for none.",
    "above": _STACK["above"],
}
_PLACE = {
    "cache_id": "Name of its directory in the driver's folder; NULL when it is not unpacked, not there, or not known.",
    "size": "Its bytes, as view layers has them; NULL when it is not there, or not known.",
}
_TIME = "Modification time in UTC as text, in whole seconds; NULL when unknown."

SENTENCES: dict[str, dict[str, str]] = {
    "snapshot_ages": {"age": "How many snapshots of its host, store and root are newer; 0 for the newest."},
    "image_names": {**_SNAPSHOT, **_IMAGE, "name": "One of the names that it may be called by."},
    "spellings": {
        "head": "What may stand before a name: a registry with its slash, or nothing.",
        "tail": "What may stand behind it: :latest, or nothing.",
    },
    "manifest_lists": {**_SNAPSHOT, "image_id": "Digest of the list, which stands for an image id where a name does."},
    "image_labels": {"label": "Its tags in order with commas between, else its digests, else its id."},
    "image_namespaces": {
        "namespace": "A namespace of containerd that has it; empty in other stores.",
        "label": "Its tags there in order with commas between, else its digests, else its id.",
    },
    "placed_layers": {**_PLACE, "listing_id": "The listing of its files; NULL when not indexed, or it is not there."},
    "image_layer_places": {
        **_PLACE,
        "namespace": "The namespace of containerd in which it is there; empty in other stores.",
    },
    "overlay_dir_owners": {
        "cache_id": "Name of the directory.",
        "kind": "What needs it, as recorded_uses.user_kind.",
        "owner": "Which one that is, as recorded_uses.user.",
    },
    "layer_directories": {"chain_id": "Chain id of the layer.", "cache_id": "Name of one of its directories."},
    "uses": {
        **_SNAPSHOT,
        "used_kind": _of("part_uses", "used_kind"),
        "used": _of("part_uses", "used"),
        "user_kind": "What needs it: one of recorded_uses.user_kind; of an image also name, child image, container; of "
        "a layer also image, layer, mount, build-cache; of a volume also container.",
        "user": "Which one that is, as recorded_uses.user; a reference where a name needs an image.",
        "source": _of("part_uses", "source"),
    },
    "doubts": {
        **_SNAPSHOT,
        "thing": "directory, layer, image, volume, mount, name (of an image), or missing and what kind of thing is.",
        "because": "The places that may name a user of it and were not read whole, each with its state; at most three.",
    },
    "directory_standings": _STANDING,
    "layer_standings": {**_SNAPSHOT, "chain_id": _of("part_layers", "chain_id"), **_STANDING},
    "image_standings": {**_SNAPSHOT, **_IMAGE, **_STANDING},
    "name_standings": {
        **_SNAPSHOT,
        **_IMAGE,
        "standing": "used when a tag names it; unknown where what holds names was not read whole; else unused.",
        "because": _STANDING["because"],
    },
    "volume_standings": {**_SNAPSHOT, "name": "The volume's name.", **_STANDING},
    "mount_standings": {
        "standing": "used, or unknown where no container, image mount or build of its name was found.",
        "because": _STANDING["because"],
    },
    "standings": {
        **_SNAPSHOT,
        "kind": "directory, image, name (whether a tag names the image), volume, layer or mount.",
        "id": "Name of the directory, volume or mount, image id, or chain id.",
        **_STANDING,
    },
    "image_danglings": {
        **_SNAPSHOT,
        **_IMAGE,
        "dangling": "1 when it has no tag and no children, else 0; NULL where that is not known.",
        "because": "What may name it and was not read whole; NULL where all was.",
    },
    "missing": {
        **_SNAPSHOT,
        "kind": "What names it: layer, snapshot, mount, build cache, image, tag, container or volume.",
        "object": "Which one that is: a chain id, key, name, record, image id, reference or container id.",
        "code": "Code of its problem, such as missing-layer; layerindex schema codes explains them.",
        "missing": "Name or id of what is not there; NULL for a container's writable layer.",
        "chain_id": "Chain id of the layer that it is of or that it is; NULL for none.",
        "because": "What was not read and may have it; NULL where it is not there.",
    },
    "files": {"path": "Its path from the layer's root.", "modified_at": _TIME},
    "newest_changes": {"newest": f"The latest of its files' and folders' times. {_TIME}"},
    "hard_links": {
        "name": "The further name.",
        "first_directory": "The directory that the file's first name lies in.",
        "first_name": "The file's first name there.",
    },
    "container_twins": {"other_id": "The snapshot of the store that has its files."},
    "gc_stores": {"content_id": "The snapshot that has the blobs of its root; NULL where none is selected."},
    "gc_names": {
        **_SNAPSHOT,
        "namespace": "The namespace that has the name.",
        "ref": "The reference as stored; the image id where Docker keeps one without a name.",
        "normalized": "The reference in full; the image id where there is none.",
        "image_id": "The image that it leads to.",
        "target_digest": "Digest of the manifest or index that it leads to.",
        "root": "What gc_holds calls it.",
    },
    "gc_holds": {
        **_SNAPSHOT,
        "root": "What holds it: the word name, container, lease, flat lease or label, and which one that is.",
        "namespace": "The namespace in which it holds it.",
        "node": "The blob's digest, or the snapshotter's own name of the snapshot.",
    },
    "folder_ways": {
        "directory_id": "The folder.",
        "path": "Path of the folder itself or of one above it.",
        "parent_id": "The folder that this one lies in.",
        "name": "Its name there; empty for the root.",
    },
    "folder_hiders": {
        "directory_id": "The folder whose lower content is hidden.",
        "listing_id": "The listing that hides it.",
        "path": "Path of what hides it: the folder itself or one above it.",
        "type": "What stands there: dir for an opaque folder, else what is no folder.",
    },
    "image_stacks": _STACK,
    "container_stacks": {
        "position": "0 for the lowest, counting up; the container's own directory has the highest.",
        **_STACK,
    },
    "image_entries": _ENTRY,
    "container_entries": _ENTRY,
}
"""For each view the sentences of columns that no table says, or says of something else."""
