"""Where datasets keep their videos, labels and splits."""

from lrnet.datasets.dataset import Dataset, Issue, IssueKind, find_copies
from lrnet.datasets.faceforensics import read_faceforensics
from lrnet.datasets.layouts import LAYOUTS, open_dataset
from lrnet.datasets.manifest import read_collected, read_manifest, write_manifest
from lrnet.datasets.records import Label, VideoRecord

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
