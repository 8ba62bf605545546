"""Solutions that are networks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from pickle import UnpicklingError  # what weights_only raises; nothing here is unpickled
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.constraint import Lift, Lifted
from pdesolve.equation import State, assemble
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.method import Solution
from pdesolve.problem import Problem, Value

WEIGHTS = "last.pt"
_CHUNK = 65_536  # points at once where no gradient is wanted, so that memory stays bounded


class NetworkSolution(Solution):
    """A module from coordinates (point, axis), time first, to the scalars of the state (point, scalar).

    A `lift` takes them to a state that obeys conditions exactly; what it adds and multiplies with is computed once for
    each set of coordinates.
    """

    def __init__(
        self,
        problem: Problem,
        module: nn.Module,
        values: Mapping[str, Value] | None = None,
        *,
        lift: Lift | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(problem, values, device)
        self.module = module
        self.lift = lift
        self.dtype = dtype
        self.parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)

    def state(self, x: Coordinates) -> State:
        equation = self.problem.equation
        quantities = [self.problem.quantity(name) for name in equation.scalars]
        # jets go through the module's layers, which a function of values hides
        scalars = x.outputs(self._output if x.carrier is None else self.module, quantities)
        if self.lift is not None:
            scalars = x.once(self, partial(self._lifted, self.lift, x))(scalars)
        return assemble(equation.unknowns, scalars)

    def _lifted(self, lift: Lift, x: Coordinates) -> Lifted:
        with torch.enable_grad():  # the first to ask may want values only, the next one derivatives
            return lift.at(x, self.values)

    def _output(self, columns: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.module(columns)
        return torch.cat([self.module(chunk) for chunk in columns.split(_CHUNK)])

    def write(self, folder: Path) -> None:
        content: dict[str, Any] = {f"module.{k}": v.detach().cpu() for k, v in self.module.state_dict().items()}
        content |= {f"value.{k}": v.detach().cpu() for k, v in self.values.items() if isinstance(v, Tensor)}
        if self.lift is not None:
            content["lift"] = dict(self.lift.record())
        aside = folder / f".{WEIGHTS}.{os.getpid()}"
        torch.save(content, aside)
        aside.replace(folder / WEIGHTS)

    def read(self, folder: Path) -> Mapping[str, Any] | None:
        """Take the weights and learned values that `write` stored; gives the record of its lift, if it had any.

        Raises:
            InputError: no such file, or one of another network.
        """
        path = folder / WEIGHTS
        try:
            content = torch.load(path, weights_only=True, map_location=self.device)
            self.module.load_state_dict(
                {k.removeprefix("module."): v for k, v in content.items() if k.startswith("module.")}
            )
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:120]
            raise InputError(f"cannot read the network in {path}: {reason}") from error
        self.values |= {k.removeprefix("value."): v for k, v in content.items() if k.startswith("value.")}
        return content.get("lift")
