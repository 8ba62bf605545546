"""CAPE: attention to parameters, proposals, the warm-up, and a training that goes on through both of its stages."""

from __future__ import annotations

import json
import math
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from waves import waves

import pdesolve as ps
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.signature import Signature, Slot
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.operators.cape.method import CAPE, _last_channels
from pdesolve.operators.cape.model import CapeNetwork
from pdesolve.operators.cape.terms import ProposalObjective, ProposalTerms
from pdesolve.operators.cape.transport import Transport
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.surrogates.placing import Placing
from pdesolve.training.checkpoint import CHECKPOINT
from pdesolve.training.losses import MeanSquare
from pdesolve.training.operator_objective import Step
from pdesolve.training.operator_training import Training
from pdesolve.training.run import read_history

TRAINING = Training(batch=8, loss="mean_square", unroll=3, curriculum="tanh", noise=1e-3)
SMALL = CAPE(width=6, depth=1, modes=6, channels=8, proposal_modes=6, warm_up=6, training=TRAINING)
TASK = Task(("u",), ("u",), Steps(), ("speed",))

pytestmark = pytest.mark.usefixtures("own_folder")


def data() -> Dataset:
    found = waves(20)
    speed = np.linspace(0.5, 2.0, found.samples)
    return replace(found, parameters={"speed": Variable("speed", Memory(speed), ("sample",))})


def signature() -> Signature:
    return FromDataset(data(), TASK).signature


def built(learner: CAPE = SMALL, *, seed: int = 0) -> tuple[FieldOperator, CapeNetwork]:
    torch.manual_seed(seed)
    module = learner.module(signature())
    assert isinstance(module.network, CapeNetwork)
    return module, module.network


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def silence(network: CapeNetwork) -> None:
    """The proposal of no change."""
    transport = network.proposal.transport.amounts
    assert transport is not None
    for parameter in (*network.proposal.out.parameters(), *transport.parameters()):
        parameter.detach().zero_()


def stir(network: CapeNetwork) -> None:
    """The proposal as training may leave it: its output begins at zero."""
    for parameter in network.proposal.out.parameters():
        parameter.detach().normal_()


def outcome(module: FieldOperator, **speed: float) -> Tensor:
    batch = Windows(data(), TASK).batch(range(4))
    places = Placing(module.signature).of(batch)
    parameters = {name: torch.full((4,), value) for name, value in speed.items()}
    with torch.no_grad():
        return module.eval()(batch.inputs, parameters, places, places)["u"]


@pytest.mark.parametrize("changes", [{}, {"base": "unet", "depth": 2}], ids=str)
def test_parameters_matter_by_the_proposal_alone(changes: dict) -> None:
    module, network = built(replace(SMALL, **changes))
    stir(network)
    assert not torch.allclose(outcome(module, speed=0.5), outcome(module, speed=2.0), atol=1e-4)
    silence(network)
    assert torch.equal(outcome(module, speed=0.5), outcome(module, speed=2.0))


def test_without_a_change_proposed_it_is_its_base() -> None:
    module, network = built()
    silence(network)
    x, p = torch.randn(2, 1, 16), torch.randn(2, 1)
    places = Placing(module.signature).of(Windows(data(), TASK).batch([0]))
    zero = torch.zeros_like(x)
    expected = network.base(torch.cat([x, zero, zero], 1), p[:, :0], places, places)
    assert torch.allclose(network(x, p, places, places), expected, atol=1e-5)


def test_a_base_without_output_leaves_the_proposal() -> None:
    """The change that the base is shown is the one that the whole network makes where the base adds nothing."""
    module, network = built()
    stir(network)
    shown: list[Tensor] = []
    network.base.register_forward_hook(lambda _, given, out: (shown.append(given[0]), torch.zeros_like(out))[1])
    found = outcome(module, speed=1.0)
    truth = Windows(data(), TASK).batch(range(4)).inputs["u"]
    slot = module.signature.targets[0]
    assert slot.change is not None
    assert torch.allclose(shown[0][:, 1:2] * slot.change[0] + truth[:, 0], found[:, 0], atol=1e-5)


