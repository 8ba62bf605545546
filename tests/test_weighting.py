"""Weights of terms and of points: known answers, and states that can be stored."""

from __future__ import annotations

import io
import json
import math
import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.least_squares.graph import GraphJacobian
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.objective import stack
from pdesolve.least_squares.trace import row_squares, traces
from pdesolve.nn.mlp import mlp
from pdesolve.training.attention import Attention, squared
from pdesolve.training.balance import (
    GradientNorm,
    GradientStatistics,
    TangentKernel,
    balance,
    gradients,
    ones,
    weighted,
)
from pdesolve.training.causality import Causality, Gate, pointwise

REAL = {"dtype": torch.float64}


def stored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state as it comes back from a checkpoint."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Line(nn.Module):
    """a x + b with a = 2, b = 1."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([2.0, 1.0], **REAL))

    def rows(self) -> dict[str, Tensor]:
        a, b = self.theta
        x = torch.tensor([0.0, 1.0], **REAL)
        return {"equation": (a * x + b) / math.sqrt(2), "edge": 0.1 * b.reshape(1), "held": torch.zeros(3, **REAL)}


def test_gradients_and_traces_by_hand() -> None:
    line = Line()
    # L = ((b)^2 + (a + b)^2) / 2: dL/da = a + b = 3, dL/db = b + a + b = 4; edge: 0.01 b^2
    found = gradients(line, line.rows)
    assert torch.allclose(found["equation"], torch.tensor([3.0, 4.0], **REAL))
    assert torch.allclose(found["edge"], torch.tensor([0.0, 0.02], **REAL))
    assert not found["held"].any()
    # J = [[0, 1], [1, 1]] / sqrt 2, and 0.1 [0, 1]
    measured = traces(line, line.rows)
    assert [float(v) for v in measured.values()] == pytest.approx([1.5, 0.01, 0.0])


def test_each_balance_by_hand() -> None:
    line = Line()
    start = ones(line.rows(), device="cpu", **REAL)
    by_statistics = GradientStatistics(memory=0.9).update(start, line, line.rows)
    assert float(by_statistics["edge"]) == pytest.approx(0.9 + 0.1 * 4.0 / 0.01)
    assert float(by_statistics["equation"]) == 1.0
    by_norm = GradientNorm(memory=0.0).update(start, line, line.rows)
    assert float(by_norm["equation"]) == pytest.approx(5.02 / 5) and float(by_norm["edge"]) == pytest.approx(251.0)
    by_kernel = TangentKernel(memory=0.5).update(start, line, line.rows)
    assert float(by_kernel["edge"]) == pytest.approx(0.5 + 0.5 * 151.0)
    for weights in (by_statistics, by_norm, by_kernel):  # what has no gradient keeps its weight
        assert float(weights["held"]) == 1.0
    capped = GradientNorm(memory=0.0, most=10.0).update(start, line, line.rows)
    assert float(capped["edge"]) == 10.0


class Network(nn.Module):
    """Residual rows of u_x - u and u(0) = 1 of a small network, in very different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(1, 2, width=8, depth=2, generator=torch.Generator().manual_seed(0))
        self.x = torch.linspace(0, 1, 30, **REAL)[:, None].requires_grad_()

    def rows(self) -> dict[str, Tensor]:
        u = self.net(self.x)
        slopes = [torch.autograd.grad(u[:, i].sum(), self.x, create_graph=True)[0][:, 0] for i in range(2)]
        inside = torch.stack([slopes[0] - u[:, 1] ** 2, slopes[1] + u[:, 0]])
        edge = self.net(self.x[:1])[:, 0] - 1
        return {"equation": 10 * inside / math.sqrt(30), "edge": edge}


def test_squared_rows_are_those_of_the_jacobian() -> None:
    network = Network()
    objective = Modular(network, network.rows)
    cheap = row_squares(objective.linearise(objective.theta()).jacobian)
    exact = GraphJacobian(lambda: stack(network.rows()), objective.parameters).dense().square().sum(-1)
    assert torch.allclose(cheap, exact, rtol=1e-12)
    sums = traces(network, network.rows)
    assert float(sums["equation"]) == pytest.approx(float(exact[:60].sum()))
    assert float(sums["edge"]) == pytest.approx(float(exact[60]))


