"""Solutions that are networks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
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
_CHUNK = 2**22  # values of a layer at once where no gradient is wanted, so that memory stays bounded


class NetworkSolution(Solution):
    """A module from coordinates (point, axis), time first, to the scalars of the state (point, scalar).

    `built` says in JSON values how the module was made, where its method's settings alone do not.
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
        built: Mapping[str, Any] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(problem, values, device)
        self.module = module
        self.lift = lift
        self.built = dict(built or {})
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
        width = max((max(p.shape) for p in self.module.parameters() if p.ndim), default=1)
        return torch.cat([self.module(chunk) for chunk in columns.split(max(1024, _CHUNK // width))])

    def write(self, folder: Path) -> None:
        content: dict[str, Any] = {f"module.{k}": v.detach().cpu() for k, v in self.module.state_dict().items()}
        content |= {f"value.{k}": v.detach().cpu() for k, v in self.values.items() if isinstance(v, Tensor)}
        if self.lift is not None:
            content["lift"] = dict(self.lift.record())
        if self.built:
            content["built"] = self.built
        aside = folder / f".{WEIGHTS}.{os.getpid()}"
        torch.save(content, aside)
        aside.replace(folder / WEIGHTS)

    def take(self, stored: Stored) -> None:
        """Take the weights and learned values that `write` stored.

        Raises:
            InputError: those of another network.
        """
        try:
            self.module.load_state_dict(stored.module)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"cannot read the network in {stored.path}: {reason}") from error
        self.values |= stored.values


@dataclass(frozen=True)
class Stored:
    """What a folder holds of a network: its tensors, learned values, the record of its lift, how it was built."""

    path: Path
    module: Mapping[str, Tensor]
    values: Mapping[str, Tensor]
    lift: Mapping[str, Any] | None
    built: Mapping[str, Any]


def read_network(folder: Path, device: torch.device | str) -> Stored:
    """What `NetworkSolution.write` stored.

    Raises:
        InputError: no such file, or a damaged one.
    """
    path = folder / WEIGHTS
    try:
        content = torch.load(path, weights_only=True, map_location=device)
        parts = {
            kind: {k.removeprefix(f"{kind}."): v for k, v in content.items() if k.startswith(f"{kind}.")}
            for kind in ("module", "value")
        }
        return Stored(path, parts["module"], parts["value"], content.get("lift"), content.get("built", {}))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, AttributeError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"cannot read the network in {path}: {reason}") from error
