"""Equations: what a PDE is, written once as a function of fields."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, Vector, d
from pdesolve.unit import Unit

# A state is always a mapping from the name of an unknown to its Field (or Vector), for one unknown too. Its values are
# written Any so that formulas type-check as formulas.
State = Mapping[str, Any]
# Parameter values as an equation receives them: constants, or fields at the places of the state.
Values = Mapping[str, Any]
FieldKind = Literal["point", "grid", "mesh"]


@dataclass(frozen=True)
class Unknown:
    """A quantity that the equation determines. `components` name the entries of a vector ("x", "y").

    An algebraic unknown (a pressure) has no time derivative; the equation gives a constraint row for it.
    """

    name: str
    unit: str | None = None
    long_name: str = ""
    components: tuple[str, ...] = ()
    algebraic: bool = False

    def __post_init__(self) -> None:
        Unit.parse(self.unit)

    @property
    def scalars(self) -> tuple[str, ...]:
        """The names of the scalar fields it consists of: "u", or "velocity_x", "velocity_y"."""
        return tuple(f"{self.name}_{component}" for component in self.components) or (self.name,)


@dataclass(frozen=True)
class Parameter:
    """A quantity that the equation is given: a number, one per sample, a field, or something learnable.

    `default` None means that a problem must give it. `bounds` enclose every admissible value.
    """

    name: str
    unit: str | None = None
    default: float | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    long_name: str = ""

    def __post_init__(self) -> None:
        Unit.parse(self.unit)

    def check(self, value: float) -> None:
        """Refuse a number outside the bounds.

        Raises:
            InputError: naming the bounds and the value.
        """
        if not self.bounds[0] <= value <= self.bounds[1] or not math.isfinite(value):
            raise InputError(f"{self.name} must be a number in [{self.bounds[0]}, {self.bounds[1]}], got {value}")


class Equation(ABC):
    """A system of partial differential equations, residual(u, p, x) = 0.

    Subclasses are frozen dataclasses; they declare unknowns and parameters and receive their values, so that no
    equation ever holds a tensor. `kinds` are the kinds of field it supports: equations of second order at most all of
    them, for mesh fields in a form whose second derivatives no slope multiplies (div(a grad u)).
    """

    unknowns: ClassVar[tuple[Unknown, ...]]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    kinds: ClassVar[tuple[FieldKind, ...]] = ("point", "grid", "mesh")

    @abstractmethod
    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        """The rows that vanish for a solution, one per unknown and of its name, as fields at the places of x."""

    @property
    def scalars(self) -> tuple[str, ...]:
        """The names of all scalar fields of a state, in order."""
        return tuple(name for unknown in self.unknowns for name in unknown.scalars)


class Evolution(Equation):
    """An evolution in time, d^order u / dt^order = rate(u, p, x), with order 1 or 2.

    `rate` sees space only: a state at one instant, with x["t"] that instant. Where the order is 2, the state given to
    `rate` also holds the first time derivatives under the names `velocity_name(u)`, as integrators carry them.
    Algebraic unknowns have no rate; `constraint` gives their rows.
    Sign: residual = d^order u / dt^order - rate.
    """

    order: ClassVar[Literal[1, 2]] = 1

    @abstractmethod
    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        """d^order u / dt^order of each evolving unknown."""

    def constraint(self, u: State, p: Values, x: Coordinates) -> State:
        """The rows that vanish at every instant, one for each algebraic unknown."""
        return {}

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        if self.order == 2:
            u = {**u, **{velocity_name(unknown.name): d(u[unknown.name], "t") for unknown in self.evolving}}
        rate = self.rate(u, p, x)
        rows = {unknown.name: d(u[unknown.name], "t", self.order) - rate[unknown.name] for unknown in self.evolving}
        return {**rows, **self.constraint(u, p, x)}

    @property
    def evolving(self) -> tuple[Unknown, ...]:
        return tuple(unknown for unknown in self.unknowns if not unknown.algebraic)


def velocity_name(unknown: str) -> str:
    """The name of the first time derivative of an unknown in the state of an evolution of order 2."""
    return f"{unknown}_t"


class FluxForm(Equation):
    """A balance law, div F(u) = source(u), or for an evolution u_t + div F(u) = source(u): what finite volumes need."""

    @abstractmethod
    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        """The flux F of each scalar of the state: a Vector over the space axes. It may use first derivatives of u."""

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        """The right-hand side that is no divergence; absent scalars have none."""
        return {}

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        """A bound for the fastest characteristic speed along each space axis; absent axes have no waves."""
        return {}

    def characteristic_speeds(self, u: State, p: Values, x: Coordinates) -> Mapping[str, tuple[Field, Field]]:
        """Bounds, with sign, for the slowest and the fastest characteristic along each axis that has waves."""
        return {axis: (-speed, speed) for axis, speed in self.wave_speed(u, p, x).items()}

    def primitive(self, u: State, p: Values, x: Coordinates) -> State:
        """The variables that finite volumes interpolate from cell centres to faces; the unknowns themselves here.

        Between two admissible states any mixture of theirs is admissible, and what is at rest is constant in them.
        """
        return u

    def conservative(self, w: State, p: Values, x: Coordinates) -> State:
        """The state of the unknowns that has the primitive variables w: the inverse of `primitive`."""
        return w


class Energetic(Equation):
    """An equation with an energy E(u) = integral of `energy`: a minimiser, or a gradient flow u_t = -dE/du."""

    @abstractmethod
    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        """The energy density."""


class Elastic(Equation):
    """The equilibrium of a body, -div sigma = f, or its motion: what tractions are conditions of.

    Its first unknown is the displacement, whose components are named by the axes.
    """

    @abstractmethod
    def stress(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        """The rows of sigma by the component of the force: sigma_ij is component j of row i."""

    @abstractmethod
    def equivalent_stress(self, u: State, p: Values, x: Coordinates) -> Field:
        """The stress of von Mises: of a bar under the tension s it is |s|."""


class Conserving(Evolution):
    """An evolution with quantities whose integrals over a periodic or closed domain stay what they are."""

    @abstractmethod
    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        """The densities of the conserved quantities; for order 2 the state holds the velocities too."""


def assemble(unknowns: Iterable[Unknown], scalars: Mapping[str, Field]) -> State:
    """A state from its scalar fields: vector unknowns become Vectors."""
    return {
        unknown.name: (
            Vector({c: scalars[name] for c, name in zip(unknown.components, unknown.scalars, strict=True)})
            if unknown.components
            else scalars[unknown.name]
        )
        for unknown in unknowns
    }


def flatten(state: State) -> dict[str, Field]:
    """The scalar fields of a state, or of the rows of a residual: Vectors become `name_component`."""
    scalars: dict[str, Field] = {}
    for name, field in state.items():
        if isinstance(field, Vector):
            scalars.update({f"{name}_{component}": field[component] for component in field.names})
        else:
            scalars[name] = field
    return scalars
