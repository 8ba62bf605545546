"""The settings and the procedure of POD-DeepONet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as distributed

from pdesolve.data.signature import Signature
from pdesolve.data.training_data import TrainingData
from pdesolve.errors import InputError
from pdesolve.nn.branch import BranchShape, branch
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.sensors import Sensors
from pdesolve.operators.pod_deeponet.decomposition import Decomposing, Decomposition
from pdesolve.operators.pod_deeponet.model import PODDeepONet as Network
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training, train_operator
from pdesolve.training.processes import place
from pdesolve.training.run import Run

_BRANCH = BranchShape(kind="perceptron", width=512, depth=3)
_TRAINING = Training(learning_rate=1e-3, weight_decay=0.3)


@dataclass(frozen=True)
class PODDeepONet(OperatorLearner):
    """POD-DeepONet: a branch, and modes of the training targets.

    Attributes:
        modes: principal components, at most; 16 to 256.
        fields: windows of the training split that they are found of, at most; drawn at random where there are more.
        branch: what reads the inputs and the parameters.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 64
    fields: int = 4096
    branch: BranchShape = _BRANCH
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def learn(self, data: TrainingData, run: Run) -> OperatorSurrogate:
        surrogate = self.untrained(data.signature, seed=run.seed, device=run.device)
        network = surrogate.module.network
        assert isinstance(network, Network)
        found = self.decomposition(surrogate.module, data, run)
        count = network.take(found)
        run.say(f"{count} modes of {found.count} fields leave out {found.left_out:.2e} of their variance")
        surrogate.notes |= {"modes": count, "variance_left_out": found.left_out}
        return train_operator(surrogate, data, run, self.training)

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature, its modes all zero.

        Raises:
            InputError: targets that lie on no grid, fewer than one mode.
        """
        if self.fields < 1:
            raise InputError(f"fields is at least 1, got {self.fields}: write --method.fields 4096")
        generator = torch.Generator().manual_seed(torch.initial_seed())
        sensors = Sensors(signature.members, limit=self.branch.sensors)
        assert signature.grid is not None
        reading = branch(
            signature.input_channels, len(signature.parameters), self.modes, shape=self.branch, sensors=sensors,
            generator=generator,
        )  # fmt: skip
        network = Network(reading, signature.grid, modes=self.modes, outputs=signature.target_channels, sensors=sensors)
        return FieldOperator(network, signature, predicts=self.predicts, conditioning="apart")

    def decomposition(self, module: FieldOperator, data: TrainingData, run: Run) -> Decomposition:
        """The modes of the standardised targets of the training split, of all processes' shares."""
        grid = module.signature.grid
        assert grid is not None
        weights = GridPlaces.of(grid, dtype=torch.float64, device=run.device).weights()[0]
        merging = Decomposing(self.modes, weights.repeat(module.signature.target_channels))
        task = module.signature.task
        _, ranks = place()
        wanted, taken = min(self.fields, data.windows(task) or self.fields), 0
        batches = data.batches(task, batch=self.training.batch, device=run.device, seed=run.seed)
        while taken < wanted:  # all processes take the same batches, whatever their shares of them
            batches.renew()
            taken += batches.batch.whole or len(batches.batch) * ranks
            merging.add(module.encode_targets(batches.batch.targets, batches.batch.inputs).flatten(1))
        merging.flush()
        if ranks > 1:
            merging = _joined(merging, ranks)
        return merging.found()


def _joined(own: Decomposing, ranks: int) -> Decomposing:
    """One decomposition of the rows of all processes, the same in each."""
    scaled = own.scaled.new_zeros(own.kept, own.scaled.shape[1])
    scaled[: len(own.scaled)] = own.scaled
    counted = own.squares.new_tensor(own.count)
    packed = torch.cat([scaled.flatten(), own.mean, own.squares[None], counted[None]])
    parts = [torch.empty_like(packed) for _ in range(ranks)]
    distributed.all_gather(parts, packed)
    whole = own.empty()
    size = scaled.numel()
    for part in parts:
        whole.join(part[:size].view_as(scaled), part[size:-2], part[-2], round(float(part[-1])))
    return whole
