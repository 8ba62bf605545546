"""What the peers of generation.py do: the same samples by exponax (JAX) and by py-pde (finite differences, numba).

Run by generation.py, in an environment of the peers' own that has no pdesolve:
PYTHON generation_peers.py CODE PROBLEM STEP FILE BATCH, the initial states in FILE. Prints one JSON object; all
frames go to FILE with the ending .out.npy.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TAU = 2 * math.pi


def exponax(problem: str, step: float, start: np.ndarray, span: float, frames: int) -> tuple[float, float, np.ndarray]:
    """Seconds with compilation, seconds of a second run, and all frames: vmap over the batch, one jit, float64."""
    import exponax as ex  # pyright: ignore[reportMissingImports]
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    jax.config.update("jax_enable_x64", True)

    class Forced(ex.nonlin_fun.VorticityConvection2d):
        force: Any = None

        def __call__(self, u_hat: Any) -> Any:
            return super().__call__(u_hat) + self.force

    class StirredFlow(ex.stepper.NavierStokesVorticity):
        def _build_nonlinear_fun(self, derivative_operator: Any) -> Any:
            made = Forced(
                self.num_spatial_dims, self.num_points, convection_scale=-1.0,  # its stream function has the other sign
                derivative_operator=derivative_operator, dealiasing_fraction=self.dealiasing_fraction,
            )  # fmt: skip
            object.__setattr__(made, "force", jnp.fft.rfftn(jnp.asarray(forcing(self.num_points))[None], axes=(1, 2)))
            return made

    begin = time.process_time()
    n, common = start.shape[-1], {"order": 4, "num_circle_points": 32}
    if problem == "burgers":
        stepper = ex.stepper.Burgers(1, 1.0, n, step, diffusivity=0.1, conservative=True, **common)
    elif problem == "kuramoto_sivashinsky":
        stepper = ex.stepper.KuramotoSivashinskyConservative(1, 64.0, n, step, **common)
    else:
        stepper = StirredFlow(2, 1.0, n, step, diffusivity=1e-3, **common)
    inner = round(span / frames / step)
    several = ex.RepeatedStepper(stepper, inner) if inner > 1 else stepper
    run = jax.jit(jax.vmap(ex.rollout(several, frames, include_init=True)))
    found = run(jnp.asarray(start[:, None])).block_until_ready()
    first = time.process_time() - begin
    begin = time.process_time()
    run(jnp.asarray(start[:, None])).block_until_ready()
    return first, time.process_time() - begin, np.asarray(found)[:, :, 0]


def forcing(n: int) -> np.ndarray:
    x = np.arange(n) / n
    angle = TAU * (x[:, None] + x)
    return 0.1 * (np.sin(angle) + np.cos(angle))


def py_pde(problem: str, step: float, start: np.ndarray, span: float, frames: int) -> tuple[float, float, np.ndarray]:
    """The same one sample after another: explicit Runge-Kutta steps, compiled by numba for the first."""
    import pde  # pyright: ignore[reportMissingImports]

    n = start.shape[-1]

    class StirredFlow(pde.PDEBase):
        def evolution_rate(self, state: Any, t: float = 0) -> Any:
            psi = pde.solve_poisson_equation(pde.ScalarField(state.grid, state.data.mean() - state.data), "periodic")
            slope, gradient = psi.gradient("periodic").data, state.gradient("periodic").data
            rate = state.laplace("periodic")
            rate.data = 1e-3 * rate.data - slope[1] * gradient[0] + slope[0] * gradient[1] + forcing(n)
            return rate

    begin = time.process_time()
    if problem == "burgers":
        grid, equation = (
            pde.CartesianGrid([(0, 1)], n, periodic=True),
            pde.PDE({"u": "-u * d_dx(u) + 0.1 * laplace(u)"}),
        )
    elif problem == "kuramoto_sivashinsky":
        grid = pde.CartesianGrid([(0, 64)], n, periodic=True)
        equation = pde.PDE({"u": "-u * d_dx(u) - laplace(u + laplace(u))"})
    else:
        grid, equation = pde.CartesianGrid([(0, 1)] * 2, n, periodic=True), StirredFlow()
    found, first = [], 0.0
    for i, u in enumerate(start):
        backend: dict[str, Any] = {"backend": "numpy"} if problem == "navier_stokes" else {}
        storage, field = pde.MemoryStorage(), pde.ScalarField(grid, u)
        frame = storage.tracker(span / frames)
        equation.solve(field, t_range=span, dt=step, solver="runge-kutta", tracker=frame, **backend)
        found.append(np.array(storage.data))
        first = time.process_time() - begin if i == 0 else first
    whole = time.process_time() - begin
    return whole, (whole - first) * len(start) / max(1, len(start) - 1), np.array(found)


def main(code: str, problem: str, step: str, file: str, batch: str) -> None:
    with np.load(file) as content:
        start, span, frames = content["start"][: int(batch)], float(content["span"]), int(content["frames"])
    if code == "py-pde" and problem == "navier_stokes":
        span, frames = span / frames, 1  # too dear: generation.py takes it times the number of frames
    run = {"exponax": exponax, "py-pde": py_pde}[code]
    first, again, states = run(problem, float(step), start, span, frames)
    np.save(Path(file).with_suffix(".out.npy"), states)
    print(json.dumps({"first": first, "again": again}))


if __name__ == "__main__":
    main(*sys.argv[1:])
