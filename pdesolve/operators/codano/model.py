"""The network of the codomain attention neural operator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.nn.neuraloperator import quiet
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.positions import position_channels, positions
from pdesolve.nn.resolution import check_resolution
from pdesolve.nn.spectral import SpectralConvolution
from pdesolve.nn.waves import Line

_SHARPNESS = 16.0  # of attention: what the package's scaling by the square root of the points is on 16 x 16 of them


@dataclass(frozen=True)
class Channels:
    """Channels of a variable: of each frame its components."""

    name: str
    frames: int
    components: int

    def numbers(self, component: int, first: int) -> list[int]:
        """Which channels a component has, frame by frame, where those of the variable begin at `first`."""
        return [first + frame * self.components + component for frame in range(self.frames)]


class CodomainNetwork(OperatorNetwork):
    """neuraloperator's CODA-NO: attention between the components of all variables, each a token that is a function.

    Token i is a function t_i: space → R^width, lifted from the frames of its component, the positions, what all tokens
    share and an encoding of its own, learned as Σ_k a_ik φ_k(x) of the first harmonics φ. Then, in each layer, with
    Fourier layers Q, K, V and M,

        s_i = t_i + Σ_j softmax_j(τ ∫ (Q t_i)·(K t_j) dx / √width) V t_j,   t_i ← s_i + M s_i

    A target that is no input is a token without values. Departures from the package: the integral is a mean over the
    points, where it takes a sum over the square root of their number; encodings are the same functions at all
    resolutions; several frames are channels of one token.

    inputs, targets: their channels in order. shared: further channels behind those of the inputs. lines: the axes of
    space. normalised: whether tokens are brought to mean 0 and deviation 1 in each layer, which loses their amplitude.
    """

    reads: Tensor
    writes: Tensor

    def __init__(
        self, inputs: Sequence[Channels], targets: Sequence[Channels], shared: int, lines: tuple[Line, ...], *,
        modes: int, width: int, depth: int, heads: int, encoding: int = 4, normalised: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        periodic = tuple(line.layout == "periodic" for line in lines)
        self.modes, self.shared = modes, shared
        self.frames, self.wanted_frames = max(v.frames for v in inputs), max(v.frames for v in targets)
        names = list(dict.fromkeys((v.name, c) for v in (*inputs, *targets) for c in range(v.components)))
        self.given_channels = sum(v.frames * v.components for v in inputs)
        self.register_buffer("reads", torch.tensor(self._reads(inputs, names)), persistent=False)
        self.register_buffer("writes", torch.tensor(self._writes(targets, names)), persistent=False)
        harmonics = 1 + sum(2 for _ in lines)
        self.encodings = nn.Parameter(torch.randn(len(names), encoding, harmonics) / math.sqrt(harmonics))
        # the package has normalisations in two and three dimensions only: a line is a plane of one row
        flat = lines if len(lines) > 1 else (Line(), *lines)
        each = [1, modes] if len(lines) == 1 else [modes] * len(lines)
        with quiet():
            from neuralop.models import CODANO

            make: Any = CODANO  # its annotations leave out None
            self.model = make(
                n_layers=depth, n_modes=[list(each)] * depth, n_heads=[heads] * depth,
                hidden_variable_codimension=width, attention_token_dim=width, lifting_channels=2 * width,
                projection_channels=2 * width, output_variable_codimension=self.wanted_frames,
                static_channel_dim=self.frames - 1 + position_channels(periodic) + shared + encoding,
                per_layer_scaling_factors=[[1] * len(flat)] * depth, attention_scaling_factors=[1] * depth,
                conv_module=partial(SpectralConvolution, lines=flat), domain_padding=None,
                layer_kwargs={
                    "head_codimension": width // heads, "factorization": None,
                    "norm": "instance_norm" if normalised else None,
                },
            )  # fmt: skip
            for layer in self.model.attention_layers:
                layer.resolution_scaling_factor = None  # a factor of one, by which the package resamples in float32

    def _reads(self, inputs: Sequence[Channels], names: list[tuple[str, int]]) -> list[list[int]]:
        """The channel of each frame of each token, (token, frame); the one behind all channels is zero."""
        rows = {name: [self.given_channels] * self.frames for name in names}
        first = 0
        for v in inputs:
            for c in range(v.components):
                found = v.numbers(c, first)
                rows[v.name, c] = [found[0]] * (self.frames - v.frames) + found
            first += v.frames * v.components
        return list(rows.values())

    def _writes(self, targets: Sequence[Channels], names: list[tuple[str, int]]) -> list[int]:
        """Where each channel of the targets is among (token, frame), flattened."""
        return [
            names.index((v.name, c)) * self.wanted_frames + frame
            for v in targets
            for frame in range(v.frames)
            for c in range(v.components)
        ]

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        samples, tokens, space = len(x), len(self.reads), x.shape[2:]
        values = torch.cat([x[:, : self.given_channels], x.new_zeros(samples, 1, *space)], 1)
        own = values[:, self.reads.flatten()].unflatten(1, self.reads.shape)  # (sample, token, frame, *space)
        same = torch.cat([positions(given).expand(samples, *[-1] * (x.ndim - 1)), x[:, self.given_channels :]], 1)
        encoded = torch.einsum("teh,h...->te...", self.encodings, _harmonics(given))
        found = torch.cat(
            [
                own,
                same[:, None].expand(-1, tokens, *[-1] * (x.ndim - 1)),
                encoded[None].expand(samples, *[-1] * encoded.ndim).to(own),
            ],
            2,
        )
        y = self._through(found.flatten(0, 1), samples)
        return y.unflatten(0, (samples, tokens)).flatten(1, 2)[:, self.writes]

    def _through(self, x: Tensor, samples: int) -> Tensor:
        """Tokens (sample and token, channel, *space) through the layers."""
        line = x.ndim == 3
        x = self.model.lifting(x)
        x = x[:, :, None] if line else x
        points = math.prod(x.shape[2:])
        x = x.reshape(samples, -1, *x.shape[2:])
        for layer in self.model.attention_layers:
            layer.temperature = math.sqrt(points) / _SHARPNESS
            x = layer(x)
        x = x.reshape(-1, self.model.hidden_variable_codimension, *x.shape[2:])
        return self.model.projection(x[:, :, 0] if line else x)

    def check(self, given: Places) -> None:
        check_resolution(given, self.modes, method="codano")


def _harmonics(places: GridPlaces) -> Tensor:
    """1, and of each axis a cosine and a sine of one wave, of half a wave where it has ends: (1 + 2 axes, *space)."""
    rows = [torch.ones(places.shape, dtype=places.points[0].dtype, device=places.points[0].device)]
    for i, (axis, x) in enumerate(zip(places.axes, places.points, strict=True)):
        angle = (2 * math.pi if axis.periodic else math.pi) * x
        shape = [-1 if i == j else 1 for j in range(len(places.points))]
        rows += [wave.reshape(shape).expand(places.shape) for wave in (angle.cos(), angle.sin())]
    return torch.stack(rows)
