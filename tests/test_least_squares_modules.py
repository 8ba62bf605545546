"""Least squares of modules: Jacobians from a tape, optimisers that resume, rows shared among processes."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn

from pdesolve.errors import Diverged, InputError
from pdesolve.least_squares import (
    AdaptiveEnergy,
    Form,
    GaussNewton,
    LeastSquares,
    LevenbergMarquardt,
    Method,
    SelfScaledBroyden,
    Soap,
    Spring,
    Thermodynamic,
)
from pdesolve.least_squares.graph import GraphJacobian
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.objective import stack
from pdesolve.least_squares.sharded import Sharded
from pdesolve.least_squares.strips import Outer, StripJacobian
from pdesolve.least_squares.tape import copied, product, record
from pdesolve.nn import FourierFeatures
from pdesolve.nn.mlp import mlp

Terms = dict[str, Tensor]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Modulated(nn.Module):
    """A layer without a rule, with parameters of its own and a layer below."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(1 + 0.1 * draw(width))
        self.below = nn.Linear(width, width, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.below(torch.tanh(self.scale * x))


class Gate(nn.Module):
    """A layer of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(draw(4, seed=7))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.scale * x) * y


class TwoInputs(nn.Module):
    """A network that is no sequence, whose layers may be called with several inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.layer = Gate(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.gate(x, torch.sin(x)))


class Burgers(nn.Module):
    """Rows of Burgers' equation by nested autograd, two a point, and of a condition that compares two places."""

    def __init__(self, points: int = 40) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        shared = nn.Linear(6, 6, dtype=torch.float64)
        layers = mlp(2, 6, width=6, depth=1, generator=generator)
        self.net = nn.Sequential(
            *layers, nn.Tanh(), shared, Modulated(6), nn.Tanh(), shared, nn.Tanh(), nn.Linear(6, 1).double()
        )
        for k, p in enumerate(self.parameters()):
            p.data = 0.5 * draw(*p.shape, seed=k)
        self.viscosity = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
        self.inside, self.left = draw(points, 2, seed=50), draw(7, 2, seed=51)

    def rows(self) -> Terms:
        t, x = (column.clone().requires_grad_() for column in self.inside.T)
        u = self.net(torch.stack([t, x], 1))[:, 0]
        u_t, u_x = torch.autograd.grad(u.sum(), (t, x), create_graph=True)
        (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
        return {
            "equation": torch.stack([u_t + u * u_x - self.viscosity * u_xx, u_x.square()]),
            "periodic": self.net(self.left)[:, 0] - self.net(self.left + 1)[:, 0],
        }


def exact(module: nn.Module, rows: Callable[[], Terms], weights: dict[str, float]) -> Tensor:
    """J by a backward pass for each row."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    parts = []
    for row in stack(rows(), weights):
        grads = torch.autograd.grad(row, parameters, retain_graph=True, materialize_grads=True)
        parts.append(torch.cat([g.reshape(-1) for g in grads]))
    return torch.stack(parts)


def agree(objective: Modular, j: Tensor) -> StripJacobian:
    here = objective.linearise(objective.theta())
    found = here.jacobian
    assert isinstance(found, StripJacobian) and objective.pointwise
    v, w, index = draw(j.shape[1], seed=1), draw(j.shape[0], seed=2), torch.randperm(j.shape[1])[: j.shape[1] // 2]
    size = float(j.abs().max())
    for ours, theirs in (
        (found.dense(), j),
        (found.gram(), j @ j.mT),
        (found.times(v), j @ v),
        (found.transposed(w), j.mT @ w),
        (found.columns(index), j[:, index]),
    ):
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12 * size)
    assert torch.allclose(here.gradient, j.mT @ here.rows("test"), atol=1e-12 * size)
    rows, gradient = objective.gradient(objective.theta())
    assert torch.allclose(rows, here.rows("test"), atol=1e-14) and torch.allclose(
        gradient, here.gradient, atol=1e-12 * size
    )
    return found


def test_the_tape_gives_the_jacobian_of_nested_derivatives() -> None:
    module, weights = Burgers(), {"periodic": 9.0}
    agree(Modular(module, module.rows, weights=weights), exact(module, module.rows, weights))


def test_tiles_and_explicit_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from pdesolve.least_squares import strips

    monkeypatch.setattr(strips, "_TILE", 16)
    monkeypatch.setattr(strips, "CHUNK_BYTES", 2000)
    module = Burgers()
    agree(Modular(module, module.rows), exact(module, module.rows, {}))


def test_channels_that_depend_on_one_another_are_joined() -> None:
    module = nn.Sequential(*mlp(2, 1, width=8, depth=2, generator=torch.Generator().manual_seed(0)))
    points = draw(30, 2)

    def derivatives() -> tuple[Tensor, ...]:
        x, y = (column.clone().requires_grad_() for column in points.T)
        u = module(torch.stack([x, y], 1))[:, 0]
        u_x, u_y = torch.autograd.grad(u.sum(), (x, y), create_graph=True)
        (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
        (u_yy,) = torch.autograd.grad(u_y.sum(), y, create_graph=True)
        return u, u_x, u_y, u_xx, u_yy

    def burgers() -> Terms:
        u, u_t, u_x, _, u_xx = derivatives()
        return {"equation": u_t + u * u_x - u_xx}

    def poisson() -> Terms:
        return {"equation": derivatives()[3] + derivatives()[4]}

    agree(Modular(module, poisson), exact(module, poisson, {}))
    strips = agree(Modular(module, burgers), exact(module, burgers, {})).strips
    inner = [s.content for s in strips if isinstance(s.content, Outer) and s.content.inputs.shape[-1] == 8]
    assert {len(o.errors) for o in inner if o.errors.shape[-1] == 8} == {3}  # value, u_x, u_t - u_xx: not 4
    one = inner[0]
    # a dependent channel between others, whose place in the basis is noise
    for factor in (2.0, 0.0):
        errors = torch.cat([one.errors[:1], factor * one.errors[:1], one.errors[1:]])
        joined = Outer(errors, torch.cat([one.inputs[:1], one.inputs[:1], one.inputs[1:]]))
        assert torch.allclose(joined.merged().explicit(), joined.explicit(), atol=1e-13)
        assert len(joined.merged().errors) == len(one.errors)


def test_channels_of_a_value_and_its_derivative_go_through_the_same_hook() -> None:
    """What jets do: a layer carries (value, du/dx) as channels and puts its products on the tape."""
    net = mlp(1, 1, width=7, depth=2, generator=torch.Generator().manual_seed(1))
    module, x = nn.Sequential(*net), draw(25, 1)

    def rows() -> Terms:
        jet = torch.stack([x, torch.ones_like(x)])
        for layer in net:
            if isinstance(layer, nn.Linear):
                value, slope = product(jet, layer.weight)
                jet = torch.stack([value + copied(layer.bias, len(x)), slope])
            else:
                value = torch.tanh(jet[0])
                jet = torch.stack([value, (1 - value.square()) * jet[1]])
        return {"equation": jet[1, :, 0] + jet[0, :, 0] ** 2}

    def nested() -> Terms:
        y = x.clone().requires_grad_()
        u = module(y)
        (slope,) = torch.autograd.grad(u.sum(), y, create_graph=True)
        return {"equation": slope[:, 0] + u[:, 0] ** 2}

    agree(Modular(module, rows), exact(module, nested, {}))


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(4, 3), nn.Linear(4, 3, bias=False), TwoInputs(), nn.PReLU(4), nn.LayerNorm(4), Modulated(4),
     nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 4, bias=False))],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_every_kind_of_layer(layer: nn.Module) -> None:
    module, x = nn.Sequential(FourierFeatures(2, 2, 1.0, torch.Generator().manual_seed(0)), layer.double()), draw(20, 2)

    def rows() -> Terms:
        return {"fit": module(x).T.sin()}

    agree(Modular(module, rows), exact(module, rows, {}))


def test_rows_that_mix_points_are_found_and_solved_by_the_graph() -> None:
    module, x = nn.Sequential(*mlp(1, 1, width=5, depth=1, generator=torch.Generator().manual_seed(0))), draw(12, 1)
    for rows in (
        lambda: {"differences": module(x)[:, 0] - module(x)[:, 0].roll(1)},
        lambda: {"fit": module(x)[:, 0], "integral": module(x).mean() - 1},
        lambda: {"fit": module(x)[:, 0], "decay": torch.cat([p.reshape(-1) for p in module.parameters()])},
    ):
        objective = Modular(module, rows)
        here = objective.linearise(objective.theta())
        j = exact(module, rows, {})
        assert objective.pointwise is False and isinstance(here.jacobian, GraphJacobian)
        v, w = draw(j.shape[1], seed=1), draw(j.shape[0], seed=2)
        assert torch.allclose(here.jacobian.dense(), j, atol=1e-13)
        assert torch.allclose(here.jacobian.gram(), j @ j.mT, atol=1e-12)
        assert torch.allclose(here.jacobian.times(v), j @ v, atol=1e-12)
        assert torch.allclose(here.jacobian.transposed(w), j.mT @ w, atol=1e-12)
        objective.put(objective.theta() + 1)  # a trial of a step; J stays what it was
        assert torch.allclose(here.jacobian.times(v), j @ v, atol=1e-12)
        objective.put(objective.theta() + 1)
        assert torch.allclose(here.jacobian.transposed(w), j.mT @ w, atol=1e-12)
        optimiser, losses = LeastSquares(module, LevenbergMarquardt(), form=Form("kernel", len(j), 16, 0)), []
        for _ in range(5):
            losses.append(float(optimiser.step(rows)))
        assert losses[-1] < losses[0]


def test_a_recorded_module_is_left_as_it_was() -> None:
    module, x = Burgers(), draw(3, 2)
    before = module.net(x)
    with record(module) as tape:
        assert torch.allclose(module.net(x), before, atol=1e-14)
    assert tape.products and not tape.open
    assert not any("forward" in layer.__dict__ for layer in module.modules())
    assert torch.equal(module.net(x), before)
    n = len(tape.products)
    module.net(x)
    assert len(tape.products) == n


METHODS: list[Method] = [
    LevenbergMarquardt(),
    GaussNewton(subset=20, seed=3),
    Spring(norm=math.inf, damping=1e-2),
    Thermodynamic(),
    AdaptiveEnergy(),
]


def at_start() -> tuple[Tensor, float]:
    """Parameters and loss before any step."""
    module = Burgers()
    objective = Modular(module, module.rows)
    return objective.theta(), float(objective.loss(objective.theta()))


@pytest.mark.parametrize("kind", ["dense", "kernel", "matrix_free"])
def test_forms_take_the_same_step(kind: str) -> None:
    ends = []
    for form in (Form("dense", 87, 1, 0), Form(kind, 87, 1, 0)):  # type: ignore[arg-type]
        module = Burgers()
        optimiser = LeastSquares(module, LevenbergMarquardt(damping=1.0, acceleration=0.0), form=form)
        optimiser.step(module.rows)
        ends.append(Modular(module, module.rows).theta())
    assert torch.allclose(*ends, rtol=0, atol=1e-10)


def run_first_order(make: Callable[[list[nn.Parameter]], torch.optim.Optimizer]) -> tuple[Tensor, Tensor]:
    """Parameters after 6 steps, at once and with the state written and read in between."""
    ends = []
    for interrupted in (False, True):
        module = Burgers()

        def closure(module: Burgers = module) -> Tensor:
            module.zero_grad()
            loss = stack(module.rows()).square().sum()
            loss.backward()
            return loss

        optimiser = make(list(module.parameters()))
        for k in range(6):
            if interrupted and k == 3:
                content = through_file({"module": module.state_dict(), "optimiser": optimiser.state_dict()})
                module.load_state_dict(content["module"])
                optimiser = make(list(module.parameters()))
                optimiser.load_state_dict(content["optimiser"])
            optimiser.step(closure)
        ends.append(Modular(module, module.rows).theta())
    return ends[0], ends[1]


def through_file(content: dict) -> dict:
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SelfScaledBroyden(p, iterations=4),
        lambda p: SelfScaledBroyden(p, iterations=4, family="bfgs"),
        lambda p: Soap(p, frequency=2),
        lambda p: torch.optim.LBFGS(p, max_iter=4, line_search_fn="strong_wolfe"),
    ],
    ids=["broyden", "bfgs", "soap", "lbfgs"],
)
def test_optimisers_of_gradients_resume_bit_for_bit(make: Callable) -> None:
    once, twice = run_first_order(make)
    assert torch.equal(once, twice)
    assert not torch.equal(once, at_start()[0])


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_least_squares_resumes_bit_for_bit(method: Method) -> None:
    ends = []
    for interrupted in (False, True):
        module = Burgers()
        optimiser = LeastSquares(module, method, memory=2**24)
        for k in range(6):
            if interrupted and k == 3:
                content = through_file({"module": module.state_dict(), "optimiser": optimiser.state_dict()})
                module.load_state_dict(content["module"])
                optimiser = LeastSquares(module, method, memory=1)  # the form that was chosen is obeyed
                optimiser.load_state_dict(content["optimiser"])
            optimiser.step(module.rows)
        assert optimiser.steps == 6 and optimiser.form is not None and optimiser.form.kind == "dense"
        ends.append(Modular(module, module.rows).theta())
    assert torch.equal(*ends)
    assert float(Modular(module, module.rows).loss(ends[0])) < at_start()[1]


def test_a_step_that_diverges_names_where_and_leaves_the_parameters() -> None:
    module = Burgers()
    optimiser = LeastSquares(module, LevenbergMarquardt())
    optimiser.step(module.rows)
    before = Modular(module, module.rows).theta()
    module.inside[4, 1] = math.nan
    with pytest.raises(Diverged, match=r"step 2: the term equation is nan at row 4 \(float64\)"):
        optimiser.step(module.rows)
    assert torch.equal(Modular(module, module.rows).theta(), before)


def test_a_step_that_is_interrupted_leaves_the_parameters() -> None:
    module, calls = Burgers(), []

    def rows() -> Terms:
        calls.append(1)
        if len(calls) == 4:  # the tape, its check, a trial, then this
            raise KeyboardInterrupt
        return module.rows()

    before = Modular(module, rows).theta()
    with pytest.raises(KeyboardInterrupt):
        LeastSquares(module, LevenbergMarquardt(), form=Form("dense", 87, 1, 0)).step(rows)
    assert torch.equal(Modular(module, rows).theta(), before)


def test_the_optimiser_says_when_nothing_is_better() -> None:
    module = nn.Linear(1, 1).double()
    optimiser = LeastSquares(module, LevenbergMarquardt())
    for _ in range(30):
        optimiser.step(
            lambda: {"fit": module(torch.ones(3, 1).double())[:, 0] - torch.tensor([1.0, 2.0, 3.0]).double()}
        )
    assert not optimiser.moved
    assert float((module.weight + module.bias).detach()) == pytest.approx(2.0, abs=1e-9)
    with pytest.raises(InputError, match="no parameters to train"):
        Modular(nn.Tanh(), dict)


def test_an_energy_of_a_module_that_is_quadratic_takes_one_step() -> None:
    # E(u) = ∫ u'²/2 − u with u = x (1 − x) N(x), −1/24 at the minimum x (1 − x)/2; only the last layer is trained
    module = nn.Sequential(*mlp(1, 1, width=9, depth=1, generator=torch.Generator().manual_seed(0)))
    module[0].requires_grad_(False)
    nodes = ((torch.arange(60, dtype=torch.float64) + 0.5) / 60)[:, None]

    def parts() -> tuple[Tensor, Tensor]:
        x = nodes.clone().requires_grad_()
        u = x * (1 - x) * module(x)
        return u[:, 0], torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, 0]

    def energy() -> Tensor:
        u, slope = parts()
        return (slope.square() / 2 - u).mean()

    optimiser = LeastSquares(module, GaussNewton())
    found = optimiser.step_energy(energy, lambda: {"slope": parts()[1] / 60**0.5})
    assert float(found) == pytest.approx(-1 / 24, abs=2e-4)  # of the midpoint rule
    u = parts()[0].detach()
    assert float((u - nodes[:, 0] * (1 - nodes[:, 0]) / 2).abs().max()) < 1e-3
    slopes = torch.autograd.grad(energy(), [module[2].weight, module[2].bias])
    assert max(float(g.abs().max()) for g in slopes) < 1e-8
    with pytest.raises(InputError, match="use GaussNewton"):
        LeastSquares(module, Spring()).step_energy(energy, lambda: {"slope": parts()[1]})


def test_soap_is_adam_in_the_eigenbasis_of_a_quadratic() -> None:
    # gradients G = A W B with fixed A, B have the eigenvectors of A and B once L and R have averaged
    generator = torch.Generator().manual_seed(0)
    w = nn.Parameter(torch.randn(4, 3, dtype=torch.float64, generator=generator))
    start = w.detach().clone()
    g = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    soap = Soap([w], lr=0.01, betas=(0.9, 0.95, 0.95), epsilon=0.0, frequency=100)
    w.grad = g.clone()
    soap.step()
    assert torch.equal(w, start)  # the first step only prepares the bases
    h = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    w.grad = h.clone()
    soap.step()
    left, right = torch.linalg.svd(g)[0], torch.linalg.svd(g)[2].mT
    turned = left.mT @ h @ right
    # bias corrections make the first Adam step the sign of the turned gradient; signs of eigenvectors cancel
    expected = start - 0.01 * left @ torch.where(turned == 0, 0.0, turned.sign()) @ right.mT
    # eigenvectors of G Gᵀ of eigenvalue zero are a choice: compare where they are none
    inside = left[:, :3] @ left[:, :3].mT
    assert torch.allclose(inside @ w.detach(), inside @ expected, atol=1e-9)


def test_soap_in_bases_that_are_permutations_is_adam() -> None:
    # diagonal gradients whose sizes change places: bases are signed permutations, V must move with their columns
    generator = torch.Generator().manual_seed(2)
    w, v = nn.Parameter(torch.zeros(4, 4, dtype=torch.float64)), nn.Parameter(torch.zeros(4, 4, dtype=torch.float64))
    soap = Soap([w], lr=0.1, betas=(0.9, 0.8, 0.5), frequency=2)
    adam = torch.optim.Adam([v], lr=0.1, betas=(0.9, 0.8), eps=1e-8)
    for k in range(12):
        g = torch.diag(torch.exp(2 * torch.randn(4, dtype=torch.float64, generator=generator)))
        w.grad, v.grad = g.clone(), g.clone()
        soap.step()
        if k:  # the first step of SOAP only prepares
            adam.step()
    # off the diagonal rounding meets epsilon
    assert torch.allclose(w, v, atol=1e-7) and float(v.detach().abs().max()) > 0.1


def test_soap_minimises_a_quadratic_that_adam_does_not() -> None:
    generator = torch.Generator().manual_seed(1)
    q, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=generator))
    a = q @ torch.diag(torch.logspace(0, -4, 8, dtype=torch.float64)) @ q.mT
    losses = {}
    for name in ("soap", "adam"):
        w = nn.Parameter(torch.ones(8, 5, dtype=torch.float64))
        make = {"soap": lambda p: Soap(p, lr=0.02, frequency=2), "adam": lambda p: torch.optim.Adam(p, lr=0.02)}[name]
        optimiser = make([w])
        for _ in range(400):
            optimiser.zero_grad()
            loss = (w * (a @ w)).sum() / 2
            loss.backward()
            optimiser.step()
        losses[name] = float(loss)
    assert losses["soap"] < 1e-3 and losses["soap"] < 0.2 * losses["adam"]


def shard(rank: int, folder: str, cases: list[tuple[Method, str]]) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    results = [after(method, kind, slice(0, 25) if rank == 0 else slice(25, 40)) for method, kind in cases]
    torch.save(results, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def after(method: Method, kind: str, some: slice) -> Tensor:
    """Parameters after two steps on some of the points."""
    module = Burgers()
    module.inside = module.inside[some]
    if some.start:
        module.left = module.left[3:]
    elif some.stop == 25:
        module.left = module.left[:3]
    optimiser = LeastSquares(module, method, form=Form(kind, 87, 1, 0))  # type: ignore[arg-type]
    for _ in range(2):
        optimiser.step(module.rows)
    return Modular(module, module.rows).theta()


@pytest.mark.slow
def test_two_processes_equal_one() -> None:
    cases: list[tuple[Method, str]] = [(LevenbergMarquardt(), kind) for kind in ("dense", "kernel", "matrix_free")]
    cases.append((Spring(damping=1e-2, norm=math.inf), "kernel"))
    assert not Sharded.needed()
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(shard, (folder, cases), nprocs=2)
        both = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    for (method, kind), first, second in zip(cases, *both, strict=True):
        assert torch.equal(first, second), "every process takes the same step"
        one = after(method, kind, slice(0, 40))
        assert torch.allclose(first, one, rtol=0, atol=1e-10), (method, kind, float((first - one).abs().max()))
