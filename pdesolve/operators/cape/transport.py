"""Transport and diffusion of channels, by amounts that are affine in the parameters of the equation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_WAVES = 4.0  # the wave number that a diffusion of one damps by 1/e


class Everywhere(nn.Module):
    """The same linear map of the channels at every place."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(sample, channel, *space) to (sample, channel, *space)."""
        return self.map(x.flatten(2)).unflatten(2, x.shape[2:])


class Transport(nn.Module):
    """Each channel c moved and smoothed by itself, around periodic axes:

        w = B T v,   (T v)_c = F⁻¹ exp(-D_c Σ_i k_i² / 16 - i Σ_i s_ci k_i) F v_c

    with the angles s = S p + s⁰ and the diffusion D = max(0, E p + D⁰).

    The solution of v_t = -s·∇v + D Δv after a step, whose coefficients follow the parameters p as those of many
    equations do: so it goes on to other values. s are angles, 2π for a period; T never makes anything larger.
    """

    def __init__(self, inputs: int, outputs: int, parameters: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.axes = [i for i, around in enumerate(periodic) if around]
        self.amounts = nn.Linear(parameters, inputs * (1 + len(self.axes)))
        self.mixed = Everywhere(inputs, outputs)

    def forward(self, v: Tensor, p: Tensor) -> Tensor:
        """(sample, channel, *space) of parameters (sample, parameter) to (sample, channel, *space)."""
        return self.mixed(self.moved(v, p) if self.axes else v)

    def moved(self, v: Tensor, p: Tensor) -> Tensor:
        """T v."""
        # under autocast too: half precision would leave three digits of a transform
        with torch.autocast(v.device.type, enabled=False):
            values = v if v.dtype == torch.float64 else v.float()
            dims, sizes = [i + 2 for i in self.axes], [v.shape[i + 2] for i in self.axes]
            diffusion, *speeds = self.amounts(p.to(values)).unflatten(1, (1 + len(sizes), -1)).unbind(1)
            spread = turns = values.new_zeros(())
            for i, (axis, speed) in enumerate(zip(self.axes, speeds, strict=True)):
                line = [-1 if j == axis else 1 for j in range(v.ndim - 2)]
                k = _waves(v.shape[axis + 2], values, half=i == len(sizes) - 1).view(1, 1, *line)
                spread = spread + k.square()
                turns = turns + _over(speed, v) * k
            damped = _over(diffusion.clamp(min=0.0), v) * spread / _WAVES**2
            factor = torch.exp(torch.complex(-damped, -turns))
            return torch.fft.irfftn(factor * torch.fft.rfftn(values, dim=dims), s=sizes, dim=dims).to(v.dtype)


def limited(v: Tensor, band: int, axes: Sequence[int]) -> Tensor:
    """v (sample, channel, *space) without the waves above a number around each of some axes of space."""
    with torch.autocast(v.device.type, enabled=False):
        found = v if v.dtype == torch.float64 else v.float()
        for axis in axes:
            size = v.shape[axis + 2]
            spectrum = torch.fft.rfft(found, dim=axis + 2)
            kept = _waves(size, found, half=True) <= band
            kept = kept.view([-1 if j == axis + 2 else 1 for j in range(v.ndim)])
            found = torch.fft.irfft(spectrum * kept, n=size, dim=axis + 2)
        return found.to(v.dtype)


def _over(amount: Tensor, v: Tensor) -> Tensor:
    """An amount (sample, channel) over the places of v."""
    return amount.reshape(*amount.shape, *[1] * (v.ndim - 2))


def _waves(size: int, like: Tensor, *, half: bool) -> Tensor:
    """The wave numbers of a transform along an axis."""
    frequencies = torch.fft.rfftfreq if half else torch.fft.fftfreq
    return size * frequencies(size, dtype=like.dtype, device=like.device)
