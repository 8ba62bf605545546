"""Evolutions on periodic grids as systems of Fourier coefficients, v_t = L v + N(t, v)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from pdesolve.equation import Evolution, State, Unknown, Values, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Constant, Coordinates, Field, GridField, Quantity
from pdesolve.fields.stencils import wavenumbers
from pdesolve.geometry import Grid


Dealiasing = Literal["two_thirds", "none"]


class FourierBasis:
    """The real Fourier transform over every axis of a periodic grid, its symbols and the 2/3 rule.

    Coefficients have the shape (*sample, *wave): all wave numbers of each axis, half of them on the last one.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        dealiasing: Dealiasing = "two_thirds",
    ) -> None:
        for member in grid.members:
            if member.placement != "periodic":
                raise InputError(f"axis {member.axis.name!r} is {member.placement!r}: Fourier coefficients need 'periodic'")
        self.grid, self.dtype, self.device = grid, dtype, torch.device(device)
        self.dealiasing = dealiasing
        self.dimension = len(grid.members)
        self.one = torch.ones([1] * self.dimension, dtype=dtype, device=device)
        self.zero = torch.zeros(grid.shape, dtype=dtype, device=device)
        self._dims = tuple(range(-self.dimension, 0))
        self._symbols: dict[tuple[str, int], Tensor] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The trailing shape of coefficients."""
        return (*self.grid.shape[:-1], self.grid.shape[-1] // 2 + 1)

    def forward(self, values: Tensor) -> Tensor:
        """Coefficients of values (*sample, *grid.shape)."""
        if self.dimension == 1:
            return torch.fft.rfft(values)
        return torch.fft.rfftn(values, dim=self._dims)

    def backward(self, coefficients: Tensor) -> Tensor:
        """Values of coefficients (*sample, *wave)."""
        if self.dimension == 1:
            return torch.fft.irfft(coefficients, n=self.grid.shape[0])
        return torch.fft.irfftn(coefficients, s=self.grid.shape, dim=self._dims)

    def symbol(self, axis: str, order: int) -> Tensor:
        """(i k)^order along one axis, broadcastable to coefficients; odd orders drop the Nyquist mode."""
        key = (axis, order)
        if key not in self._symbols:
            position = self.grid.axes.index(axis)
            half = wavenumbers(self.grid.members[position], order, torch.empty(0, dtype=self.dtype, device=self.device))
            if position < self.dimension - 1:  # the other half: negative wave numbers, the conjugates
                n = self.grid.shape[position]
                half = torch.cat([half, half[1 : n - n // 2].conj().flip(0)])
            self._symbols[key] = half.reshape([-1 if i == position else 1 for i in range(self.dimension)])
        return self._symbols[key]

    @cached_property
    def kept(self) -> Tensor | None:
        """One for the modes that the 2/3 rule keeps (|k| < n/3 on each axis), zero for those that products alias into."""
        if self.dealiasing == "none":
            return None
        mask = torch.ones(self.shape, dtype=self.dtype, device=self.device)
        for i, (member, size) in enumerate(zip(self.grid.members, self.shape, strict=True)):
            k = torch.arange(size, device=self.device)
            if i < self.dimension - 1:
                k = torch.minimum(k, member.size - k)
            along = (3 * k < member.size).to(self.dtype)
            mask = mask * along.reshape([-1 if j == i else 1 for j in range(self.dimension)])
        return mask


class SpectralField(GridField):
    """A grid field that remembers which part of it is linear in the state, and keeps that part in Fourier space.

    f = F^-1[linear] + F^-1[bent] + plain: the part that depends on the state through derivatives, sums and constant
    factors alone, and the rest, as coefficients or as values. So an equation's `rate` splits itself into a linear part
    without rounding (a stiff derivative never passes through a transform) and a nonlinear one with the fewest
    transforms. Products are dealiased by the 2/3 rule when they are transformed.
    """

    precedence = 1

    def __init__(
        self,
        basis: FourierBasis,
        *,
        linear: Tensor | Callable[[], Tensor] | None = None,
        bent: Tensor | None = None,
        plain: Tensor | None = None,
    ) -> None:
        self.basis, self.grid, self.edges, self.quantity = basis, basis.grid, None, _QUANTITY
        self.bent, self.plain = bent, plain
        self._linear = linear  # maybe not yet computed: integrators that know L never ask for that of a rate
        self._partials: dict[tuple[str, int], Field] = {}
        self._values: Tensor | None = None

    @property
    def linear(self) -> Tensor | None:
        """Coefficients of the linear part; None where there is none."""
        if callable(self._linear):
            self._linear = self._linear()
        return self._linear

    @property
    def nonlinear(self) -> Tensor | None:
        """Coefficients of the rest, dealiased; None where there is none."""
        if self.plain is None:
            return self.bent
        plain = self.plain
        if plain.shape[-self.basis.dimension :] != self.grid.shape:
            plain = plain.expand(*plain.shape[: -self.basis.dimension], *self.grid.shape)
        coefficients = self.basis.forward(plain)
        return _sum(self.bent, coefficients if self.basis.kept is None else coefficients * self.basis.kept)

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        if self._values is None:
            coefficients = _sum(self.linear, self.bent)
            values = self.plain if coefficients is None else _sum(self.basis.backward(coefficients), self.plain)
            self._values = self.basis.zero if values is None else values
        return self._values

    def like(self, values: Tensor, quantity: Quantity) -> SpectralField:
        return SpectralField(self.basis, plain=values)

    def differentiate(self, axis: str, order: int) -> SpectralField:
        key = (axis, order)
        if key not in self._partials:
            symbol, bent = self.basis.symbol(axis, order), self.nonlinear
            self._partials[key] = SpectralField(
                self.basis,
                linear=self._of_linear(lambda part: part * symbol),
                bent=None if bent is None else bent * symbol,
            )
        partial = self._partials[key]
        assert isinstance(partial, SpectralField)
        return partial

    def _of_linear(self, function: Callable[[Tensor], Tensor]) -> Callable[[], Tensor] | None:
        if self._linear is None:
            return None

        def later() -> Tensor:
            part = self.linear
            assert part is not None
            return function(part)

        return later

    def _map(self, function: Callable[[Tensor], Tensor]) -> SpectralField:
        return SpectralField(
            self.basis,
            linear=self._of_linear(function),
            bent=None if self.bent is None else function(self.bent),
            plain=None if self.plain is None else function(self.plain),
        )

    def _factor(self, other: Any) -> Any:
        """A number, or a tensor that broadcasts against values and coefficients; None for a field."""
        if isinstance(other, Constant):
            other = other.values
        elif isinstance(other, Field):
            return None
        if isinstance(other, Tensor) and other.ndim:
            return other.reshape(*other.shape, *[1] * self.basis.dimension)
        return other

    def _field(self, other: Any) -> SpectralField:
        if isinstance(other, SpectralField):
            return other
        factor = self._factor(other)
        return SpectralField(self.basis, plain=other.values if factor is None else self.basis.one * factor)

    def __add__(self, other: Any) -> SpectralField:
        other = self._field(other)
        if self._linear is None or other._linear is None:
            linear = other._linear if self._linear is None else self._linear
        else:
            linear = self._of_linear(lambda part: part + other.linear)
        return SpectralField(
            self.basis, linear=linear, bent=_sum(self.bent, other.bent), plain=_sum(self.plain, other.plain)
        )

    __radd__ = __add__

    def __neg__(self) -> SpectralField:
        return self._map(torch.neg)

    def __sub__(self, other: Any) -> SpectralField:
        return self + (-self._field(other))

    def __rsub__(self, other: Any) -> SpectralField:
        return (-self) + other

    def __mul__(self, other: Any) -> SpectralField:
        factor = self._factor(other)
        if factor is not None:
            return self._map(lambda part: part * factor)
        return SpectralField(self.basis, plain=self.values * other.values)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SpectralField:
        factor = self._factor(other)
        if factor is not None:
            return self._map(lambda part: part / factor)
        return SpectralField(self.basis, plain=self.values / other.values)

    def __rtruediv__(self, other: Any) -> SpectralField:
        return SpectralField(self.basis, plain=self._field(other).values / self.values)


_QUANTITY = Quantity("spectral")


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


class SpectralEvolution:
    """An evolution on a periodic grid as v_t = L v + N(t, v) for its Fourier coefficients v (*sample, scalar, *wave).

    Evolutions of order 2 are reduced to order 1: the scalars are those of u, then those of u_t. `bind` gives the
    parameters at coordinates (their time included). L (*sample, scalar, scalar, *wave) is read off the equation's
    `rate` by one Jacobian-vector product about zero for each scalar, in the direction of a unit impulse, whose
    coefficients are all one. N is the rest, also where coefficients vary in space or time.

    Raises:
        InputError: an equation that has no finite linear part about the state zero.
    """

    def __init__(
        self, equation: Evolution, basis: FourierBasis, bind: Callable[[Coordinates], Values], *, time: tuple[float, float]
    ) -> None:
        self.equation, self.basis, self.bind = equation, basis, bind
        self.x = Coordinates(basis.grid, dtype=basis.dtype, device=basis.device)
        self.scalars = tuple(name for unknown in equation.evolving for name in unknown.scalars)
        self.size = len(self.scalars) * equation.order
        self._instants: dict[float, tuple[Coordinates, Values]] = {}
        self._steady: tuple[Coordinates, Values] | None = None
        self.linear = self._linearise(time[0])
        if not bool(torch.isfinite(torch.view_as_real(self.linear)).all()):
            raise InputError(
                f"{type(equation).__name__} has no finite linear part about the state zero: take --method.scheme lines"
            )
        self._inspect(time)

    def rate(self, v: Tensor, time: float) -> list[SpectralField]:
        """v_t of each scalar, split into its parts."""
        d, n = self.basis.dimension, len(self.scalars)
        x, p = self._at(time)
        u = dict(spectral_state(self.basis, self.equation.evolving, v.narrow(-d - 1, 0, n)))
        first = []
        if self.equation.order == 2:
            rates = spectral_state(self.basis, self.equation.evolving, v.narrow(-d - 1, n, n))
            first = list(flatten(rates).values())
            u.update({velocity_name(name): field for name, field in rates.items()})
        rate = flatten(self.equation.rate(u, p, x))
        return first + [_spectral(self.basis, rate[name]) for name in self.scalars]

    def nonlinear(self, v: Tensor, time: float) -> Tensor:
        """N(t, v), dealiased."""
        parts = []
        for field in self.rate(v, time):
            part = field.nonlinear
            if not self.splits:
                part = _sum(part, field.linear)
            parts.append(part)
        if self.size == 1 and parts[0] is not None:
            bent = parts[0].unsqueeze(-self.basis.dimension - 1)
        else:
            bent = _stack(parts, v, self.basis.dimension)
        return bent if self.splits else bent - self.apply(v)

    def apply(self, v: Tensor) -> Tensor:
        """L v."""
        return multiply(self.linear, v, self.basis.dimension)

    def _at(self, time: float) -> tuple[Coordinates, Values]:
        if self._steady is not None:
            return self._steady
        if time not in self._instants:
            if len(self._instants) > 4:  # the stages of a step share two instants
                self._instants.clear()
            x = self.x.at_instant(time)
            self._instants[time] = x, self.bind(x)
        return self._instants[time]

    def _linearise(self, time: float) -> Tensor:
        d = self.basis.dimension
        zero = torch.zeros(self.size, *self.basis.shape, dtype=self.basis.dtype.to_complex(), device=self.basis.device)
        self._at(time)  # bound outside the transformation

        def total(v: Tensor) -> Tensor:
            return _stack([_sum(field.linear, field.nonlinear) for field in self.rate(v, time)], v, d)

        return linear_blocks(total, zero, d)

    def _inspect(self, time: tuple[float, float]) -> None:
        """Find out on two random states and three instants what N depends on, so that steps can leave out the rest."""
        generator = torch.Generator().manual_seed(0)
        instants = (time[0], 0.5 * (time[0] + time[1]), time[1])
        with torch.no_grad():
            probes = []
            for scale in (1.0, 3.0):
                noise = torch.randn(self.size, *self.basis.grid.shape, generator=generator, dtype=self.basis.dtype)
                probes.append(self.basis.forward(scale * noise.to(self.basis.device)))
            # where the fields' linear part is L v but for rounding, N is their nonlinear part and L v is never formed
            self.splits = all(self._agrees(v, t) for v in probes for t in instants)
            results = [[self.nonlinear(v, t) for v in probes] for t in instants]
            self.autonomous = all(torch.equal(results[0][i], later[i]) for later in results[1:] for i in (0, 1))
            gap, size = (results[0][0] - results[0][1]).abs().max(), results[0][0].abs().max()
            self.affine = self.autonomous and bool(gap <= 1e-13 * size)
        self._instants.clear()  # bound without gradients
        if self.autonomous:
            self._steady = self._at(time[0])

    def _agrees(self, v: Tensor, time: float) -> bool:
        for field, whole in zip(self.rate(v, time), self.apply(v).unbind(-self.basis.dimension - 1), strict=True):
            linear = torch.zeros_like(whole) if field.linear is None else field.linear
            if not bool((linear - whole).abs().max() <= 1e-12 * whole.abs().max()):
                return False
        return True


def spectral_state(basis: FourierBasis, unknowns: Sequence[Unknown], v: Tensor) -> State:
    """The state of coefficients (*sample, scalar, *wave)."""
    names = [name for unknown in unknowns for name in unknown.scalars]
    fields = [SpectralField(basis, linear=part) for part in v.unbind(-basis.dimension - 1)]
    return assemble(unknowns, dict(zip(names, fields, strict=True)))


def spectral_parts(basis: FourierBasis, rows: State, names: Sequence[str], like: Tensor) -> Tensor:
    """Coefficients (*sample, scalar, *wave) of the named rows of a residual or a rate."""
    scalars = flatten(rows)
    fields = [_spectral(basis, scalars[name]) for name in names]
    return _stack([_sum(field.linear, field.nonlinear) for field in fields], like, basis.dimension)


def linear_blocks(f: Callable[[Tensor], Tensor], zero: Tensor, dimension: int) -> Tensor:
    """Blocks (*sample, scalar, scalar, *wave) of the linear part of f about zero, for each wave number.

    One Jacobian-vector product for each scalar, in the direction of a unit impulse: all its coefficients are one.
    """
    columns = []
    for j in range(zero.shape[0]):
        impulse = zero.clone()
        impulse[j] = 1.0
        columns.append(torch.func.jvp(f, (zero,), (impulse,))[1])
    return torch.stack(columns, -dimension - 1)


def multiply(matrix: Tensor, v: Tensor, dimension: int) -> Tensor:
    """Blocks (*sample, scalar, scalar, *wave), one for each wave number, times coefficients (*sample, scalar, *wave)."""
    return (matrix * v.unsqueeze(-dimension - 2)).sum(-dimension - 1)


def _spectral(basis: FourierBasis, rate: Any) -> SpectralField:
    if isinstance(rate, SpectralField):
        return rate
    return SpectralField(basis) + rate


def _stack(parts: list[Tensor | None], like: Tensor, dimension: int) -> Tensor:
    zero = torch.zeros_like(like.select(-dimension - 1, 0))
    whole = [zero if part is None else part for part in parts]
    shape = torch.broadcast_shapes(*[part.shape for part in whole])
    return torch.stack([part.expand(shape) for part in whole], -dimension - 1)
