"""Unions, differences and intersections of domains."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.curve import cut, joined
from pdesolve.geometry.domain import Boundary, Domain
from pdesolve.geometry.patch import Patch

_STEP = 1e-10  # of the greatest extent: how far on both sides of a boundary is looked
_SAMPLES = 2**17  # Sobol points that estimate a volume


@dataclass(frozen=True)
class _Combination(Domain):
    """Two domains on the same axes made into one; parts of both boundaries keep their names, less what is inside now.

    In the plane the parts are cut where they meet and all is exact to 1e-9 of the extent, but that pieces shorter than
    1/1024 of the curve they are cut from may not be seen. In one dimension all is exact. In others see `Patch`, and
    the measure is an estimate from 131072 Sobol points, to about 1e-4 of the bounding box (exact for a hole that cuts
    no part of the boundary).

    Raises:
        InputError: other axes, an empty result, parts of the same name on both boundaries.
    """

    first: Domain
    second: Domain

    def __post_init__(self) -> None:
        for domain in (self.first, self.second):
            if not isinstance(domain, Domain):
                raise InputError(f"domains combine with domains, got {type(domain).__name__}: write Box(...) - Disk()")
        a, b = self.first.axes, self.second.axes
        if [(x.name, x.unit) for x in a] != [(x.name, x.unit) for x in b]:
            first, second = (", ".join(f"{x.name} in {x.unit or 'no unit'}" for x in axes) for axes in (a, b))
            raise InputError(f"domains combine on the same axes and units, got ({first}) and ({second})")
        self._check_periodic()
        if self.measure <= 1e-9 * math.prod(axis.length for axis in self.axes):
            raise self._empty()
        twice = set(self._parts[0]) & set(self._parts[1])
        if twice:
            name = sorted(twice)[0]
            raise InputError(
                f"both domains have a part of the boundary called {name!r}: give Disk(..., boundary='hole') or "
                f"Polygon(..., edges=(...)) a name, or write Renamed(domain, {{{name!r}: 'hole'}})"
            )

    def _empty(self) -> InputError:
        return InputError(f"the {type(self).__name__.lower()} is empty: do the domains lie where they were meant to?")

    def _check_periodic(self) -> None:
        for a, b in zip(self.first.axes, self.second.axes, strict=True):
            if (a.periodic or b.periodic) and (a.periodic, a.lower, a.upper) != (b.periodic, b.lower, b.upper):
                raise InputError(
                    f"axis {a.name!r} is periodic in one domain and not, or elsewhere, in the other: only holes may be "
                    "cut out of a periodic domain"
                )

    @property
    @abstractmethod
    def _turn(self) -> int:
        """-1 where the outward normals of the second domain are inward ones of the result."""

    @cached_property
    def _step(self) -> float:
        # far from the origin above the rounding, within which points count as on a boundary
        rounding = 1e3 * torch.finfo(torch.float64).eps * max(max(abs(a.lower), abs(a.upper)) for a in self.axes)
        return max(_STEP * max(axis.length for axis in self.axes), rounding)

    def covers(self, x: Tensor) -> Tensor:
        """Like `inside`, but for points of both boundaries, of which it says anything."""
        return self.inside(x)

    def bounds(self, x: Tensor, normals: Tensor) -> Tensor:
        """Which points of the boundary of one of the domains bound the result, with these outward normals."""
        step = self._step * normals
        return self.covers(x - step) & ~self.covers(x + step)

    def shared(self, x: Tensor, normals: Tensor) -> Tensor:
        """Which points of the second boundary are on the first: where they run along one another, the part is that."""
        step = self._step * normals
        return self.first.inside(x - step) & ~self.first.inside(x + step)

    def own(self, x: Tensor, normals: Tensor) -> Tensor:
        """Which points of the second boundary bound the result and are not on the first."""
        return self.bounds(x, normals) & ~self.shared(x, normals)

    @cached_property
    def _parts(self) -> tuple[dict[str, Boundary], dict[str, Boundary]]:
        """What remains of the boundary of either domain."""
        return self._remains(self.first, second=False), self._remains(self.second, second=True)

    def _remains(self, domain: Domain, *, second: bool) -> dict[str, Boundary]:
        side = self._turn if second else 1
        parts: dict[str, Boundary] = {}
        for name, part in domain.boundaries.items():
            if len(self.axes) == 2:
                curves = cut(part, self.bounds, side=side, drop=self.shared if second else None)
                if curves:
                    parts[name] = joined(name, curves)
            else:
                patch = Patch(name, part, self.own if second else self.bounds, side)
                if len(patch.samples[0]):
                    parts[name] = patch
        return parts

    @cached_property
    def boundaries(self) -> Mapping[str, Boundary]:  # type: ignore[override]
        return {**self._parts[0], **self._parts[1]}

    @cached_property
    def measure(self) -> float:  # type: ignore[override]
        """By the divergence theorem from the boundary in one and two dimensions, from samples in others."""
        closed = [i for i, axis in enumerate(self.axes) if not axis.periodic]
        if closed and len(self.axes) <= 2:
            return max(0.0, self._flux(closed[0]))
        parts = self.boundaries.values()
        if self._turn < 0 and all(isinstance(part, Patch) and part.whole for part in parts):
            names = {*self.first.boundaries, *self.second.boundaries}
            if set(self.boundaries) == names:
                return self.first.measure - self.second.measure
        lower = torch.tensor([axis.lower for axis in self.axes], dtype=torch.float64)
        length = torch.tensor([axis.length for axis in self.axes], dtype=torch.float64)
        engine = torch.quasirandom.SobolEngine(len(self.axes), scramble=True, seed=0)
        inside = self.covers(lower + length * engine.draw(_SAMPLES, dtype=torch.float64))
        return float(inside.double().mean() * length.prod())

    def _flux(self, axis: int) -> float:
        """The integral of x_i n_i over the boundary."""
        nodes, weights = np.polynomial.legendre.leggauss(64)
        unit = torch.from_numpy((nodes + 1) / 2)[:, None] if len(self.axes) == 2 else torch.zeros(1, 0).double()
        centre = (self.axes.members[axis].lower + self.axes.members[axis].upper) / 2
        total = 0.0
        for part in self.boundaries.values():
            for curve in getattr(part, "curves", (part,)):
                x, normals = curve.place(unit)
                flux = (x[:, axis] - centre) * normals[:, axis]
                share = torch.from_numpy(weights / 2) if len(flux) > 1 else torch.ones(1).double()
                total += float(flux @ share) * curve.measure
        return total


@dataclass(frozen=True)
class Union(_Combination):
    """The points of either domain; also written first | second."""

    @property
    def _turn(self) -> int:
        return 1

    @cached_property
    def axes(self) -> Axes:  # type: ignore[override]
        pairs = zip(self.first.axes, self.second.axes, strict=True)
        return Axes(
            tuple(Axis(a.name, min(a.lower, b.lower), max(a.upper, b.upper), a.unit, a.periodic) for a, b in pairs)
        )

    def inside(self, x: Tensor) -> Tensor:
        return self.first.inside(x) | self.second.inside(x)


@dataclass(frozen=True)
class Difference(_Combination):
    """The points of the first domain that are not inside the second; also written first - second."""

    @property
    def _turn(self) -> int:
        return -1

    def _check_periodic(self) -> None:
        if any(axis.periodic for axis in self.second.axes):
            raise InputError("a domain with periodic axes cannot be taken away from another: leave periodic out there")
        for a, b in zip(self.first.axes, self.second.axes, strict=True):
            if a.periodic and not a.lower <= b.lower < b.upper <= a.upper:
                raise InputError(
                    f"what is cut out of a domain must lie within the period [{a.lower}, {a.upper}] of {a.name!r}, got "
                    f"[{b.lower}, {b.upper}]: shift the domain"
                )

    @property
    def axes(self) -> Axes:  # type: ignore[override]
        return self.first.axes

    def inside(self, x: Tensor) -> Tensor:
        kept, touching = self._candidates(x)
        if len(self.axes) <= 2 and touching.any():
            # the boundary of the second domain belongs to the result only where it bounds it
            kept[touching] = _touches(self, x[touching])
        return kept

    def covers(self, x: Tensor) -> Tensor:
        return self._candidates(x)[0]

    def _candidates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Which points are in the first domain and not within the second, and which of them on its boundary."""
        kept = self.first.inside(x)
        here = kept.nonzero()[:, 0]
        second = here[self.second.inside(x[here])]
        touching = torch.zeros_like(kept)
        touching[second] = _touches(self.second, x[second])
        kept[second] = touching[second]
        return kept, touching


@dataclass(frozen=True)
class Intersection(_Combination):
    """The points of both domains; also written first & second."""

    @property
    def _turn(self) -> int:
        return 1

    @cached_property
    def axes(self) -> Axes:  # type: ignore[override]
        members = []
        for a, b in zip(self.first.axes, self.second.axes, strict=True):
            lower, upper = max(a.lower, b.lower), min(a.upper, b.upper)
            if lower >= upper:
                raise self._empty()
            members.append(Axis(a.name, lower, upper, a.unit, a.periodic))
        return Axes(tuple(members))

    def inside(self, x: Tensor) -> Tensor:
        return self.first.inside(x) & self.second.inside(x)


def _touches(domain: Domain, x: Tensor) -> Tensor:
    """Which points are on the boundary, but for rounding."""
    near = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    slack = 64 * torch.finfo(x.dtype).eps * max(max(abs(axis.lower), abs(axis.upper)) for axis in domain.axes)
    for part in domain.boundaries.values():
        near = near | (part.distance(x) <= slack)
    return near