def test_errors_that_are_zero_at_every_point_have_squares_of_zero() -> None:
    """As behind a gate of zero: the channels of a weight that has no say yet are all left out."""
    gate, inner = nn.Linear(3, 1, dtype=torch.float64), nn.Linear(2, 3, dtype=torch.float64)
    nn.init.zeros_(gate.weight)
    x = torch.rand(7, 2, dtype=torch.float64, requires_grad=True)
    module = nn.Sequential(inner, nn.Tanh(), gate)

    def rows() -> dict[str, Tensor]:
        u = module(x)[:, 0]
        return {"equation": u + torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, 0] - 1}

    objective = Modular(module, rows)
    jacobian = objective.linearise(objective.theta()).jacobian
    assert torch.allclose(row_squares(jacobian), jacobian.dense().square().sum(-1))
    assert float(traces(module, rows)["equation"]) > 0


@pytest.mark.parametrize("method", [GradientNorm(memory=0.0), TangentKernel(memory=0.0)])
def test_terms_are_balanced_after_an_update(method: GradientNorm | TangentKernel) -> None:
    network = Network()

    def sizes(weights: dict[str, Tensor]) -> list[float]:
        def rows() -> dict[str, Tensor]:
            return weighted(network.rows(), weights)

        if isinstance(method, GradientNorm):
            return [float(g.norm()) for g in gradients(network, rows).values()]
        return [float(trace) for trace in traces(network, rows).values()]

    weights = ones(network.rows(), device="cpu", **REAL)
    before = sizes(weights)
    assert max(before) > 5 * min(before)
    after = sizes(method.update(weights, network, network.rows))
    assert after[0] == pytest.approx(after[1], rel=1e-10)


def test_balances_by_name() -> None:
    assert balance("none") is None
    assert balance("gradient_norm", every=7) == GradientNorm(every=7)
    assert balance("tangent_kernel") == TangentKernel()
    assert balance("gradient_statistics", main="u") == GradientStatistics(main="u")
    with pytest.raises(InputError, match="did you mean 'gradient_norm'"):
        balance("gradient_nrm")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown term 'eqation'"):
        line = Line()
        GradientStatistics(main="eqation").targets(line, line.rows)
    with pytest.raises(InputError, match="memory"):
        GradientNorm(memory=1.0)


def test_attention_by_hand() -> None:
    attention = Attention(memory=0.9, rate=0.1)
    residuals = {"equation": torch.tensor([[3.0, 0.0, 0.3], [4.0, 0.0, 0.4]], **REAL)}  # |r| = 5, 0, 0.5
    state = attention.start(residuals)
    assert not state["equation"].any()
    state = attention.update(state, residuals)
    assert torch.allclose(state["equation"], torch.tensor([0.1, 0.0, 0.01], **REAL))
    state = attention.update(stored(state), residuals)
    assert torch.allclose(squared(state)["equation"], torch.tensor([0.19**2, 0.0, 0.019**2], **REAL))
    for _ in range(500):
        state = attention.update(state, residuals)
    assert float(state["equation"].max()) == pytest.approx(0.1 / (1 - 0.9))  # the bound
    nothing = attention.update(state, {"equation": 0 * residuals["equation"]})
    assert torch.allclose(nothing["equation"], 0.9 * state["equation"])


def test_attention_goes_along_with_points_that_stay() -> None:
    before = torch.tensor([[0.0], [1.0], [2.0]], **REAL)
    after = torch.tensor([[0.0], [5.0], [2.0], [6.0]], **REAL)
    moved = Attention().carried(torch.tensor([1.0, 2.0, 6.0], **REAL), before, after)
    assert moved.tolist() == [1.0, 3.0, 6.0, 3.0]


TIME = Axis("t", 1.0, 3.0)


def test_causal_weights_of_a_constant_loss() -> None:
    causality = Causality(chunks=4, ladder=(0.5, 2.0), enough=0.9)
    times = torch.linspace(1, 3, 41, **REAL)
    chunk = causality.chunk(times, TIME)
    assert chunk.bincount().tolist() == [10, 10, 10, 11]
    losses = causality.losses(torch.full((2, 41), 0.6, **REAL), chunk)  # |r|^2 = 2 * 0.36
    assert torch.allclose(losses, torch.full((4,), 0.72, **REAL))
    state = causality.start(device="cpu")
    expected = [math.exp(-0.5 * 0.72 * i) for i in range(4)]
    assert causality.weights(state, losses).tolist() == pytest.approx(expected)
    rows = pointwise(torch.ones(2, 41, **REAL), causality.weights(state, losses)[chunk])
    assert float(rows[1, -1] ** 2) == pytest.approx(expected[-1])


