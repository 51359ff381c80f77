"""One face's landmarks, calibrated by optical flow and a Kalman filter (section 3.2 of the paper)."""

from lrnet.sequence.calibrator import CalibrationStep, Calibrator
from lrnet.sequence.kalman import PointKalmanFilter, relative_variance
from lrnet.sequence.lucas_kanade import PyramidalLucasKanade
from lrnet.sequence.optical_flow import OpenCVFlow, OpticalFlow, optical_flow
from lrnet.sequence.settings import CalibrationSpec, SequenceSpec

__all__ = [
    "CalibrationSpec",
    "CalibrationStep",
    "Calibrator",
    "OpenCVFlow",
    "OpticalFlow",
    "PointKalmanFilter",
    "PyramidalLucasKanade",
    "SequenceSpec",
    "optical_flow",
    "relative_variance",
]
