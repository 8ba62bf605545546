"""Networks whose hidden layers are mixed by gates: the modified perceptron and PirateNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pdesolve.fields.jets import Jet, add, product, scaled, subtract
from pdesolve.fields.propagation import propagate
from pdesolve.least_squares.tape import copied, taped
from pdesolve.nn.mlp import Activation, activation_layer, check_sizes, linear


class ModifiedMLP(nn.Module):
    """A perceptron whose hidden layers are mixtures of two gates U(x) and V(x) of the inputs.

        U = σ(A x + a),   V = σ(B x + b),   h ← V + σ(W h + c) (U − V)   for each hidden layer,   output W h + c

    (point, inputs) -> (point, outputs). Products of coordinates reach every layer; for 1.3 times the cost of a deep
    perceptron. Width 50 to 256, depth 3 to 5. Wang, Teng and Perdikaris, 2021, arXiv 2001.04536.
    """

    def __init__(
        self, inputs: int, outputs: int, *, width: int, depth: int, activation: Activation, generator: torch.Generator
    ) -> None:
        super().__init__()
        check_sizes(width, depth)
        self.gates = Gates(inputs, width=width, activation=activation, generator=generator)
        sizes = [inputs, *[width] * (depth - 1)]
        self.hidden = nn.ModuleList(linear(n, width, before=activation, generator=generator) for n in sizes)
        self.activation = activation_layer(activation)
        self.output = linear(width, outputs, before=None, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        u, v = self.gates(x)
        h = x
        for layer in self.hidden:
            h = v + self.activation(layer(h)) * (u - v)
        return self.output(h)


class Gates(nn.Module):
    """U = σ(A x + a) and V = σ(B x + b), (point, inputs) -> two of (point, width)."""

    def __init__(self, inputs: int, *, width: int, activation: Activation, generator: torch.Generator) -> None:
        super().__init__()
        self.first = linear(inputs, width, before=activation, generator=generator)
        self.second = linear(inputs, width, before=activation, generator=generator)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.activation(self.first(x)), self.activation(self.second(x))


class PirateNet(nn.Module):
    """Residual blocks that open while the network is trained, between an embedding and a linear layer.

        Φ = embedding(x),   U, V gates of Φ,   h ← block(h, U, V) from h = Φ on,   output W h + c

    (point, inputs) -> (point, outputs). Every block is the identity at the start, so that the network begins as the
    linear combination of Φ that `fit_output` may fit to the initial condition, and gets deep as it learns: depths at
    which perceptrons can no more be trained do well. The embedding is the inputs themselves where these are already
    `width` features (Fourier features), else a hidden layer of them.

    `depth` counts blocks, of three hidden layers each (2 to 6). Wang, Li, Chen and Perdikaris, 2024, arXiv 2402.00326.
    """

    def __init__(
        self, inputs: int, outputs: int, *, width: int, depth: int, activation: Activation, generator: torch.Generator
    ) -> None:
        super().__init__()
        check_sizes(width, depth)
        first = nn.Sequential(linear(inputs, width, before=activation, generator=generator))
        first.append(activation_layer(activation))
        self.embedding = nn.Identity() if inputs == width else first
        self.gates = Gates(width, width=width, activation=activation, generator=generator)
        self.blocks = nn.ModuleList(
            AdaptiveBlock(width, activation=activation, generator=generator) for _ in range(depth)
        )
        self.output = linear(width, outputs, before=None, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x)
        u, v = self.gates(h)
        for block in self.blocks:
            h = block(h, u, v)
        return self.output(h)


class AdaptiveBlock(nn.Module):
    """Three hidden layers, two of them gated, beside a connection that skips them.

    z = V + σ(W₁ h + b₁) (U − V),   z ← V + σ(W₂ z + b₂) (U − V),   h ← h + α (σ(W₃ z + b₃) − h)
    """

    def __init__(self, width: int, *, activation: Activation, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.ModuleList(linear(width, width, before=activation, generator=generator) for _ in range(3))
        self.activation = activation_layer(activation)
        self.skip = AdaptiveSkip()

    def forward(self, h: Tensor, u: Tensor, v: Tensor) -> Tensor:
        first, second, third = self.layers
        z = v + self.activation(first(h)) * (u - v)
        z = v + self.activation(second(z)) * (u - v)
        return self.skip(h, self.activation(third(z)))


class AdaptiveSkip(nn.Module):
    """h + α (y − h) with one trained number α, zero at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.openness = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        return h + self.openness * (y - h)


@taped.register
def _(layer: AdaptiveSkip, h: Tensor, y: Tensor) -> Tensor:
    return h + copied(layer.openness, h.shape[-2]) * (y - h)


@propagate.register
def _(module: ModifiedMLP, jet: Jet) -> Jet:
    v, difference = _gate_jets(module.gates, jet)
    h = jet
    for layer in module.hidden:
        h = _gated(module.activation, layer, h, v, difference)
    return propagate(module.output, h)


@propagate.register
def _(module: PirateNet, jet: Jet) -> Jet:
    h = propagate(module.embedding, jet)
    v, difference = _gate_jets(module.gates, h)
    for block in module.blocks:
        assert isinstance(block, AdaptiveBlock)
        first, second, third = block.layers
        z = _gated(block.activation, first, h, v, difference)
        z = _gated(block.activation, second, z, v, difference)
        y = propagate(block.activation, propagate(third, z))
        h = add(h, scaled(subtract(y, h), copied(block.skip.openness, h.points)))
    return propagate(module.output, h)


def _gate_jets(gates: Gates, jet: Jet) -> tuple[Jet, Jet]:
    """V and U − V."""
    u, v = (propagate(gates.activation, propagate(layer, jet)) for layer in (gates.first, gates.second))
    return v, subtract(u, v)


def _gated(activation: nn.Module, layer: nn.Module, h: Jet, v: Jet, difference: Jet) -> Jet:
    """V + σ(W h + b) (U − V)."""
    return add(v, product(propagate(activation, propagate(layer, h)), difference))
