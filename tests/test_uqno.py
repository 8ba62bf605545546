"""Bands of a learned operator of errors: the quantile it learns, the samples it learns from, what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pdesolve as ps
from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.signature import Signature, Slot
from pdesolve.data.splits import divided
from pdesolve.data.task import Task
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.operators.uqno import method
from pdesolve.operators.uqno.method import UQNO
from pdesolve.operators.uqno.model import Pinball, UncertainSurrogate
from pdesolve.run_folder import read_run
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.candidate import Candidate
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training
from pdesolve.training.run import Run

SIZE = 64
TASK = Task(("a",), ("u",), None)


def noisy(samples: int = 120) -> Dataset:
    """u = 2 a + s(x) n with normal noise n, whose deviation s is 0.1 on the left half and 1 on the right one."""
    draw = np.random.default_rng(3)
    x = np.arange(SIZE) / SIZE
    a = np.sum(
        [draw.normal(size=(samples, 1)) * np.sin(2 * np.pi * k * x + draw.uniform(size=(samples, 1))) for k in (1, 2)],
        axis=0,
    )
    u = 2 * a + np.where(x < 0.5, 0.1, 1.0) * draw.normal(size=(samples, SIZE))
    places = {"x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), x)}
    variables = {name: Variable(name, Memory(v), ("sample", "x")) for name, v in (("a", a), ("u", u))}
    return divided(Dataset(variables, places), train=0.6, valid=0.3, test=0.1)


def test_it_learns_where_errors_are_large_and_keeps_its_promise(tmp_path: Path) -> None:
    learner = UQNO(modes=12, width=16, depth=2, alpha=0.2, delta=0.2, training=Training(batch=24, learning_rate=1e-2))
    run = Run(seed=0, steps=240, dtype=torch.float32, measure=lambda candidate: candidate.validate())
    surrogate = learner.learn(FromDataset(noisy(), TASK), run)
    batch = Windows(noisy().split("test"), TASK).batch(range(12))
    size = surrogate.of_error.predict(batch)["u"].abs().mean((0, 1, 2))
    left, right = float(size[4:28].mean()), float(size[36:60].mean())
    # the quantile 0.8 of |n| is 1.28 deviations; eleven modes of the wave blur the jump
    assert left < 0.35 and 1.28 * 0.7 < right < 1.28 * 1.4
    band = surrogate.predict_bands(batch)["u"]
    inside = ((batch.targets["u"] >= band.lower) & (batch.targets["u"] <= band.upper)).float().mean((1, 2, 3))
    assert float((inside < 0.8).float().mean()) <= 0.25
    assert torch.equal(band.middle, surrogate.predict(batch)["u"])
    surrogate.write(tmp_path)
    again = learner.restore(tmp_path)
    assert isinstance(again, UncertainSurrogate)
    assert torch.equal(again.predict_bands(batch)["u"].upper, band.upper)
    assert surrogate.notes["bands"]["calibrated_on"] == 18


@pytest.mark.parametrize("stage", ["operator", "errors"])
def test_what_was_stopped_goes_on_to_the_same_end(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(noisy(40), tmp_path / "noisy.h5")
    learner = UQNO(modes=8, width=6, depth=1, alpha=0.4, delta=0.4, training=Training(batch=8))
    settings: dict[str, Any] = {"steps": 20, "threads": 1, "device": "cpu"}
    whole = ps.train(learner, path, TaskChoice(inputs=("a",), targets=("u",)), out=tmp_path / "whole", **settings)
    calls = []

    def validate(candidate: Candidate) -> dict[str, dict[str, float]]:
        calls.append(candidate.stage)
        if calls.count(stage) == 3:
            raise KeyboardInterrupt
        return kept(candidate)

    kept = Candidate.validate
    monkeypatch.setattr(Candidate, "validate", validate)
    stopped = ps.train(learner, path, TaskChoice(inputs=("a",), targets=("u",)), out=tmp_path / "run", **settings)
    monkeypatch.undo()
    assert stopped.report is not None and stopped.report.status == "interrupted"
    partial = ps.load_surrogate(tmp_path / "run", device="cpu")
    assert partial.notes["score"] == stopped.notes["score"]
    if stage == "operator":
        assert isinstance(partial, OperatorSurrogate)  # alone
    else:
        assert isinstance(partial, UncertainSurrogate) and isinstance(whole, UncertainSurrogate)
        assert same(partial.base, whole.base) and not same(partial.of_error, whole.of_error)
        with pytest.raises(ValueError, match="resume it"):
            partial.predict_bands(Windows(noisy(40), TASK).batch(range(2)))
    ps.resume_training(tmp_path / "run")
    again = ps.load_surrogate(tmp_path / "run", device="cpu")
    assert isinstance(again, UncertainSurrogate) and isinstance(whole, UncertainSurrogate)
    assert same(again.base, whole.base) and same(again.of_error, whole.of_error)
    assert again.notes["bands"] == whole.notes["bands"]
    reports = [read_run(tmp_path / name)["report"] for name in ("whole", "run")]
    assert [report["steps"] for report in reports] == [20, 20]  # of both stages


def same(one: OperatorSurrogate, other: OperatorSurrogate) -> bool:
    """Whether weights are those of another, bit for bit."""
    weights = other.module.state_dict()
    return all(
        torch.equal(value, weights[name])
        for name, value in one.module.state_dict().items()
        if isinstance(value, torch.Tensor)
    )


def test_sizes_of_errors_keep_their_sign_where_predictions_are_means_over_images() -> None:
    training = Training(batch=8, symmetries=("reflect",), odd=("a", "u"), symmetric="mean")
    learner = UQNO(modes=8, width=6, depth=1, alpha=0.4, delta=0.4, training=training)
    run = Run(seed=0, steps=60, dtype=torch.float32, measure=lambda candidate: candidate.validate())
    surrogate = learner.learn(FromDataset(noisy(40), TASK), run)
    assert surrogate.base.signature.symmetries is not None and surrogate.of_error.signature.symmetries is None
    sizes = surrogate.of_error.predict(Windows(noisy(40), TASK).batch(range(4)))["u"]
    assert float((sizes > 0).float().mean()) > 0.9  # means of images with opposite signs would be about zero


def test_no_sample_is_in_both_shares() -> None:
    both = FromDataset(noisy(), TASK).apart(4)
    seen: list[set[float]] = []
    for data in both:
        batches = data.batches(TASK, batch=10, device=torch.device("cpu"))
        found: set[float] = set()
        for _ in range(8):
            batches.renew()
            found |= set(batches.batch.inputs["a"][:, 0, 0, 0].tolist())
        seen.append(found)
    assert [len(found) for found in seen] == [54, 18] and not seen[0] & seen[1]
    for split, counts in (("valid", [18, 18]), ("test", [12, 12])):
        held = [data.held_out(split) for data in both]
        assert [data.samples for data in held if data is not None] == counts
    first, second = (Windows(data.held_out("valid"), TASK).batch(range(18)) for data in both)  # type: ignore[arg-type]
    assert not set(first.inputs["a"][:, 0, 0, 0].tolist()) & set(second.inputs["a"][:, 0, 0, 0].tolist())
    assert both[0].signature == both[1].signature


def test_each_network_learns_from_samples_of_its_own_and_others_choose_and_calibrate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, set[float]] = {name: set() for name in ("operator", "errors", "chosen by", "calibrated on")}
    objective, validate, calibrated = OperatorObjective.forward, Candidate.validate, method.calibrated

    def learns(self: OperatorObjective, batch: Batch) -> dict[str, Tensor]:
        seen["errors" if "pinball" in self.losses else "operator"] |= rows([batch])
        return objective(self, batch)

    def chooses(self: Candidate) -> Any:
        seen["chosen by"] |= rows(self.validation)
        return validate(self)

    def calibrates(envelope: Any, batches: Any, **more: Any) -> Any:
        seen["calibrated on"] |= rows(batches)
        return calibrated(envelope, batches, **more)

    monkeypatch.setattr(OperatorObjective, "forward", learns)
    monkeypatch.setattr(Candidate, "validate", chooses)
    monkeypatch.setattr(method, "calibrated", calibrates)
    learner = UQNO(modes=8, width=6, depth=1, alpha=0.4, delta=0.4, training=Training(batch=24))
    run = Run(seed=0, steps=12, dtype=torch.float32, measure=lambda candidate: candidate.validate())
    data = FromDataset(noisy(), TASK)
    surrogate = learner.learn(data, run)
    assert seen["operator"] and seen["errors"] and not seen["operator"] & seen["errors"]
    assert len(seen["errors"]) < len(seen["operator"]) / 2, "a fourth of all"
    assert len(seen["chosen by"]) == len(seen["calibrated on"]) == 18
    assert not seen["chosen by"] & seen["calibrated on"]
    (slot,) = surrogate.of_error.signature.targets
    sizes = method.error_sizes(surrogate.base, data.apart(4)[1], 24, run)["u"]
    assert slot.mean == (0.0,) and slot.std == pytest.approx(sizes, rel=1e-4), "in deviations of the errors"


def rows(batches: Sequence[Batch]) -> set[float]:
    """A number of each sample, which no other has."""
    return {float(row[0, 0, 0]) for batch in batches for row in batch.targets["u"]}


class Everywhere(OperatorNetwork):
    """One value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        return torch.full((len(x), 1, *wanted.shape), self.value)


