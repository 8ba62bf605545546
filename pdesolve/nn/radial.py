"""Layers of radial functions: trained Gaussians and their relatives, with closed-form partial derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Channel, Combination, Index, chain_rule, plus, unit, zero
from pdesolve.fields.propagation import compositions, differentiated, propagate
from pdesolve.fields.smooth import Seed, Smooth, chained, power
from pdesolve.least_squares import tape
from pdesolve.nn.quadrics import CHUNK_BYTES, FEWEST, Copied, Radial, Summed, Sums, partials, quadratic
from pdesolve.nn.rotations import rotation, unturned

Basis = Literal["gaussian", "inverse_quadratic", "inverse_multiquadric", "sinusoidal"]
Covariance = Literal["diagonal", "full"]
Widths = Literal["logarithm", "raw"]

_OCTAVES = 3.0  # of frequencies
_BEYOND = 1.1  # of the box: functions are fewer on either side of a wall otherwise


def _falling(seed: Seed, order: int) -> list[Tensor]:
    """exp(-q) and its derivatives."""
    return [seed[0] if n % 2 == 0 else -seed[0] for n in range(order + 1)]


_GAUSSIAN = Smooth(lambda q: (torch.exp(-q),), _falling)


def _of_distance(exponent: float) -> Smooth:
    """(1 + 2 q)^p: q is half of the square of the distance."""
    inner = power(exponent)
    return Smooth(
        lambda q: (1 + 2 * q,), lambda seed, order: [2.0**n * f for n, f in enumerate(inner.derivatives(seed, order))]
    )


def _waved(frequencies: Tensor) -> Smooth:
    """sin(f exp(-q)) for frequencies that go with the groups or the functions of q."""

    def seed(q: Tensor) -> Seed:
        angle = frequencies.to(q) * torch.exp(-q)
        return angle, torch.sin(angle), torch.cos(angle)

    def derivatives(seed: Seed, order: int) -> list[Tensor]:
        angle, s, c = seed
        waves = [(s, c, -s, -c)[n % 4] for n in range(order + 1)]
        return chained(waves, _falling((angle,), order)) if order else waves

    return Smooth(seed, derivatives)


def radial(basis: Basis, groups: int, functions: int) -> Radial:
    """The radial function of a name, of q = half of the squared distance, (group, point, function).

    gaussian exp(-q); inverse_quadratic 1 / (1 + 2q) and inverse_multiquadric 1 / √(1 + 2q), whose tails are heavy;
    sinusoidal sin(f exp(-q)) of frequencies f from 1 to 8, one for each group, or for each function of a single group:
    second derivatives grow as f². Chen et al., 2023, arXiv 2309.15426.
    """
    match basis:
        case "gaussian":
            return Radial(_GAUSSIAN, -1.0)
        case "inverse_quadratic":
            return Radial(_of_distance(-1.0))
        case "inverse_multiquadric":
            return Radial(_of_distance(-0.5))
        case "sinusoidal":
            count, shape = (groups, (groups, 1, 1)) if groups > 1 else (functions, (functions,))
            return Radial(_waved(torch.logspace(0, _OCTAVES, count, base=2.0, dtype=torch.float64).view(shape)))
        case _:
            raise unknown_name("basis", basis, get_args(Basis))


class RadialBasis(nn.Module):
    """f_c(x) = Σ_i w_ci φ(q_ci(x)), q_ci = ½ |L_ciᵀ (x - μ_ci)|², (point, axis) -> (point, channel).

    Attributes:
        centres: μ (group, function, axis): a group for each channel, or one that all channels share.
        sizes: s (group, function, axis) as exp(sizes), which nothing makes zero or negative; or themselves (raw: only
            s² matters, and at zero the layer is infinite).
        turns: the rotations of L = R diag(1/s): two numbers (cos, sin) in the plane, a quaternion in space, a left and
            a right quaternion in four dimensions, of any length but zero; None where covariances are diagonal.
        weights: w (group, function, output of the group).
        placed: how often its functions were put somewhere at once, beside their training.
        chunk_bytes: of one tensor of points × functions, of which a few are held at once.

    Widths of 0.05 to 1 on coordinates of the size of one; partials lose digits as (1 / s)². N. Kang, J. Oh, Y. Hong,
    E. Park, 2024, arXiv 2412.05994.
    """

    def __init__(
        self, centres: Tensor, sizes: Tensor, weights: Tensor, *, covariance: Covariance = "diagonal",
        widths: Widths = "logarithm", basis: Basis = "gaussian", chunk_bytes: int = CHUNK_BYTES,
    ) -> None:  # fmt: skip
        super().__init__()
        for kind, name, known in (("covariance", covariance, Covariance), ("widths", widths, Widths)):
            if name not in get_args(known):
                raise unknown_name(kind, name, get_args(known))
        groups, functions, axes = centres.shape
        least = FEWEST * groups * functions * centres.element_size()
        if least > chunk_bytes:
            raise InputError(
                f"{groups * functions} radial functions at the {FEWEST} points of the smallest chunk take {least} "
                f"bytes, {chunk_bytes} are allowed: take fewer functions, or --method.chunk_bytes {least}"
            )
        self.covariance, self.widths, self.basis, self.chunk_bytes = covariance, widths, basis, chunk_bytes
        self.radial = radial(basis, groups, functions)
        self.centres = nn.Parameter(centres.clone())
        if not bool((sizes > 0).all()):
            raise InputError(f"widths of radial functions are more than zero, got {float(sizes.min()):.3g}")
        self.sizes = nn.Parameter(self.sized(sizes).clone())
        self.turns = None
        if covariance == "full" and axes > 1:
            self.turns = nn.Parameter(unturned(axes).to(centres).expand(*centres.shape[:2], -1).clone())
        self.weights = nn.Parameter(weights.clone())
        self.outputs = weights.shape[0] * weights.shape[2]
        self.register_buffer("placed", torch.zeros((), dtype=torch.int64))

    placed: Tensor

    @property
    def own(self) -> tuple[Tensor, ...]:
        """Its parameters, each (group, function, number)."""
        turns = () if self.turns is None else (self.turns,)
        return (self.centres, self.sizes, *turns, self.weights)

    def form(self, sizes: Tensor, turns: Tensor | None = None) -> Tensor:
        """A = L Lᵀ (group, function, axis, axis), or its diagonal (group, function, axis)."""
        inverse = torch.exp(-2 * sizes) if self.widths == "logarithm" else sizes**-2
        if turns is None:
            return inverse
        turn = rotation(turns, sizes.shape[-1])
        return (turn * inverse[..., None, :]) @ turn.mT

    def deviations(self) -> Tensor:
        """The widths s (group, function, axis), more than zero."""
        return self.sizes.detach().exp() if self.widths == "logarithm" else self.sizes.detach().abs()

    def sized(self, deviations: Tensor) -> Tensor:
        """The parameter of these widths."""
        return deviations.log() if self.widths == "logarithm" else deviations

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self.sums(x, [zero(x.shape[1])])[0].flatten(1)
        return torch.einsum("gpn,gno->pgo", self.values(x), self.weights).flatten(1)

    def values(self, x: Tensor) -> Tensor:
        """φ(q) of each function by itself (group, point, function)."""
        form = self.form(self.sizes, self.turns)
        axes = range(x.shape[1])
        away = [x[:, j, None] - self.centres[:, None, :, j] for j in axes]
        if self.turns is None:
            parts = [away[j] * away[j] * form[:, None, :, j] for j in axes]
        else:
            parts = [away[j] * away[k] * form[:, None, :, j, k] for j, k in product(axes, repeat=2)]
        return self.radial.function(reduce(torch.add, parts) / 2, 0)[0]

    def sums(self, x: Tensor, wanted: list[Channel]) -> Tensor:
        """The partials (partial, point, group, output) in the layer's own inputs."""
        own = self.own
        detached = tuple(p.detach() for p in own)
        form = self.form(*detached[1:-1])
        columns, _ = partials(detached[0], form, wanted, self.radial)
        content = Sums(self.radial, quadratic(detached[0], form)[0], columns, self.chunk_bytes)

        def coefficients(*parameters: Tensor) -> tuple[Tensor, Tensor]:
            centres, weights = parameters[0], parameters[-1]
            form = self.form(*parameters[1:-1])
            found = partials(centres, form, wanted, self.radial)[1]
            return quadratic(centres, form)[1], found[..., None] * weights[..., None, :]

        if tape.active():
            copies = [tape.copied(p, len(x)) for p in own]
            out: Tensor = Copied.apply(x, content, coefficients, detached, *copies)  # type: ignore[assignment]
            return out
        out = Summed.apply(x, *coefficients(*own), content)  # type: ignore[assignment]
        return out


