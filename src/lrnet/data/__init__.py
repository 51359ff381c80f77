"""Where datasets keep their videos, labels and splits."""

from lrnet.data.dataset import Dataset, Issue, IssueKind, find_copies
from lrnet.data.layouts import LAYOUTS, open_dataset
from lrnet.data.layouts.faceforensics import read_faceforensics
from lrnet.data.manifest import read_collected, read_manifest, write_manifest
from lrnet.data.records import Label, VideoRecord

__all__ = [
    "LAYOUTS",
    "Dataset",
    "Issue",
    "IssueKind",
    "Label",
    "VideoRecord",
    "find_copies",
    "open_dataset",
    "read_collected",
    "read_faceforensics",
    "read_manifest",
    "write_manifest",
]
