"""Settings of a training reach what they set: objective, optimiser, steps, rates, losses, seeds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from waves import waves

import pdesolve as ps
from pdesolve.datasets.training_data import FromDataset
from pdesolve.operators.fno.method import FNO
from pdesolve.training.losses import RelativeH1
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training, losses_of, optimiser_of, seeded, train_operator, training_task
from pdesolve.training.run import Run

TASK = ps.Task(("u",), ("u",), ps.Steps(1, 1))


class Reached(Exception):
    """Training would begin now."""


def reached(
    monkeypatch: pytest.MonkeyPatch, training: Training, *, seed: int = 0, share: float = 1.0
) -> dict[str, Any]:
    """What `fit` is called with."""
    seen: dict[str, Any] = {}

    def fit(objective: Any, batches: Any, optimiser: Any, **more: Any) -> None:
        seen.update(more, objective=objective, batches=batches, optimiser=optimiser)
        raise Reached

    monkeypatch.setattr("pdesolve.training.operator_training.fit", fit)
    run, data = Run(seed=seed, steps=10, dtype=torch.float32), FromDataset(waves(), TASK)
    learner = FNO(modes=4, width=4, depth=1, training=training)
    surrogate = learner.untrained(data.signature, seed=run.seed, device=run.device)
    with pytest.raises(Reached):
        train_operator(surrogate, data, run, training, share=share)
    return {**seen, "surrogate": surrogate}


def test_all_that_is_set_reaches_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(
        batch=16, loss="h1", learning_rate=3e-4, weight_decay=0.02, schedule="cosine", warm_up=0.5, clip=0.7,
        average=0.9, noise=0.3, unroll=3, push_forward=1, curriculum="tanh", precision="bfloat16", recompute=True,
    )  # fmt: skip
    seen = reached(monkeypatch, training, seed=5)
    objective, stepping = seen["objective"], seen["stepping"]
    assert isinstance(objective, OperatorObjective) and isinstance(stepping, Minibatch) and objective.training
    assert (objective.unroll, objective.push_forward, objective.noise, objective.seed) == (3, 1, 0.3, 5)
    assert objective.precision == torch.bfloat16 and objective.recompute
    ((name, (weight, loss)),) = objective.losses.items()
    assert (name, weight) == ("h1", 1.0) and isinstance(loss, RelativeH1)
    assert objective.curriculum is not None and objective.curriculum.steps == seen["steps"] == 10
    assert stepping.clip == 0.7 and stepping.trained is objective.module
    assert stepping.average is not None and seen["surrogate"].module is stepping.average.module
    (group,) = seen["optimiser"].param_groups
    assert (group["lr"], group["weight_decay"]) == (3e-4, 0.02)
    assert [seen["rate"](step) for step in (0, 4, 5, 10)] == pytest.approx([0.2, 1.0, 1.0, 0.0])
    assert len(seen["batches"].batch or ()) in (0, 16) and seen["redraw"] == 1


def test_what_is_not_set_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = reached(monkeypatch, Training(batch=16, clip=0.0), share=0.3)
    objective, stepping = seen["objective"], seen["stepping"]
    assert stepping.clip == math.inf and stepping.average is None and objective.curriculum is None
    assert (objective.noise, objective.precision, objective.recompute) == (0.0, torch.float32, False)
    assert seen["surrogate"].module is objective.module
    assert seen["steps"] == 3, "a share of the steps"


def test_batches_and_weights_follow_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for seed in (1, 1, 2):
        seen = reached(monkeypatch, Training(batch=16), seed=seed)
        seen["batches"].renew()
        batch = seen["batches"].batch
        numbers = list(zip(batch.numbers.tolist(), batch.first.tolist(), strict=True))
        found.append((numbers, torch.cat([p.detach().flatten() for p in seen["objective"].parameters()])))
    assert found[0][0] == found[1][0] != found[2][0]
    fresh = FromDataset(waves(), TASK).batches(TASK, batch=16, device=torch.device("cpu"), seed=1)
    fresh.renew()
    first = fresh.batch
    assert found[0][0] == list(zip(first.numbers.tolist(), first.first.tolist(), strict=True)), "trials leave no trace"
    assert torch.equal(found[0][1], found[1][1]) and not torch.equal(found[0][1], found[2][1])
    state = torch.get_rng_state()
    with seeded(3):
        torch.rand(2)
    assert torch.equal(torch.get_rng_state(), state), "draws of others are as they were"


@pytest.mark.parametrize("kind", ["adamw", "soap", "muon"])
def test_optimisers_are_made_with_their_settings(kind: Any) -> None:
    module = FNO(modes=4, width=4, depth=1).module(FromDataset(waves(), TASK).signature)
    optimiser = optimiser_of(Training(optimiser=kind, learning_rate=2e-3, weight_decay=0.05), module)
    groups = optimiser.param_groups
    assert {group["lr"] for group in groups} == {2e-3}
    assert sum(len(group["params"]) for group in groups) == len(list(module.parameters()))
    if kind != "soap":
        assert {group["weight_decay"] for group in groups} == {0.05}
    else:
        assert groups[0]["longest"] == 256, "longer sides would be diagonalised for longer than a step takes"


def test_terms_have_their_weights() -> None:
    class Named(FromDataset):
        def problem(self) -> Any:
            return ps.make_problem("burgers_sine")

    task = ps.Task(("u",), ("u",), ps.Steps(1, 2))
    losses = losses_of(Training(loss="spectral", residual=0.3), Named(waves(), task))
    assert {name: weight for name, (weight, _) in losses.items()} == {"spectral": 1.0, "residual": 0.3}


def test_windows_have_the_frames_of_all_steps() -> None:
    task = ps.Task(("u",), ("u",), ps.Steps(1, 2))
    signature = FromDataset(waves(), task).signature
    assert training_task(signature, Training()).frames == ps.Steps(1, 2)
    assert training_task(signature, Training(unroll=2)).frames == ps.Steps(1, 4)
    assert training_task(signature, Training(unroll=1, push_forward=1)).frames == ps.Steps(1, 4)
