"""Fields in Fourier space that know their linear part."""

from __future__ import annotations

import math
import operator
from numbers import Number
from typing import Any

import torch
from torch import Tensor

from pdesolve.fields import Constant, Field, GridField, Quantity
from pdesolve.fields.potential import poisson
from pdesolve.integration.fourier import FourierBasis


class Waves:
    """Coefficients as a sum of tensors times symbols, not multiplied out before somebody asks for the sum.

    Derivatives, factors and sums of the same tensor then act on symbols, which are small and known beforehand, and not
    on a batch. terms: tensors (*sample, *wave) and their factors, None for one; each tensor is there once.
    """

    def __init__(self, basis: FourierBasis, *terms: tuple[Tensor, Tensor | float | None]) -> None:
        self.basis, self.terms = basis, terms
        self._total: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """The coefficients."""
        if self._total is None:
            total: Tensor | None = None
            for base, factor in self.terms:
                if total is None:
                    total = base if factor is None else base * factor
                elif isinstance(factor, Tensor) and factor.dtype == base.dtype == total.dtype:
                    total = torch.addcmul(total, base, factor)
                else:
                    total = total + (base if factor is None else base * factor)
            assert total is not None
            self._total = total
        return self._total

    def times(self, symbol: Tensor | float) -> Waves:
        """All of them times a symbol, or a number."""
        times = self.basis.combined
        return Waves(self.basis, *[(u, symbol if f is None else times(operator.mul, f, symbol)) for u, f in self.terms])

    def __add__(self, other: Waves) -> Waves:
        terms = list(self.terms)
        for base, factor in other.terms:
            place = next((i for i, (known, _) in enumerate(terms) if known is base), None)
            if place is None:
                terms.append((base, factor))
            else:
                own = terms[place][1]
                both = (1.0 if own is None else own), (1.0 if factor is None else factor)
                terms[place] = base, self.basis.combined(operator.add, *both)
        return Waves(self.basis, *terms)


