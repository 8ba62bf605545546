"""The settings and the procedure of DeepONet."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pdesolve.data.signature import Signature
from pdesolve.nn.branch import BranchShape, branch
from pdesolve.nn.branch_trunk import BranchTrunk, Reads
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.sensors import Sensors
from pdesolve.nn.trunk import Trunk, TrunkShape, standardised_walls
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_BRANCH, _TRUNK = BranchShape(), TrunkShape()
_TRAINING = Training(learning_rate=1e-3, weight_decay=0.3)


@dataclass(frozen=True)
class DeepONet(OperatorLearner):
    """DeepONet: a branch and a trunk.

    Attributes:
        functions: of the trunk, whose sum each channel of the targets is; 32 to 256.
        branch: what reads the inputs and the parameters.
        trunk: what reads coordinates.
        wall: the value of all targets at the ends of axes that are not periodic, which outputs then have too; none
            leaves that to training.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    functions: int = 128
    branch: BranchShape = _BRANCH
    trunk: TrunkShape = _TRUNK
    wall: float | None = None
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        generator = torch.Generator().manual_seed(torch.initial_seed())
        sensors = Sensors(signature.members, limit=self.branch.sensors)
        outputs = signature.target_channels
        reading = branch(
            signature.input_channels, len(signature.parameters), self.functions * outputs, shape=self.branch,
            sensors=sensors, generator=generator,
        )  # fmt: skip
        network = BranchTrunk(
            [(reading, Reads(slice(None), slice(None)))],
            Trunk(sensors.axes, self.functions, shape=self.trunk, generator=generator),
            count=self.functions, outputs=outputs, sensors=sensors,
            wall=standardised_walls(signature, self.wall, increment=self.predicts == "increment"),
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts, conditioning="apart")
