"""What the peers of derivatives.py compute: loss and parameter gradient of a residual by DeepXDE on PyTorch and by JAX.

Run by derivatives.py, in an environment of the peers' own that has no pdesolve.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

AXES = {"burgers": ("t", "x"), "heat": ("t", "x", "y", "z"), "kuramoto_sivashinsky": ("t", "x")}
HIDDEN = (64, 64, 64, 64)
VISCOSITY = 0.01
# one evaluation, and how to read the loss and the norm of the gradient from its result
Made = tuple[Callable[[], Any], Callable[[Any], tuple[float, float]]]


def weights(case: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """W (in, out) and b (out) of every layer: the same network for everybody."""
    generator = np.random.default_rng(0)
    sizes = (len(AXES[case]), *HIDDEN, 1)
    return [
        (generator.normal(0, (2 / (n + m)) ** 0.5, (n, m)), generator.normal(0, 0.1, m)) for n, m in pairwise(sizes)
    ]


def points(case: str, count: int) -> np.ndarray:
    """Points (point, axis) of the unit cube."""
    return np.random.default_rng(1).random((count, len(AXES[case])))


def deepxde(case: str, count: int) -> Made:
    """DeepXDE on PyTorch: its network, its PDE data, its losses.

    By reverse differentiation, its default: forward took 2.6, 3.2 and 4.9 times as long.
    """
    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde  # pyright: ignore[reportMissingImports]
    import torch

    inputs = len(AXES[case])
    first, second = dde.grad.jacobian, dde.grad.hessian

    def residual(x: Any, u: Any) -> Any:
        u_t = first(u, x, i=0, j=0)
        if case == "heat":
            return u_t - second(u, x, i=1, j=1) - second(u, x, i=2, j=2) - second(u, x, i=3, j=3)
        u_x, u_xx = first(u, x, i=0, j=1), second(u, x, i=1, j=1)
        if case == "burgers":
            return u_t + u * u_x - VISCOSITY * u_xx
        return u_t + u * u_x + u_xx + second(u_xx, x, i=1, j=1)

    box = dde.geometry.Hypercube([0.0] * inputs, [1.0] * inputs)
    data = dde.data.PDE(box, residual, [], num_domain=count)
    net = dde.nn.FNN([inputs, *HIDDEN, 1], "tanh", "Glorot normal")
    with torch.no_grad():
        for layer, (w, b) in zip(net.linears, weights(case), strict=True):
            layer.weight.copy_(torch.tensor(w.T))
            layer.bias.copy_(torch.tensor(b))
    model = dde.Model(data, net)
    model.compile("adam", lr=1e-3, verbose=0)
    x = torch.tensor(points(case, count), dtype=torch.float32)
    parameters = list(net.parameters())

    def work() -> Any:
        _, losses = model.outputs_losses_train(x, None, None)
        return losses.sum(), torch.autograd.grad(losses.sum(), parameters, materialize_grads=True)

    def read(result: Any) -> tuple[float, float]:
        loss, gradients = result
        return float(loss), float(sum(g.square().sum() for g in gradients) ** 0.5)

    return work, read


def jax(case: str, count: int, way: str) -> Made:
    """Jitted JAX, gradients in reverse over one of three forward ways.

    jvp: nested Jacobian-vector products of whole columns; grad: nested grad of one point, vmap over points; jet:
    jax.experimental.jet along each axis that has second derivatives, and one Jacobian-vector product in time.
    """
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax as library  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
    from jax.experimental.jet import jet  # pyright: ignore[reportMissingImports]

    theta = [(jnp.asarray(w, jnp.float32), jnp.asarray(b, jnp.float32)) for w, b in weights(case)]
    columns = [jnp.asarray(c, jnp.float32) for c in points(case, count).T]

    def network(p: Any, x: Any) -> Any:
        for w, b in p[:-1]:
            x = jnp.tanh(x @ w + b)
        return (x @ p[-1][0] + p[-1][1])[..., 0]

    def whole(p: Any, x: list[Any]) -> Any:
        return network(p, jnp.stack(x, -1))

    def along(f: Callable[[Any], Any], axis: int) -> Callable[[Any], Any]:
        """∂f/∂x_axis of a function of columns."""

        def slope(x: list[Any]) -> Any:
            one = [jnp.ones_like(c) if i == axis else jnp.zeros_like(c) for i, c in enumerate(x)]
            return library.jvp(f, (x,), (one,))[1]

        return slope

    def at_point(p: Any, axis: int, order: int) -> Callable[..., Any]:
        f: Any = lambda *x: network(p, jnp.stack(x))  # noqa: E731
        for _ in range(order):
            f = library.grad(f, axis)
        return f

    def derivative(p: Any, x: list[Any], axis: int, order: int) -> Any:
        if way == "grad":
            return library.vmap(at_point(p, axis, order))(*x)
        f: Callable[[Any], Any] = lambda x: whole(p, x)  # noqa: E731
        for _ in range(order):
            f = along(f, axis)
        return f(x)

    def series(p: Any, x: list[Any], axis: int, order: int) -> list[Any]:
        """u and its derivatives along an axis to an order, by one Taylor expansion."""
        one = jnp.zeros((len(x[0]), len(x))).at[:, axis].set(1.0)
        value, rest = jet(lambda y: network(p, y), (jnp.stack(x, -1),), ((one, *[jnp.zeros_like(one)] * (order - 1)),))
        return [value, *rest]

    def loss(p: Any) -> Any:
        x = columns
        u_t = derivative(p, x, 0, 1)
        if case == "heat":
            seconds = [series(p, x, k, 2)[2] if way == "jet" else derivative(p, x, k, 2) for k in (1, 2, 3)]
            return jnp.mean((u_t - sum(seconds)) ** 2)
        order = 2 if case == "burgers" else 4
        if way == "jet":
            u, u_x, u_xx, *higher = series(p, x, 1, order)
        else:
            u, u_x, u_xx = whole(p, x), derivative(p, x, 1, 1), derivative(p, x, 1, 2)
            higher = [None, derivative(p, x, 1, 4)] if order == 4 else []
        if case == "burgers":
            return jnp.mean((u_t + u * u_x - VISCOSITY * u_xx) ** 2)
        return jnp.mean((u_t + u * u_x + u_xx + higher[1]) ** 2)

    evaluate = library.jit(library.value_and_grad(loss))

    def work() -> Any:
        return library.block_until_ready(evaluate(theta))

    def read(result: Any) -> tuple[float, float]:
        value, gradients = result
        return float(value), float(sum(jnp.sum(g**2) for g in library.tree.leaves(gradients)) ** 0.5)

    return work, read


def make(side: str, case: str, count: int) -> Made:
    """The work of a peer, by its name as derivatives.py lists it."""
    library, _, way = side.partition(" ")
    return deepxde(case, count) if library == "deepxde" else jax(case, count, way)