class SpectralField(GridField):
    """A grid field that remembers which part of it is linear in the state, and keeps that part in Fourier space.

    f = F^-1[linear] + F^-1[bent] + plain: the part that depends on the state through derivatives, sums and constant
    factors alone, and the rest, as coefficients or as values. So an equation's `rate` splits itself into a linear part
    without rounding (a stiff derivative never passes through a transform) and a nonlinear one with the fewest
    transforms: with the 2/3 rule u u_x is taken as (u^2)_x / 2. Products are dealiased when they are transformed.

    fixed: the rest may hold a part that does not depend on the state. hidden: it may hold one that is linear in it,
    as values times a linear part do.
    """

    precedence = 1

    def __init__(
        self,
        basis: FourierBasis,
        *,
        linear: Tensor | Waves | None = None,
        bent: Waves | None = None,
        plain: Tensor | None = None,
        fixed: bool = False,
        hidden: bool = False,
    ) -> None:
        self.basis, self.grid, self.edges, self.quantity = basis, basis.grid, None, _QUANTITY
        self.plain, self.fixed, self.hidden = plain, fixed, hidden
        # not multiplied out: integrators that know L never ask for the linear part of a rate
        self._linear = Waves(basis, (linear, None)) if isinstance(linear, Tensor) else linear
        self._bent = bent
        self._partials: dict[tuple[str, int], Field] = {}
        self._values: Tensor | None = None
        self._rest: Waves | None = None

    @staticmethod
    def known(basis: FourierBasis, values: Tensor, coefficients: Tensor | None = None) -> SpectralField:
        """A field that is given beforehand: values (*sample, *grid.shape), and their coefficients, dealiased."""
        if coefficients is None:
            coefficients = Waves(basis, (basis.forward(values), basis.kept)).total
        made = SpectralField(basis, bent=Waves(basis, (coefficients, None)), fixed=True)
        made._values = values
        return made

    @property
    def coefficients(self) -> Tensor:
        """Those of a field that is given beforehand."""
        assert self._bent is not None
        return self._bent.total

    @property
    def linear(self) -> Tensor | None:
        """Coefficients of the linear part; None where there is none."""
        return None if self._linear is None else self._linear.total

    @property
    def nonlinear(self) -> Tensor | None:
        """Coefficients of the rest, dealiased; None where there is none."""
        rest = self._transformed()
        return None if rest is None else rest.total

    def _transformed(self) -> Waves | None:
        """The rest in Fourier space."""
        if self.plain is None:
            return self._bent
        if self._rest is None:  # several derivatives share the transform
            plain = self.plain.expand(*self.plain.shape[: -self.basis.dimension], *self.grid.shape)
            self._rest = _join(self._bent, Waves(self.basis, (self.basis.forward(plain), self.basis.kept)))
        return self._rest

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        if self._values is None:
            waves = _join(self._linear, self._bent)
            values = self.plain if waves is None else add_parts(self.basis.backward(waves.total), self.plain)
            self._values = self.basis.zero if values is None else values
        return self._values

    def like(self, values: Tensor, quantity: Quantity) -> SpectralField:
        return SpectralField(self.basis, plain=values, fixed=True, hidden=True)

    def differentiate(self, axis: str, order: int) -> SpectralField:
        key = (axis, order)
        if key not in self._partials:
            self._partials[key] = self.multiplied(self.basis.symbol(axis, order))
        partial = self._partials[key]
        assert isinstance(partial, SpectralField)
        return partial

    def multiplied(self, symbol: Tensor) -> SpectralField:
        """The field whose coefficients are those of this one times a symbol."""
        rest = self._transformed()
        return SpectralField(
            self.basis,
            linear=None if self._linear is None else self._linear.times(symbol),
            bent=None if rest is None else rest.times(symbol),
            fixed=self.fixed,
            hidden=self.hidden,
        )

    def _scaled(self, factor: Tensor | float) -> SpectralField:
        made = SpectralField(
            self.basis,
            linear=None if self._linear is None else self._linear.times(factor),
            bent=None if self._bent is None else self._bent.times(factor),
            plain=None if self.plain is None else self.plain * factor,
            fixed=self.fixed,
            hidden=self.hidden,
        )
        if self._linear is None and self._values is not None:  # more than its dealiased waves, where it was given
            made._values = self._values * factor
        return made

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
        return SpectralField(self.basis, plain=other.values if factor is None else self.basis.one * factor, fixed=True)

    def __add__(self, other: Any) -> SpectralField:
        other = self._field(other)
        return SpectralField(
            self.basis,
            linear=_join(self._linear, other._linear),
            bent=_join(self._bent, other._bent),
            plain=add_parts(self.plain, other.plain),
            fixed=self.fixed or other.fixed,
            hidden=self.hidden or other.hidden,
        )

    __radd__ = __add__

    def __neg__(self) -> SpectralField:
        return self._scaled(-1.0)

    def __sub__(self, other: Any) -> SpectralField:
        return self + (-self._field(other))

    def __rsub__(self, other: Any) -> SpectralField:
        return (-self) + other

    def __mul__(self, other: Any) -> SpectralField:
        factor = self._factor(other)
        if factor is not None:
            return self._scaled(factor)
        other = self._field(other)
        slope = self._half_square_along(other) or other._half_square_along(self)
        if slope is not None:
            return slope
        return SpectralField(
            self.basis,
            plain=self.values * other.values,
            fixed=self.fixed and other.fixed,
            hidden=(self.fixed and other._varies) or (other.fixed and self._varies),
        )

    __rmul__ = __mul__

    def __pow__(self, exponent: float) -> SpectralField:
        if not isinstance(exponent, Number):
            return super().__pow__(exponent)  # type: ignore[return-value]
        safe = not self.fixed and not self.hidden and exponent in (2, 3, 4)
        return SpectralField(self.basis, plain=self.values**exponent, fixed=not safe, hidden=not safe)

    @property
    def _varies(self) -> bool:
        """Whether it may hold a part that is linear in the state."""
        return self._linear is not None or self.hidden

    def _half_square_along(self, slope: SpectralField) -> SpectralField | None:
        """c/2 (u^2)_x where this field is c u, c a number or one per sample, and `slope` is u_x; None elsewhere."""
        if self._linear is None or slope._linear is None or self.basis.dealiasing == "none":
            return None
        if any(f._bent is not None or f.plain is not None or len(f._linear.terms) > 1 for f in (self, slope)):  # type: ignore[union-attr]
            return None
        ((base, factor),), ((other, symbol),) = self._linear.terms, slope._linear.terms
        if other is not base or (isinstance(factor, Tensor) and math.prod(factor.shape[-self.basis.dimension :]) > 1):
            return None
        axis = next((n for n in self.axes.names if symbol is self.basis.symbol(n, 1)), None)
        if axis is None:
            return None
        u = self if factor is None else SpectralField(self.basis, linear=Waves(self.basis, (base, None)))
        square = SpectralField(self.basis, plain=u.values * u.values)
        return square.differentiate(axis, 1)._scaled(0.5 if factor is None else 0.5 * factor)

    def __truediv__(self, other: Any) -> SpectralField:
        factor = self._factor(other)
        if factor is not None:
            return self._scaled(1.0 / factor)
        return SpectralField(self.basis, plain=self.values / other.values, fixed=True, hidden=True)

    def __rtruediv__(self, other: Any) -> SpectralField:
        return SpectralField(self.basis, plain=self._field(other).values / self.values, fixed=True, hidden=True)


def _join(a: Waves | None, b: Waves | None) -> Waves | None:
    """The sum of two, None for zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


_QUANTITY = Quantity("spectral")


@poisson.register
def _(field: SpectralField, order: int) -> Field:
    return field.multiplied(field.basis.inverse(order))


def add_parts(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two parts, None for zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def spectral(basis: FourierBasis, rate: Any) -> SpectralField:
    """A field, constant or number as a spectral field."""
    return rate if isinstance(rate, SpectralField) else SpectralField(basis) + rate
