"""The settings and the procedure of MIONet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pdesolve.data.signature import Signature
from pdesolve.errors import unknown_name
from pdesolve.nn.branch import Branch, BranchShape, branch
from pdesolve.nn.branch_trunk import BranchTrunk, Reads
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.sensors import Sensors
from pdesolve.nn.trunk import Trunk, TrunkShape, standardised_walls
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

PARAMETERS = "parameters"
_BRANCH, _TRUNK = BranchShape(), TrunkShape()
_TRAINING = Training(learning_rate=1e-3, weight_decay=0.3)
_NONE = slice(0, 0)


@dataclass(frozen=True)
class MIONet(OperatorLearner):
    """MIONet: branches for each input, and a trunk.

    Attributes:
        functions: of the trunk, whose sum each channel of the targets is; 32 to 256.
        branch: what reads each of the inputs.
        affine: inputs in which the operator is affine (a source, a boundary value; `parameters` for these): their
            branches are one affine layer.
        trunk: what reads coordinates.
        wall: the value of all targets at the ends of axes that are not periodic, which outputs then have too; none
            leaves that to training.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    functions: int = 128
    branch: BranchShape = _BRANCH
    affine: tuple[str, ...] = ()
    trunk: TrunkShape = _TRUNK
    wall: float | None = None
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature.

        Raises:
            InputError: an affine input that the task has not.
        """
        generator = torch.Generator().manual_seed(torch.initial_seed())
        sensors = Sensors(signature.members, limit=self.branch.sensors)
        network = BranchTrunk(
            self._branches(signature, sensors, generator),
            Trunk(sensors.axes, self.functions, shape=self.trunk, generator=generator),
            count=self.functions, outputs=signature.target_channels, sensors=sensors,
            wall=standardised_walls(signature, self.wall, increment=self.predicts == "increment"),
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts, conditioning="apart")

    def _branches(
        self, signature: Signature, sensors: Sensors, generator: torch.Generator
    ) -> list[tuple[Branch, Reads]]:
        reads: dict[str, Reads] = {}
        first = 0
        for slot in signature.inputs:
            reads[slot.name] = Reads(slice(first, first + slot.channels), _NONE)
            first += slot.channels
        if signature.parameters:
            reads[PARAMETERS] = Reads(_NONE, slice(0, len(signature.parameters)))
        for name in self.affine:
            if name not in reads:
                raise unknown_name("input", name, reads)
        found = []
        for name, part in reads.items():
            channels, numbers = (s.stop - s.start for s in (part.channels, part.parameters))
            shape = replace(self.branch, kind="perceptron", depth=0) if name in self.affine else self.branch
            made = branch(
                channels, numbers, self.functions * signature.target_channels, shape=shape, sensors=sensors,
                generator=generator,
            )  # fmt: skip
            found.append((made, part))
        return found
