"""The network of the geometry-informed neural operator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.nn.neuraloperator import quiet, without_metadata
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places, PointPlaces
from pdesolve.nn.spectral import SpectralConvolution
from pdesolve.operators.gino.neighbours import averaged, neighbours


class GeometryNetwork(OperatorNetwork):
    """neuraloperator's GINO: from points to a regular latent grid, through Fourier layers on it, and to points again.

        h(z) = Σ_{|y - z| < r} w_y m(y, z) κ(y, z) ⊙ L(f(y), y) / Σ_{|y - z| < r} w_y m(y, z),
        g = FNO(h, z),   u(x) = P(Σ_{|z - x| < r} m(z, x) κ'(z, x) ⊙ g(z) / Σ_{|z - x| < r} m(z, x))

    κ, κ' are networks of the offset in units of r and of the place where it is no matter of convention (axes that are
    not periodic), m = (1 - |y - z|²/r²)², w quadrature weights, L and P act point by point. So values change smoothly
    as points move, and are integrals that converge as points are refined. Departures from the package: its kernels are
    given both places as waves, its sums have sharp balls, count points, and loop over them in Python.

    inputs: channels of the values and of the parameters. periodic: of each axis of space. latent: points of the latent
    grid along each axis. radius: r, in units of the box of the axes. margin: how far the latent grid goes beyond ends.
    """

    turns: Tensor
    grid: Tensor

    def __init__(
        self, inputs: int, outputs: int, periodic: tuple[bool, ...], *, latent: int, radius: float, modes: int,
        width: int, depth: int, margin: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        axes = len(periodic)
        self.periodic, self.radius = periodic, radius
        self.register_buffer("turns", torch.tensor(periodic), persistent=False)
        lines = [
            torch.arange(latent) / latent if around else torch.linspace(-margin, 1 + margin, latent)
            for around in periodic
        ]
        self.register_buffer("grid", torch.stack(torch.meshgrid(*lines, indexing="ij"), -1), persistent=False)
        apart = math.sqrt(sum((1 / latent if around else (1 + 2 * margin) / (latent - 1)) ** 2 for around in periodic))
        if radius <= apart / 2:
            raise InputError(
                f"gino has the radius {radius:g} and points of its latent grid of {latent} are up to {apart / 2:.3g} "
                f"away: write --method.radius {apart:.2g}, or more latent points"
            )
        if modes > latent:
            raise InputError(f"gino has {modes} modes on a latent grid of {latent} points: take fewer or more")
        features = sum(2 if around else 1 for around in periodic)
        self.lift = nn.Sequential(nn.Linear(inputs + features, width), nn.GELU(), nn.Linear(width, width))
        with quiet():
            from neuralop.models import GINO

            make: Any = GINO  # its annotations leave out None
            self.model = make(
                in_channels=width, out_channels=outputs, latent_feature_channels=features, projection_channel_ratio=2,
                gno_coord_dim=axes, in_gno_radius=radius, out_gno_radius=radius, in_gno_pos_embed_type=None,
                out_gno_pos_embed_type=None, fno_in_channels=width, fno_n_modes=(modes,) * axes,
                fno_hidden_channels=width, fno_n_layers=depth, in_gno_channel_mlp_hidden_layers=[2 * width, 2 * width],
                out_gno_channel_mlp_hidden_layers=[2 * width, 2 * width], gno_use_open3d=False,
                gno_use_torch_scatter=False, fno_conv_module=SpectralConvolution,
            )  # fmt: skip

        without_metadata(self)

    @property
    def elsewhere(self) -> bool:
        return True

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        rows = torch.cat([x.flatten(2), parameters[..., None].expand(-1, -1, math.prod(x.shape[2:]))], 1)
        rows = rows.transpose(1, 2)  # (sample, point, channel)
        if len(given.columns()) == 1 and len(wanted.columns()) == 1 and _full(given) and _full(wanted):
            y = self._mapped(rows, given.columns()[0], given.weights()[0], wanted.columns()[0])
            return y.transpose(1, 2).unflatten(2, wanted.shape)
        found = []
        for i in range(len(x)):
            here, there = _mask(given, i), _mask(wanted, i)
            y = self._mapped(
                rows[i : i + 1, here], _row(given.columns(), i)[here], _row(given.weights(), i)[here],
                _row(wanted.columns(), i)[there],
            )[0]  # fmt: skip
            whole = y.new_zeros(len(there), y.shape[-1])
            found.append(whole.index_put((there.nonzero()[:, 0],), y).T)
        return torch.stack(found).unflatten(2, wanted.shape)

    def _mapped(self, values: Tensor, points: Tensor, weights: Tensor, wanted: Tensor) -> Tensor:
        """Values (sample, point, channel) at points (point, axis) that all samples share, at wanted ones."""
        model, grid = self.model, self.grid.to(points).flatten(0, -2)
        features = self._features(points).to(values).expand(len(values), -1, -1)
        lifted = self.lift(torch.cat([values, features], -1))
        h = self._integral(model.gno_in, lifted, points, weights, grid)
        h = torch.cat([h, self._features(grid).to(h).expand(len(h), -1, -1)], -1)
        g = model.latent_embedding(h.unflatten(1, self.grid.shape[:-1]))
        u = self._integral(model.gno_out, g.flatten(2).transpose(1, 2), grid, grid.new_ones(len(grid)), wanted)
        return model.projection(u.transpose(1, 2)).transpose(1, 2)

    def _integral(self, block: Any, f: Tensor, points: Tensor, weights: Tensor, queries: Tensor) -> Tensor:
        near = neighbours(points, queries, self.radius, self.periodic)
        place = torch.where(self.turns, 0.0, queries)  # nothing marks a place on an axis that goes round
        pairs = torch.cat([near.offsets / self.radius, place[near.queries]], -1).to(f)
        kernel = block.integral_transform.channel_mlp(pairs)
        share = weights[near.points] * (1 - (near.offsets / self.radius).square().sum(-1)).clamp(min=0).square()
        return averaged(kernel * share[:, None].to(f), share.to(f), f, near, len(queries))

    def _features(self, points: Tensor) -> Tensor:
        """Positions (point, feature); of periodic axes cosine and sine."""
        rows = []
        for i, around in enumerate(self.periodic):
            x = points[:, i]
            rows += [torch.cos(2 * math.pi * x), torch.sin(2 * math.pi * x)] if around else [x]
        return torch.stack(rows, -1)

    def check(self, given: Places) -> None:
        axes = len(self.periodic)
        count = min(int(_mask(given, i).sum()) for i in range(len(given.columns())))
        within = count * math.pi ** (axes / 2) / math.gamma(axes / 2 + 1) * self.radius**axes
        if within < 1:
            needed = self.radius * within ** (-1 / axes)
            raise InputError(
                f"gino looks for points within {self.radius:g}, where {count} points have {within:.2g} on average: "
                f"train with --method.radius {2 * needed:.2g}"
            )


def _full(places: Places) -> bool:
    return not isinstance(places, PointPlaces) or places.mask is None


def _row(values: Tensor, i: int) -> Tensor:
    return values[i if len(values) > 1 else 0]


def _mask(places: Places, i: int) -> Tensor:
    if isinstance(places, PointPlaces) and places.mask is not None:
        return _row(places.mask, i)
    return torch.ones(math.prod(places.shape), dtype=torch.bool, device=places.columns().device)
