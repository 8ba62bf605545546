"""Tori that fields on boxes and spheres are continued to, so that Fourier series of them have no jumps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.geometry import GridAxis
from pdesolve.nn.places import GridPlaces

_EQUAL = (
    1e-4  # relative departure of steps that are said to be equal; float32 coordinates have fewer digits than the file
)


Ends = tuple[bool | None, ...]  # for each axis: None around, True where the ends are points, else False


class Extension(ABC):
    """How a field on a grid is continued to a torus, and what comes back from there."""

    @abstractmethod
    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The sizes of the torus of a grid."""

    @abstractmethod
    def extend(self, v: Tensor) -> Tensor:
        """Values (sample, channel, *torus) of values (sample, channel, *space)."""

    @abstractmethod
    def restrict(self, v: Tensor) -> Tensor:
        """The means over the places of the torus that are the same place: what `extend` made is given back exactly."""

    def trim(self, v: Tensor) -> Tensor:
        """Values on the torus without waves that are finer than the physical grid has anywhere."""
        return v


@dataclass(frozen=True)
class Reflection(Extension):
    """Even continuation over the ends of bounded axes; periodic ones stay.

    nodal: for each axis None where it is periodic, True where its ends are points, which are not doubled then.
    """

    nodal: Ends

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(n if end is None else 2 * n - 2 * end for n, end in zip(shape, self.nodal, strict=True))

    def extend(self, v: Tensor) -> Tensor:
        for dim, end in enumerate(self.nodal, 2):
            if end is not None:
                v = torch.cat([v, v.narrow(dim, int(end), v.shape[dim] - 2 * end).flip(dim)], dim)
        return v

    def restrict(self, v: Tensor) -> Tensor:
        for dim, end in enumerate(self.nodal, 2):
            if end is not None:
                v = _folded(v, dim, int(end))
        return v


@dataclass(frozen=True)
class DoubleFourierSphere(Extension):
    """The sphere as a torus: over a pole fields go on along the opposite meridian,

        u(colatitude, longitude) = +- u(2 pi - colatitude, longitude + pi),

    + for scalars. Both components of a tangent vector change their sign, since beyond the pole east and north are
    turned by half a circle. Fields that are smooth on the sphere are so on the torus.

    latitude, longitude: dimensions of space. poles: whether the first and the last latitude are poles, which are not
    doubled then. tangent: the channels of vectors. finest: zonal waves above finest * sin(colatitude) are cut off by
    `trim`, as finer than the equator's.
    Source: P. Merilees, Atmosphere 11 (1973) 13; S. Orszag, Mon. Weather Rev. 102 (1974) 56; M. McCabe et al., TMLR
    2023, arXiv 2306.10619. Departures: vectors change the sign of both components; colatitudes are those of the points.
    """

    latitude: int = 0
    longitude: int = 1
    poles: bool = False
    tangent: tuple[int, ...] = ()
    finest: float = float("inf")

    @staticmethod
    def of(places: GridPlaces, *, tangent: tuple[int, ...] = (), finest: float = float("inf")) -> DoubleFourierSphere:
        """The sphere of a grid of longitudes and latitudes.

        Raises:
            InputError: other axes than one periodic and one bounded, an odd number of longitudes, latitudes that are
                neither the middles of equal cells nor equal steps from pole to pole.
        """
        periodic = [axis.periodic for axis in places.axes]
        if sorted(periodic) != [False, True]:
            kinds = ", ".join(f"{a.name} {'periodic' if a.periodic else 'bounded'}" for a in places.axes)
            raise InputError(
                f"a sphere has a periodic longitude and a bounded latitude, the data have {kinds}: set the attribute "
                "periodic=1 of the coordinate longitude, or --method.surface box"
            )
        latitude, longitude = periodic.index(False), periodic.index(True)
        rows, columns = (len(places.points[i]) for i in (latitude, longitude))
        if columns % 2:
            raise InputError(
                f"the meridian opposite to each must be one of the grid and {columns} longitudes are odd in number: "
                f"interpolate to {columns - 1} or {columns + 1} by .pde.at"
            )
        at = places.points[latitude].double().cpu()
        middles = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
        nodes = torch.linspace(0, 1, rows, dtype=torch.float64)
        poles = bool((at - nodes).abs().max() < (at - middles).abs().max())
        gap = float((at - (nodes if poles else middles)).abs().max())
        if gap * rows > _EQUAL * rows**0.5 + 1e-2:
            raise InputError(
                f"the {rows} latitudes are neither middles of equal cells nor equal steps from pole to pole, by "
                f"{gap * rows:.2g} of a step: interpolate to such a grid by .pde.at, or --method.surface box"
            )
        return DoubleFourierSphere(latitude, longitude, poles, tangent, finest)

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(2 * n - 2 * self.poles if i == self.latitude else n for i, n in enumerate(shape))

    def _across(self, v: Tensor, signs: Sequence[int]) -> Tensor:
        """Values on the opposite meridians, in the frames of beyond the pole."""
        dim = self.longitude + 2
        moved = v.roll(v.shape[dim] // 2, dim)
        sign = v.new_ones(v.shape[1])
        sign[list(signs)] = -1.0
        return moved * sign.view(1, -1, *[1] * (v.ndim - 2))

    def extend(self, v: Tensor) -> Tensor:
        dim = self.latitude + 2
        inner = v.narrow(dim, int(self.poles), v.shape[dim] - 2 * self.poles)
        return torch.cat([v, self._across(inner, self.tangent).flip(dim)], dim)

    def restrict(self, v: Tensor) -> Tensor:
        dim = self.latitude + 2
        return _folded(v, dim, int(self.poles), lambda beyond: self._across(beyond, self.tangent))

    def trim(self, v: Tensor) -> Tensor:
        rows, columns = v.shape[self.latitude + 2], v.shape[self.longitude + 2]
        step = torch.arange(rows, device=v.device, dtype=v.dtype) + (0.0 if self.poles else 0.5)
        highest = self.finest * torch.sin(2 * torch.pi * step / rows).abs()
        waves = torch.arange(columns // 2 + 1, device=v.device, dtype=v.dtype)
        kept = waves[None, :] <= highest[:, None].clamp(min=0.5)
        kept = kept if self.latitude < self.longitude else kept.T
        dim = self.longitude + 2
        return torch.fft.irfft(torch.fft.rfft(v, dim=dim) * kept, n=columns, dim=dim)


def _folded(v: Tensor, dim: int, single: int, across: Callable[[Tensor], Tensor] = lambda beyond: beyond) -> Tensor:
    """The means of a field and its mirror image; `single` is 1 where the two ends have no image, else 0."""
    size = v.shape[dim] // 2 + single
    first, beyond = v.narrow(dim, 0, size), across(v.narrow(dim, size, v.shape[dim] - size).flip(dim))
    inner = first.narrow(dim, single, size - 2 * single)
    # first + (beyond - first) / 2: equal ones come back as they are
    met = inner + 0.5 * (beyond - inner)
    return met if not single else torch.cat([first.narrow(dim, 0, 1), met, first.narrow(dim, size - 1, 1)], dim)


def ends_of(signature: Signature) -> Ends:
    """How the axes of a signature end."""

    def end(member: GridAxis) -> bool | None:
        gap = abs(float(member.points[0]) - member.axis.lower) * member.size / member.axis.length
        return None if member.axis.periodic else gap < _EQUAL

    return tuple(map(end, signature.members)) or tuple(None if axis.periodic else True for axis in signature.axes)