def test_before_training_a_proposal_is_diffusion() -> None:
    """The state of which the wave number 4 is damped by 1/e, and no transport."""
    module, network = built()
    x, p = torch.randn(2, 1, 16), torch.randn(2, 1)
    change, carried = network.proposal(x, p)
    assert torch.equal(change, carried)
    waves = torch.fft.rfft(x) * torch.exp(-(torch.arange(9) ** 2) / 16)
    slots = module.signature
    ratio = slots.targets[0].change[0] / slots.inputs[0].std[0]  # type: ignore[index]
    assert torch.allclose(x + ratio * change, torch.fft.irfft(waves, n=16), atol=1e-5)


def amounts(transport: Transport, weights: list[list[float]]) -> None:
    """Set S and E, diffusions first, without constants."""
    assert transport.amounts is not None
    with torch.no_grad():
        transport.amounts.weight.copy_(torch.tensor(weights) / 10)
        transport.amounts.bias.zero_()


def test_transport_moves_and_smooths_by_the_parameters() -> None:
    """Angles 2π c and diffusions D of a wave: cos(k (x - c)) exp(-D k²/16), exact at any resolution."""
    transport = Transport(2, 1, [True])
    amounts(transport, [[0.0], [1.0], [2 * math.pi], [0.0]])
    p = torch.tensor([[0.1], [-0.3], [7.0]])
    for n in (16, 31):
        x = 2 * math.pi * torch.arange(n) / n
        v = torch.cos(3 * x).expand(3, 2, n)
        found = transport(v, p)
        moved = torch.cos(3 * (x - 2 * math.pi * p))
        damped = torch.cos(3 * x) * torch.exp(-p.clamp(min=0) * 9 / 16)
        assert torch.allclose(found[:, 0], moved, atol=1e-4)  # float32: angles of 130 in its last digits
        assert torch.allclose(found[:, 1], damped, atol=2e-5)


def test_transport_in_the_plane_leaves_other_axes_alone() -> None:
    transport = Transport(1, 1, [False, True])
    amounts(transport, [[0.0], [math.pi]])
    v = torch.randn(2, 1, 5, 8)
    assert torch.allclose(transport(v, torch.ones(2, 1)), v.roll(4, -1), atol=1e-5)
    assert torch.equal(Transport(1, 1, [False, False])(v, torch.ones(2, 1)), v)


def test_the_warm_up_finds_how_the_speed_moves_a_wave() -> None:
    """Waves of u_t + c u_x = 0 with five speeds: the angle of a step is 2π c Δt, for speeds beyond them too."""
    from pdesolve.training.run import Run

    speeds = np.repeat([0.2, 0.4, 0.7, 2.0, 4.0], 12)
    rng = np.random.default_rng(0)
    n, x, t = rng.integers(1, 5, (60, 3, 1, 1)), np.arange(32) / 32, 0.05 * np.arange(7)[:, None]
    phases = 2 * np.pi * rng.random((60, 3, 1, 1))
    values = np.sin(2 * np.pi * n * (x - speeds[:, None, None, None] * t) + phases).sum(1).astype(np.float32)
    moving = Dataset(
        variables={"u": Variable("u", Memory(values), ("sample", "t", "x"))},
        parameters={"speed": Variable("speed", Memory(speeds), ("sample",))},
        coordinates={
            "t": Coordinate(Axis("t", 0.0, 0.3), t[:, 0]), "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), x),
        },
        splits={"train": np.arange(60)},
    )  # fmt: skip
    given = FromDataset(moving, TASK)
    learner = replace(
        SMALL, warm_up=120, training=replace(TRAINING, batch=32, learning_rate=4e-3, unroll=1, curriculum="none")
    )
    module = learner.module(given.signature)
    learner._warmed_up(
        OperatorSurrogate(module, method="cape", settings={}, device="cpu"), given, Run(dtype=torch.float32)
    )
    assert isinstance(module.network, CapeNetwork)
    transport = module.network.proposal.transport.amounts
    assert transport is not None
    beyond = torch.tensor([[(7.0 - speeds.mean()) / speeds.std()]], dtype=torch.float32)
    assert float(10 * transport(beyond)[0, 1].detach()) == pytest.approx(2 * math.pi * 7 * 0.05, rel=0.03)


