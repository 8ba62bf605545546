"""A tape of what each parameter did in one evaluation, from which J, its products and J Jᵀ follow without J.

Row i of a pointwise residual depends on point i only. Where y = x Wᵀ at every point, also with derivatives of a value
as x (a channel each), and δ = dr/dy is the back-propagated error,

    dr_i/dW = Σ_c δ_ic x_icᵀ,     (J Jᵀ)_ij += Σ_cc' (δ_ic·δ_jc')(x_ic·x_jc')

so that activations and errors are all that is stored, once for each tensor however often it is used. Products with W
inside of backward passes (nested autograd) go on the tape as further channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

_active: ContextVar[Tape | None] = ContextVar("tape", default=None)


class Tape:
    """Products with weights, and copies of parameters for each point, in the order they were made."""

    def __init__(self) -> None:
        self.open, self.inside = True, False
        self.products: list[tuple[Tensor, Tensor, Tensor, bool]] = []  # weight, input, output, by its transpose
        self.copies: list[tuple[Tensor, Tensor]] = []  # parameter, its copies (point, *shape)

    def product(self, x: Tensor, weight: Tensor, *, transposed: bool = False) -> Tensor:
        """x Wᵀ (or x W) of x (*channel, point, feature), W constant for autograd."""
        y: Tensor = _Product.apply(x, weight, self, transposed)  # type: ignore[assignment]
        if self.open and torch.is_grad_enabled():
            if not y.requires_grad:
                y.requires_grad_()  # nothing before it moves, and still its error is needed
            self.products.append((weight, x, y, transposed))
        return y

    def copy(self, parameter: Tensor, points: int) -> Tensor:
        """One copy of a parameter for each point (point, *shape): its gradient is the block of J. A view: no memory."""
        copies = parameter.detach().expand(points, *parameter.shape)
        if self.open and torch.is_grad_enabled():
            copies = copies.requires_grad_()
            self.copies.append((parameter, copies))
        return copies

    def clear(self) -> None:
        """Forget all: what is recorded holds the graph, whose products hold the tape, and memory would only grow."""
        self.products.clear()
        self.copies.clear()


class _Product(torch.autograd.Function):
    """x Wᵀ whose backward pass δ W is on the tape again where it is itself differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, tape: Tape, transposed: bool) -> Tensor:
        ctx.weight, ctx.tape, ctx.transposed = weight, tape, transposed
        matrix = weight.detach()
        return x.matmul(matrix if transposed else matrix.mT)

    @staticmethod
    def backward(ctx: Any, *errors: Any) -> Any:
        return ctx.tape.product(errors[0], ctx.weight, transposed=not ctx.transposed), None, None, None


def active() -> bool:
    """Whether a tape is being written."""
    return _current() is not None


def _current() -> Tape | None:
    # compilers do not trace context variables; compiled functions are never called while a tape is written
    return None if torch.compiler.is_compiling() else _active.get()


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x Wᵀ of x (*channel, point, feature), on the tape where one is being written: for rules of layers and jets.

    Not what a fixed W does, such as that of a network whose values are data here.
    """
    tape = _current()
    return x.matmul(weight.mT) if tape is None or not weight.requires_grad else tape.product(x, weight)


def copied(parameter: Tensor, points: int) -> Tensor:
    """The parameter, or one copy for each point (point, *shape) where a tape is being written; it broadcasts alike."""
    tape = _current()
    return parameter if tape is None or not parameter.requires_grad else tape.copy(parameter, points)


@singledispatch
def taped(layer: nn.Module, *inputs: Tensor) -> Tensor:
    """A layer's output at inputs (point, ...), with its parameters on the tape: what a layer type registers.

    By default every point gets its own copies of all parameters of the layer, whose gradients are explicit blocks of J.
    """
    own = {name: copied(p, len(inputs[0])) for name, p in layer.named_parameters() if p.requires_grad}

    def at_point(copies: dict[str, Tensor], *point: Tensor) -> Tensor:
        return functional_call(layer, copies, tuple(x[None] for x in point))[0]

    return vmap(at_point)(own, *inputs)


@taped.register
def _(layer: nn.Linear, x: Tensor) -> Tensor:
    y = product(x, layer.weight)
    return y if layer.bias is None else y + copied(layer.bias, x.shape[-2])


@contextmanager
def record(module: nn.Module) -> Iterator[Tape]:
    """Write a tape of the module's evaluations inside the block, nested autograd included."""
    tape = Tape()
    before = _active.set(tape)
    layers = list(dict.fromkeys(_owners(module)))
    kept = [layer.__dict__.get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = _through_tape(layer, layer.forward, tape)
        yield tape
    finally:
        tape.open = False
        for layer, forward in zip(layers, kept, strict=True):
            del layer.forward  # the instance's; the class's shows again
            if forward is not None:
                layer.forward = forward
        _active.reset(before)


def _through_tape(layer: nn.Module, forward: Any, tape: Tape) -> Any:
    def _run(*inputs: Any, **settings: Any) -> Any:
        # inside the default rule, which calls the layer itself and the layers below; and where inputs are no tensors of
        # points: the tape then lacks this layer, which the check of the first linearisation finds
        if tape.inside or settings or not all(isinstance(x, Tensor) and x.ndim for x in inputs):
            return forward(*inputs, **settings)
        if taped.dispatch(type(layer)) is not taped.dispatch(nn.Module):
            return taped(layer, *inputs)
        tape.inside = True
        try:
            return taped(layer, *inputs)
        finally:
            tape.inside = False

    return _run


def _owners(module: nn.Module) -> Iterator[nn.Module]:
    """Modules with a rule, and modules with trained parameters of their own, covered by the default."""
    if taped.dispatch(type(module)) is not taped.dispatch(nn.Module):
        yield module
        return
    if any(p is not None and p.requires_grad for p in module._parameters.values()):
        yield module  # its children too: a caller may go around its forward
    for child in module.children():
        yield from _owners(child)
