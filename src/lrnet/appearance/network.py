"""The appearance network under ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrnet.appearance.graph import CELLS, INPUT, OUTPUT, read_weights
from lrnet.errors import ModelError
from lrnet.network.bundle import APPEARANCE_FILE, ModelBundle
from lrnet.network.runtime import open_session

Array = NDArray[np.float32]


class AppearanceNetwork:
    """Scores crops, on one thread.

    Args:
        network: the bytes of an ONNX file.
        source: what to call it in a message.

    Raises:
        ModelError: it is not an appearance network, or ONNX Runtime cannot read it.
    """

    def __init__(self, network: bytes, source: str) -> None:
        read_weights(network, source)
        self._source = source
        self._session = open_session(network, source)

    @classmethod
    def of(cls, bundle: ModelBundle) -> AppearanceNetwork | None:
        """The appearance network of a model; None if it looks at motion alone."""
        if bundle.appearance is None:
            return None
        return cls(bundle.appearance, str(bundle.path / APPEARANCE_FILE))

    def cells(self, crop: NDArray[np.uint8]) -> Array:
        """(CELLS, CELLS) logits of a crop (CROP_SIZE, CROP_SIZE, 3) RGB: what each part of it adds. Their mean is the
        crop's logit, above 0 for what looks more like the fakes of training.

        Raises:
            ModelError: the network gives numbers that are not finite.
        """
        picture = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)
        found: Array = self._session.run([OUTPUT], {INPUT: picture})[0][0]
        if found.shape != (CELLS, CELLS) or not np.isfinite(found).all():
            raise ModelError(f"The network in {self._source} gave no logits.", hint="Get the model again.")
        return found

    def logits(self, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Array:
        """(K,) logits of crops. One crop at a time: a crop's logit does not depend on its neighbours."""
        return np.array([self.cells(crop).mean() for crop in crops], np.float32)
