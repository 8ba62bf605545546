"""The unknowns of a problem on elements as one vector of nodal values, and matrices of such vectors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from pdesolve.equation import velocity_name
from pdesolve.integration.elements import Elements
from pdesolve.problem import Problem


@dataclass(frozen=True)
class Block:
    """A scalar of the state: its nodes are `start` to `start + size` of the vector, on elements of a degree."""

    name: str
    unknown: str
    component: str | None
    degree: int
    start: int
    size: int

    @property
    def velocity(self) -> str:
        """The name of its time derivative in the state of an evolution of order 2."""
        name = velocity_name(self.unknown)
        return f"{name}_{self.component}" if self.component else name

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.size)


class Entries:
    """Element matrices on their way into a sparse matrix."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: list[np.ndarray] = []
        self.columns: list[np.ndarray] = []
        self.values: list[np.ndarray] = []

    def add(self, rows: Tensor, columns: Tensor, local: Tensor) -> None:
        self.rows.append(rows[:, :, None].expand(local.shape).reshape(-1).numpy())
        self.columns.append(columns[:, None, :].expand(local.shape).reshape(-1).numpy())
        self.values.append(local.detach().reshape(-1).numpy())

    def matrix(self) -> csr_array:
        if not self.values:
            return csr_array((self.size, self.size))
        entries = np.concatenate(self.values), (np.concatenate(self.rows), np.concatenate(self.columns))
        return csr_array(entries, shape=(self.size, self.size))


def blocks(problem: Problem, elements: Elements) -> tuple[Block, ...]:
    """A block for each scalar. Algebraic unknowns beside others are of degree 1."""
    unknowns = problem.equation.unknowns
    mixed = any(unknown.algebraic for unknown in unknowns) and not all(unknown.algebraic for unknown in unknowns)
    named = [
        (name, unknown.name, component, 1 if unknown.algebraic and mixed else elements.degree)
        for unknown in unknowns
        for name, component in zip(unknown.scalars, unknown.components or (None,), strict=True)
    ]
    sizes = [elements.count(degree) for *_, degree in named]
    starts = [0, *accumulate(sizes)]
    return tuple(Block(*about, starts[i], sizes[i]) for i, about in enumerate(named))
