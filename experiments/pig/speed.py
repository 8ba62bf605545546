"""Loss and gradient of a step through Gaussians: closed form beside autograd through the same layer.

python experiments/pig/speed.py [--count 800] [--points 10000] [--axes 2] [--rounds 3] [--chunk 1000]

The official sizes are 800 Gaussians a channel with 10 000 points in the plane, and 4 000 with 27 000 in three axes;
four channels, 16 tanh units on top, the squared Laplacian plus u as the loss, float64, one thread. Autograd goes
through `--chunk` points at a time, whose gradients it adds: all at once need more memory than machines have. Peak
memory is what an evaluation adds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import unit
from pdesolve.fields.propagation import propagate
from pdesolve.least_squares.footprint import measured
from pdesolve.nn.radial import drawn

Gradient = list[Tensor]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("count", 800), ("points", 10_000), ("axes", 2), ("rounds", 3), ("chunk", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    bumps = drawn(given.axes, 4, count=given.count, width=0.1, shared=False, generator=generator)
    layers = (bumps, nn.Linear(4, 16, dtype=torch.float64), nn.Tanh(), nn.Linear(16, 1, dtype=torch.float64))
    module = nn.Sequential(*layers)
    x = 2 * torch.rand(given.points, given.axes, dtype=torch.float64, generator=generator) - 1
    ways: dict[str, Callable[[], Gradient]] = {
        "closed form": lambda: closed(module, x),
        "autograd": lambda: nested(module, x, given.chunk),
    }
    gradients = {name: way() for name, way in ways.items()}
    apart = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*gradients.values(), strict=True) if b.any())
    memory = {name: measured(way)[1].peak / 1e6 for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.rounds):  # side by side, so that both meet the same machine
        for name, way in ways.items():
            begin = time.process_time()
            way()
            times[name].append(time.process_time() - begin)
    middle = {name: statistics.median(spent) for name, spent in times.items()}
    print(
        f"{given.count} Gaussians a channel, {given.points} points, {given.axes} axes; gradients agree to {apart:.0e}"
    )
    for name in ways:
        print(f"{name:>12}: {middle[name]:8.3f} CPU s, {memory[name]:8.1f} MB")
    print(f"{middle['autograd'] / middle['closed form']:.1f} times faster (asked 2)")
    print(f"{memory['closed form'] / memory['autograd']:.3f} of the memory (asked 0.5)")


def closed(module: nn.Module, x: Tensor) -> Gradient:
    """The gradient of the loss by jets."""
    seconds = [unit(x.shape[1], i, 2) for i in range(x.shape[1])]
    jet = propagate(module, Jet.of_points(x, seconds))
    parts = [part for part in (jet.partial(index) for index in seconds) if part is not None]
    residual = torch.stack([jet.channels[0], *parts]).sum(0)
    return list(torch.autograd.grad(residual.square().mean(), list(module.parameters())))


def nested(module: nn.Module, x: Tensor, chunk: int) -> Gradient:
    """The same by autograd of autograd, some points at a time."""
    parameters = list(module.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    for some in x.split(chunk):
        y = some.clone().requires_grad_()
        u = module(y)
        (slope,) = torch.autograd.grad(u.sum(), y, create_graph=True)
        residual = u
        for i in range(x.shape[1]):
            (bend,) = torch.autograd.grad(slope[:, i].sum(), y, create_graph=True)
            residual = residual + bend[:, i : i + 1]
        for sum_, g in zip(total, torch.autograd.grad(residual.square().sum() / len(x), parameters), strict=True):
            sum_ += g
    return total


if __name__ == "__main__":
    main()