def test_the_ladder_of_causality_is_climbed_once_a_rung_is_done() -> None:
    causality = Causality(chunks=3, ladder=(1.0, 10.0), enough=0.9)
    state = causality.start(device="cpu")
    large, middle = torch.full((3,), 0.2, **REAL), torch.full((3,), 0.04, **REAL)
    small = torch.full((3,), 1e-3, **REAL)
    state = causality.update(state, large)  # exp(-0.4) = 0.67
    assert int(state["rung"]) == 0
    state = stored(causality.update(state, middle))  # exp(-0.08) = 0.92
    assert int(state["rung"]) == 1
    state = causality.update(state, middle)  # exp(-0.8)
    assert int(state["rung"]) == 1
    for _ in range(3):
        state = causality.update(state, small)
    assert int(state["rung"]) == 2
    assert torch.allclose(causality.weights(state, small), torch.exp(-10 * torch.tensor([0.0, 1e-3, 2e-3], **REAL)))
    assert json.loads(json.dumps({k: v.tolist() for k, v in state.items()})) == {"rung": 2}


def test_a_chunk_without_points_and_a_loss_without_bound() -> None:
    causality = Causality(chunks=4, ladder=(1.0,))
    chunk = causality.chunk(torch.tensor([1.1, 2.9], **REAL), TIME)
    losses = causality.losses(torch.tensor([[1.0, 2.0]], **REAL), chunk)
    assert losses.tolist() == [1.0, 0.0, 0.0, 4.0]
    unbounded = torch.tensor([1.0, math.inf, 1.0, 1.0], **REAL)
    weights = causality.weights(causality.start(device="cpu"), unbounded)
    assert weights.tolist() == pytest.approx([1.0, math.exp(-1.0), 0.0, 0.0])


def test_the_gate_moves_as_the_residual_falls() -> None:
    gate = Gate(rate=0.1)
    times = torch.linspace(1, 3, 101, **REAL)
    state = gate.start(device="cpu", **REAL)
    closed = gate.weights(state, times, TIME)
    assert float(closed[0]) == pytest.approx((1 - math.tanh(2.5)) / 2) and closed.max() < 0.01
    large, small = torch.full((1, 101), 1e3, **REAL), torch.full((1, 101), 1e-3, **REAL)
    still = gate.update(state, large, torch.ones(101, **REAL))
    assert float(still["front"]) == pytest.approx(-0.5)
    for _ in range(40):
        state = stored(gate.update(state, small, gate.weights(state, times, TIME)))
    assert float(state["front"]) == 1.5
    assert gate.weights(state, times, TIME).min() > 0.99


def test_bad_settings_are_refused() -> None:
    for make, word in (
        (lambda: Attention(memory=1.0), "memory"),
        (lambda: Causality(chunks=0), "chunks"),
        (lambda: Causality(enough=1.0), "enough"),
        (lambda: Gate(rate=0.0), "rate"),
    ):
        with pytest.raises(InputError, match=word):
            make()


def statistics(some: slice) -> list[Tensor]:
    """Every kind of weight from some of thirty points."""
    network = Network()
    inside = torch.linspace(0, 1, 30, **REAL)

    def rows() -> dict[str, Tensor]:
        terms = network.rows()
        # the point at the edge is of the first process alone
        return {"equation": terms["equation"][:, some], "edge": terms["edge"] * float(some.start == 0)}

    residual = rows()["equation"]
    start = ones(rows(), device="cpu", **REAL)
    found = [method.update(start, network, rows) for method in (GradientNorm(), TangentKernel(), GradientStatistics())]
    attention = Attention()
    attended = attention.update(attention.start({"equation": residual}), {"equation": residual})["equation"]
    axis = Axis("t", 0.0, 1.0)
    causality = Causality(chunks=4)
    chunk = causality.chunk(inside[some], axis)
    gate = Gate(tolerance=0.1)
    front = gate.update(gate.start(device="cpu", **REAL), residual, torch.ones(residual.shape[-1], **REAL))
    terms = [weight for weights in found for weight in weights.values()]
    return [*terms, causality.losses(residual, chunk), front["front"], attended]


def shard(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    torch.save(statistics(slice(0, 12) if rank == 0 else slice(12, 30)), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow  # two processes that import torch: 8 s
def test_two_processes_weigh_as_one() -> None:
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(shard, (folder,), nprocs=2)
        first, second = (torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    one = statistics(slice(0, 30))
    for a, b, c in zip(first[:-1], second[:-1], one[:-1], strict=True):
        assert torch.equal(a, b) and torch.allclose(a, c, rtol=1e-12)
    assert torch.allclose(torch.cat([first[-1], second[-1]]), one[-1], rtol=1e-12)
