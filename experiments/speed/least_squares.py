"""One Levenberg-Marquardt step, 2 000 points, 10 000 parameters: kernel form against the Jacobian and lstsq.

python experiments/speed/least_squares.py [--repeat 3] [--device cpu] [--threads 1]

Both sides start from the same parameters and end with the same damped step d. Ours records a tape, sums J J^T and takes
its damped solve; the other side is vmap(jacrev) of the residual at a point, then torch.linalg.lstsq, whose shortest
solution of [J, sqrt(damping) I] (d, e) = -r holds the damped step; between them J J^T from that Jacobian. The rows are
those of a fit of values, and of Burgers' equation: ours by jets and by nested autograd, the other by nested jacrev.
Peak memory is what a process of its own adds to the bytes it holds before the step.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Combination
from pdesolve.fields.propagation import propagate
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.form import Form, predicted_bytes
from pdesolve.least_squares.modular import Modular
from pdesolve.nn.mlp import mlp

POINTS, WIDTH, DAMPING, VISCOSITY = 2000, 57, 1e-4, 0.01
Step = Callable[[], Tensor]


def network(device: str) -> nn.Module:
    module = nn.Sequential(*mlp(2, 1, width=WIDTH, depth=4, generator=torch.Generator().manual_seed(0)))
    return module.to(device)


def points(device: str) -> Tensor:
    return torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(device)


def ours(case: str, device: str, side: str) -> Step:
    """A step from the tape, by the rows as a method writes them."""
    module, x = network(device), points(device)

    def values() -> dict[str, Tensor]:
        return {"fit": module(x)[:, 0] - torch.sin(6 * x[:, 0])}

    def burgers() -> dict[str, Tensor]:
        t, s = (column.clone().requires_grad_() for column in x.T)
        u = module(torch.stack([t, s], 1))[:, 0]
        u_t, u_x = torch.autograd.grad(u.sum(), (t, s), create_graph=True)
        (u_xx,) = torch.autograd.grad(u_x.sum(), s, create_graph=True)
        return {"equation": u_t + u * u_x - VISCOSITY * u_xx}

    linear = Combination((((1, 0), 1.0), ((0, 2), -VISCOSITY)))
    start = Jet.of_points(x, (linear,))  # what Coordinates.sums_wanted_by finds

    def by_jets() -> dict[str, Tensor]:
        jet = propagate(module, start)
        u, u_x, rest = (jet.channels[jet.indices.index(i)][:, 0] for i in ((0, 0), (0, 1), linear))
        return {"equation": rest + u * u_x}

    rows = values if case == "values" else by_jets if side == "kernel" else burgers
    objective = Modular(module, rows)
    objective.pointwise = True  # the check of the first linearisation is no part of a step
    theta = objective.theta()
    damping = torch.tensor(DAMPING, dtype=theta.dtype, device=theta.device)
    form = Form("kernel", POINTS, len(theta), 0)

    def step() -> Tensor:
        here = objective.linearise(theta)
        return -factorise(here.jacobian, here.rows("step"), form).solve(damping)

    return step


def theirs(case: str, device: str, solve: str) -> Step:
    """A step from vmap(jacrev)."""
    module, x = network(device), points(device)
    parameters = {name: p.detach() for name, p in module.named_parameters()}

    def u(p: dict[str, Tensor], point: Tensor) -> Tensor:
        return functional_call(module, p, (point[None],))[0, 0]

    def values(p: dict[str, Tensor], point: Tensor) -> Tensor:
        return u(p, point) - torch.sin(6 * point[0])

    def burgers(p: dict[str, Tensor], point: Tensor) -> Tensor:
        first = jacrev(u, 1)
        gradient, second = first(p, point), jacrev(lambda q, y: first(q, y)[1], 1)(p, point)
        return gradient[0] + u(p, point) * gradient[1] - VISCOSITY * second[1]

    row = values if case == "values" else burgers

    def step() -> Tensor:
        blocks = vmap(jacrev(row), (None, 0))(parameters, x)
        r = vmap(row, (None, 0))(parameters, x)
        jacobian = torch.cat([block.flatten(1) for block in blocks.values()], 1)
        if solve.startswith("lstsq"):
            size = jacobian.shape[1]
            damped = torch.cat([jacobian, DAMPING**0.5 * torch.eye(POINTS, dtype=r.dtype, device=r.device)], 1)
            return -torch.linalg.lstsq(damped, r[:, None], driver="gels" if solve == "lstsq gels" else None).solution[
                :size, 0
            ]
        gram = jacobian @ jacobian.mT
        gram.diagonal().add_(DAMPING)
        return -jacobian.mT @ torch.cholesky_solve(r[:, None], torch.linalg.cholesky(gram))[:, 0]

    return step


def peak(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(side: str, case: str, settings: argparse.Namespace, out: Connection) -> None:
    """Median seconds, peak bytes over those before the first step, and the step's norm; in a process of its own."""
    torch.set_num_threads(settings.threads)
    own = side.startswith("kernel")
    step = ours(case, settings.device, side) if own else theirs(case, settings.device, side)
    torch.linalg.cholesky(torch.eye(64, dtype=torch.float64, device=settings.device))  # loads the library
    # CPU time on the CPU: that of an idle machine where one thread is used, whoever else is there
    clock = time.process_time if settings.device == "cpu" else time.perf_counter
    before, seconds, d, norm = peak(settings.device), [], torch.zeros(1), 0.0
    for _ in range(settings.repeat + 1):
        start = clock()
        d = step()
        norm = float(d.norm())  # waits for a GPU
        seconds.append(clock() - start)
    out.send((statistics.median(seconds[1:]), peak(settings.device) - before, norm, len(d)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    context = multiprocessing.get_context("spawn")  # fresh: peak memory of a process never falls
    kind = "CPU" if settings.device == "cpu" else "wall"
    print(f"float64, {settings.device}, {settings.threads} thread(s), {kind} seconds, median of {settings.repeat}")
    for case in ("values", "burgers"):
        times: dict[str, float] = {}
        size = 0
        nested = ("kernel, nested",) if case == "burgers" else ()
        for side in ("kernel", *nested, "cholesky", "lstsq", "lstsq gels"):
            here, there = context.Pipe()
            process = context.Process(target=measure, args=(side, case, settings, there))
            process.start()
            there.close()
            times[side], added, norm, size = here.recv()
            process.join()
            name = f"{side}, no J" if side.startswith("kernel") else f"vmap(jacrev) + {side}"
            print(
                f"{case:<8} {name:<25} {times[side]:7.2f} s, {times[side] / times['kernel']:6.1f} of ours, "
                f"peak +{added / 1e6:5.0f} MB, |d| {norm:.6g}, {size} parameters"
            )
        planned = predicted_bytes("kernel", POINTS, size, largest=WIDTH**2)
        print(f"{case:<8} planned for the kernel form: {planned / 1e6:.0f} MB; J: {8 * POINTS * size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
