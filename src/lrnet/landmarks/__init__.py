"""Faces and their 68 landmarks: one protocol, several landmarkers behind it."""

from lrnet.landmarks.landmarker import FaceObservation, Landmarker
from lrnet.landmarks.registry import landmarker, landmarker_names

__all__ = ["FaceObservation", "Landmarker", "landmarker", "landmarker_names"]
