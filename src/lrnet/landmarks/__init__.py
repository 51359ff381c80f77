"""Faces and their 68 landmarks: one protocol, several landmarkers behind it."""

from lrnet.landmarks.landmarker import FaceObservation, Landmarker
from lrnet.landmarks.registry import LandmarkerStatus, landmarker, landmarker_names, landmarker_status

__all__ = ["FaceObservation", "Landmarker", "LandmarkerStatus", "landmarker", "landmarker_names", "landmarker_status"]
