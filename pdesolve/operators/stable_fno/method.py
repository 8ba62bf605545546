"""The settings and the procedure of the stabilised Fourier neural operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pdesolve.data.signature import Signature, Slot
from pdesolve.errors import InputError, unknown_name
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.operators.stable_fno.extension import ends_of
from pdesolve.operators.stable_fno.model import Filtering, Layout, Residual, StableFourierNetwork, Surface
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

# bounded layers take, and need, longer steps than free ones
_TRAINING = Training(learning_rate=1e-2)


@dataclass(frozen=True)
class StableFNO(OperatorLearner):
    """The stabilised Fourier neural operator.

    Attributes:
        modes: along each axis, both signs counted; as many as points or a little fewer: waves above are not worked on.
        width: channels of the hidden layers; 32 to 128.
        depth: blocks; 4 to 8. The fewer, the less each step can change.
        expansion: channels inside of a block over those outside of it.
        amplitude: of the hidden values, in deviations of the data: the higher, the more the nonlinearity bends.
        filtering: multipliers that are static, or dynamic: moved by the waves that they are applied to.
        residual: blocks whose sum with their input goes on; or gated, a convex combination of the two, whose gain is
            about one at most, which suits flows that fade and costs others most of their accuracy.
        surface: box, which is continued evenly over the ends of bounded axes; or the sphere of a longitude (periodic)
            and a latitude, a double Fourier sphere.
        tangent: on a sphere, variables that are components of tangent vectors; those of two components always are.
        positions: whether the network reads coordinates. `none` where no place differs from another (periodic boxes
            whose forces are inputs): the operator then commutes with translations.
        evaluation_filter: what predictions are cut off above, in highest waves of the modes; 0 cuts nothing.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 32
    width: int = 48
    depth: int = 4
    expansion: int = 2
    amplitude: float = 3.0
    filtering: Filtering = "static"
    residual: Residual = "sum"
    surface: Surface = "box"
    tangent: tuple[str, ...] = ()
    positions: Literal["coordinates", "none"] = "coordinates"
    evaluation_filter: float = 0.0
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, bound in {"expansion": 1, "evaluation_filter": 0.0}.items():
            if getattr(self, name) < bound:
                raise InputError(f"stable_fno needs {name} of at least {bound:g}, got {getattr(self, name)}")
        if not self.amplitude > 0:
            raise InputError(f"stable_fno needs a positive amplitude, about 3, got {self.amplitude}")

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        known = [slot.name for slot in (*signature.inputs, *signature.targets)]
        for name in self.tangent:
            if name not in known:
                raise unknown_name("variable", name, known)
        ends = ends_of(signature)
        if self.surface == "sphere" and sorted(end is None for end in ends) != [False, True]:
            raise InputError(
                f"--method.surface sphere needs a periodic longitude and a bounded latitude, the data have "
                f"{', '.join(a.name + (' periodic' if a.periodic else ' bounded') for a in signature.axes)}: set the "
                "attribute periodic=1 of the coordinate longitude, or take the surface box"
            )
        layout = Layout(
            modes=self.modes, width=self.width, depth=self.depth, expansion=self.expansion, amplitude=self.amplitude,
            filtering=self.filtering, residual=self.residual, surface=self.surface,
            placed=self.positions == "coordinates", evaluation_filter=self.evaluation_filter,
            tangent_inputs=self._tangent(signature.inputs), tangent_outputs=self._tangent(signature.targets),
        )  # fmt: skip
        network = StableFourierNetwork(signature.given_channels, signature.target_channels, ends, layout)
        return FieldOperator(network, signature, predicts=self.predicts)

    def _tangent(self, slots: Sequence[Slot]) -> tuple[int, ...]:
        """The channels that are components of tangent vectors."""
        flags = [slot.components == 2 or slot.name in self.tangent for slot in slots for _ in range(slot.channels)]
        return tuple(i for i, tangent in enumerate(flags) if tangent)
