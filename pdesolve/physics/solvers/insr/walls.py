"""What a network's output is multiplied and added with, so that walls hold at every instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pdesolve.condition import Dirichlet, Impermeable
from pdesolve.constraint import Lift
from pdesolve.fields import Coordinates
from pdesolve.geometry import Face
from pdesolve.physics.constraints import BoxLift
from pdesolve.physics.constraints.box import Affine
from pdesolve.problem import Problem, Value


@dataclass(frozen=True, eq=False)
class ImpermeableLift(Lift):
    """v_j = D_j N_j, D_j zero on the walls across the axis j: 4 (x - a) (b - x) / (b - a)^2, or one of the factors."""

    problem: Problem

    @property
    def exact(self) -> tuple[str, ...]:  # type: ignore[override]
        """The impermeable walls, and periodic axes."""
        return tuple(n for n, c in self.problem.named_conditions.items() if isinstance(c, Impermeable))

    @property
    def soft(self) -> Mapping[str, str]:  # type: ignore[override]
        """Nothing else is asked of this lift."""
        return {}

    @property
    def inputs(self) -> Mapping[str, nn.Module]:
        return {}

    def at(self, x: Coordinates, values: Mapping[str, Value]) -> Affine:
        factor: dict[str, Any] = dict.fromkeys(self.problem.equation.scalars, 1.0)
        for condition in self.problem.conditions:
            if not isinstance(condition, Impermeable):
                continue
            unknown = self.problem.unknown(condition.unknown)
            scalars = dict(zip(unknown.components, unknown.scalars, strict=True))
            for part in condition.parts(self.problem):
                face = self.problem.domain.boundaries[part]
                assert isinstance(face, Face)
                axis = self.problem.domain.axes[face.axis]
                distance = x[axis.name] - axis.lower if face.side < 0 else axis.upper - x[axis.name]
                name = scalars[face.axis]
                factor[name] = factor[name] * (2.0 / axis.length * distance)
        return Affine(dict.fromkeys(factor, 0.0), factor)

    def record(self) -> Mapping[str, Any]:
        return {}


def walls(problem: Problem) -> Lift | None:
    """The lift that holds Dirichlet values or impermeable walls at all times; None where there are none."""
    if any(isinstance(c, Impermeable) for c in problem.conditions):
        return ImpermeableLift(problem)
    held = tuple(name for name, c in problem.named_conditions.items() if isinstance(c, Dirichlet))
    return BoxLift(problem, held, {}, {}, {}) if held else None