def test_the_pinball_loss_is_an_integral_of_what_is_missed() -> None:
    """Errors |t - 1| against the size 3, in deviations of 2, on nodes whose ends count half."""
    x, u = Axis("x", 0.0, 1.0), Slot("u", 1, 1, False, (0.0,), (1.0,))
    member = GridAxis(x, "nodes", 5)
    base = FieldOperator(Everywhere(1.0), Signature((u,), (u,), (), None, (x,), (member,)))
    truth = torch.tensor([1.0, 2.0, 6.0, -4.0, 9.0]).reshape(1, 1, 1, 5)
    empty, number = torch.zeros(1, 0), torch.zeros(1, dtype=torch.long)
    batch = Batch({"u": truth}, {"u": truth}, {}, {}, empty, empty, {}, number, number)
    found = Pinball(base, 0.8, {"u": [2.0]})(
        {"u": torch.full_like(truth, 3.0)}, batch.targets, GridPlaces.of(Grid((member,))), batch
    )
    apart = ((truth - 1.0).abs() - 3.0).flatten() / 2
    missed = torch.where(apart > 0, 0.8 * apart, -0.2 * apart)
    expected = (missed * torch.tensor([0.5, 1, 1, 1, 0.5])).sum() / 4
    assert float(found) == pytest.approx(float(expected))


def test_what_cannot_be_promised_is_refused_before_training() -> None:
    few = Dataset(noisy().variables, noisy().coordinates, splits={"train": np.arange(90)})
    with pytest.raises(InputError, match="validation split of 2 samples"):
        UQNO().learn(FromDataset(few, TASK), Run(steps=1))
    with pytest.raises(InputError, match="cannot be promised on 64 places"):
        UQNO(alpha=0.05).learn(FromDataset(noisy(), TASK), Run(steps=1))
    with pytest.raises(InputError, match="between 0 and 1, got 1"):
        UQNO(share=1.0).learn(FromDataset(noisy(), TASK), Run(steps=1))
