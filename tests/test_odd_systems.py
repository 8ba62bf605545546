"""Least squares of odd systems: zero weights, too few rows, dependent rows and columns. Solved, with a note."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.least_squares import (
    Form,
    Functional,
    GaussNewton,
    LeastSquares,
    LevenbergMarquardt,
    Method,
    Pointwise,
    Spring,
    minimise,
)
from pdesolve.nn import mlp

METHODS: dict[str, Method] = {
    "levenberg_marquardt": LevenbergMarquardt(),
    "gauss_newton": GaussNewton(),
    "spring": Spring(damping=0.1, rate=0.3, norm=math.inf),
}
FORMS = [(m, k) for m in METHODS for k in ("dense", "kernel", "matrix_free") if (m, k) != ("spring", "matrix_free")]


def network(width: int = 4) -> nn.Module:
    return nn.Sequential(*mlp(1, 1, width=width, depth=1, generator=torch.Generator().manual_seed(0)))


def steps(module: nn.Module, rows: Callable[[], dict[str, Tensor]], method: str, kind: str, **weights: float):
    count = sum(len(r) for r in rows().values())
    form = Form(kind, count, sum(p.numel() for p in module.parameters()), 0)  # type: ignore[arg-type]
    optimiser = LeastSquares(module, METHODS[method], weights=weights, form=form)
    losses = [float(optimiser.step(rows)) for _ in range(4)]
    assert all(math.isfinite(loss) for loss in losses)
    assert all(bool(torch.isfinite(p).all()) for p in module.parameters())
    return optimiser, losses


@pytest.mark.parametrize(("method", "kind"), FORMS)
def test_terms_of_the_weight_zero_are_left_out_with_a_note(method: str, kind: str) -> None:
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    ends = []
    for weights in ({"wall": 0.0, "nowhere": 0.0}, {}):
        module = network()

        def rows(module: nn.Module = module, weights: dict[str, float] = weights) -> dict[str, Tensor]:
            u = module(x)[:, 0]
            terms = {"fit": u - torch.sin(3 * x[:, 0])}
            return terms | {"wall": u[:5], "nowhere": u[:3] / 0.0} if weights else terms

        optimiser, losses = steps(module, rows, method, kind, **weights)
        assert losses[-1] < losses[0]
        said = [note for note in optimiser.notes if "no say" in note]
        assert [note.split()[2] for note in said] == list(weights)
        ends.append(torch.cat([p.detach().reshape(-1) for p in module.parameters()]))
    if kind == "dense":  # rows of zeros change no rounding that would be seen; for the others they do
        assert torch.allclose(*ends, atol=1e-6)


def test_a_term_that_holds_exactly_is_noted_and_one_that_does_not_is_finite_or_named() -> None:
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    module = network()
    optimiser = LeastSquares(module, LevenbergMarquardt())
    optimiser.step(lambda: {"fit": module(x)[:, 0] - 1, "lift": module(x)[:2, 0] * 0})
    assert any(note.startswith("the term lift is zero") for note in optimiser.notes)
    optimiser.step(lambda: {"fit": module(x)[:, 0] - 1})
    assert not any("lift" in note for note in optimiser.notes)
    with pytest.raises(Diverged, match="the term wall"):
        optimiser.step(lambda: {"fit": module(x)[:, 0], "wall": module(x)[:2, 0] / 0.0})


def test_nothing_but_zero_weights_moves_nothing() -> None:
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    for method, kind in FORMS:
        module = network()
        before = [p.detach().clone() for p in module.parameters()]
        optimiser, losses = steps(module, lambda m=module: {"fit": m(x)[:, 0] - 1}, method, kind, fit=0.0)
        assert losses == [0.0] * 4 and len([n for n in optimiser.notes if "no say" in n]) == 1
        assert all(torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))


@pytest.mark.parametrize(("method", "kind"), FORMS)
def test_fewer_rows_than_parameters_are_solved_with_a_note(method: str, kind: str) -> None:
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    module = network(width=8)  # 25 parameters
    optimiser, losses = steps(module, lambda: {"fit": module(x)[:, 0] - torch.sin(3 * x[:, 0])}, method, kind)
    assert losses[-1] < 0.5 * losses[0]
    assert "fewer rows than parameters: damped, nearest solution" in optimiser.notes
    assert optimiser.form is not None and "fewer rows than parameters" in str(optimiser.form)


@pytest.mark.parametrize(("method", "kind"), FORMS)
@pytest.mark.parametrize("case", ["repeated points", "dead unit"])
def test_rank_deficient_systems_are_solved_with_a_note(method: str, kind: str, case: str) -> None:
    module = network()  # 13 parameters
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    if case == "repeated points":
        x = x[:4].repeat(5, 1)
    else:
        with torch.no_grad():
            module[0].weight[0] = module[0].bias[0] = module[2].weight[0, 0] = 0.0  # type: ignore[index]
    optimiser, losses = steps(module, lambda: {"fit": module(x)[:, 0] - torch.sin(3 * x[:, 0])}, method, kind)
    assert losses[-1] < losses[0]
    notes = " ".join(optimiser.notes)
    if kind == "matrix_free":
        return  # conjugate gradients see no rank
    if kind == "dense" or method == "gauss_newton":
        rank = int(notes.split("rank-deficient, ")[1].split()[0])
        assert rank <= (6 if case == "repeated points" else 11)  # QR without pivoting sees a bound
    else:
        assert "rows determine more than the damping" in notes


def test_a_full_system_has_no_notes() -> None:
    x = torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None]
    for method in METHODS:
        module = nn.Linear(1, 1, dtype=torch.float64)
        optimiser, _ = steps(module, lambda m=module: {"fit": m(x)[:, 0] - 2 * x[:, 0] - 1}, method, "dense")
        assert optimiser.notes == ()


def test_functions_of_flat_parameters_take_zero_weights_too() -> None:
    theta, x = torch.zeros(2, dtype=torch.float64), torch.linspace(0, 1, 6, dtype=torch.float64)

    def residual(t: Tensor) -> dict[str, Tensor]:
        return {"fit": t[..., :1] + t[..., 1:] * x - 3 * x, "none": t[..., :1] / 0.0}

    def row(t: Tensor, point: Tensor) -> Tensor:
        return t[0] + t[1] * point - 3 * point

    for objective in (
        Functional(residual, weights={"none": 0.0}),
        Pointwise({"fit": (row, x), "none": (lambda t, point: t[0] / 0.0, x)}, weights={"none": 0.0}),
    ):
        for kind in ("dense", "kernel"):
            end = minimise(objective, theta, LevenbergMarquardt(), form=Form(kind, 12, 2, 0))
            assert torch.allclose(end.theta, torch.tensor([0.0, 3.0], dtype=torch.float64), atol=1e-8)


def test_derivatives_that_are_not_finite_end_a_step_and_keep_the_parameters() -> None:
    """The square root of zero: a finite row of an infinite slope."""
    module = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(module.weight)
    x = torch.linspace(1, 2, 4, dtype=torch.float64)[:, None]
    for method in (LevenbergMarquardt(), Spring()):
        optimiser = LeastSquares(module, method, form=Form("kernel", 4, 1, 0))
        with pytest.raises(Diverged, match=r"step 1: J J\^T has entries that are not finite"):
            optimiser.step(lambda: {"fit": module(x)[:, 0].sqrt() - 1})
        assert float(module.weight.detach()) == 0.0
