"""What several methods refuse before any time is spent: numbers out of range, and problems that no network holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.problem import Problem, Value


def at_least(settings: object, names: Iterable[str], *, least: int = 1) -> None:
    """Refuse counts below `least`; None, where a setting may be that, passes.

    Raises:
        InputError: the first of them.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= least:
            raise InputError(f"{name} must be {'zero or more' if least == 0 else f'at least {least}'}, got {value}")


def positive(settings: object, names: Iterable[str]) -> None:
    """Refuse zero, what is negative and what is no number.

    Raises:
        InputError: the first of them.
    """
    for name in names:
        if not getattr(settings, name) > 0:
            raise InputError(f"{name} must be more than zero, got {getattr(settings, name)}")


def parts(settings: object, names: Iterable[str]) -> None:
    """Refuse what is no part of a whole, 0 < s < 1.

    Raises:
        InputError: the first of them.
    """
    for name in names:
        if not 0 < getattr(settings, name) < 1:
            raise InputError(f"{name} is a part between 0 and 1, got {getattr(settings, name)}")


def on_points(method: str, problem: Problem) -> None:
    """Refuse an equation that networks cannot be put into: one without point fields.

    Raises:
        InputError: naming the fields it has.
    """
    equation = problem.equation
    if "point" not in equation.kinds:
        raise InputError(
            f"{method} needs an equation on point fields, {type(equation).__name__} supports "
            f"{', '.join(equation.kinds)}: take --method reference"
        )


def one_problem(method: str, values: Mapping[str, Value] | None) -> None:
    """Refuse a batch of problems.

    Raises:
        InputError: naming the parameter that has several values.
    """
    for name, value in (values or {}).items():
        if isinstance(value, Tensor) and value.ndim:
            raise InputError(
                f"{method} solves one problem at a time, {name} has {len(value)} values: solve them one after the "
                "other, or all at once by the method reference"
            )
