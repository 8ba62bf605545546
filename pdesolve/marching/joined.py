"""Networks of one instant put together, and networks of space seen from space and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from pdesolve.equation import Unknown
from pdesolve.fields.jets import Jet
from pdesolve.fields.propagation import propagate
from pdesolve.nn.features import Beside
from pdesolve.problem import Problem


def joined(system: Problem, network: Callable[[Sequence[Unknown]], nn.Module]) -> nn.Module:
    """A network of what evolves in a system, with one of what is algebraic beside it where there is any."""
    unknowns = system.equation.unknowns
    moving = network([unknown for unknown in unknowns if not unknown.algebraic])
    algebraic = [unknown for unknown in unknowns if unknown.algebraic]
    return Beside(moving, network(algebraic)) if algebraic else moving


def evolving(module: nn.Module) -> nn.Module:
    """Of a network that `joined` made that of what evolves."""
    return module.first if isinstance(module, Beside) else module


def instant_size(system: Problem, module: nn.Module) -> tuple[int, int]:
    """How many scalars evolve, and how many parameters hold them."""
    scalars = sum(len(unknown.scalars) for unknown in system.equation.unknowns if not unknown.algebraic)
    return scalars, sum(p.numel() for p in evolving(module).parameters())


class InSpace(nn.Module):
    """A network of space at points (point, axis) of time and space, time first: it sees no time."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x[:, 1:])


@propagate.register
def _(layer: InSpace, jet: Jet) -> Jet:
    return propagate(layer.module, jet.feature(slice(1, None)))
