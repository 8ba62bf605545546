"""How large each scalar of a marched system is, before anything of it but its start is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pdesolve.equation import State, flatten, velocity_name
from pdesolve.errors import Diverged
from pdesolve.fields import Coordinates, Vector, sin
from pdesolve.geometry import sample
from pdesolve.marching.system import FirstOrder
from pdesolve.problem import Problem, Value

_POINTS = 512


def sizes(problem: Problem, values: Mapping[str, Value]) -> dict[str, float]:
    """The largest absolute initial value of each unknown of a first-order system, for each of its scalars.

    Of a u_t the larger of that and √(|u| |u_tt|), a frequency times u; of what is zero at first the largest of all
    others, one where all are. Algebraic unknowns count as one.

    Raises:
        Diverged: an initial state that is not finite.
    """
    equation = problem.evolution()
    cloud = sample(problem.domain, _POINTS, generator=torch.Generator().manual_seed(0))
    x = Coordinates(cloud)
    state = problem.initial_state(x, values)
    found = {unknown.name: _largest({unknown.name: state[unknown.name]}, x) for unknown in equation.evolving}
    if not all(size < float("inf") for size in found.values()):
        raise Diverged(f"{problem.name}: the initial state is not finite at some points of the domain")
    if isinstance(equation, FirstOrder) and not any(unknown.algebraic for unknown in equation.unknowns):
        here = x.at_instant(problem.time.lower if problem.time is not None else 0.0)
        rates = equation.rate(state, problem.bind(here, values), here)
        for unknown in equation.inner.evolving:
            name = velocity_name(unknown.name)
            swing = (found[unknown.name] * _largest({name: rates[name]}, x)) ** 0.5
            if swing < float("inf"):
                found[name] = max(found[name], swing)
    most = max(found.values()) or 1.0
    return {
        scalar: 1.0 if unknown.algebraic else found[unknown.name] or most
        for unknown in equation.unknowns
        for scalar in unknown.scalars
    }


def wave_speed(problem: Problem, values: Mapping[str, Value]) -> float | None:
    """c of a first-order system of u_tt = c² Δu + lower derivatives; None for anything else.

    From what rate makes of short waves on the initial state, of two lengths and along each axis.
    """
    equation, time = problem.evolution(), problem.time
    if not isinstance(equation, FirstOrder) or time is None or any(u.algebraic for u in equation.unknowns):
        return None
    x = Coordinates(sample(problem.domain, _POINTS, generator=torch.Generator().manual_seed(0)))
    here, state = x.at_instant(time.lower), problem.initial_state(x, values)
    p = problem.bind(here, values)
    plain = equation.inner.rate(state, p, here)
    names = [unknown.name for unknown in equation.inner.evolving]
    squares = []
    for axis in problem.domain.axes:
        for waves in (24, 48):
            k = 2 * math.pi * waves / axis.length
            wave = 1e-4 * sin(k * (x[axis.name] - axis.lower))
            moved = equation.inner.rate({**state, **{name: _plus(state[name], wave) for name in names}}, p, here)
            change = {name: moved[name] - plain[name] for name in names}
            squares.append(_largest(change, x) / (1e-4 * k * k))
    one, other = max(squares[0::2]), max(squares[1::2])
    return one**0.5 if 0 < one < 2 * other < 4 * one else None


def _plus(field: Any, wave: Any) -> Any:
    return field.map(lambda part: part + wave) if isinstance(field, Vector) else field + wave


def _largest(state: State, x: Coordinates) -> float:
    parts: list[Tensor] = [x.expand(field).values.detach().abs().max() for field in flatten(state).values()]
    return float(torch.stack(parts).max())
