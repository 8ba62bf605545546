"""Losses and optimisers of operators: against their definitions, and against what they must not do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import pdesolve as ps
from pdesolve.data.batch import Batch
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.least_squares import Soap
from pdesolve.nn.fourier_network import FourierNetwork
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.nn.waves import Line
from pdesolve.training.equation_residual import EquationResidual
from pdesolve.training.losses import MeanSquare, OctaveL2, RelativeH1, RelativeL2, square_mean
from pdesolve.training.muon import Muon, orthogonal
from pdesolve.training.operator_training import Training, optimiser_of

NO = torch.zeros(2, dtype=torch.long)
NOTHING = Batch({}, {}, {}, {}, torch.zeros(2, 0), torch.zeros(2, 0), {}, NO, NO)


def ring(n: int) -> GridPlaces:
    axis = Axis("x", 0.0, 2.0, periodic=True)
    return GridPlaces.of(Grid((GridAxis(axis, "periodic", n),)), dtype=torch.float64)


def wave(places: GridPlaces, k: int) -> torch.Tensor:
    return torch.sin(2 * math.pi * k * places.points[0])[None, None, None]


def test_relative_l2_is_a_quotient_of_integrals_on_any_grid() -> None:
    """Nodes that crowd count less: |x| against |1| over (0, 1) is 1/sqrt 3."""
    axis = Axis("x", 0.0, 1.0)
    points = torch.linspace(0, 1, 400, dtype=torch.float64) ** 3
    places = GridPlaces.of(Grid((GridAxis.at(axis, points.tolist()),)), dtype=torch.float64)
    one = torch.ones(1, 1, 1, 400, dtype=torch.float64)
    loss = RelativeL2(epsilon=0.0)({"u": one + points}, {"u": one}, places, NOTHING)
    assert float(loss) == pytest.approx(1 / math.sqrt(3), rel=1e-4)
    assert float(square_mean(one, places)) == pytest.approx(1.0)


def test_mean_square_weighs_samples_by_their_size_and_relative_l2_does_not() -> None:
    places = ring(16)
    truth = torch.cat([wave(places, 1), 10 * wave(places, 1)])
    wrong = truth.clone()
    wrong[0] *= 1.5
    assert float(RelativeL2()({"u": wrong}, {"u": truth}, places, NOTHING)) == pytest.approx(0.25, rel=1e-6)
    expected = 0.25 / (1 + 100)
    assert float(MeanSquare()({"u": wrong}, {"u": truth}, places, NOTHING)) == pytest.approx(expected, rel=1e-6)


def test_h1_sees_slopes_in_the_units_of_the_axis() -> None:
    """||sin k||² + ||k cos k||², by the wavenumber of a period of two."""
    places = ring(64)
    truth, error = wave(places, 1), 0.01 * wave(places, 5)
    k = math.pi
    expected = 0.01 * math.sqrt((1 + (5 * k) ** 2) / (1 + k**2))
    assert float(RelativeH1()({"u": truth + error}, {"u": truth}, places, NOTHING)) == pytest.approx(expected, rel=1e-8)


def test_h1_of_a_ramp_has_no_jump_at_its_ends() -> None:
    """Periodic differences, which a library's default takes, would see one."""
    axis = Axis("x", 0.0, 1.0)
    places = GridPlaces.of(Grid((GridAxis(axis, "nodes", 33),)), dtype=torch.float64)
    ramp = places.points[0][None, None, None]
    found = RelativeH1()({"u": 2 * ramp}, {"u": ramp}, places, NOTHING)
    assert float(found) == pytest.approx(1.0, rel=1e-10)
    steeper = RelativeH1()({"u": ramp + 0.5}, {"u": ramp}, places, NOTHING)
    assert float(steeper) == pytest.approx(math.sqrt(0.25 / (1 / 3 + 1)), rel=5e-3), "a constant has no slope"


def test_octaves_count_alike() -> None:
    """The same relative error of a long and of a short, weak wave is the same loss; in L2 the short one is nothing."""
    places = ring(64)
    long, short = wave(places, 1), 0.05 * wave(places, 12)
    truth = long + short
    loss = OctaveL2(floor=1e-6)
    in_long = loss({"u": truth + 0.5 * long}, {"u": truth}, places, NOTHING)
    in_short = loss({"u": truth + 0.5 * short}, {"u": truth}, places, NOTHING)
    assert float(in_long) == pytest.approx(float(in_short), rel=1e-3)
    assert float(RelativeL2()({"u": truth + 0.5 * short}, {"u": truth}, places, NOTHING)) < 0.03


