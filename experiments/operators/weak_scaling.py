"""How far training by several processes goes, foreseen: bytes that travel against what a step computes.

python experiments/operators/weak_scaling.py [--step 0.1] [--parameters 5e6] [--inside 450e9] [--between 50e9]
    [--gpus 8]

A simulation, no measurement. Weak scaling: each process has a batch of the same size, however many they are. A step
takes

    T(n) = t + max(0, c(n) − h t),   c(n) = m (n − 1)/n · b / B(n) + m l (n − 1)

for n processes: t seconds of a step on one, b bytes of weights (as many are gradients), a ring of the bandwidth B
(inside a node, or between nodes as soon as there are several), l seconds of latency a hop. m = 2 where each process has
all weights: a ring's all-reduce of the gradients is a reduce-scatter and an all-gather. m = 3 where they are divided
(training.sharded): weights are gathered for the forward pass, again for the backward pass, and gradients are
reduce-scattered; in windows of k steps, k times each. h is the part of the step, its backward pass, beside which all
that travels; divided weights are gathered beside the forward pass too, which is not counted. Not in it: files that are
read by all at once, processes that wait for the slowest one, other jobs on the same wires, the latency of each of the
parts that are gathered; so the columns of efficiency are the most that can be hoped for.

On each process are 16 bytes a parameter (float32: weight, gradient and the two means of AdamW), or divided 16/n.

step, parameters: of your model: `throughput.py` and the report of a run tell both. inside, between: bytes a second.
"""

from __future__ import annotations

import argparse

_HIDDEN, _LATENCY = 0.6, 5e-6  # of a step: two passes of three, less the first bucket's wait; seconds a hop
_COPIED, _DIVIDED = 2, 3  # times that all weights or gradients go around
_STATE = 16  # bytes of a parameter in training


def moved(processes: int, weights: float, passes: int) -> float:
    """Bytes that each process sends in a step."""
    return passes * (processes - 1) / processes * weights


def communication(processes: int, weights: float, bandwidth: float, passes: int) -> float:
    """Seconds of rings that pass so many bytes around."""
    return moved(processes, weights, passes) / bandwidth + passes * (processes - 1) * _LATENCY


def efficiency(processes: int, *, step: float, weights: float, bandwidth: float, passes: int) -> float:
    """The speed of each process, of that of one alone."""
    c = communication(processes, weights, bandwidth, passes)
    return step / (step + max(0.0, c - _HIDDEN * step))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = {"step": 0.1, "parameters": 5e6, "inside": 450e9, "between": 50e9}
    for name, value in figures.items():
        parser.add_argument(f"--{name}", type=float, default=value)
    parser.add_argument("--gpus", type=int, default=8, help="in a node")
    told = parser.parse_args()
    weights = 4 * told.parameters
    print(f"{told.parameters:.3g} parameters, {weights / 1e6:.1f} MB of weights, {told.step:.3g} s a step on one")
    print("copied: all weights on each process; divided: a part of them (training.sharded)")
    of_each = "MB sent | ms of it | efficiency | MB held"
    print(f"| processes | copied: {of_each} | divided: {of_each} |")
    print("|---" * 9 + "|")
    for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        bandwidth = told.inside if n <= told.gpus else told.between
        cells = []
        for passes, parts in ((_COPIED, 1), (_DIVIDED, n)):
            c = communication(n, weights, bandwidth, passes)
            e = efficiency(n, step=told.step, weights=weights, bandwidth=bandwidth, passes=passes)
            held = _STATE * told.parameters / parts
            cells += [f"{moved(n, weights, passes) / 1e6:.1f}", f"{1e3 * c:.2f}", f"{e:.1%}", f"{held / 1e6:.1f}"]
        print(f"| {n} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
