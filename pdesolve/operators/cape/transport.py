"""Transport and diffusion of a state, by amounts that are affine in the parameters of the equation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_WAVES = 4.0  # the wave number that a diffusion of one damps by 1/e
_FAST = 10.0  # times the rate of weights: amounts have as far to go as the state moves in a step


class Everywhere(nn.Module):
    """The same linear map of the channels at every place."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(sample, channel, *space) to (sample, channel, *space)."""
        return self.map(x.flatten(2)).unflatten(2, x.shape[2:])


class Transport(nn.Module):
    """Each channel c moved and smoothed by itself, around periodic axes i; without such axes, left as it is:

        (T v)_c = F⁻¹ exp(-D_c Σ_i k_i² / 16 - i Σ_i s_ci k_i) F v_c

    with the angles s = S p + s⁰ and the diffusion D = max(0, E p + D⁰).

    The solution of v_t = -s·∇v + D Δv after a step, whose coefficients follow the parameters p as those of many
    equations do: so it goes on to other values. s are angles, 2π for a period; T never makes anything larger.
    Angles have many local minima, one for each wave that fits. It begins at rest and diffuses, D = 1: short waves count
    once long ones are in their place.
    """

    def __init__(self, channels: int, parameters: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.axes = [i for i, around in enumerate(periodic) if around]
        self.amounts = nn.Linear(parameters, channels * (1 + len(self.axes))) if self.axes else None
        if self.amounts is not None:
            nn.init.zeros_(self.amounts.weight)
            nn.init.zeros_(self.amounts.bias)
            nn.init.constant_(self.amounts.bias[:channels], 1 / _FAST)

    def forward(self, v: Tensor, p: Tensor) -> Tensor:
        """T v, (sample, channel, *space), of parameters (sample, parameter)."""
        if self.amounts is None:
            return v
        # under autocast too: half precision would leave three digits of a transform
        with torch.autocast(v.device.type, enabled=False):
            values = v if v.dtype == torch.float64 else v.float()
            dims, sizes = [i + 2 for i in self.axes], [v.shape[i + 2] for i in self.axes]
            amounts = _FAST * self.amounts(p.to(values))
            diffusion, *angles = amounts.unflatten(1, (1 + len(sizes), -1)).unbind(1)
            spread = turns = values.new_zeros(())
            for i, (axis, angle) in enumerate(zip(self.axes, angles, strict=True)):
                line = [-1 if j == axis else 1 for j in range(v.ndim - 2)]
                k = _waves(v.shape[axis + 2], values, half=i == len(sizes) - 1).view(1, 1, *line)
                spread = spread + k.square()
                turns = turns + _over(angle, v) * k
            damped = _over(diffusion.clamp(min=0.0), v) * spread / _WAVES**2
            factor = torch.exp(torch.complex(-damped, -turns))
            return torch.fft.irfftn(factor * torch.fft.rfftn(values, dim=dims), s=sizes, dim=dims).to(v.dtype)


def _over(amount: Tensor, v: Tensor) -> Tensor:
    """An amount (sample, channel) over the places of v."""
    return amount.reshape(*amount.shape, *[1] * (v.ndim - 2))


def _waves(size: int, like: Tensor, *, half: bool) -> Tensor:
    """The wave numbers of a transform along an axis."""
    frequencies = torch.fft.rfftfreq if half else torch.fft.fftfreq
    return size * frequencies(size, dtype=like.dtype, device=like.device)
