"""The settings and the procedure of the U-Net between functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.convolution import Extension
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.resampling import layouts
from pdesolve.nn.unet_network import UNetNetwork
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training(learning_rate=2e-3)


@dataclass(frozen=True)
class UNet(OperatorLearner):
    """The U-Net between functions.

    Attributes:
        width: channels of the finest scale; 16 to 64, four times as many on the coarsest ones.
        depth: scales, each of twice the spacing of the one before; fewer where the grid ends at 4 points.
        blocks: residual blocks of each scale on either way; 1 or 2.
        extension: of functions over boundaries that are not periodic: zero, even or odd (linear functions
            stay linear).
        positions: whether the network reads coordinates; `none` where no place differs from another.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    width: int = 24
    depth: int = 5
    blocks: int = 1
    extension: Extension = "zero"
    positions: Literal["coordinates", "none"] = "coordinates"
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature.

        Raises:
            InputError: places that are no regular grid.
        """
        grid = signature.grid
        if grid is None:
            raise InputError("unet needs values on a grid, got points: take transformer or gino")
        places = GridPlaces.of(grid)
        network = UNetNetwork(
            signature.input_channels, signature.target_channels, len(signature.parameters), base=places.shape,
            kinds=layouts(places), width=self.width, depth=self.depth, blocks=self.blocks, extension=self.extension,
            placed=self.positions == "coordinates",
        )  # fmt: skip
        network.check(places)
        return FieldOperator(network, signature, predicts=self.predicts, conditioning="apart")
