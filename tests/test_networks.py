"""Network parts: architectures, features, factorised weights, and the Jacobians that a tape of them gives."""

from __future__ import annotations

import copy
import itertools
import math
import warnings
from functools import partial
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from pdesolve.errors import InputError
from pdesolve.fields import engines
from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Index
from pdesolve.fields.propagation import propagate
from pdesolve.geometry import Axes, Axis
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.strips import Block, StripJacobian
from pdesolve.nn import (
    AdaptiveBlock,
    Architecture,
    Beside,
    FactorisedLinear,
    Features,
    FourierFeatures,
    LearnedFourierFeatures,
    ModifiedMLP,
    PeriodicEmbedding,
    PirateNet,
    Rescale,
    Sine,
    Waves,
    Weights,
    factorise,
    fit_output,
    mlp,
    network,
    sine_features,
)
from pdesolve.nn.mlp import linear

AXES = Axes((Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0, periodic=True)))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def shaken(module: nn.Module, factor: float = 1.0) -> nn.Module:
    """The module away from its start, where biases and α are zero; its weights `factor` times larger."""
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            p.mul_(factor).add_(0.3 * draw(*p.shape, seed=100 + k))
    return module


class Tied(nn.Module):
    """A factorised layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = factorise(linear(4, 4, before="tanh", generator=generator(3)), generator=generator())
        self.last = nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.shared(torch.tanh(self.shared(x)))))


class Block4(nn.Module):
    """An adaptive block whose gates are functions of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.block = AdaptiveBlock(4, activation="silu", generator=generator())

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x, torch.sin(x), torch.cos(x))


