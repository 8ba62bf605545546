"""Operator networks of branches and a trunk: sums of functions of coordinates, weighted by what branches read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from pdesolve.nn.branch import Branch
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.nn.sensors import Sensors
from pdesolve.nn.trunk import Trunk, held, spanned


@dataclass(frozen=True)
class Reads:
    """What one branch reads: some channels of the values, and some of the parameters."""

    channels: slice
    parameters: slice


class BranchTrunk(OperatorNetwork):
    """N_c(v, p)(x) = sum_k [prod_i b_i,ck(v_i, p_i)] t_k(x) / sqrt(count) + a_c for each channel c of the output.

    Branches b_i read parts of the input at sensors, the trunk t reads coordinates of the wanted places, which may be
    any. One branch: L. Lu et al., 2021, arXiv 1910.03193. Several: Jin, Meng and Lu, 2022, arXiv 2202.06137.

    wall: values (channel,) at the ends of the axes, where they are known; see `held`.
    """

    def __init__(
        self, branches: Sequence[tuple[Branch, Reads]], trunk: Trunk, *, count: int, outputs: int, sensors: Sensors,
        wall: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.branches = nn.ModuleList([module for module, _ in branches])
        self.reads = [reads for _, reads in branches]
        self.trunk, self.sensors = trunk, sensors
        self.count, self.outputs = count, outputs
        self.offset = nn.Parameter(torch.zeros(outputs, dtype=torch.float64))
        self.register_buffer("wall", None if wall is None else torch.tensor(wall, dtype=torch.float64))
        self.to(torch.get_default_dtype())  # drawn in float64

    wall: Tensor | None

    @property
    def elsewhere(self) -> bool:
        return True

    def check(self, given: Places) -> None:
        self.sensors.check(given)

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        columns = wanted.columns()
        coefficients = self.coefficients(x, parameters, given) * self.count**-0.5
        values = spanned(coefficients, self.trunk(columns)) + self.offset[:, None]
        if self.wall is not None:
            values = held(values, columns, wanted.axes, self.wall)
        return values.unflatten(2, wanted.shape)

    def coefficients(self, x: Tensor, parameters: Tensor, given: Places) -> Tensor:
        """The factors (sample, channel, count) of the trunk's functions: products of what the branches say."""
        values = self.sensors.read(x, given) if x.shape[1] else x
        rows = [
            branch(values[:, reads.channels], parameters[:, reads.parameters])
            for branch, reads in zip(self.branches, self.reads, strict=True)
        ]
        return reduce(torch.mul, rows).unflatten(1, (self.outputs, self.count))
