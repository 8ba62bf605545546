"""How many samples of the Navier-Stokes problem a CPU second gives, against the transforms that it cannot do without.

python experiments/speed/navier_stokes.py [POINTS SAMPLES TIME STEPS]

The vorticity form on POINTS x POINTS, SAMPLES initial states at once, TIME units of time in STEPS steps of ETDRK4, one
thread. A step has four stages of four real transforms (two velocities back, two products forth). The floor is their
number times the time of such a transform of a batch, by itself.
"""

from __future__ import annotations

import dataclasses
import sys
import time

import torch

from pdesolve.condition import InitialValue
from pdesolve.fields import Coordinates, GridField, Quantity
from pdesolve.integration.exponential import etdrk4
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.physics.problems import navier_stokes_2d

_PAIRS = 8  # of transforms, back and forth, a step


def main(points: int = 64, samples: int = 64, duration: float = 20.0, steps: int = 400) -> None:
    torch.set_num_threads(1)
    problems = [navier_stokes_2d.problem(seed=seed, final_time=duration) for seed in range(samples)]
    problem = problems[0]
    x = Coordinates(problem.grid(points))
    start = torch.stack([initial_values(p, x)[0] for p in problems])
    field = GridField(start, problem.grid(points), Quantity("vorticity"))
    problem = dataclasses.replace(problem, conditions=(InitialValue("vorticity", field),))

    basis = FourierBasis(problem.grid(points))
    span = (0.0, duration)
    system = SpectralEvolution(problem.evolution(), basis, problem.bind, time=span)
    v = basis.forward(initial_values(problem, x))
    times = [0.0, duration]
    with torch.no_grad():
        etdrk4(system, v, [0.0, duration / steps], duration / steps)  # traced once
        begin = time.process_time()
        found = etdrk4(system, v, times, duration / steps * (1 + 1e-9))
        seconds = time.process_time() - begin
        assert bool(torch.isfinite(torch.view_as_real(found)).all())
        values = basis.backward(v)
        forth, back = _time(lambda: basis.forward(values)), _time(lambda: basis.backward(v))
    floor = (forth + back) * _PAIRS * steps
    print(f"{points}^2, {samples} samples, {duration:g} units of time in {steps} steps, one thread")
    print(
        f"{seconds:.2f} CPU s, {samples / seconds:.2f} samples a CPU second, {samples * duration / seconds:.0f} units"
    )
    print(f"transforms {1e3 * forth:.2f} and {1e3 * back:.2f} ms a batch, {floor:.2f} s in all")
    print(f"{seconds / floor:.2f} times the floor")


def _time(call: object, repeats: int = 30) -> float:
    assert callable(call)
    call()
    begin = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - begin) / repeats


if __name__ == "__main__":
    if len(sys.argv) == 5:
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
