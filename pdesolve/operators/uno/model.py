"""The network of the U-shaped neural operator."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu

from pdesolve.nn.neuraloperator import quiet
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.pointwise import with_pointwise
from pdesolve.nn.positions import position_channels, with_positions
from pdesolve.nn.resolution import check_resolution
from pdesolve.nn.spectral import SpectralConvolution
from pdesolve.nn.waves import Line


class UNetwork(OperatorNetwork):
    """neuraloperator's U-NO: Fourier layers down to coarser grids and up again, equal resolutions joined.

    Layer 0 works on the grid given, layers 1 ... L halve it, each with twice the channels and half the modes, one works
    there, L layers double it again, the last works on the grid given; each on the way up is also given what the layer
    of its resolution on the way down gave.

    The sizes of all levels are fixed on the way down, so that odd ones come back; the package rounds each for itself,
    interpolates as if all axes were closed, and has no nonlinearity between layers.

    inputs: channels of the values, beside which it reads positions. lines: the axes of space. levels: L. The rest as in
    the Fourier neural operator.
    """

    def __init__(
        self, inputs: int, outputs: int, lines: tuple[Line, ...], *, modes: int, width: int, levels: int
    ) -> None:
        super().__init__()
        axes = len(lines)
        # how often the grid is halved where a layer's values end up
        self.depths = [0, *range(1, levels + 1), levels, *range(levels - 1, -1, -1), 0]
        # a layer works with the modes of the coarser of its two grids
        before = [0, *self.depths[:-1]]
        with quiet():
            from neuralop.layers.fno_block import FNOBlocks
            from neuralop.models import UNO

            make: Any = UNO  # its annotations leave out None
            convolution: Any = partial(SpectralConvolution, lines=lines)
            model = make(
                in_channels=inputs + position_channels(tuple(line.layout == "periodic" for line in lines)),
                out_channels=outputs, hidden_channels=width, lifting_channels=2 * width,
                projection_channels=2 * width, positional_embedding=None, n_layers=len(self.depths),
                uno_out_channels=[width * 2**depth for depth in self.depths],
                uno_n_modes=[
                    [max(modes // 2 ** max(pair), 2)] * axes for pair in zip(before, self.depths, strict=True)
                ],
                uno_scalings=[[2.0 ** (a - b)] * axes for a, b in zip(before, self.depths, strict=True)],
                # the package's default needs as many channels behind a layer as before it
                channel_mlp_skip="linear", operator_block=partial(FNOBlocks, conv_module=convolution),
            )  # fmt: skip
        self.model = with_pointwise(model)
        self.modes, self.levels = modes, levels

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        model = self.model
        x = model.lifting(with_positions(x, given))
        shapes = [[max(round(n / 2**depth), 2) for n in x.shape[2:]] for depth in range(self.levels + 1)]
        beside: dict[int, Tensor] = {}
        for i, (block, depth) in enumerate(zip(model.fno_blocks, self.depths, strict=True)):
            if i in model.horizontal_skips_map:
                x = torch.cat([x, beside[model.horizontal_skips_map[i]]], 1)
            x = block(x, output_shape=shapes[depth])
            if i < len(self.depths) - 1:
                x = gelu(x)
            if str(i) in model.horizontal_skips:
                beside[i] = model.horizontal_skips[str(i)](x)
        return model.projection(x)

    def check(self, given: Places) -> None:
        check_resolution(given, max(self.modes, 2 ** (self.levels + 1)), method="uno")
