"""Landmark calibration: detections denoised by optical flow and a Kalman filter (section 3.2 of the paper)."""

from lrnet.sequence.calibrator import CalibrationSettings, CalibrationStep, Calibrator
from lrnet.sequence.kalman import PointKalmanFilter, relative_variance
from lrnet.sequence.lucas_kanade import PyramidalLucasKanade
from lrnet.sequence.optical_flow import FLOWS, OpenCVFlow, OpticalFlow, flow_by_name

__all__ = [
    "FLOWS",
    "CalibrationSettings",
    "CalibrationStep",
    "Calibrator",
    "OpenCVFlow",
    "OpticalFlow",
    "PointKalmanFilter",
    "PyramidalLucasKanade",
    "flow_by_name",
    "relative_variance",
]
