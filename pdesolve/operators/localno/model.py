"""The network of the localised neural operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.nn.convolution import Derivative, Extension, LocalConvolution, spacings
from pdesolve.nn.filters import Rings
from pdesolve.nn.fourier_network import FourierNetwork
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places, axis_lengths
from pdesolve.nn.resampling import layouts
from pdesolve.nn.resolution import check_spacing
from pdesolve.nn.spectral import SpectralConvolution

Kernels = Literal["both", "integral", "differential"]


class LocalNetwork(OperatorNetwork):
    """A network of Fourier modes whose layers have kernels of short reach and derivatives beside the modes.

    places: of training; the reach of kernels is in spacings of theirs, the largest where these differ, and derivatives
    are by that length.
    """

    def __init__(
        self, fourier: FourierNetwork, places: GridPlaces, *, kernels: Kernels, reach: float, rings: int, angles: int,
        extension: Extension,
    ) -> None:  # fmt: skip
        super().__init__()
        self.fourier, self.kinds = fourier, layouts(places)
        steps, lengths = spacings(self.kinds, places.shape), axis_lengths(places.axes)
        longest = max(step * length for step, length in zip(steps, lengths, strict=True))
        self.filters = Rings(tuple(reach * longest / length for length in lengths), rings, angles)
        self.integral = kernels != "differential"
        layers = fourier.model.fno_blocks.convs
        for i, waves in enumerate(layers):
            width, beside = waves.bias.shape[0], nn.ModuleList()
            if self.integral:
                beside.append(
                    LocalConvolution(width, width, self.filters, kinds=self.kinds, extension=extension, bias=None)
                )
            if kernels != "integral":
                beside.append(Derivative(width, width, kinds=self.kinds, steps=steps, bias=None))
            layers[i] = LocalLayer(waves, beside)

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        return self.fourier(x, parameters, given, wanted)

    def check(self, given: Places) -> None:
        self.fourier.check(given)
        assert isinstance(given, GridPlaces)
        check_spacing(given, self.kinds, method="localno")
        if not self.integral:
            return
        try:
            self.filters.sampled(spacings(self.kinds, given.shape))
        except InputError:
            reached = ", ".join(f"{r:.3g} of {a.name}" for a, r in zip(given.axes, self.filters.radii, strict=True))
            shape = " x ".join(str(n) for n in given.shape)
            raise InputError(
                f"localno has kernels of {self.filters.rings} rings that reach over {reached}, and some lie between "
                f"the {shape} points: give finer data, or train with a larger --method.reach or fewer --method.rings"
            ) from None


class LocalLayer(nn.Module):
    """K v + I v + D v: what takes the place of the spectral convolution K in a layer of a Fourier neural operator."""

    def __init__(self, waves: SpectralConvolution, beside: nn.ModuleList) -> None:
        super().__init__()
        self.waves, self.beside = waves, beside

    def forward(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        """(sample, channel, *space) to the same."""
        found = self.waves(x, output_shape)
        for kernel in self.beside:
            found = found + kernel(x)
        return found

    def transform(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        return self.waves.transform(x, output_shape)
