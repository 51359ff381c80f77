"""Where datasets keep their videos, labels and splits."""

from lrnet.datasets.faceforensics import read_faceforensics
from lrnet.datasets.manifest import read_collected, read_manifest
from lrnet.datasets.records import Label, VideoRecord, require_disjoint_groups

__all__ = ["Label", "VideoRecord", "read_collected", "read_faceforensics", "read_manifest", "require_disjoint_groups"]