class RadialUnits(nn.Module):
    """φ(q_i(x)) of each function by itself, none of it trained, (point, axis) -> (point, function).

    centres (function, axis), deviations (axis). In inputs of [-1, 1].
    """

    def __init__(self, centres: Tensor, deviations: Tensor, basis: Basis = "gaussian") -> None:
        super().__init__()
        self.radial = radial(basis, 1, len(centres))
        self.register_buffer("centres", centres)
        self.register_buffer("sizes", deviations.expand_as(centres).clone())

    centres: Tensor
    sizes: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():  # no tensor of points × functions × axes
            return self.sums(x, [zero(x.shape[1])])[0]
        away = (x[:, None] - self.centres) / self.sizes
        return self.radial.function(away.square().sum(-1) / 2, 0)[0]

    def sums(self, x: Tensor, wanted: list[Channel]) -> Tensor:
        """The partials (partial, point, function) in the layer's own inputs."""
        centres, form = self.centres[None], self.sizes[None] ** -2
        columns, b = partials(centres, form, wanted, self.radial)
        monomials, q = quadratic(centres, form)
        return Sums(self.radial, monomials, columns).each(x, q, b)


@compositions.register(RadialBasis)
@compositions.register(RadialUnits)
def _(layer: RadialBasis | RadialUnits) -> float:
    return 1


