"""The appearance network in PyTorch (see `lrnet.appearance.graph` for what it is)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrnet.appearance.graph import Convolution, convolutions

_EPSILON: Final = 1e-3
_DROPPED: Final = 0.2


class AppearanceModel(nn.Module):
    """(K, 3, S, S) RGB in [0, 255], S a multiple of 16, to (K, S / 16, S / 16) logits of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = tuple(convolutions())
        self.layers = nn.ModuleList(_layer(c) for c in self.plan)
        self.drop = nn.Dropout(_DROPPED)

    def forward(self, pictures: Tensor) -> Tensor:
        value = (pictures - 127.0) / 128.0
        values: dict[str, Tensor] = {}
        for convolution, layer in zip(self.plan, self.layers, strict=True):
            if convolution.name == "vote":
                value = self.drop(value)
            value = layer(value)
            if convolution.adds:
                value = value + values[convolution.adds]
            # A block's input is what the block before it gave: its sum, or what it narrowed to.
            values[convolution.name.split(".")[0] + ".sum" if convolution.adds else convolution.name] = value
        return value.squeeze(1)

    def start_from(self, imagenet: Mapping[str, Tensor]) -> None:
        """Take all but the head from weights of EfficientNet-Lite0, whose tensors come in the same order.

        Raises:
            ValueError: they are of another network.
        """
        theirs = [v for k, v in imagenet.items() if not k.endswith("num_batches_tracked")]
        mine = [v for layer in self.layers[:-2] for k, v in layer.state_dict().items() if "num_batches" not in k]
        if len(theirs) < len(mine) or any(a.shape != b.shape for a, b in zip(mine, theirs, strict=False)):
            raise ValueError("these are not weights of EfficientNet-Lite0")
        with torch.no_grad():
            for tensor, value in zip(mine, theirs, strict=False):
                tensor.copy_(value)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The weights as `lrnet.appearance.graph.weight_shapes` lists them, batch normalisation folded in."""
        found: dict[str, NDArray[np.float32]] = {}
        for convolution, layer in zip(self.plan, self.layers, strict=True):
            conv = next(part for part in layer.modules() if isinstance(part, nn.Conv2d))
            norm = next((part for part in layer.modules() if isinstance(part, nn.BatchNorm2d)), None)
            weight = conv.weight.detach().double()
            bias = torch.zeros(len(weight)).double() if conv.bias is None else conv.bias.detach().double()
            if norm is not None:
                assert norm.running_mean is not None
                assert norm.running_var is not None
                factor = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
                weight = weight * factor[:, None, None, None]
                bias = norm.bias.detach().double() + (bias - norm.running_mean.double()) * factor
            found[f"{convolution.name}.weight"] = weight.numpy().astype(np.float32)
            found[f"{convolution.name}.bias"] = bias.numpy().astype(np.float32)
        return found


def _layer(c: Convolution) -> nn.Sequential:
    top, left, bottom, right = c.pads
    even = c.stride == 1
    last = c.name == "vote"
    parts: list[nn.Module] = [] if even else [nn.ZeroPad2d((left, right, top, bottom))]
    parts.append(nn.Conv2d(c.channels, c.out, c.kernel, c.stride, top if even else 0, groups=c.groups, bias=last))
    if not last:
        parts.append(nn.BatchNorm2d(c.out, eps=_EPSILON, momentum=0.01))
    if c.clipped:
        parts.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*parts)