PARTS: dict[str, nn.Module] = {
    "factorised": nn.Sequential(
        factorise(linear(4, 3, before=None, generator=generator()), generator=generator()), nn.Tanh()
    ),
    "factorised, no bias": nn.Sequential(FactorisedLinear(draw(3, 4), draw(3), None), nn.Tanh()),
    "tied": Tied(),
    "features": nn.Sequential(LearnedFourierFeatures(4, 3, 2.0, generator()), nn.Linear(6, 1).double()),
    "sine": nn.Sequential(sine_features(4, 3, 2.0, generator()), nn.Linear(3, 1).double()),
    "block": Block4(),
    "modified": ModifiedMLP(4, 2, width=5, depth=2, activation="tanh", generator=generator()),
    "piratenet": PirateNet(4, 2, width=5, depth=2, activation="tanh", generator=generator()),
    "embedded": PirateNet(4, 1, width=4, depth=1, activation="silu", generator=generator()),
    "random": nn.Sequential(FourierFeatures(4, 3, 1.0, generator()), Sine(0.7), nn.Linear(6, 2).double()),
    "axes": nn.Sequential(
        nn.Linear(4, 2).double(), Rescale(AXES), PeriodicEmbedding(AXES, 2), nn.SiLU(), nn.Linear(5, 1).double()
    ),
    "beside": nn.Sequential(
        nn.Linear(4, 2).double(), Beside(Rescale(AXES), Waves(AXES, [(1, 3), (2,)])), nn.Linear(8, 1).double()
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_tape_gives_the_dense_jacobian(name: str) -> None:
    """J and J J^T of values and of a nonlinear second-order residual, against torch.func at each point."""
    module, points = shaken(PARTS[name]), draw(9, 4)
    parameters = {k: p.detach() for k, p in module.named_parameters()}

    def u(p: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(module, p, (x[None],))[0]

    def row(p: dict[str, Tensor], x: Tensor) -> Tensor:
        gradient = jacrev(u, 1)
        first, second = gradient(p, x), jacrev(lambda y: gradient(p, y)[0, 0])(x)
        return torch.stack([u(p, x)[0], first[0, 1] + u(p, x)[-1] * first[0, 0] - 0.3 * second[0]])

    def rows() -> dict[str, Tensor]:
        x = points.clone().requires_grad_()
        outputs = module(x)
        (first,) = torch.autograd.grad(outputs[:, 0].sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first[:, 0].sum(), x, create_graph=True)
        return {"fit": outputs[:, 0], "equation": first[:, 1] + outputs[:, -1] * first[:, 0] - 0.3 * second[:, 0]}

    blocks = vmap(jacrev(row), (None, 0))(parameters, points)
    exact = torch.cat([blocks[k].flatten(2) for k in parameters], -1).transpose(0, 1).flatten(0, 1)
    objective = Modular(module, rows)
    found = objective.linearise(objective.theta()).jacobian
    assert objective.pointwise and isinstance(found, StripJacobian)
    size = float(exact.abs().max())
    assert torch.allclose(found.dense(), exact, rtol=1e-12, atol=1e-12 * size)
    assert torch.allclose(found.gram(), exact @ exact.mT, rtol=1e-12, atol=1e-12 * size**2)
    # rules are there so that weight matrices never become explicit blocks
    matrices = {where.start for p, where in zip(objective.parameters, objective.slices, strict=True) if p.ndim == 2}
    assert not [s for s in found.strips if isinstance(s.content, Block) and s.columns.start in matrices]


def nested(module: nn.Module, x: Tensor, index: Index) -> Tensor:
    """D^α of every output (point, output), by a backward pass for each order."""
    columns = []
    x = x.clone().requires_grad_()
    for column in module(x).T:
        for axis, order in enumerate(index):
            for _ in range(order):
                (gradient,) = torch.autograd.grad(column.sum(), x, create_graph=True, materialize_grads=True)
                column = gradient[:, axis]
        columns.append(column)
    return torch.stack(columns, 1)


FOURTH: tuple[Index, ...] = ((4, 0, 0, 0), (2, 2, 0, 0), (1, 1, 1, 0), (0, 0, 0, 2))


@pytest.mark.parametrize("factor", [1.0, 4.0])
@pytest.mark.parametrize("name", [name for name in PARTS if name not in ("tied", "block")])
def test_jets_are_nested_derivatives(name: str, factor: float) -> None:
    """Partials to order 4 and the gradient of a sum of squares of them, to 1e-12 of the largest entry."""
    module, points = shaken(copy.deepcopy(PARTS[name]), factor), draw(6, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layer without a rule
        jet = propagate(module, Jet.of_points(points, FOURTH))
    found, exact = [], []
    for index in jet.wanted:
        partial = jet.partial(index)
        exact.append(nested(module, points, index))
        found.append(torch.zeros_like(exact[-1]) if partial is None else partial)
        assert float((found[-1] - exact[-1]).detach().abs().max()) <= 1e-12 * float(exact[-1].detach().abs().max())
    scales = [1 / exact.detach().square().sum().clamp_min(1e-30) for exact in exact]
    ours, theirs = (
        torch.autograd.grad(
            torch.stack([s * p.square().sum() for s, p in zip(scales, partials, strict=True)]).sum(),
            list(module.parameters()), materialize_grads=True,
        )
        for partials in (found, exact)
    )  # fmt: skip
    for a, b in zip(ours, theirs, strict=True):
        assert float((a - b).abs().max()) <= 1e-12 * max(float(g.abs().max()) for g in theirs)


@pytest.mark.parametrize("name", [name for name in PARTS if name not in ("tied", "block")])
def test_jets_write_the_tape_too(name: str) -> None:
    """J of a nonlinear residual of jets is that of nested derivatives, in strips of the same kind."""
    module, points = shaken(copy.deepcopy(PARTS[name])), draw(7, 4)
    first, second, third = (0, 1, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)

    def rows() -> dict[str, Tensor]:
        jet = propagate(module, Jet.of_points(points, (first, third)))
        u, u_t, u_x, u_xx = (jet.partial(i) for i in ((0, 0, 0, 0), first, second, third))
        assert u is not None and u_t is not None and u_x is not None and u_xx is not None
        return {"equation": (u_t + u * u_x - 0.3 * u_xx)[:, 0]}

    def by_autograd() -> dict[str, Tensor]:
        u, u_t, u_x, u_xx = (nested(module, points, i) for i in ((0, 0, 0, 0), first, second, third))
        return {"equation": (u_t + u * u_x - 0.3 * u_xx)[:, 0]}

    objective, other = Modular(module, rows), Modular(module, by_autograd)
    here, there = (o.linearise(objective.theta()).jacobian for o in (objective, other))
    exact = there.dense()
    assert objective.pointwise and isinstance(here, StripJacobian)
    assert float((here.dense() - exact).abs().max()) <= 1e-12 * float(exact.abs().max())
    assert float((here.gram() - exact @ exact.mT).abs().max()) <= 1e-12 * float((exact @ exact.mT).abs().max())
    matrices = {where.start for p, where in zip(objective.parameters, objective.slices, strict=True) if p.ndim == 2}
    assert not [s for s in here.strips if isinstance(s.content, Block) and s.columns.start in matrices]


@pytest.mark.parametrize(
    ("architecture", "weights", "features"),
    list(itertools.product(get_args(Architecture), get_args(Weights), get_args(Features))),
)
def test_every_network_is_drawn_from_its_generator_and_periodic(
    architecture: Architecture, weights: Weights, features: Features
) -> None:
    def make(seed: int) -> nn.Module:
        return network(
            AXES, 2, architecture=architecture, width=8, depth=2, weights=weights, features=features,
            feature_count=4, generator=generator(seed),
        )  # fmt: skip

    first, again, other = make(1), make(1), make(2)
    x = torch.rand(5, 2, dtype=torch.float64, generator=generator())
    assert first(x).shape == (5, 2) and all(p.dtype == torch.float64 for p in first.parameters())
    assert torch.equal(first(x), again(x)) and not torch.allclose(first(x), other(x))
    assert torch.allclose(shaken(first)(x), first(x + torch.tensor([0.0, 2.0])), atol=1e-13)
    factorised = [layer for layer in first.modules() if isinstance(layer, FactorisedLinear)]
    assert bool(factorised) == (weights == "factorised")
    trained = {"coordinates": 0, "fourier": 0, "learned_fourier": 1, "sine": 2}[features]
    body = first[1 + (features != "coordinates") :] if architecture == "mlp" else first[-1]
    assert len(list(first.parameters())) - len(list(body.parameters())) == trained


@pytest.mark.slow
def test_compilers_trace_our_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracer alone, no compiler behind it: periodic embeddings, Fourier features, gates, factorised weights."""
    monkeypatch.setattr(engines.torch, "compile", partial(torch.compile, backend="eager"))
    module = network(
        AXES, 1, architecture="piratenet", width=8, depth=1, weights="factorised", features="fourier",
        feature_count=4, generator=generator(),
    )  # fmt: skip
    jet = Jet.of_points(draw(5, 2), ((1, 0), (0, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", message=".*lru_cache")
        found, exact = engines.Whole()(module, jet), propagate(module, jet)
    assert found.indices == exact.indices and torch.allclose(found.values, exact.values, atol=1e-13)


def test_factorising_leaves_the_function_as_it_is() -> None:
    plain = mlp(3, 2, width=6, depth=2, generator=generator())
    x, before = draw(7, 3), plain(draw(7, 3))
    changed = factorise(plain, mean=1.0, deviation=0.1, generator=generator(1))
    assert torch.allclose(changed(x), before, atol=1e-14)
    scales = torch.cat([layer.logarithm.detach() for layer in changed if isinstance(layer, FactorisedLinear)])
    assert float(scales.mean()) == pytest.approx(1.0, abs=0.1) and 0.05 < float(scales.std()) < 0.15
    tied = nn.Sequential(shared := linear(4, 4, before=None, generator=generator()), nn.Tanh(), shared)
    factorise(tied, generator=generator())
    assert tied[0] is tied[2] and isinstance(tied[0], FactorisedLinear)
    with pytest.raises(InputError, match="deviation"):
        factorise(plain, deviation=-1.0, generator=generator())


def test_a_factorised_weight_gets_the_gradient_of_its_factors() -> None:
    layer = factorise(linear(4, 3, before=None, generator=generator()), generator=generator())
    assert isinstance(layer, FactorisedLinear)
    x, weight = draw(6, 4), layer.weight.detach().requires_grad_()
    layer(x).square().sum().backward()
    (plain,) = torch.autograd.grad((x @ weight.mT).square().sum(), weight)
    assert layer.direction.grad is not None and layer.logarithm.grad is not None
    assert torch.allclose(layer.direction.grad, layer.logarithm.exp()[:, None] * plain)
    assert torch.allclose(layer.logarithm.grad, (weight * plain).sum(1))


def test_the_modified_perceptron_is_its_formula() -> None:
    module = shaken(ModifiedMLP(2, 1, width=3, depth=2, activation="tanh", generator=generator()))
    p, x = dict(module.named_parameters()), draw(5, 2)

    def layer(name: str, h: Tensor) -> Tensor:
        return h @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    u, v = torch.tanh(layer("gates.first", x)), torch.tanh(layer("gates.second", x))
    h = x
    for k in range(2):
        z = torch.tanh(layer(f"hidden.{k}", h))
        h = z * u + (1 - z) * v
    assert torch.allclose(module(x), layer("output", h), atol=1e-14)


def test_piratenet_begins_linear_in_its_embedding_and_opens() -> None:
    module = PirateNet(2, 1, width=6, depth=3, activation="tanh", generator=generator())
    x = draw(5, 2)
    embedded = module.embedding(x)
    assert torch.equal(module(x), module.output(embedded))
    start = [p for k, p in module.named_parameters() if "layers" in k or "gates" in k]
    gradients = torch.autograd.grad(module(x).sum(), start, materialize_grads=True)
    assert not any(bool(g.any()) for g in gradients)
    (opening,) = torch.autograd.grad(module(x).sum(), module.blocks[0].skip.openness)  # type: ignore[union-attr]
    assert bool(opening.any())
    with torch.no_grad():
        for block in module.blocks:
            block.skip.openness.fill_(1.0)  # type: ignore[union-attr]
    u, v = module.gates(embedded)
    h = embedded
    for block in module.blocks:
        first, second, third = block.layers  # type: ignore[misc]
        z = torch.tanh(first(h))
        z = torch.tanh(second(z * u + (1 - z) * v))
        h = torch.tanh(third(z * u + (1 - z) * v))
    assert torch.allclose(module(x), module.output(h), atol=1e-14)


@pytest.mark.parametrize("weights", get_args(Weights))
@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_the_last_layer_is_fitted_to_an_initial_state(architecture: Architecture, weights: Weights) -> None:
    module = network(
        AXES, 1, architecture=architecture, width=40, depth=1, weights=weights, features="fourier", feature_count=20,
        feature_scale=2.0, generator=generator(),
    )  # fmt: skip
    x = torch.rand(400, 2, dtype=torch.float64, generator=generator()) * torch.tensor([1.0, 2.0]) - torch.tensor([0, 1])
    state = torch.sin(math.pi * x[:, 1:]) + 0.5 * torch.cos(2 * math.pi * x[:, 1:])
    before = {k: p.detach().clone() for k, p in module.named_parameters()}
    left_over = fit_output(module, x, state)
    assert float((module(x) - state).detach().norm() / state.norm()) == pytest.approx(left_over, rel=1e-6)
    changed = {k for k, p in module.named_parameters() if not torch.equal(p, before[k])}
    last = [k for k in before if k.startswith(list(before)[-1].rpartition(".")[0]) and "logarithm" not in k]
    assert changed == set(last)
    # the network is linear in these, so that its Jacobian is the matrix of the best fit
    columns = [torch.autograd.functional.jacobian(
        lambda p, name=name: functional_call(module, {name: p}, (x,)), before[name]).reshape(len(x), -1)
        for name in last]  # fmt: skip
    matrix = torch.cat(columns, 1)
    best = matrix @ torch.linalg.lstsq(matrix, state, driver="gelsd").solution
    assert left_over == pytest.approx(float((best - state).norm() / state.norm()), rel=1e-5) and left_over < 0.3


def test_what_cannot_be_fitted_or_built_is_refused() -> None:
    module = mlp(2, 1, width=4, depth=1, generator=generator())
    with pytest.raises(InputError, match=r"values are \(point, output\) \(5, 1\)"):
        fit_output(module, draw(5, 2), draw(5))
    with pytest.raises(InputError, match="last layer of Sequential is a Tanh"):
        fit_output(nn.Sequential(*module, nn.Tanh()), draw(5, 2), draw(5, 1))
    for setting, words in (
        ({"architecture": "modified"}, "did you mean 'modified_mlp'"),
        ({"weights": "factored"}, "did you mean 'factorised'"),
        ({"features": "fourrier"}, "did you mean 'fourier'"),
        ({"feature_scale": 0.0}, "scale above zero"),
        ({"width": 0}, "at least one layer"),
        ({"activation": "tahn"}, "did you mean 'tanh'"),
    ):
        for architecture in get_args(Architecture):
            settings = {"architecture": architecture, "width": 4, "depth": 1, **setting}
            with pytest.raises(InputError, match=words):
                network(AXES, 1, generator=generator(), **settings)  # type: ignore[arg-type]


def test_a_fit_of_dependent_units_takes_the_shortest_weights() -> None:
    """More units than points, and two that are the same."""
    module = mlp(1, 1, width=30, depth=1, generator=generator())
    with torch.no_grad():
        module[0].bias.copy_(draw(30))  # type: ignore[arg-type]
        module[0].bias[1] = module[0].bias[0]  # type: ignore[index]
        module[0].weight[1] = module[0].weight[0]  # type: ignore[index]
    x = torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None]
    assert fit_output(module, x, torch.exp(x)) < 1e-5
    last = module[2].weight[0]  # type: ignore[index]
    assert float(last[0].detach()) == pytest.approx(float(last[1].detach())) and float(last.detach().norm()) < 1e6
