"""A learned spiral: evaluations and error with and without solver penalties.

python experiments/integrators/spiral.py [--seeds 0,1,2,3,4] [--noise 0.1] [--variants vanilla,both]

z' = A^T z^3 from (2, 0) to t = 1.5, of speeds near 16. An MLP 2-50-2 of z^3 learns it from 30 states with noise: each
of the first 26 is integrated to the next four, all in one batch. Penalties have weights that fall. The table has
medians over the seeds, least and most in brackets: evaluations for the whole trajectory at the tolerance of the test,
the relative L2 error there at 301 times against the true trajectory without noise, and the CPU time of training. The
last lines are the true dynamics, and ours beside torchdiffeq's dopri5 on the vanilla networks at the same tolerance.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from pdesolve.integration.neural_ode import OdeSolution, solve_adjoint, solve_ivp
from pdesolve.integration.solver_penalties import (
    ExponentialAnnealing,
    biased_local_error,
    error_penalty,
    stiffness_penalty,
    unbiased_local_error,
)
from pdesolve.nn.mlp import mlp

RATES = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64)
TRAINING, TEST = 1e-6, 1e-8  # relative tolerances; the absolute ones are a hundredth
STATES, AHEAD = 30, 4
START = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
END = 1.5


def spiral(t: Tensor, z: Tensor) -> Tensor:
    """z' = A^T z^3."""
    return z**3 @ RATES


class Dynamics(nn.Module):
    """f(t, z) = MLP(z^3), 2-50-2."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.network = mlp(2, 2, width=50, depth=1, generator=torch.Generator().manual_seed(seed))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.network(z**3)


Term = Callable[[OdeSolution], Tensor]


@dataclass(frozen=True)
class Variant:
    """Global terms with their weights, or a local one."""

    terms: tuple[tuple[Term, float, float], ...] = ()
    local: Callable[..., tuple[OdeSolution, Tensor]] | None = None
    weights: tuple[float, float] = (1.0, 1.0)
    solve: Callable[..., OdeSolution] = solve_ivp


def variants(
    error: tuple[float, float], stiffness: tuple[float, float], local: tuple[float, float]
) -> dict[str, Variant]:
    return {
        "vanilla": Variant(),
        "global error": Variant(((error_penalty, *error),)),
        "global stiffness": Variant(((stiffness_penalty, *stiffness),)),
        "both": Variant(((error_penalty, *error), (stiffness_penalty, *stiffness))),
        "local unbiased": Variant((), unbiased_local_error, local),
        "local biased": Variant((), biased_local_error, local),
        "local biased by adjoint": Variant((), biased_local_error, local, solve_adjoint),
    }


def train(variant: Variant, *, seed: int, steps: int, noise: float) -> tuple[Dynamics, float]:
    """The dynamics learned by Adam from noisy states, and the CPU seconds that took."""
    f, generator = Dynamics(seed), torch.Generator().manual_seed(seed)
    times = torch.linspace(0.0, END, STATES, dtype=torch.float64).tolist()
    with torch.no_grad():
        seen = solve_ivp(spiral, START, times, relative=1e-10, absolute=1e-12).states[:, 0]
    seen = seen + noise * torch.randn(seen.shape, generator=generator, dtype=seen.dtype)
    count, ahead = STATES - AHEAD, times[: AHEAD + 1]
    target = torch.stack([seen[i : i + count] for i in range(AHEAD + 1)])
    optimiser = torch.optim.Adam(f.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=2e-4)
    began = time.process_time()
    for step in range(steps):
        if variant.local is None:
            solution = solve_ivp(f, target[0], ahead, relative=TRAINING, absolute=0.01 * TRAINING)
            penalties = [ExponentialAnnealing(a, b, steps).at(step) * term(solution) for term, a, b in variant.terms]
        else:
            penalised = functools.partial(variant.local, generator=generator, solve=variant.solve)
            solution, penalty = penalised(f, target[0], ahead, relative=TRAINING, absolute=0.01 * TRAINING)
            penalties = [ExponentialAnnealing(*variant.weights, steps).at(step) * penalty]
        loss = (solution.states - target).square().sum(-1).mean() + sum(penalties)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return f, time.process_time() - began


@torch.no_grad()
def judge(f: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, OdeSolution]:
    """The relative L2 error at unseen times, and the solution at the tolerance of the test."""
    times = torch.linspace(0.0, END, 301, dtype=torch.float64).tolist()
    truth = solve_ivp(spiral, START, times, relative=1e-11, absolute=1e-13).states
    found = solve_ivp(f, START, times, relative=TEST, absolute=0.01 * TEST)
    return float((found.states - truth).norm() / truth.norm()), found


@torch.no_grad()
def peer(f: nn.Module) -> tuple[int, int, float, float]:
    """Evaluations and seconds of ours and of torchdiffeq's dopri5 at the tolerance of the test."""
    count = 0
    times = torch.linspace(0.0, END, 30, dtype=torch.float64)

    def counted(t: Tensor, z: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return f(t, z)

    seconds: list[list[float]] = [[], []]
    evaluations = [0, 0]
    ours = functools.partial(solve_ivp, relative=TEST, absolute=0.01 * TEST)
    theirs = functools.partial(odeint, rtol=TEST, atol=0.01 * TEST, method="dopri5")
    for _ in range(3):
        for i, solve in enumerate((ours, theirs)):
            count, began = 0, time.perf_counter()
            solve(counted, START, times)
            seconds[i].append(time.perf_counter() - began)
            evaluations[i] = count
    return evaluations[0], evaluations[1], min(seconds[0]), min(seconds[1])


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--variants", default="")
    parser.add_argument("--error", type=float, nargs=2, default=(0.3, 0.03))
    parser.add_argument("--stiffness", type=float, nargs=2, default=(0.003, 0.003))
    parser.add_argument("--local", type=float, nargs=2, default=(1000, 10))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    every = variants(arguments.error, arguments.stiffness, arguments.local)
    chosen = [name for name in every if not arguments.variants or name in arguments.variants.split(",")]
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    print("| penalty | evaluations | relative L2 error | sum q h | largest s | training, CPU s |")
    print("|---|---|---|---|---|---|")
    plain: list[Dynamics] = []
    for name in chosen:
        rows = []
        for seed in seeds:
            f, seconds = train(every[name], seed=seed, steps=arguments.steps, noise=arguments.noise)
            error, found = judge(f)
            assert found.stiffness is not None
            with torch.no_grad():
                total = float(error_penalty(found))
            rows.append((found.evaluations, error, total, float(found.stiffness.max()), seconds))
            plain += [f] if name == "vanilla" else []
        forms = (".0f", ".1e", ".2g", ".3g", ".0f")
        cells = [spread(list(column), form) for column, form in zip(zip(*rows, strict=True), forms, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    _, found = judge(spiral)
    print(f"true dynamics: {found.evaluations} evaluations")
    for f in plain:
        ours, theirs, mine, other = peer(f)
        print(f"vanilla, ours and dopri5: {ours} and {theirs} evaluations, {1e3 * mine:.1f} and {1e3 * other:.1f} ms")


if __name__ == "__main__":
    main()
