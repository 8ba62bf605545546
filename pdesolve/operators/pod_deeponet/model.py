"""The network of POD-DeepONet: a branch, and modes of the training data in place of a trunk."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.geometry import Grid
from pdesolve.nn.branch import Branch
from pdesolve.nn.interpolation import Interpolation
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.sensors import Sensors
from pdesolve.operators.pod_deeponet.decomposition import Decomposition

_ROUNDING = 10
_DEGREE = 3  # of the modes between points: their derivatives have order 3


class PODDeepONet(OperatorNetwork):
    """N_c(v, p)(x) = mean_c(x) + sum_k b_k(v, p) std_k mode_ck(x), std_k^2 the variance of the coefficient in training.

    The modes and the mean are known on a grid, between its points by cubic interpolation. What lies in the orthogonal
    complement of the modes cannot be predicted: `Decomposition.left_out` says how much that is.

    All channels share the coefficients, since each mode is a function of all channels. Modes beyond those that the data
    have are zero.
    """

    def __init__(self, branch: Branch, grid: Grid, *, modes: int, outputs: int, sensors: Sensors) -> None:
        super().__init__()
        self.branch, self.grid, self.sensors = branch, grid, sensors
        self.register_buffer("mean", torch.zeros(outputs, *grid.shape, dtype=torch.float64))
        self.register_buffer("modes", torch.zeros(modes, outputs, *grid.shape, dtype=torch.float64))
        self.register_buffer("deviations", torch.zeros(modes, dtype=torch.float64))
        self.to(torch.get_default_dtype())  # drawn in float64
        self._interpolations: dict[tuple[torch.dtype, torch.device], Interpolation] = {}

    mean: Tensor
    modes: Tensor
    deviations: Tensor

    @torch.no_grad()
    def take(self, found: Decomposition) -> int:
        """Take the modes of the training data, whose values are (channel, *grid) of standardised targets: how many."""
        deviations = found.variances.sqrt()
        # beyond rounding modes are noise, and gradients of so small a scale underflow in the squares of Adam
        count = int((deviations > _ROUNDING * torch.finfo(self.modes.dtype).eps * deviations[:1]).sum())
        self.mean.copy_(found.mean.reshape(self.mean.shape))
        self.modes.zero_()
        self.deviations.zero_()
        self.modes[:count] = found.modes[:count].reshape(count, *self.mean.shape).to(self.modes)
        self.deviations[:count] = deviations[:count].to(self.deviations)
        return count

    @property
    def elsewhere(self) -> bool:
        return True

    def check(self, given: Places) -> None:
        self.sensors.check(given)

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        values = self.sensors.read(x, given) if x.shape[1] else x
        scaled = self.branch(values, parameters) * self.deviations  # (sample, mode)
        functions = torch.cat([self.mean[None], self.modes])
        outputs = functions.shape[1]
        interpolation = self._interpolation(wanted.columns())
        if not interpolation.same(wanted):
            found = interpolation.to(functions.flatten(0, 1)[None], wanted).unflatten(1, (-1, outputs))
            if len(found) > 1:  # each sample at places of its own
                return found[:, 0] + torch.einsum("sm,smcx->scx", scaled, found[:, 1:])
            functions = found[0]
        flat = functions.flatten(1)
        return (flat[0] + scaled @ flat[1:]).unflatten(1, (outputs, *wanted.shape))

    def _interpolation(self, like: Tensor) -> Interpolation:
        key = like.dtype, like.device
        if key not in self._interpolations:
            places = GridPlaces.of(self.grid, dtype=like.dtype, device=like.device)
            self._interpolations[key] = Interpolation(places, degree=_DEGREE)
        return self._interpolations[key]
