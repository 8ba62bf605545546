"""The settings and the procedure of CAPE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from pdesolve.data.signature import Signature
from pdesolve.data.training_data import TrainingData
from pdesolve.errors import InputError
from pdesolve.geometry import Grid
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.fourier_network import lines_of
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.precision import in_precision
from pdesolve.nn.resampling import layouts
from pdesolve.operators.cape.bases import Base, base_network
from pdesolve.operators.cape.model import CapeNetwork, Proposal
from pdesolve.operators.cape.terms import ProposalObjective, ProposalTerms
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.candidate import Candidate
from pdesolve.training.fit import fit
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training, losses_of, optimiser_of, train_operator, training_task
from pdesolve.training.run import Run

_TRAINING = Training(batch=50, loss="mean_square", learning_rate=3e-3, unroll=5, curriculum="tanh", noise=1e-3)


@dataclass(frozen=True)
class CAPE(OperatorLearner):
    """CAPE around a base network.

    Attributes:
        base: fno or unet.
        width: channels of the base network.
        depth: layers, or scales, of the base network.
        modes: of the base network fno, along each axis, both signs counted.
        positions: whether the base network fno reads coordinates, as its own setting.
        channels: of the proposal; even, 16 to 64.
        proposal_modes: of its spectral channels, as `modes`.
        proposal_weight: of the loss on the proposal; 0.03 to 0.5.
        warm_up: steps before all that train the transport of the proposal alone, or the proposal where no axis goes
            round; 40 to 100.
        penalty: weight of the penalty on the slope of proposals over the parameters; 0 for none.
        slope: what that slope is drawn to, in deviations of the state over those of the parameters.
        training: how all of it is trained.
    """

    base: Base = "fno"
    width: int = 20
    depth: int = 4
    modes: int = 16
    positions: Literal["coordinates", "none"] = "coordinates"
    channels: int = 32
    proposal_modes: int = 16
    proposal_weight: float = 0.1
    warm_up: int = 50
    penalty: float = 0.0
    slope: float = 1.0
    training: Training = _TRAINING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels < 2 or self.channels % 2:
            raise InputError(f"channels of the proposal are even, got {self.channels}: write {self.channels + 1}")
        if self.warm_up < 0 or self.proposal_weight < 0 or self.penalty < 0:
            raise InputError(
                "warm_up, proposal_weight and penalty are not negative, got "
                f"{self.warm_up}, {self.proposal_weight} and {self.penalty}"
            )

    def learn(self, data: TrainingData, run: Run) -> OperatorSurrogate:
        surrogate = self.untrained(data.signature, seed=run.seed, device=run.device)
        (weight, loss), *_ = losses_of(self.training, data).values()
        if self.warm_up:
            self._warmed_up(surrogate, data, run)
        further = ProposalTerms(loss, self.proposal_weight * weight, self.penalty, self.slope)
        return train_operator(surrogate, data, run, self.training, further=further)

    def _warmed_up(self, surrogate: OperatorSurrogate, data: TrainingData, run: Run) -> None:
        """Train the transport alone, from true states: beside branches that learn faster it stays in a poor minimum."""
        module, training = in_precision(surrogate.module, run.dtype).to(run.device), self.training
        network = module.network
        assert isinstance(network, CapeNetwork)
        (_, loss), *_ = losses_of(training, data).values()
        batches = data.batches(
            training_task(data.signature, training), batch=training.batch, device=run.device, seed=run.seed + 1
        )
        first = network.proposal.transport if network.proposal.transport.axes else network.proposal
        optimiser, candidate = optimiser_of(training, first), Candidate(surrogate, module, [], run.checkpoint)
        stepping = Minibatch(optimiser, clip=training.clip or math.inf)
        fit(
            ProposalObjective(module, loss).train(), batches, optimiser, run=run, stage="warm-up", solution=candidate,
            steps=self.warm_up, redraw=1, doctor=candidate, stepping=stepping,
        )  # fmt: skip

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature.

        Raises:
            InputError: no parameters, a task that is not one of steps, places that are no grid.
        """
        last, ratio = _last_channels(signature)
        lines = lines_of(signature, method="cape")
        places = GridPlaces.of(Grid(signature.members))
        proposal = Proposal(
            signature.input_channels, last=last, ratio=ratio,
            mean=[slot.mean[0] for slot in signature.parameters], std=[slot.std[0] for slot in signature.parameters],
            width=self.channels, modes=self.proposal_modes, shape=places.shape, kinds=layouts(places), lines=lines,
        )  # fmt: skip
        inputs = signature.input_channels + 2 * signature.target_channels
        base = base_network(
            self.base, inputs, signature, modes=self.modes, width=self.width, depth=self.depth, positions=self.positions
        )
        network = CapeNetwork(base, proposal)
        network.check(places)
        return FieldOperator(network, signature, predicts="increment", conditioning="apart")


def _last_channels(signature: Signature) -> tuple[list[int], list[float]]:
    """For each channel of the targets that of the inputs which holds its last given frame, and the size of changes of
    the first over the deviation of the second."""
    if not signature.parameters:
        raise InputError(
            "cape tells a network the parameters of the equation and these data have none: take the base method, "
            "or join files of several values"
        )
    inputs = {slot.name: slot for slot in signature.inputs if slot.moving}
    names = [slot.name for slot in signature.inputs]
    begins = dict(zip(names, accumulate((slot.channels for slot in signature.inputs), initial=0), strict=False))
    last, ratio = [], []
    for slot in signature.targets:
        if slot.name not in inputs:
            raise InputError(
                f"cape proposes the next state from the last, and {slot.name} is no input that moves: name it "
                "in both --inputs and --targets, with steps in time"
            )
        given = inputs[slot.name]
        first = begins[slot.name] + given.channels - given.components
        last += list(range(first, first + given.components)) * slot.frames
        ratio += [t / g for t, g in zip(slot.change or slot.std, given.std, strict=True)] * slot.frames
    return last, ratio
