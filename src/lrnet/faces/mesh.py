"""The built-in landmarker: BlazeFace finds faces, FaceMesh v2 places 478 points, 68 of them are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lrnet.faces.blazeface import FaceDetector
from lrnet.faces.face_mesh import (
    CROP_SIZE,
    FaceMesh,
    RegionOfInterest,
    points_to_frame,
    roi_from_detection,
    roi_from_landmarks,
    to_68,
)
from lrnet.faces.landmarker import FaceObservation, lie_on
from lrnet.video.frame import Frame

CANDIDATE_SCORE: Final = 0.25  # of a detection; the mesh has a second look at each, and is surer of what is no face
MIN_PRESENCE: Final = 0.5  # of a face in the crop, as the mesh sees it


class MeshLandmarker:
    """Offline, no torch. The region that the mesh looks at comes from the last frame's points; nothing is smoothed."""

    name: Final = "mesh"
    version: Final = "facemesh-v2.68a"  # model, and the table that makes 68 points of 478

    shareable: Final = True

    def __init__(self) -> None:
        self._detector = FaceDetector(CANDIDATE_SCORE)
        self._mesh = FaceMesh()

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        """Faces anywhere in the frame, largest first, other than those `known` in it."""
        found = self._detector.detect_in(frame)
        faces = []
        for i in found.largest_first():
            if any(lie_on(found.keypoints[i], face) for face in known):
                continue
            # The detector's box is loose; a second look from the mesh's own region gives what following will give.
            first = self._place(frame, roi_from_detection(found.boxes[i], found.keypoints[i]))
            if first is not None and first.confidence >= MIN_PRESENCE:
                faces.append(self.follow(frame, first) or first)
        return faces

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        """The face near where it was in the frame before."""
        return self._place(frame, roi_from_landmarks(last.state))

    def _place(self, frame: Frame, roi: RegionOfInterest) -> FaceObservation | None:
        if not (np.isfinite([roi.center_x, roi.center_y, roi.size]).all() and 4 <= roi.size <= 8 * frame.width):
            return None
        points, confidence = self._mesh.landmarks(frame.rgb_warped(roi.frame_to_crop(), CROP_SIZE, CROP_SIZE))
        placed = points_to_frame(points, roi)
        return FaceObservation(to_68(placed), confidence, placed)
