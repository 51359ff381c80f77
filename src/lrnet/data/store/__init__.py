"""Landmark stores: sequences of whole datasets on disk, one Parquet file a video.

Example:
    ```python
    import lrnet.data.store

    for video in lrnet.data.store.open("ffpp-landmarks").select(split="train", method=("", "Deepfakes")):
        for sequence in video.sequences(only=("values",)):
            ...
    ```
"""

from lrnet.data.landmark_job import Provenance
from lrnet.data.store.files import COLUMNS, SCHEMA, StoredVideo, store_file, write
from lrnet.data.store.landmark_store import LandmarkStore, open

__all__ = [
    "COLUMNS",
    "SCHEMA",
    "LandmarkStore",
    "Provenance",
    "StoredVideo",
    "open",
    "store_file",
    "write",
]
