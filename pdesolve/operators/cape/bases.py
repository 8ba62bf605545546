"""Base networks by name, of parts that other methods have too."""

from __future__ import annotations

from typing import Literal

from pdesolve.data.signature import Signature
from pdesolve.geometry import Grid
from pdesolve.nn.fourier_network import FourierNetwork, lines_of
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.resampling import layouts
from pdesolve.nn.unet_network import UNetNetwork

Base = Literal["fno", "unet"]


def base_network(
    base: Base, inputs: int, signature: Signature, *, modes: int, width: int, depth: int,
    positions: Literal["coordinates", "none"],
) -> OperatorNetwork:  # fmt: skip
    """A network from so many channels of values to the targets of a signature, which is told no parameters."""
    outputs = signature.target_channels
    if base == "unet":
        places = GridPlaces.of(Grid(signature.members))
        return UNetNetwork(inputs, outputs, 0, base=places.shape, kinds=layouts(places), width=width, depth=depth)
    return FourierNetwork(
        inputs, outputs, lines_of(signature, method="cape"), modes=modes, width=width, depth=depth,
        placed=positions == "coordinates", method="cape",
    )  # fmt: skip