def test_octaves_are_a_mean_of_quotients_of_norms() -> None:
    """Of six, |k| < 2, 4, 8, 16, 32 and above, over all frames and components; an empty one counts by its floor."""
    places = ring(64)
    truth = torch.zeros(1, 2, 2, 64, dtype=torch.float64)
    for k in (1, 3, 5, 10):
        truth += wave(places, k)
    truth[:, 0, 1] += wave(places, 20)[0, 0]
    truth[:, 1, 1] += wave(places, 24)[0, 0]
    wrong = truth.clone()
    wrong[:, 1, 1] += 0.5 * wave(places, 20)[0, 0]
    loss = OctaveL2(floor=1e-6)({"u": wrong}, {"u": truth}, places, NOTHING)
    assert float(loss) == pytest.approx(math.sqrt(0.25 / 2) / 6, rel=1e-4)
    alone = {"u": wave(places, 1)}
    loss = OctaveL2(floor=1e-2)({"u": alone["u"] + 0.05 * wave(places, 20)}, alone, places, NOTHING)
    assert float(loss) == pytest.approx(math.sqrt(0.05**2 / 1e-2) / 6, rel=1e-4)


def test_a_truth_that_is_zero_does_not_rule() -> None:
    places = ring(16)
    truth = torch.cat([0 * wave(places, 1), wave(places, 1)])
    added = 1e-2 / 4  # of the mean square 1/4 of the batch
    expected = sum(math.sqrt(0.1**2 / 2 / (size + added)) for size in (0.0, 0.5)) / 2
    found = RelativeL2(epsilon=1e-2)({"u": truth + 0.1 * wave(places, 2)}, {"u": truth}, places, NOTHING)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_slopes_and_octaves_refuse_points() -> None:
    places = PointPlaces.of(ring(4).axes, torch.rand(1, 9, 1))
    values = {"u": torch.ones(2, 1, 1, 9)}
    for loss in (RelativeH1(), OctaveL2()):
        with pytest.raises(InputError, match="needs values on a grid, got points: take relative_l2"):
            loss(values, values, places, NOTHING)


@pytest.fixture(scope="module")
def darcy(tmp_path_factory) -> FromDataset:
    path = tmp_path_factory.mktemp("data") / "darcy.h5"
    ps.generate(ps.make_family("darcy_smooth", {"points": 33}), 20, path)
    return FromDataset(ps.divided(ps.open_dataset(path)), Task(("permeability",), ("u",)), dtype=torch.float64)