def test_the_signed_logarithm_sees_decades_and_signs() -> None:
    _, network = built()
    proposal = network.proposal
    size = float((proposal.mean.square() + proposal.std.square()).sqrt())

    def of(raw: float) -> float:
        return float(proposal.signed_logarithm((torch.tensor([raw]) - proposal.mean) / proposal.std))

    assert of(0.0) == pytest.approx(0.0, abs=1e-6)
    assert of(size) == pytest.approx(1.0, rel=1e-5)
    assert of(-size) == pytest.approx(-1.0, rel=1e-5)
    assert of(4 * size) - of(2 * size) == pytest.approx(of(2 * size) - of(size), rel=0.02)


def test_the_models_of_the_experiment_have_equally_many_parameters() -> None:
    models = runpy.run_path(str(Path(__file__).parents[1] / "experiments" / "operators" / "cape.py"))
    values = np.random.default_rng(0).normal(size=(20, 6, 64)).astype(np.float32)
    axes = {"t": data().coordinates["t"], "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), np.arange(64) / 64)}
    fine = replace(data(), variables={"u": Variable("u", Memory(values), ("sample", "t", "x"))}, coordinates=axes)
    counts = {}
    for name, model in models["MODELS"].items():
        given = models["given_to"](name, fine)
        task = replace(TASK, parameters=tuple(given.parameters))
        counts[name] = count(model.module(FromDataset(given, task).signature))
    assert set(counts) == {"base", "channels", "logarithm", "cape"}
    assert max(counts.values()) < 1.02 * min(counts.values())


def test_terms_of_the_proposal() -> None:
    module, network = built()
    stir(network)
    batch = Windows(data(), TASK).batch([0, 5, 10, 15])
    places = Placing(module.signature).of(batch)
    step = Step(batch.inputs, batch.parameters, batch.targets, places, batch, 0, 5)
    terms = ProposalTerms(MeanSquare(), 0.25, penalty=2.0, slope=0.5)
    found = terms(module, step)
    with torch.no_grad():
        x = module.encode(batch.inputs, places)
        p = module.standardised(batch.parameters, len(x), x)
        proposed = module.decode(network.proposal(x, p)[0], batch.inputs, places)
        expected = 0.25 * MeanSquare()(proposed, batch.targets, places, batch)
    assert torch.allclose(found["proposal"], expected)
    found["slope"].backward()
    assert any(bool(p.grad is not None and p.grad.abs().max() > 0) for p in network.proposal.attention.parameters())
    steep = ProposalTerms(MeanSquare(), 0.25, penalty=1e6, slope=0.0)
    drawn = [float(steep(module, replace(step, seed=seed))["slope"].detach()) for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(terms(module, replace(step, number=1))) == {"proposal"}


def test_the_slope_is_that_of_the_change_over_the_parameters() -> None:
    """A proposal that is the parameter itself, d = 3 p, has the slope 3."""
    module, network = built()
    drawn: list[Tensor] = []

    class Tripled(torch.nn.Module):
        def forward(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
            drawn.append(p.detach())
            return (3 * p)[..., None].expand(-1, -1, x.shape[-1]), x

    network.proposal = Tripled()  # type: ignore[assignment]
    batch = Windows(data(), TASK).batch(range(4))
    step = Step(batch.inputs, batch.parameters, batch.targets, Placing(module.signature).of(batch), batch, 0, 5)
    assert float(ProposalTerms(MeanSquare(), 0.0, 1.0, slope=1.0)(module, step)["slope"]) == pytest.approx(4.0)
    many = Windows(data(), TASK).batch(range(100))
    step = replace(step, inputs=many.inputs, parameters=many.parameters, truth=many.targets, batch=many)
    ProposalTerms(MeanSquare(), 0.0, 1.0)(module, step)
    p = module.standardised(many.parameters, 100, many.inputs["u"])
    spread = (drawn[-1] - p.min()) / (p.max() - p.min())  # half a range beyond both ends
    assert -0.5 <= float(spread.min()) < -0.4 and 1.4 < float(spread.max()) <= 1.5


def test_the_warm_up_proposes_from_true_states() -> None:
    module, network = built()
    stir(network)
    batch = Windows(data(), replace(TASK, frames=Steps(ahead=3))).batch(range(0, 12, 4))
    places = Placing(module.signature).of(batch)
    frames, terms = torch.cat([batch.inputs["u"], batch.targets["u"]], 1), []
    for k in range(3):
        given, truth = {"u": frames[:, k : k + 1]}, {"u": frames[:, k + 1 : k + 2]}
        x = module.encode(given, places)
        proposed = module.decode(network.proposal(x, module.standardised(batch.parameters, 3, x))[0], given, places)
        terms.append(MeanSquare()(proposed, truth, places, batch))
    found = ProposalObjective(module, MeanSquare())(batch)["proposal"]
    assert float(found.detach()) == pytest.approx(float(torch.stack(terms).mean().detach()), rel=1e-5)


def test_a_proposal_goes_on_from_the_last_frame_of_each_component() -> None:
    force = Slot("f", 1, 2, False, (0.0, 0.0), (1.0, 1.0))
    given = Slot("u", 3, 2, True, (0.0, 0.0), (2.0, 5.0))
    target = replace(given, frames=2, change=(1.0, 10.0))
    number = Slot("speed", 1, 1, False, (0.0,), (1.0,))
    known = replace(signature(), inputs=(force, given), targets=(target,), parameters=(number,))
    assert _last_channels(known) == ([6, 7, 6, 7], [0.5, 2.0, 0.5, 2.0])


def test_the_warm_up_trains_the_proposal_alone_and_it_goes_on_through_both_stages(
    tmp_path: Path, stopping_after
) -> None:
    path = write(data(), tmp_path / "waves.h5")
    settings = {"steps": 8, "threads": 1, "device": "cpu", "budget": 600}
    whole = ps.train(SMALL, path, out="whole", **settings)
    assert [row["stage"] for row in read_history(Path("whole")) if row["stage"] == "warm-up"]
    calls = []
    for n in (3, 10):
        with stopping_after(n):
            ps.train(SMALL, path, out=f"run{n}", **settings)
        assert json.loads(Path(f"run{n}/run.json").read_text())["status"] == "failed"
        calls.append(torch.load(f"run{n}/{CHECKPOINT}", weights_only=True)["position"]["call"])
        assert same(ps.resume_training(f"run{n}"), whole)
    assert calls == [0, 1]


def same(first: ps.Surrogate, second: ps.Surrogate) -> bool:
    assert isinstance(first, OperatorSurrogate) and isinstance(second, OperatorSurrogate)
    one, two = first.module.state_dict(), second.module.state_dict()
    return all(torch.equal(one[name], two[name]) for name in one if isinstance(one[name], Tensor))


def test_the_warm_up_leaves_the_base_as_it_was() -> None:
    from pdesolve.training.run import Run

    before, _ = built()
    surrogate = OperatorSurrogate(before, method="cape", settings={}, device="cpu")
    start = {name: value.clone() for name, value in before.named_parameters()}
    SMALL._warmed_up(surrogate, FromDataset(data(), TASK), Run(dtype=torch.float32))
    moved = {name for name, value in before.named_parameters() if not torch.equal(value, start[name])}
    assert moved == {f"network.proposal.transport.amounts.{name}" for name in ("weight", "bias")}


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        (TASK, {"parameters": {}}, "these data have none"),
        (replace(TASK, inputs=()), {}, "u is no input that moves"),
    ],
)
def test_what_it_cannot_learn_is_refused(task: Task, changes: dict, said: str) -> None:
    given = replace(data(), **changes)
    task = replace(task, parameters=None, frames=Steps(past=1 if task.inputs else 0))
    with pytest.raises(InputError, match=said):
        SMALL.module(FromDataset(given, task).signature)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="even, got 5: write 6"):
        CAPE(channels=5)
    with pytest.raises(InputError, match="not negative"):
        CAPE(warm_up=-1)
