"""containerd's root on disk: its databases, its content store and the directories of its snapshotters (FORMATS 9)."""
