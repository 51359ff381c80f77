"""Landmark calibration: detections denoised by optical flow and a Kalman filter (section 3.2 of the paper)."""

from lrnet.calibration.calibrator import CalibrationSettings, CalibrationStep, Calibrator
from lrnet.calibration.kalman import PointKalmanFilter, relative_variance
from lrnet.calibration.optical_flow import OpenCVFlow, OpticalFlow

__all__ = [
    "CalibrationSettings",
    "CalibrationStep",
    "Calibrator",
    "OpenCVFlow",
    "OpticalFlow",
    "PointKalmanFilter",
    "relative_variance",
]
