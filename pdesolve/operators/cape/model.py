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
from pdesolve.operators.cape.transport import Everywhere, Transport, limited

_SHARPEST = 8.0  # the range of the signed logarithm: below an eighth of their size parameters count linearly


class CapeNetwork(OperatorNetwork):
    """The change of the state, d + N([x, û]) with the proposed change d, the state û = u + d it leads to and a base
    network N, which sees no parameters.

    last: for each target the channel of x that it goes on from. ratio: the deviation of each target, in which changes
    come, over that of its channel. band: the highest wave number around periodic `axes` in which the state changes, the
    last that the base filters; None for all. What the base cannot filter would grow from step to step: the pointwise
    and local parts of a proposal amplify it for some parameters, and few data hold it.
    """

    last: Tensor
    ratio: Tensor

    def __init__(
        self, base: OperatorNetwork, proposal: Proposal, *, last: Sequence[int], ratio: Sequence[float],
        band: int | None = None, axes: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.base, self.proposal = base, proposal
        self.band, self.axes = band, tuple(axes)
        self.register_buffer("last", torch.tensor(list(last)), persistent=False)
        self.register_buffer("ratio", torch.tensor(list(ratio)), persistent=False)

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        change = self.proposal(x, parameters)
        proposed = x[:, self.last] + self.ratio.view(-1, *[1] * (x.ndim - 2)) * change
        change = change + self.base(torch.cat([x, proposed], 1), parameters[:, :0], given, wanted)
        return change if self.band is None else limited(change, self.band, self.axes)

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
    """The change d that a step makes, proposed by branches whose channels are weighted by the parameters:

        y = σ(C x),   z = σ(Σ_j a_j(p) ⊙ B_j y + M y),   d = W z

    B_j: pointwise, local, and spectral where `modes` are given. Where there are none, transport and diffusion by the
    parameters come to the sum, B T(p) y. C and the local branch have kernels of five points of the grid of training,
    which keep their place in space on others.

    inputs: channels of x. outputs: channels of d. mean, std: of the parameters, which come standardised. width: of the
    branches. shape, kinds: of the grid of training. lines: its axes.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, inputs: int, outputs: int, *, mean: Sequence[float], std: Sequence[float], width: int, modes: int | None,
        shape: Sequence[int], kinds: Sequence[Layout], lines: tuple[Line, ...],
    ) -> None:  # fmt: skip
        super().__init__()
        half = width // 2
        filters = Lattice(spacings(kinds, shape), 2)
        self.lift = LocalConvolution(inputs, half, filters, kinds=kinds, bias=None)
        self.branches = nn.ModuleList(
            [Everywhere(half, width), LocalConvolution(half, width, filters, kinds=kinds, groups=half)]
        )
        self.transport = None
        if modes is None:
            self.transport = Transport(half, width, len(mean), [kind == "periodic" for kind in kinds])
        else:
            from pdesolve.nn.spectral import SpectralConvolution

            self.branches.append(SpectralConvolution(half, width, [modes] * len(lines), lines=lines))
        self.attention = nn.ModuleList(Attention(len(mean), half, width) for _ in self.branches)
        self.past, self.out = Everywhere(half, width), Everywhere(width, outputs)
        self.register_buffer("mean", torch.tensor(list(mean)), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)), persistent=False)

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        y = functional.gelu(self.lift(x))
        features = self.signed_logarithm(parameters)
        z = self.past(y)
        for attention, branch in zip(self.attention, self.branches, strict=True):
            weights = attention(features)
            z = z + weights.reshape(*weights.shape, *[1] * (x.ndim - 2)) * branch(y)
        if self.transport is not None:
            z = z + self.transport(y, parameters)
        return self.out(functional.gelu(z))

    def signed_logarithm(self, parameters: Tensor) -> Tensor:
        """asinh(8 λ / √(mean² + std²)) / asinh 8 of the raw values λ, so that decades below the largest count too."""
        size = (self.mean.square() + self.std.square()).sqrt().clamp_min(1e-30)
        raw = self.mean + self.std * parameters
        return torch.asinh(_SHARPEST * raw / size) / math.asinh(_SHARPEST)
