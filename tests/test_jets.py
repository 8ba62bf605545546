"""Jets of networks agree with nested autograd: values, partials to order 4, gradients, and gradients of gradients."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.fields import engines, kernels, propagation, smooth
from pdesolve.fields.engines import Eager, Engine, Fused, Whole, engine
from pdesolve.fields.jets import Jet, add, compose, concatenated, linear, product, scaled, shifted, subtract
from pdesolve.fields.multi_index import Combination, Index, closure, composition, shares
from pdesolve.fields.propagation import differentiated, propagate
from pdesolve.fields.smooth import Smooth
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.strips import StripJacobian
from pdesolve.nn import Sine

MIXED: tuple[Index, ...] = ((2, 0), (0, 4), (1, 2), (1, 3))
ACTIVATIONS = [
    nn.Tanh(), nn.SiLU(), nn.Sigmoid(), nn.GELU(), nn.GELU("tanh"), nn.Softplus(), nn.Softplus(2.0, 3.0), Sine(1.3),
    nn.Identity(), nn.Flatten(),
]  # fmt: skip
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "exp": torch.exp, "log": torch.log, "sinh": torch.sinh,
    "cosh": torch.cosh, "tanh": torch.tanh, "arctan": torch.arctan, "erf": torch.erf, "sqrt": torch.sqrt,
    "abs": torch.abs, "sech": lambda u: 1 / torch.cosh(u),
}  # fmt: skip


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def network(activation: nn.Module, factor: float = 1.0, width: int = 6) -> nn.Sequential:
    layers = [nn.Linear(2, width), activation, nn.Linear(width, width), activation, nn.Linear(width, 2)]
    module = nn.Sequential(*layers).double()
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            p.copy_(factor * (draw(*p.shape, seed=k) - 0.5) * (2.0 if p.ndim == 1 else math.sqrt(12 / p.shape[1])))
    return module


def nested(function: Callable[[Tensor], Tensor], x: Tensor, indices: Iterable[Index]) -> list[Tensor]:
    """Partials of every output by autograd of autograd."""
    x = x.clone().requires_grad_()
    found = {(0, 0): function(x)}

    def partial(index: Index) -> Tensor:
        if index not in found:
            axis = next(i for i, order in enumerate(index) if order)
            lower = partial(tuple(order - (i == axis) for i, order in enumerate(index)))
            columns = [
                torch.autograd.grad(c.sum(), x, create_graph=True, materialize_grads=True)[0][:, axis] for c in lower.mT
            ] if lower.requires_grad else [torch.zeros_like(x[:, 0])] * lower.shape[1]  # fmt: skip
            found[index] = torch.stack(columns, 1)
        return found[index]

    return [partial(index) for index in indices]


def gap(a: Tensor, b: Tensor) -> float:
    return float(((a - b).abs().max() / b.abs().max().clamp_min(1e-30)).detach())


def partials(jet: Jet) -> list[Tensor]:
    """All that is wanted, zeros written out."""
    found = [jet.partial(index) for index in jet.wanted]
    return [torch.zeros_like(jet.channels[0]) if p is None else p for p in found]


def gradients(content: Sequence[Tensor], module: nn.Module, *, graph: bool = False) -> list[Tensor]:
    weighted = [(p * draw(*p.shape, seed=i)).sum() for i, p in enumerate(content) if p.requires_grad]
    total = torch.stack(weighted).sum()
    return list(torch.autograd.grad(total, list(module.parameters()), create_graph=graph, materialize_grads=True))


def agree(jet: Jet, module: nn.Module, x: Tensor, *, second: bool = False) -> None:
    ours, exact = partials(jet), nested(module, x, jet.wanted)
    assert max(map(gap, ours, exact)) < 1e-12
    first = [gradients(content, module, graph=second) for content in (ours, exact)]
    largest = max(float(g.detach().abs().max()) for g in first[1])
    assert max(float((a - b).detach().abs().max()) for a, b in zip(*first, strict=True)) < 1e-12 * largest
    if second:
        again = [gradients([g.square().sum().reshape(1) for g in content], module) for content in first]
        largest = max(float(g.abs().max()) for g in again[1])
        assert max(float((a - b).abs().max()) for a, b in zip(*again, strict=True)) < 1e-11 * largest


@pytest.mark.parametrize("factor", [1.0, 4.0])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: f"{a}"[:14])
def test_networks_carry_their_partials(activation, factor):
    module, x = network(activation, factor), draw(5, 2, seed=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layer without a rule
        jet = propagate(module, Jet.of_points(x, MIXED))
    agree(jet, module, x)


@pytest.mark.parametrize("block", [7, 10**6])
def test_gradients_are_differentiable_again_and_blocks_change_nothing(block, monkeypatch):
    monkeypatch.setattr(kernels, "_BLOCK", block)
    module, x = network(nn.Tanh()), draw(5, 2, seed=9)
    agree(propagate(module, Jet.of_points(x, MIXED)), module, x, second=True)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_elementary_functions_have_their_derivatives(name):
    """All five orders against nested autograd; the last is what gradients of fourth partials need."""
    u = 0.2 + draw(9).requires_grad_()
    found, exact = smooth.ELEMENTARY[name](u, 5), FUNCTIONS[name](u)
    generic = smooth.generic(FUNCTIONS[name])(u, 5)
    for order in range(6):
        assert float((found[order] - exact).abs().max()) <= 1e-12 * max(1.0, float(exact.abs().max()))
        assert float((generic[order] - exact).abs().max()) <= 1e-12 * max(1.0, float(exact.abs().max()))
        if order < 5:
            (exact,) = torch.autograd.grad(exact.sum(), u, create_graph=True, materialize_grads=True)
            exact = exact if exact.requires_grad else exact + 0.0 * u


def test_shares_are_the_partitions():
    """Faà di Bruno: the coefficients of D^α count set partitions, 15 of four derivatives however they are mixed."""
    for alpha in ((4,), (2, 2), (1, 1, 1, 1), (3, 1)):
        assert sum(count for count, _ in shares(alpha)) == 15
    assert {parts: count for count, parts in shares((3,))} == {((3,),): 1, ((1,), (2,)): 3, ((1,), (1,), (1,)): 1}


def test_only_what_is_wanted_is_carried():
    """Heat in three dimensions: eight channels; after the first layer, whose second partials vanish, five."""
    wanted = {(1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2)}
    jet = Jet.of_points(draw(4, 4), wanted)
    assert len(jet.wanted) == 8 and len(jet.indices) == 5 == len(linear(jet, draw(3, 4)).indices)
    plan = composition(jet.indices, jet.wanted)
    assert plan.order == 2 and [len(terms) for terms in plan.channels] == [1] * 5 + [1] * 3
    assert closure(frozenset({(0, 0)})) == ((0, 0),)
    with pytest.raises(InputError, match="up to order 4"):
        Jet.of_points(draw(4, 2), {(3, 2)})


def test_sums_products_and_joins_follow_the_rules():
    x, wanted = draw(6, 2), ((2, 1), (0, 4))
    a, b, c = draw(3, 2, seed=1), draw(3, 2, seed=2), draw(3, seed=3)
    jet = Jet.of_points(x, wanted)
    sine, wave = compose(linear(jet, a), smooth.sine(2.0)), linear(jet, b, c)
    mixed = add(product(sine, wave), subtract(scaled(wave, 3.0), shifted(sine, 0.5)))
    joined = concatenated([mixed, wave.feature(1), sine.feature([2, 0])])

    def function(x: Tensor) -> Tensor:
        sine, wave = torch.sin(2.0 * (x @ a.mT)), x @ b.mT + c
        return torch.cat([sine * wave + 3.0 * wave - sine - 0.5, wave[:, 1:2], sine[:, [2, 0]]], 1)

    assert max(map(gap, partials(joined), nested(function, x, jet.wanted))) < 1e-12


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tanh(self.linear(x))


@pytest.mark.parametrize("layer", [nn.Tanh(), Gate()], ids=["tanh", "no rule"])
@pytest.mark.parametrize("others", [(), ((0, 2),)], ids=["alone", "with one of its terms"])
def test_combinations_are_their_sums(layer, others):
    """Through layers, a product, fallbacks; beside a partial that is one of theirs."""
    module, x = network(layer), draw(5, 2, seed=9)
    terms = {(1, 0): 0.7, (0, 2): -1.3, (1, 3): 0.4}
    combination = Combination(tuple(terms.items()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jet = propagate(module, Jet.of_points(x, (combination, *others)))
    assert [i for i in jet.wanted if not isinstance(i, Combination)][-1] == (0, 3)
    both = add(product(jet, compose(jet, smooth.sine())), jet)

    def function(x: Tensor) -> Tensor:
        u = module(x)
        return u * torch.sin(u) + u

    parts = nested(function, x, terms)
    exact = torch.stack([c * part for c, part in zip(terms.values(), parts, strict=True)]).sum(0)
    found = both.partial(combination)
    assert found is not None and gap(found, exact) < 1e-12
    slopes = [torch.cat([g.reshape(-1) for g in gradients([part], module)]) for part in (found, exact)]
    assert gap(*slopes) < 1e-12
    fixed = Jet.of_points(x, (combination,), constant=(0,))
    assert fixed.partial(combination) is None and (1, 0) not in fixed.indices


def test_a_function_with_something_trained_in_it_gets_its_gradient():
    rate = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    function = Smooth(lambda u: (torch.exp(rate * u),), lambda seed, n: [rate**k * seed[0] for k in range(n + 1)])
    jet = compose(Jet.of_points(draw(4, 1), {(2,)}), function)
    (found,) = torch.autograd.grad(jet.channels[-1].sum(), rate)
    x = draw(4, 1)
    exact = (2 * rate + rate**2 * x) * torch.exp(rate * x)
    assert gap(found, exact.sum()) < 1e-14


def test_a_layer_without_a_rule_is_differentiated_by_autograd_with_one_warning(monkeypatch):
    monkeypatch.setattr(propagation, "_warned", set())
    module, x = network(Gate()), draw(5, 2, seed=9)
    with pytest.warns(UserWarning, match=r"Gate has no rule .* @propagate\.register") as caught:
        jet = propagate(module, Jet.of_points(x, ((0, 3), (1, 1))))
        propagate(module, Jet.of_points(x, ((0, 2),)))
    assert len(caught) == 1
    agree(jet, module, x, second=True)


def test_activations_of_straight_pieces_give_first_partials_only():
    module, x = network(nn.LeakyReLU()), draw(5, 2, seed=9)
    agree(propagate(module, Jet.of_points(x, ((1, 0), (0, 1)))), module, x)
    with pytest.raises(InputError, match=r"order 2, those of ReLU .* tanh, silu or sine"):
        propagate(network(nn.ReLU()), Jet.of_points(x, ((0, 2),)))


def test_without_gradients_there_is_no_graph():
    module, x = network(nn.Tanh()), draw(5, 2)
    with torch.no_grad():
        jet, other = propagate(module, Jet.of_points(x, MIXED)), differentiated(module, Jet.of_points(x, MIXED))
    assert not any(c.requires_grad for c in (*jet.channels, *other.channels))
    assert max(map(gap, partials(jet), partials(other))) < 1e-12


@pytest.mark.parametrize("layer", [nn.Tanh(), Gate()], ids=["tanh", "no rule"])
def test_the_tape_gives_the_jacobian_of_partials(layer):
    """Rows of u, u_t, u_xx: dense and kernel form against autograd row by row."""
    module, x = network(layer), draw(6, 2, seed=9)

    def rows() -> dict[str, Tensor]:
        u, *slopes = partials(propagate(module, Jet.of_points(x, ((1, 0), (0, 2)))))
        return {"equation": (slopes[0] + u * slopes[1] - 0.1 * slopes[2])[:, 0], "value": u.mT}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objective = Modular(module, rows)
        jacobian = objective.linearise(objective.theta()).jacobian
        exact = torch.stack([
            torch.cat([g.reshape(-1) for g in torch.autograd.grad(
                r, list(module.parameters()), retain_graph=True, materialize_grads=True
            )]) for r in torch.cat([term.reshape(-1) for term in rows().values()])
        ])  # fmt: skip
    assert objective.pointwise and isinstance(jacobian, StripJacobian)
    assert gap(jacobian.dense(), exact) < 1e-12 and gap(jacobian.gram(), exact @ exact.mT) < 1e-12


@pytest.mark.parametrize("points", [1, 64, 150])
def test_chunks_of_points_change_nothing(points, monkeypatch):
    """Kept on a CPU, made again for the gradient elsewhere."""
    monkeypatch.setattr(engines, "points_at_once", lambda function, jet: 64)
    module, x = network(nn.SiLU()), draw(points, 2, seed=9)
    jet = Jet.of_points(x, MIXED)
    whole = partials(propagate(module, jet))
    expected = gradients(whole, module)
    again = jet.like(torch.cat([Eager()._again(module, jet.like(v)).values for v in jet.values.split(64, 1)], 1))
    for found in (Eager()(module, jet), Jet(again.values, Eager()(module, jet).indices, jet.wanted)):
        assert max(map(gap, partials(found), whole)) < 1e-14
        assert max(map(gap, gradients(partials(found), module), expected)) < 1e-13


def test_chunks_fit_the_cache():
    jet = Jet.of_points(draw(10, 2), MIXED)
    wide, narrow = (engines.points_at_once(network(nn.Tanh(), width=w), jet) for w in (128, 16))
    assert 64 < wide < narrow and wide * 128 * len(jet.wanted) * 8 <= 2**21


def test_without_a_compiler_everything_runs_eager_and_says_so(monkeypatch):
    monkeypatch.setattr(engines.shutil, "which", lambda name: None)
    engines._compiler.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"no C\+\+ compiler") as caught:
            made = [engine(name) for name in ("fused", "whole")]
        assert all(isinstance(e, Eager) for e in made) and len(caught) == 2
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert isinstance(engine("eager"), Eager)
    finally:
        engines._compiler.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(not engines._compiler(), reason="no C++ compiler")
@pytest.mark.parametrize("kind", [Fused, Whole])
def test_compiled_engines_agree(kind: type[Engine]):
    """Two sizes, mixed partials to order 4, values and gradients; a layer that no compiler traces runs all the same."""
    made = kind()
    for module, n in itertools.product((network(nn.Tanh(), width=16),), (40, 23)):
        x = draw(n, 2, seed=9)
        agree(made(module, Jet.of_points(x, MIXED)), module, x)
        content = partials(made(module, Jet.of_points(x, MIXED)))
        for part in content:  # a gradient for each term of a loss
            torch.autograd.grad(part.sum(), list(module.parameters()), retain_graph=True, materialize_grads=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module, x = network(Gate()), draw(7, 2)
        agree(made(module, Jet.of_points(x, ((0, 2),))), module, x)
    assert any("gave up on Sequential" in str(w.message) for w in caught) == (kind is Whole)
