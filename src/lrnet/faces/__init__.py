"""Faces and their 68 landmarks: one protocol, several landmarkers behind it."""

from lrnet.faces.landmarker import FaceObservation, Landmarker
from lrnet.faces.registry import LandmarkerStatus, landmarker, landmarker_names, landmarker_status

__all__ = ["FaceObservation", "Landmarker", "LandmarkerStatus", "landmarker", "landmarker_names", "landmarker_status"]
