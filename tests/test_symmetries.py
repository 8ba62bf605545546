"""Symmetries: what moving a field means, what is trained on, and that means over all images commute with motions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.signature import Signature, Slot
from pdesolve.data.symmetries import Symmetries
from pdesolve.data.task import Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.nn.places import GridPlaces
from pdesolve.operators.fno.method import FNO
from pdesolve.training.losses import RelativeL2
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training
from pdesolve.training.run import Run

SQUARE = Symmetries(("reflect", "exchange"))
FLOW = Symmetries(("reflect", "exchange"), odd=("w",))


def members(placement: str, size: int = 9) -> tuple[GridAxis, GridAxis]:
    x, y = (Axis(name, 0.0, 2.0, periodic=placement == "periodic") for name in "xy")
    return GridAxis(x, placement, size), GridAxis(y, placement, size)  # type: ignore[arg-type]


def signature(placement: str = "nodes", target: str = "u") -> Signature:
    grid = members(placement)
    slots = {
        name: Slot(name, 1, components, False, (0.0,) * components, (1.0,) * components)
        for name, components in (("a", 1), ("u", 1), ("v", 2), ("w", 1))
    }
    return Signature((slots["a"],), (slots[target],), (), None, tuple(m.axis for m in grid), grid)


def at(grid: tuple[GridAxis, ...]) -> tuple[Tensor, Tensor]:
    x, y = torch.meshgrid(*(torch.as_tensor(m.points) for m in grid), indexing="ij")
    return x, y


def batch_of(a: Tensor, target: str, u: Tensor) -> Batch:
    numbers = torch.arange(len(a))
    return Batch({"a": a}, {target: u}, {}, {}, torch.empty(0), torch.empty(0), {}, numbers, numbers)


@pytest.mark.parametrize("placement", ["periodic", "nodes", "cells", "chebyshev"])
def test_a_moved_scalar_is_the_function_at_moved_places(placement: str) -> None:
    grid = members(placement)
    x = at(grid)

    def f(x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(math.pi * x) + 0.3 * torch.cos(2 * math.pi * y) * torch.sin(math.pi * y + 1)

    for motion in SQUARE.motions(2):
        turned = [2.0 - c if reverse else c for c, reverse in zip(x, motion.reversed, strict=True)]
        places = [turned[motion.order.index(i)] for i in range(2)]
        torch.testing.assert_close(motion.scalar(f(*x)[None, None, None], grid)[0, 0, 0], f(*places))


def test_vectors_and_vorticities_move_as_gradients_and_curls() -> None:
    grid = members("periodic", 16)
    stream = torch.randn(3, 1, 1, 16, 16, dtype=torch.float64)
    k = 1j * math.pi * torch.fft.fftfreq(16, 1 / 16, dtype=torch.float64)
    k[8] = 0.0  # the derivative of the wave that has one value a cell

    def d(u: Tensor, axis: int) -> Tensor:
        return torch.fft.ifft(torch.fft.fft(u, dim=axis) * (k[:, None] if axis == -2 else k), dim=axis).real

    def gradient(u: Tensor) -> Tensor:
        return torch.cat([d(u, -2), d(u, -1)], 2)

    def curl(v: Tensor) -> Tensor:
        return d(v[:, :, 1:], -2) - d(v[:, :, :1], -1)

    flow = torch.cat([d(stream, -1), -d(stream, -2)], 2) + gradient(stream.roll(3, 0))
    for motion in SQUARE.motions(2):
        moved = motion.scalar(stream, grid)
        torch.testing.assert_close(gradient(moved), motion.vector(gradient(stream), grid))
        torch.testing.assert_close(
            curl(motion.vector(flow, grid)), motion.determinant * motion.scalar(curl(flow), grid)
        )


def test_an_inverse_takes_back_in_three_dimensions() -> None:
    grid = tuple(GridAxis(Axis(name, 0.0, 1.0), "cells", 4) for name in "xyz")
    v = torch.randn(2, 1, 3, 4, 4, 4)
    motions = SQUARE.motions(3)
    assert len(motions) == 48 and len(set(motions)) == 48
    assert sum(motion.determinant for motion in motions) == 0
    for motion in motions:
        torch.testing.assert_close(motion.inverse.vector(motion.vector(v, grid), grid), v)


@pytest.mark.parametrize("target", ["u", "v", "w"])
def test_each_sample_of_a_batch_is_moved_as_a_whole(target: str) -> None:
    known = signature(target=target)
    components = known.targets[0].components
    a, u = torch.randn(8, 1, 1, 9, 9), torch.randn(8, 1, components, 9, 9)
    batch = FLOW.spread(batch_of(a, target, u), known, torch.Generator().manual_seed(1))
    used = set()
    for i in range(8):
        for motion in FLOW.motions(2):
            image = FLOW.moved(motion, {target: u[i : i + 1]}, known.targets, known.members)[target]
            if torch.equal(motion.scalar(a[i : i + 1], known.members), batch.inputs["a"][i : i + 1]):
                torch.testing.assert_close(image, batch.targets[target][i : i + 1])
                used.add(motion)
    assert len(used) == 8


def test_a_part_of_a_batch_is_moved_as_it_is_in_the_whole() -> None:
    known = signature()
    whole = batch_of(torch.randn(12, 1, 1, 9, 9), "u", torch.randn(12, 1, 1, 9, 9))
    expected = FLOW.spread(whole, known, torch.Generator().manual_seed(1))
    rows = slice(5, 9)
    part = replace(batch_of(whole.inputs["a"][rows], "u", whole.targets["u"][rows]), begin=5, whole=12)
    found = FLOW.spread(part, known, torch.Generator().manual_seed(1))
    assert torch.equal(found.inputs["a"], expected.inputs["a"][rows])
    assert torch.equal(found.targets["u"], expected.targets["u"][rows])


def test_an_input_that_all_samples_share_is_moved_for_each() -> None:
    known = signature()
    shared, u = torch.randn(1, 1, 1, 9, 9), torch.randn(4, 1, 1, 9, 9)
    batch = batch_of(shared, "u", u)
    spread = SQUARE.spread(replace(batch, numbers=torch.arange(4)), known, torch.Generator().manual_seed(0))
    assert spread.inputs["a"].shape[0] == 4
    assert not torch.equal(spread.inputs["a"][0], spread.inputs["a"][1])


@pytest.mark.parametrize(("target", "placement"), [("u", "nodes"), ("v", "periodic"), ("w", "periodic")])
def test_means_over_images_commute_with_motions(target: str, placement: str) -> None:
    known = replace(signature(placement, target), symmetries=FLOW)
    torch.manual_seed(0)
    module = FNO(modes=4, width=6, depth=2).module(known)
    places = GridPlaces.of(Grid(known.members))
    a = torch.randn(2, 1, 1, 9, 9)
    with torch.no_grad():
        module.eval()
        for motion in FLOW.motions(2):
            direct = module({"a": motion.scalar(a, known.members)}, {}, places, places)
            moved = FLOW.moved(motion, module({"a": a}, {}, places, places), known.targets, known.members)
            torch.testing.assert_close(direct[target], moved[target], rtol=1e-4, atol=1e-5)
        images = [
            FLOW.moved(
                motion.inverse,
                module.once({"a": motion.scalar(a, known.members)}, {}, places, places),
                known.targets, known.members,
            )[target]
            for motion in FLOW.motions(2)
        ]  # fmt: skip
        mean = torch.stack(images).mean(0)
        torch.testing.assert_close(module({"a": a}, {}, places, places)[target], mean, rtol=1e-4, atol=1e-5)
        plain = module.once({"a": a}, {}, places, places)
        module.train()
        assert torch.equal(module({"a": a}, {}, places, places)[target], plain[target]), "training takes one pass"
        module.eval()
        assert (plain[target] - module({"a": a}, {}, places, places)[target]).abs().max() > 1e-2
    assert Signature.of_json(known.json()) == known


def test_what_was_trained_to_predict_means_does_so_and_does_when_read_again(tmp_path: Path) -> None:
    grid, draw = members("nodes"), np.random.default_rng(0)
    values = {name: Variable(name, Memory(draw.normal(size=(8, 9, 9))), ("sample", "x", "y")) for name in ("a", "u")}
    places = {member.axis.name: Coordinate(member.axis, member.points) for member in grid}
    data = Dataset(values, places, splits={"train": np.arange(6), "valid": np.arange(6, 8)})
    task = Task(("a",), ("u",), None)
    training = Training(batch=3, symmetries=("reflect", "exchange"), symmetric="mean")
    learner = FNO(modes=4, width=6, depth=2, training=training)
    run = Run(seed=0, steps=3, dtype=torch.float32, measure=lambda candidate: candidate.validate())
    surrogate = learner.learn(FromDataset(data, task), run)
    surrogate.write(tmp_path)
    for one in (surrogate, learner.restore(tmp_path)):
        batch = Windows(data, task).batch(range(2))
        direct = one.predict(batch)["u"]
        for motion in SQUARE.motions(2):
            moved = one.predict(replace(batch, inputs={"a": motion.scalar(batch.inputs["a"], grid)}))["u"]
            torch.testing.assert_close(moved, motion.scalar(direct, grid), rtol=1e-4, atol=1e-5)


def test_training_sees_images_and_validation_does_not() -> None:
    known = signature()
    module = FNO(modes=4, width=6, depth=2).module(known)
    objective = OperatorObjective(module, {"relative_l2": (1.0, RelativeL2())}, symmetries=SQUARE, seed=3)
    batch = batch_of(torch.randn(4, 1, 1, 9, 9), "u", torch.randn(4, 1, 1, 9, 9))
    objective.eval()
    assert torch.equal(objective(batch)["relative_l2"], objective(batch)["relative_l2"])
    plain = OperatorObjective(module, {"relative_l2": (1.0, RelativeL2())})
    assert torch.equal(objective(batch)["relative_l2"], plain.eval()(batch)["relative_l2"])
    objective.train()
    first = objective(batch)["relative_l2"]
    assert not torch.equal(first, objective(batch)["relative_l2"])
    objective.set_extra_state({"count": 0})  # as a run that goes on has it
    assert torch.equal(first, objective(batch)["relative_l2"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": (members("nodes")[0], members("cells")[1])}, r"exchange x .* and y"),
        ({"members": (GridAxis.at(Axis("x", 0.0, 2.0), [0.0, 0.5, 1.0]), members("nodes")[1])}, "x"),
        ({"members": ()}, "points"),
        ({"targets": (Slot("u", 1, 3, False, (0.0,) * 3, (1.0,) * 3),)}, "neither a scalar nor a vector"),
    ],
)
def test_what_motions_do_not_keep_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SQUARE.check(replace(signature(), **change))  # type: ignore[arg-type]


def test_an_unsymmetric_grid_and_an_unknown_name_are_refused() -> None:
    listed = GridAxis.at(Axis("x", 0.0, 2.0), [0.0, 0.5, 1.0, 1.5])
    with pytest.raises(InputError, match="are not symmetric"):
        Symmetries(("reflect",)).check(replace(signature(), members=(listed, members("nodes")[1])))
    with pytest.raises(InputError, match="odd names q"):
        Symmetries(("reflect",), odd=("q",)).check(signature())
