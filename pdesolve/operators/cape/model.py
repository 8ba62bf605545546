"""The networks of CAPE: a proposal of the next state by the parameters, and a base network that corrects it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.nn.convolution import LocalConvolution, spacings
from pdesolve.nn.filters import Lattice
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.nn.resampling import Layout
from pdesolve.nn.waves import Line
from pdesolve.operators.cape.transport import Everywhere, Transport

_SHARPEST = 8.0  # the range of the signed logarithm: below an eighth of their size parameters count linearly


class CapeNetwork(OperatorNetwork):
    """The change of the state, d + N([u, d, d⁰]) with the proposed change d, that of transport alone d⁰, and a base
    network N, which sees no parameters."""

    def __init__(self, base: OperatorNetwork, proposal: Proposal) -> None:
        super().__init__()
        self.base, self.proposal = base, proposal

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        change, carried = self.proposal(x, parameters)
        return change + self.base(torch.cat([x, change, carried], 1), parameters[:, :0], given, wanted)

    def check(self, given: Places) -> None:
        self.base.check(given)


class Attention(nn.Module):
    """Weights of channels a(p) = tanh(B σ(A p))."""

    def __init__(self, features: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(features, hidden), nn.Linear(hidden, channels)

    def forward(self, p: Tensor) -> Tensor:
        """(sample, feature) to (sample, channel)."""
        return torch.tanh(self.outer(functional.gelu(self.inner(p))))


class Proposal(nn.Module):
    """The change d that a step makes: that of transport and diffusion by the parameters, and a sum of branches whose
    channels are weighted by them.

        d⁰ = T(p) u - u,   y = σ(C [u, T(p) u]),   d = d⁰ + W σ(Σ_j a_j(p) ⊙ B_j y + M y)

    B_j: pointwise, local, spectral. C and the local branch have kernels of five points of the grid of training, which
    keep their place in space on others. W begins at zero: what transport explains is left to it.

    inputs: channels of x. last: for each target the channel of x that it goes on from. ratio: the deviation of each
    target, in which changes come, over that of its channel. mean, std: of the parameters, which come standardised.
    width, modes: of the branches. shape, kinds: of the grid of training. lines: its axes.
    """

    last: Tensor
    ratio: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self, inputs: int, *, last: Sequence[int], ratio: Sequence[float], mean: Sequence[float], std: Sequence[float],
        width: int, modes: int, shape: Sequence[int], kinds: Sequence[Layout], lines: tuple[Line, ...],
    ) -> None:  # fmt: skip
        super().__init__()
        from pdesolve.nn.spectral import SpectralConvolution

        half, outputs = width // 2, len(last)
        filters = Lattice(spacings(kinds, shape), 2)
        self.transport = Transport(outputs, len(mean), [kind == "periodic" for kind in kinds])
        self.lift = LocalConvolution(inputs + outputs, half, filters, kinds=kinds, bias=None)
        self.branches = nn.ModuleList(
            [
                Everywhere(half, width),
                LocalConvolution(half, width, filters, kinds=kinds, groups=half),
                SpectralConvolution(half, width, [modes] * len(lines), lines=lines),
            ]
        )
        self.attention = nn.ModuleList(Attention(len(mean), half, width) for _ in self.branches)
        self.past, self.out = Everywhere(half, width), Everywhere(width, outputs)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("last", torch.tensor(list(last)), persistent=False)
        self.register_buffer("ratio", torch.tensor(list(ratio)), persistent=False)
        self.register_buffer("mean", torch.tensor(list(mean)), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)), persistent=False)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """d and d⁰, (sample, target, *space), of x (sample, input, *space) and parameters (sample, parameter)."""
        state = x[:, self.last]
        moved = self.transport(state, parameters)
        carried = (moved - state) / self.ratio.view(-1, *[1] * (x.ndim - 2))
        y = functional.gelu(self.lift(torch.cat([x, moved], 1)))
        features = self.signed_logarithm(parameters)
        z = self.past(y)
        for attention, branch in zip(self.attention, self.branches, strict=True):
            weights = attention(features)
            z = z + weights.reshape(*weights.shape, *[1] * (x.ndim - 2)) * branch(y)
        return carried + self.out(functional.gelu(z)), carried

    def signed_logarithm(self, parameters: Tensor) -> Tensor:
        """asinh(8 λ / √(mean² + std²)) / asinh 8 of the raw values λ, so that decades below the largest count too."""
        size = (self.mean.square() + self.std.square()).sqrt().clamp_min(1e-30)
        raw = self.mean + self.std * parameters
        return torch.asinh(_SHARPEST * raw / size) / math.asinh(_SHARPEST)