@propagate.register(RadialBasis)
@propagate.register(RadialUnits)
def _(layer: RadialBasis | RadialUnits, jet: Jet) -> Jet:
    """By the chain rule from its own partials, of which only those are made that do not vanish by structure."""
    if any(channel.requires_grad for channel in jet.channels):  # what is before it is trained too
        return differentiated(layer, jet)
    x, axes = jet.channels[0], jet.features
    lowest, highest = jet.extremes()
    moved = [[j for j in range(axes) if low[j] or high[j]] for low, high in zip(lowest, highest, strict=True)]
    place = {channel: k for k, channel in enumerate(jet.indices)}
    needed: dict[Channel, int] = {zero(axes): 0}
    plan = []
    for channel in jet.wanted:
        terms = []
        same: dict[Index, float] = {}  # sums with the same factors at all points are one partial
        for coefficient, parts in chain_rule(channel):
            if not all(part in place for part in parts):
                continue
            for along in product(*(moved[place[part]] for part in parts)):
                beta = reduce(plus, [unit(axes, j) for j in along]) if along else zero(axes)
                factors = [(place[part], j) for part, j in zip(parts, along, strict=True)]
                if all(lowest[k][j] == highest[k][j] for k, j in factors):
                    same[beta] = same.get(beta, 0.0) + math.prod([coefficient, *(lowest[k][j] for k, j in factors)])
                else:
                    terms.append((coefficient, needed.setdefault(beta, len(needed)), factors))
        if same:
            alone = len(same) == 1
            ((first, number), *_) = same.items()
            sought: Channel = first if alone else Combination(tuple(same.items()))
            terms.append((number if alone else 1.0, needed.setdefault(sought, len(needed)), []))
        if terms:
            plan.append((channel, terms))
    found = layer.sums(x, list(needed)).flatten(2)
    channels = []
    for _, terms in plan:
        total: Tensor | None = None
        for coefficient, number, factors in terms:
            part = found[number]
            if factors:
                part = part * reduce(torch.mul, [jet.channels[k][:, j, None] for k, j in factors], coefficient)
            elif coefficient != 1.0:
                part = coefficient * part
            total = part if total is None else total + part
        assert total is not None
        channels.append(total)
    return Jet(channels, tuple(channel for channel, _ in plan), jet.wanted)


def drawn(
    axes: int, outputs: int, *, count: int, width: float, shared: bool, generator: torch.Generator,
    covariance: Covariance = "diagonal", widths: Widths = "logarithm", basis: Basis = "gaussian",
    chunk_bytes: int = CHUNK_BYTES,
) -> RadialBasis:  # fmt: skip
    """`count` functions a group, their centres spread evenly over [-1, 1]^axes, of one width, weights N(0, 0.01²)."""
    if count < 1 or not width > 0:
        raise InputError(f"radial functions need a count from 1 on and a width above zero, got {count} and {width}")
    groups, each = (1, outputs) if shared else (outputs, 1)
    centres = _spread(groups * count, axes, generator).view(groups, count, axes)
    weights = 0.01 * torch.randn(groups, count, each, dtype=torch.float64, generator=generator)
    sizes = torch.full((groups, count, axes), width, dtype=torch.float64)
    return RadialBasis(
        centres, sizes, weights, covariance=covariance, widths=widths, basis=basis, chunk_bytes=chunk_bytes
    )


def radial_units(scales: Sequence[float], count: int, basis: Basis, generator: torch.Generator) -> RadialUnits:
    """`count` fixed functions, their centres spread evenly a little beyond [-1, 1]^axes, of the width 1 / scale."""
    centres = _BEYOND * _spread(count, len(scales), generator)
    return RadialUnits(centres, 1 / torch.tensor(scales, dtype=torch.float64), basis)


def _spread(count: int, axes: int, generator: torch.Generator) -> Tensor:
    """Points (point, axis) evenly in [-1, 1]^axes."""
    seed = int(torch.randint(2**31, (), generator=generator))
    return 2 * torch.quasirandom.SobolEngine(axes, scramble=True, seed=seed).draw(count, dtype=torch.float64) - 1
