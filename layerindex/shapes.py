"""The shapes of ids, as on disk and as users write them (FORMATS section 15)."""

from __future__ import annotations

import re

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HEX = re.compile(r"[0-9a-f]{64}")
MOUNT_ID = re.compile(r"[0-9a-f]{64}(-init)?")
LINK = re.compile(r"[A-Z2-7]{26}")
BUILDKIT_ID = re.compile(r"[0-9a-z]{25}")
CACHE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,254}")
REMOVING = re.compile(r"([0-9a-f]{64})-[0-9a-f]+-removing")
LINK_TARGET = re.compile(r"\.\./([0-9A-Za-z][0-9A-Za-z_.-]{0,254})/diff")
