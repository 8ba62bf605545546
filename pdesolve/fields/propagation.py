"""Networks on jets: what each type of layer does to a value and its partial derivatives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import reduce, singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.fields import smooth
from pdesolve.fields.jets import Jet, compose, linear
from pdesolve.fields.multi_index import Channel, Combination, minus, unit, zero

_warned: set[type] = set()
_FEWER = 4  # of the channels, where the others are left out; channels that stay in place are made faster


@singledispatch
def propagate(module: nn.Module, jet: Jet) -> Jet:
    """The jet of a module's output from that of its input; a layer type registers its rule beside its class:

        @propagate.register
        def _(layer: Gate, jet: Jet) -> Jet:
            return product(compose(jet, sigmoid), jet)

    A module without a rule is differentiated by autograd, and one warning says so: it must map rows to rows, (point,
    feature) to (point, feature), each point by itself.

    Raises:
        InputError: an activation of straight pieces where second derivatives are wanted.
    """
    kind = type(module)
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(
            f"{kind.__name__} has no rule for derivatives in one forward pass and is differentiated by autograd, which "
            f"is slower: register one by @propagate.register, def rule(layer: {kind.__name__}, jet: Jet) -> Jet",
            stacklevel=3,
        )
    return differentiated(module, jet)


def differentiated(module: Callable[[Tensor], Tensor], jet: Jet) -> Jet:
    """By autograd, along u(s) = Σ_α D^αu s^α/α!, whose partials in s at 0 are those of u.

    Of a combination L the part that is not among the D^αu is one more direction r: L f(u) = ∂f/∂r + Σ c D^αf.
    """
    axes, value = len(jet.wanted[0]), jet.channels[0]
    combinations = [channel for channel in jet.wanted if isinstance(channel, Combination)]
    s = value.new_zeros(jet.points, axes + len(combinations)).requires_grad_()
    with torch.enable_grad():
        u = value
        for channel, content in zip(jet.indices[1:], jet.channels[1:], strict=True):
            if isinstance(channel, Combination):
                held = [c * jet.channels[jet.indices.index(a)] for a, c in channel.terms if a in jet.indices]
                place = axes + combinations.index(channel)
                u = u + reduce(torch.sub, held, content) * s[:, place : place + 1]
            else:
                powers = [s[:, i : i + 1] ** n / math.factorial(n) for i, n in enumerate(channel) if n]
                u = u + content * reduce(torch.mul, powers)
        found: dict[Channel, Tensor] = {zero(axes): module(u)}

        def partial(channel: Channel) -> Tensor:
            if channel in found:
                return found[channel]
            if isinstance(channel, Combination):
                beyond = _slope(found[zero(axes)], s, axes + combinations.index(channel))
                found[channel] = reduce(torch.add, [c * partial(alpha) for alpha, c in channel.terms], beyond)
            else:
                axis = next(i for i, order in enumerate(channel) if order)
                found[channel] = _slope(partial(minus(channel, unit(axes, axis))), s, axis)
            return found[channel]

        channels = [partial(channel) for channel in jet.wanted]
    return Jet(channels if torch.is_grad_enabled() else [c.detach() for c in channels], jet.wanted, jet.wanted)


def _slope(y: Tensor, s: Tensor, axis: int) -> Tensor:
    """∂y/∂s_axis at every point and feature at once: the derivative of a backward pass in what it starts from."""
    if not y.requires_grad:
        return torch.zeros_like(y)
    start = torch.zeros_like(y, requires_grad=True)
    (pulled,) = torch.autograd.grad(y, s, start, create_graph=True, materialize_grads=True)
    if not pulled.requires_grad:
        return torch.zeros_like(y)
    total = pulled[:, axis].sum()
    (slope,) = torch.autograd.grad(total, start, create_graph=True, materialize_grads=True)
    return slope


def outputs(network: nn.Module | Callable[[Tensor], Tensor], jet: Jet) -> Jet:
    """The jet of a network's outputs. The last function of all makes what is asked for only, where that is much less.

    So behind it a Laplacian in 100 dimensions takes two channels, not 102.
    """
    layers: list[Any] = list(network) if isinstance(network, nn.Sequential) else [network]
    fewer = _FEWER * len(jet.asked) <= len(jet.wanted)
    asked, jet = jet.asked, jet.carrying(jet.wanted)
    for i, layer in enumerate(layers):
        if fewer and sum(map(compositions, layers[i:])) <= 1:
            jet, fewer = jet.carrying(asked), False
        jet = propagate(layer, jet)
    return jet


@singledispatch
def compositions(module: nn.Module) -> float:
    """How many functions a module composes, affine ones not counted; ∞ where that is not known.

    A layer type whose rule needs no more of a jet than its input's channels registers 1, an affine one 0.
    """
    return math.inf


@compositions.register
def _(module: nn.Sequential) -> float:
    return sum(map(compositions, module))


@compositions.register(nn.Linear)
@compositions.register(nn.Identity)
def _(layer: nn.Module) -> float:
    return 0


@compositions.register(nn.Tanh)
@compositions.register(nn.SiLU)
@compositions.register(nn.Sigmoid)
@compositions.register(nn.GELU)
@compositions.register(nn.Softplus)
def _(layer: nn.Module) -> float:
    return 1


@propagate.register
def _(module: nn.Sequential, jet: Jet) -> Jet:
    for layer in module:
        jet = propagate(layer, jet)
    return jet


@propagate.register
def _(layer: nn.Linear, jet: Jet) -> Jet:
    return linear(jet, layer.weight, layer.bias)


@propagate.register
def _(layer: nn.Identity, jet: Jet) -> Jet:
    return jet


@propagate.register
def _(layer: nn.Flatten, jet: Jet) -> Jet:
    return jet if layer.start_dim == 1 else differentiated(layer, jet)


@propagate.register
def _(layer: nn.Tanh, jet: Jet) -> Jet:
    return compose(jet, smooth.tanh)


@propagate.register
def _(layer: nn.SiLU, jet: Jet) -> Jet:
    return compose(jet, smooth.silu)


@propagate.register
def _(layer: nn.Sigmoid, jet: Jet) -> Jet:
    return compose(jet, smooth.sigmoid)


@propagate.register
def _(layer: nn.GELU, jet: Jet) -> Jet:
    return compose(jet, smooth.gelu if layer.approximate == "none" else smooth.gelu_tanh)


@propagate.register
def _(layer: nn.Softplus, jet: Jet) -> Jet:
    return compose(jet, smooth.softplus(layer.beta, layer.threshold))


@propagate.register(nn.ReLU)
@propagate.register(nn.LeakyReLU)
@propagate.register(nn.PReLU)
@propagate.register(nn.RReLU)
@propagate.register(nn.ReLU6)
@propagate.register(nn.Hardtanh)
@propagate.register(nn.Hardsigmoid)
@propagate.register(nn.Hardshrink)
@propagate.register(nn.Softshrink)
@propagate.register(nn.Threshold)
def _(layer: nn.Module, jet: Jet) -> Jet:
    if jet.order > 1:
        raise InputError(
            f"the equation needs derivatives of order {jet.order}, those of {type(layer).__name__} vanish beyond the "
            "first, so that nothing could be learned from them: use the activation tanh, silu or sine"
        )
    return differentiated(layer, jet)
