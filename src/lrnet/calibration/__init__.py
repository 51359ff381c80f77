"""Landmark calibration: detections denoised by optical flow and a Kalman filter (section 3.2 of the paper)."""

from lrnet.calibration.calibrator import CalibrationSettings, CalibrationStep, Calibrator
from lrnet.calibration.kalman import PointKalmanFilter, relative_variance
from lrnet.calibration.lucas_kanade import PyramidalLucasKanade
from lrnet.calibration.optical_flow import FLOWS, OpenCVFlow, OpticalFlow, flow_by_name

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
