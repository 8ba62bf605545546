"""Elementary functions of fields, numbers and tensors. They act on values; units must cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import UnitError
from pdesolve.fields.field import Field
from pdesolve.unit import Unit


def _elementary(function: Callable[[Tensor], Tensor], name: str) -> Callable[[Any], Any]:
    def apply(argument: Any) -> Any:
        if isinstance(argument, Field):
            if argument.unit is not None and not argument.unit.dimensionless:
                raise UnitError(f"{name} needs a dimensionless argument, {argument.name} has unit {argument.unit}")
            return argument.apply(function, name, argument.unit)
        if isinstance(argument, Tensor):
            return function(argument)
        return float(function(torch.tensor(float(argument), dtype=torch.float64)))

    apply.__name__ = name
    apply.__doc__ = f"{name} of a field, tensor or number."
    return apply


sin = _elementary(torch.sin, "sin")
cos = _elementary(torch.cos, "cos")
tan = _elementary(torch.tan, "tan")
exp = _elementary(torch.exp, "exp")
log = _elementary(torch.log, "log")
sinh = _elementary(torch.sinh, "sinh")
cosh = _elementary(torch.cosh, "cosh")
tanh = _elementary(torch.tanh, "tanh")
sech = _elementary(lambda x: 1 / torch.cosh(x), "sech")
arctan = _elementary(torch.arctan, "arctan")
erf = _elementary(torch.erf, "erf")
step = _elementary(lambda x: (x >= 0).to(x.dtype), "step")


def sqrt(argument: Any) -> Any:
    """Square root; the unit's exponents are halved."""
    if isinstance(argument, Field):
        unit: Unit | None = None if argument.unit is None else argument.unit.power(0.5)
        return argument.apply(torch.sqrt, "sqrt", unit)
    return argument.sqrt() if isinstance(argument, Tensor) else float(argument) ** 0.5


def absolute(argument: Any) -> Any:
    """Absolute value, in the same unit."""
    if isinstance(argument, Field):
        return argument.apply(torch.abs, "abs", argument.unit)
    return abs(argument)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two fields, or of a field and a number."""
    return _choose(a, b, torch.maximum, "max")


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two fields, or of a field and a number."""
    return _choose(a, b, torch.minimum, "min")


def _choose(a: Any, b: Any, operation: Callable[[Tensor, Tensor], Tensor], name: str) -> Any:
    if not isinstance(a, Field) and not isinstance(b, Field):
        a, b = (torch.as_tensor(v, dtype=torch.float64) for v in (a, b))
        return float(operation(a, b))
    field = max((v for v in (a, b) if isinstance(v, Field)), key=lambda v: v.precedence)
    return field.choose(a, b, operation, name)
