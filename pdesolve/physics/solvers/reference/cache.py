"""Reference solutions on disk, under a key of the numbers that they follow from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pdesolve import __version__
from pdesolve.cache import PACKAGE, add, folder, sources
from pdesolve.condition import BoundaryCondition, Traction, evaluate
from pdesolve.equation import Evolution, State, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, cos, sin
from pdesolve.geometry import Discretisation, MeshDomain, PointCloud, sample, sample_boundary
from pdesolve.physics.solvers.reference.solution import StoredSolution
from pdesolve.physics.solvers.reference.storage import fetch
from pdesolve.problem import Problem, Value

_COMPUTING = (PACKAGE / "integration", PACKAGE / "fields", PACKAGE / "geometry", Path(__file__).parent)
_POINTS = 2048  # of a domain, or of a part of its boundary, that no grid fits


def load(key: str, problem: Problem, values: Mapping[str, Value] | None, device: torch.device) -> StoredSolution | None:
    """The solution under a key; None where there is none that can be trusted."""
    path = folder() / f"{key}.npz"
    if not path.exists():
        return None
    try:
        return fetch(path, problem, values=values, device=device, key=key)
    except InputError:
        return None


def save(key: str, solution: StoredSolution) -> None:
    """Keep a solution. A folder that cannot be written to is no error: the next call computes again."""
    with suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        solution.store(folder() / f"{key}.npz", key)


def limited(key: str, cpu_seconds: float) -> str:
    """The key of a solution that a budget of so many CPU seconds ended."""
    return hashlib.sha256(f"{key} {cpu_seconds!r}".encode()).hexdigest()


def fingerprint(problem: Problem, values: Mapping[str, Value] | None, *, settings: Mapping[str, Any]) -> str:
    """A SHA-256 of everything the solution follows from, as numbers: two problems that differ in none agree.

    Functions cannot be compared, so what they give is: the equation on two fixed smooth states, the initial states,
    the boundary conditions at five instants, the parameters, all on fixed grids or points; then the axes, the
    evaluation set and the settings, the version of the package and the text of what computes.
    """
    digest = hashlib.sha256()
    equation, time = problem.equation, problem.time
    words = [
        __version__,
        sources(_COMPUTING),
        type(equation).__qualname__,
        equation,
        [*problem.axes],
        problem.evaluation,
        dict(settings),
    ]
    digest.update("\n".join(map(repr, words)).encode())
    for name, value in sorted((values or {}).items()):
        if isinstance(value, Tensor):
            add(digest, name, value)
    x, instants = Coordinates(_places(problem, {1: 513, 2: 65}.get(problem.domain.dimension, 13))), [None]
    if not problem.domain.is_box:
        add(digest, "places", x.columns())
    if isinstance(problem.domain, MeshDomain):
        mesh = problem.domain.mesh
        for name, tensor in (("points", mesh.points), ("cells", mesh.cells), *mesh.boundaries.items()):
            add(digest, f"mesh {name}", tensor)
    if time is not None:
        instants = [time.lower + time.length * part for part in (0.0, 0.21, 0.5, 0.83, 1.0)]
        for name, field in sorted(problem.initial_state(x, values).items()):
            for scalar, part in flatten({name: field}).items():
                add(digest, f"initial {scalar}", part.values)
    for instant in instants:
        place = x if instant is None else x.at_instant(instant)
        for name, field in problem.bind(place, values).items():
            add(digest, f"parameter {name} {instant}", field.values)
        for name, tensor in _boundary(problem, values, instant):
            add(digest, f"{name} {instant}", tensor)
    probe = Coordinates(_places(problem, 20))
    for instant in instants[:3:2]:
        place = probe if instant is None else probe.at_instant(instant)
        p = problem.bind(place, values)
        for scale in (1.0, 0.3):
            u = _probe(problem, probe, scale)
            rows = equation.rate(u, p, place) if isinstance(equation, Evolution) else equation.residual(u, p, place)
            for name, field in flatten(rows).items():
                add(digest, f"row {name} {instant} {scale}", place.expand(field).values)
    return digest.hexdigest()


def _places(problem: Problem, size: int) -> Discretisation:
    """So many points along each axis of a box, and 2048 points of another domain."""
    if problem.domain.is_box:
        return problem.grid(dict.fromkeys(problem.domain.axes.names, size))
    cloud = sample(problem.domain, _POINTS, sampler="sobol", generator=torch.Generator().manual_seed(0))
    return PointCloud(cloud.axes, cloud.x)


def _boundary(problem: Problem, values: Mapping[str, Value] | None, time: float | None) -> Iterator[tuple[str, Tensor]]:
    """What the boundary conditions give at an instant, and where."""
    pulled = [condition for condition in problem.conditions if isinstance(condition, Traction)]
    if problem.domain.is_box and not pulled:
        fine = problem.grid({1: 513, 2: 65}.get(problem.domain.dimension, 13))
        for scalar in problem.equation.scalars:
            for side, edge in problem.edges(scalar, fine, values=values, time=time).items():
                yield f"{scalar} {side} {edge.alpha} {edge.beta}", torch.as_tensor(edge.value)
        return
    generator = torch.Generator().manual_seed(0)
    for condition in problem.conditions:
        if not isinstance(condition, (BoundaryCondition, Traction)):
            continue
        for part in condition.parts(problem):
            boundary = problem.domain.boundaries[part]
            cloud = sample_boundary(boundary, problem.domain.axes, _POINTS, sampler="regular", generator=generator)
            x = Coordinates(cloud)
            x = x if time is None else x.at_instant(time)
            value = evaluate(condition.value, problem.bind(x, values), x)
            kind = "traction" if isinstance(condition, Traction) else condition.coefficients
            name = f"{condition.unknown} {part} {kind}"
            yield f"{name} places", x.columns()
            for scalar, field in flatten({name: value}).items():
                yield scalar, field.values


def _probe(problem: Problem, x: Coordinates, scale: float) -> State:
    """A smooth state without symmetry, and for order 2 its velocities."""
    equation = problem.equation

    def wave(phase: float) -> Field:
        total: Any = None
        for i, axis in enumerate(problem.domain.axes):
            angle = (x[axis.name] - axis.lower) * (6.283185307179586 / axis.length)
            term = cos(angle + phase + i) + 0.4 * sin(2.0 * angle + 2.0 * phase)
            total = term if total is None else total * (1.5 + term)
        return x.expand(scale * total + 0.3)

    scalars = {name: wave(0.7 * i) for i, name in enumerate(equation.scalars)}
    u = dict(assemble(equation.unknowns, scalars))
    if isinstance(equation, Evolution) and equation.order == 2:
        velocities = {name: wave(0.7 * i + 2.0) for i, name in enumerate(equation.scalars)}
        u.update({velocity_name(name): field for name, field in assemble(equation.unknowns, velocities).items()})
    return u
