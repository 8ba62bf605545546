"""How far training by several processes goes, foreseen: bytes that gradients move against what a step computes.

python experiments/operators/weak_scaling.py [--step 0.1] [--parameters 5e6] [--inside 450e9] [--between 50e9]
    [--gpus 8]

A simulation, no measurement. Weak scaling: each process has a batch of the same size, however many they are. A step
takes

    T(n) = t + max(0, c(n) − h t),   c(n) = 2 (n − 1)/n · b / B(n) + 2 l (n − 1)

for n processes: t seconds of a step on one, b bytes of gradients, a ring of the bandwidth B (inside a node, or between
nodes as soon as there are several), l seconds of latency a hop; h is the part of the step, its backward pass, beside
which gradients travel. Not in it: files that are read by all at once, processes that wait for the slowest one, other
jobs on the same wires; so the last column is the most that can be hoped for.

step, parameters: of your model: `throughput.py` and the report of a run tell both. inside, between: bytes a second.
"""

from __future__ import annotations

import argparse

_HIDDEN, _LATENCY = 0.6, 5e-6  # of a step: two passes of three, less the first bucket's wait; seconds a hop


def communication(processes: int, gradients: float, bandwidth: float) -> float:
    """Seconds of a ring's all-reduce of so many bytes."""
    hops = 2 * (processes - 1)
    return hops / processes * gradients / bandwidth + hops * _LATENCY


def efficiency(processes: int, *, step: float, gradients: float, bandwidth: float) -> float:
    """The speed of each process, of that of one alone."""
    return step / (step + max(0.0, communication(processes, gradients, bandwidth) - _HIDDEN * step))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = {"step": 0.1, "parameters": 5e6, "inside": 450e9, "between": 50e9}
    for name, value in figures.items():
        parser.add_argument(f"--{name}", type=float, default=value)
    parser.add_argument("--gpus", type=int, default=8, help="in a node")
    told = parser.parse_args()
    gradients = 4 * told.parameters
    print(f"{told.parameters:.3g} parameters, {gradients / 1e6:.1f} MB of gradients, {told.step:.3g} s a step on one")
    print("| processes | MB moved by each | ms of communication | ms of compute | efficiency |")
    print("|---|---|---|---|---|")
    for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        bandwidth = told.inside if n <= told.gpus else told.between
        moved = 2 * (n - 1) / n * gradients
        c = communication(n, gradients, bandwidth)
        e = efficiency(n, step=told.step, gradients=gradients, bandwidth=bandwidth)
        print(f"| {n} | {moved / 1e6:.1f} | {1e3 * c:.2f} | {1e3 * told.step:.1f} | {e:.1%} |")


if __name__ == "__main__":
    main()
