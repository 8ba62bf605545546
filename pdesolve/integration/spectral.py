"""Evolutions on periodic grids as systems of Fourier coefficients, v_t = L v + N(t, v)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import copy

import torch
from torch import Tensor

from pdesolve.equation import Evolution, State, Unknown, Values, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, GridField
from pdesolve.integration.blocks import linear_blocks, multiply, product
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.projection import Projection
from pdesolve.integration.spectral_field import SpectralField, add_parts, spectral


class SpectralEvolution:
    """An evolution on a periodic grid as v_t = L v + N(t, v) for its Fourier coefficients v (*sample, scalar, *wave).

    Evolutions of order 2 are reduced to order 1: the scalars are those of u, then those of u_t. `bind` gives the
    parameters at coordinates (their time included). L (*sample, scalar, scalar, *wave) is read off the equation's
    `rate` by one Jacobian-vector product about zero for each scalar, in the direction of a unit impulse, whose
    coefficients are all one. N is the rest, also where coefficients vary in space or time. Algebraic unknowns keep a
    linear constraint (a pressure keeps div u = 0): v is of the evolving ones alone, and rates are projected.

    Raises:
        InputError: an equation that has no finite linear part about the state zero, or other algebraic unknowns.
    """

    def __init__(
        self,
        equation: Evolution,
        basis: FourierBasis,
        bind: Callable[[Coordinates], Values],
        *,
        time: tuple[float, float],
    ) -> None:
        self.equation, self.basis, self.bind = equation, basis, bind
        self.x = Coordinates(basis.grid, dtype=basis.dtype, device=basis.device)
        self.scalars = tuple(name for unknown in equation.evolving for name in unknown.scalars)
        self.size = len(self.scalars) * equation.order
        self._instants: dict[float, tuple[Coordinates, Values]] = {}
        self._steady: tuple[Coordinates, Values] | None = None
        self.projection: Projection | None = None
        self.algebraic = [unknown for unknown in equation.unknowns if unknown.algebraic]
        self.linear = self._linearise(time[0])
        if self.algebraic:
            self.projection = self._project(time[0])
            if not self.projection.commutes(self.linear):
                self.linear = product(self.projection.matrix, self.linear, basis.dimension)
        if not bool(torch.isfinite(torch.view_as_real(self.linear)).all()):
            raise InputError(
                f"{type(equation).__name__} has no finite linear part about the state zero: take --method.scheme lines"
            )
        self._inspect(time)

    def rate(self, v: Tensor, time: float, q: Tensor | None = None) -> list[SpectralField]:
        """v_t of each scalar, split into its parts, for coefficients q of algebraic unknowns (zero by default)."""
        d, n = self.basis.dimension, len(self.scalars)
        x, p = self._at(time)
        u = dict(spectral_state(self.basis, self.equation.evolving, v.narrow(-d - 1, 0, n)))
        u.update(self._algebraic_state(q))
        first: list[SpectralField] = []
        if self.equation.order == 2:
            rates = spectral_state(self.basis, self.equation.evolving, v.narrow(-d - 1, n, n))
            first = [spectral(self.basis, field) for field in flatten(rates).values()]
            u.update({velocity_name(name): field for name, field in rates.items()})
        rate = flatten(self.equation.rate(u, p, x))
        return first + [spectral(self.basis, rate[name]) for name in self.scalars]

    def nonlinear(self, v: Tensor, time: float) -> Tensor:
        """N(t, v), dealiased."""
        parts = []
        for field in self.rate(v, time):
            part = field.nonlinear
            if not self.splits:
                part = add_parts(part, field.linear)
            parts.append(part)
        if self.size == 1 and parts[0] is not None:
            bent = parts[0].unsqueeze(-self.basis.dimension - 1)
        else:
            bent = _stack(parts, v, self.basis.dimension)
        bent = bent if self.splits else bent - self.apply(v)
        return bent if self.projection is None else self.projection(bent)

    def constrained(self, v: Tensor) -> Tensor:
        """The part of v that obeys the constraint."""
        return v if self.projection is None else self.projection(v)

    def recovered(self, v: Tensor, time: float) -> Tensor:
        """Coefficients (*sample, algebraic, *wave) of the algebraic unknowns, of mean zero."""
        assert self.projection is not None
        parts = [add_parts(field.linear, field.nonlinear) for field in self.rate(v, time)]
        return self.projection.recover(_stack(parts, v, self.basis.dimension))

    def apply(self, v: Tensor) -> Tensor:
        """L v."""
        return multiply(self.linear, v, self.basis.dimension)

    def identity(self) -> tuple[Hashable, ...]:
        """What tells N from that of other systems, besides its `numbers`."""
        basis, (_, p) = self.basis, self._at(0.0)
        kinds = tuple((name, type(field)) for name, field in p.items())
        return self.equation, basis.grid, basis.dtype, str(basis.device), basis.dealiasing, self.splits, kinds

    def numbers(self) -> tuple[Tensor, ...]:
        """The tensors that N of an autonomous system depends on: L, the projection and the parameters."""
        projection = [] if self.projection is None else [self.projection.matrix]
        return self.linear, *projection, *[part for field in self._at(0.0)[1].values() for part in _parts(field)]

    def given(self, numbers: Sequence[Tensor]) -> SpectralEvolution:
        """This autonomous system with other `numbers`."""
        x, p = self._at(0.0)
        other, rest = copy(self), list(numbers[1:])
        if self.projection is not None:
            other.projection = self.projection.given(rest.pop(0))
        fields = {}
        for name, field in p.items():
            values = rest.pop(0)
            if isinstance(field, SpectralField):
                fields[name] = SpectralField.known(self.basis, values, rest.pop(0))
            else:
                fields[name] = field.like(values, field.quantity)
        other.linear, other._steady = numbers[0], (x, fields)
        return other

    def _algebraic_state(self, q: Tensor | None) -> State:
        if q is not None:
            return spectral_state(self.basis, self.algebraic, q)
        nothing = {name: SpectralField(self.basis) for unknown in self.algebraic for name in unknown.scalars}
        return assemble(self.algebraic, nothing)

    def _project(self, time: float) -> Projection:
        """The projection that the constraint makes, tried out on noise."""
        basis, d = self.basis, self.basis.dimension
        names = [name for unknown in self.algebraic for name in unknown.scalars]
        x, p = self._at(time)

        def rate(v: Tensor, q: Tensor) -> Tensor:
            return _stack([add_parts(f.linear, f.nonlinear) for f in self.rate(v, time, q)], v, d)

        def constraint(v: Tensor, q: Tensor) -> Tensor:
            u = {**spectral_state(basis, self.equation.evolving, v), **self._algebraic_state(q)}
            return spectral_parts(basis, self.equation.constraint(u, p, x), names, q)

        generator = torch.Generator().manual_seed(1)
        noise = [
            torch.randn(n, *basis.grid.shape, generator=generator, dtype=basis.dtype) for n in (self.size, len(names))
        ]
        v, q = (basis.forward(part.to(basis.device)) for part in noise)
        return Projection.of(rate, constraint, v, q, d)

    def _at(self, time: float) -> tuple[Coordinates, Values]:
        if self._steady is not None:
            return self._steady
        if time not in self._instants:
            if len(self._instants) > 4:  # the stages of a step share two instants
                self._instants.clear()
            x = self.x.at_instant(time)
            self._instants[time] = x, {name: self._transformed(field) for name, field in self.bind(x).items()}
        return self._instants[time]

    def _transformed(self, field: Field) -> Field:
        """A parameter that varies in space with its coefficients, so that no step computes them."""
        if not isinstance(field, GridField):
            return field
        values = field.values.expand(*field.sample_shape, *self.basis.grid.shape)
        return SpectralField.known(self.basis, values.to(self.basis.dtype))

    def _linearise(self, time: float) -> Tensor:
        d = self.basis.dimension
        zero = torch.zeros(self.size, *self.basis.shape, dtype=self.basis.dtype.to_complex(), device=self.basis.device)
        self._at(time)  # bound outside the transformation

        impulses = torch.eye(self.size, dtype=zero.dtype, device=zero.device).reshape(self.size, -1, *[1] * d)
        rates = [self.rate(impulse + zero, time) for impulse in impulses]
        if not any(field.hidden for rate in rates for field in rate):
            parts = [_stack([field.linear for field in rate], zero, d) for rate in rates]
            return torch.stack(torch.broadcast_tensors(*parts), -d - 1)

        def total(v: Tensor) -> Tensor:
            return _stack([add_parts(field.linear, field.nonlinear) for field in self.rate(v, time)], v, d)

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
        d = self.basis.dimension
        found = self.constrained(_stack([field.linear for field in self.rate(v, time)], v, d))
        for linear, whole in zip(found.unbind(-d - 1), self.constrained(self.apply(v)).unbind(-d - 1), strict=True):
            if not bool((linear - whole).abs().max() <= 1e-12 * whole.abs().max()):
                return False
        return True


def _parts(field: Field) -> tuple[Tensor, ...]:
    return (field.values, field.coefficients) if isinstance(field, SpectralField) else (field.values,)


def spectral_state(basis: FourierBasis, unknowns: Sequence[Unknown], v: Tensor) -> State:
    """The state of coefficients (*sample, scalar, *wave)."""
    names = [name for unknown in unknowns for name in unknown.scalars]
    fields = [SpectralField(basis, linear=part) for part in v.unbind(-basis.dimension - 1)]
    return assemble(unknowns, dict(zip(names, fields, strict=True)))


def spectral_parts(basis: FourierBasis, rows: State, names: Sequence[str], like: Tensor) -> Tensor:
    """Coefficients (*sample, scalar, *wave) of the named rows of a residual or a rate."""
    scalars = flatten(rows)
    fields = [spectral(basis, scalars[name]) for name in names]
    return _stack([add_parts(field.linear, field.nonlinear) for field in fields], like, basis.dimension)


def _stack(parts: list[Tensor | None], like: Tensor, dimension: int) -> Tensor:
    zero = torch.zeros_like(like.select(-dimension - 1, 0))
    whole = torch.broadcast_tensors(*[zero if part is None else part for part in parts])
    return torch.stack(whole, -dimension - 1)
