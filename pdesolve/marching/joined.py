"""Networks of one instant put together, and networks of space seen from space and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pdesolve.equation import Unknown
from pdesolve.fields.jets import Jet
from pdesolve.fields.propagation import propagate
from pdesolve.problem import Problem


class Joined(nn.Module):
    """The outputs of a network of what evolves, then those of a network of what is algebraic."""

    def __init__(self, evolving: nn.Module, algebraic: nn.Module) -> None:
        super().__init__()
        self.evolving, self.algebraic = evolving, algebraic

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.evolving(x), self.algebraic(x)], 1)


def joined(system: Problem, network: Callable[[Sequence[Unknown]], nn.Module]) -> nn.Module:
    """A network of what evolves in a first-order system, with one of what is algebraic beside it where there is any."""
    unknowns = system.equation.unknowns
    evolving = network([unknown for unknown in unknowns if not unknown.algebraic])
    algebraic = [unknown for unknown in unknowns if unknown.algebraic]
    return Joined(evolving, network(algebraic)) if algebraic else evolving


def instant_size(system: Problem, module: nn.Module) -> tuple[int, int]:
    """How many scalars evolve, and how many parameters hold them."""
    scalars = sum(len(unknown.scalars) for unknown in system.equation.unknowns if not unknown.algebraic)
    held = module.evolving if isinstance(module, Joined) else module
    return scalars, sum(p.numel() for p in held.parameters())


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