def test_the_residual_of_the_data_is_small_and_grows_with_an_error(darcy: FromDataset) -> None:
    """Of a solved problem what is left are the differences of its own scheme; a field that is off has far more."""
    from pdesolve.surrogates.placing import Placing

    batches = darcy.batches(darcy.signature.task, batch=4, device=torch.device("cpu"))
    batches.renew()
    batch = batches.batch
    places = Placing(darcy.signature).of(batch, dtype=torch.float64)
    residual = EquationResidual(darcy.problem(), darcy.signature)
    truth = batch.targets
    exact = float(residual(truth, truth, places, batch))
    zero = float(residual({"u": torch.zeros_like(truth["u"])}, truth, places, batch))
    assert zero == pytest.approx(1.0)
    assert exact < 0.1 * zero
    u = truth["u"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(residual({"u": u}, truth, places, batch), u)
    direction = torch.randn(u.shape, generator=torch.Generator().manual_seed(0), dtype=u.dtype) * truth["u"].std()
    h = 1e-4
    ahead, behind = (float(residual({"u": truth["u"] + s * h * direction}, truth, places, batch)) for s in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / (2 * h), rel=1e-6)


def test_a_residual_in_time_needs_frames_that_resolve_it(tmp_path) -> None:
    path = tmp_path / "burgers.h5"
    ps.generate(ps.make_family("burgers", {"points": 256, "frames": 100}), 10, path)
    data = FromDataset(ps.divided(ps.open_dataset(path)), Task(("u",), ("u",), Steps(1, 1)), dtype=torch.float64)
    with pytest.raises(InputError, match=r"needs 3 evenly spaced frames in a window, it has 1 \+ 1: write --ahead 4"):
        EquationResidual(data.problem(), data.signature)
    from pdesolve.surrogates.placing import Placing

    found = []
    for stride in (4, 2, 1):
        task = Task(("u",), ("u",), Steps(1, 4, stride=stride))
        data = FromDataset(ps.divided(ps.open_dataset(path)), task, dtype=torch.float64)
        windows = Windows(data.dataset.split("train"), task, dtype=torch.float64)
        batch = windows.batch([40])  # where the shortest waves of the initial state have gone
        places = Placing(data.signature).of(batch, dtype=torch.float64)
        residual = EquationResidual(data.problem(), data.signature)
        found.append(float(residual(batch.targets, batch.targets, places, batch)))
    assert found[0] > 8 * found[1] > 64 * found[2], (
        "squares of order 2 in time: the truth obeys its equation, as far as its frames resolve it"
    )


def test_unknown_targets_are_refused(darcy: FromDataset) -> None:
    other = replace(darcy.signature, targets=(replace(darcy.signature.targets[0], name="v"),))
    with pytest.raises(InputError, match="has the unknowns u, the targets are v"):
        EquationResidual(darcy.problem(), other)


def test_newton_schulz_turns_matrices() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape, dtype in (((5, 3), torch.float64), ((7, 4, 6), torch.complex128)):
        found = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=generator, dtype=dtype)))
        assert float(found.min()) > 0.3 and float(found.max()) < 1.3


def test_muon_takes_pairs_of_numbers_as_the_complex_matrices_that_they_are() -> None:
    generator = torch.Generator().manual_seed(2)
    weight = torch.nn.Parameter(torch.randn(5, 3, 4, generator=generator, dtype=torch.complex128))
    pairs = torch.nn.Parameter(torch.view_as_real(weight.detach().movedim(-1, 0).contiguous()).clone())
    one, other = Muon([weight], lr=0.1), Muon([{"params": [pairs], "pairs": True}], lr=0.1)
    for _ in range(3):
        weight.grad = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        pairs.grad = torch.view_as_real(weight.grad.movedim(-1, 0).contiguous())
        one.step()
        other.step()
    torch.testing.assert_close(torch.view_as_complex(pairs.detach()).movedim(0, -1), weight.detach())


def test_spectral_weights_are_turned_mode_by_mode() -> None:
    network = FourierNetwork(1, 1, (Line(),), modes=4, width=6, depth=1)
    paired, (other, pairs) = {p.shape for p in network.parameters() if p.ndim == 4}, _groups(network)
    assert {p.shape for p in pairs} == paired == {(3, 6, 6, 2)} and all(p.ndim < 4 for p in other)


def _groups(network: torch.nn.Module) -> list[list[torch.nn.Parameter]]:
    return [group["params"] for group in optimiser_of(Training(optimiser="muon"), network).param_groups]


@pytest.mark.parametrize("kind", ["soap", "muon", "adamw"])
def test_optimisers_train_complex_weights_mode_by_mode(kind: str) -> None:
    """A linear map of complex matrices, one a mode, is found; a real twin held as pairs of numbers by adam alike."""
    generator = torch.Generator().manual_seed(1)
    truth = torch.randn(6, 6, 4, generator=generator, dtype=torch.complex64)
    bias = torch.nn.Parameter(torch.zeros(6))
    weight = torch.nn.Parameter(torch.zeros(6, 6, 4, dtype=torch.complex64))
    makers = {"soap": Soap, "muon": Muon, "adamw": torch.optim.AdamW}
    optimiser = makers[kind]([weight, bias], lr=0.1)
    x = torch.randn(64, 6, 4, generator=generator, dtype=torch.complex64)
    wanted = torch.einsum("bim,iom->bom", x, truth) + 1.0
    losses = []
    for step in range(300):
        for group in optimiser.param_groups:
            group["lr"] = 0.1 * (1 - step / 300)
        optimiser.zero_grad()
        loss = (torch.einsum("bim,iom->bom", x, weight) + bias[:, None] - wanted).abs().square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]
    assert weight.dtype == torch.complex64 and bool(torch.isfinite(torch.view_as_real(weight)).all())
