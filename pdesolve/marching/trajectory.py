"""Networks at successive instants as one solution of space and time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError  # what weights_only raises; nothing here is unpickled

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pdesolve.constraint import Lift
from pdesolve.equation import State, assemble
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Quantity
from pdesolve.fields.jets import Jet
from pdesolve.fields.propagation import differentiated, propagate
from pdesolve.method import Solution
from pdesolve.problem import Problem, Value

FILE = "trajectory.pt"
_WINDOW = 6  # instants that a polynomial in time goes through: fifth degree
_CHUNK = 2**16  # points at once where no gradient is wanted


class Trajectory(nn.Module):
    """N(t, x) = Σ_j l_j(t) N_j(x): between instants the polynomial through the networks of the nearest six.

    (point, axis), time first, -> (point, scalar). `times` and flat parameters `thetas` grow as a march goes on; after
    the last instant the last network holds.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.times: list[float] = []
        self.thetas: list[Tensor] = []

    def append(self, time: float, theta: Tensor) -> None:
        """One more instant, later than those before."""
        self.times.append(time)
        self.thetas.append(theta.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or len(x) <= _CHUNK:
            return self._at(x)
        return torch.cat([self._at(chunk) for chunk in x.split(_CHUNK)])

    def _at(self, x: Tensor) -> Tensor:
        times = torch.tensor(self.times, dtype=x.dtype, device=x.device)
        count = min(_WINDOW, len(times))
        t = x[:, 0].clamp(max=self.times[-1])
        after = torch.searchsorted(times, t.detach().contiguous())
        first = (after - count // 2).clamp(0, len(times) - count)
        parts, order = [], []
        for start in first.unique().tolist():
            index = (first == start).nonzero()[:, 0]
            parts.append(self._polynomial(t[index], x[index, 1:], start, count))
            order.append(index)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def _polynomial(self, t: Tensor, space: Tensor, start: int, count: int) -> Tensor:
        total = torch.zeros((), dtype=t.dtype, device=t.device)
        for j in range(start, start + count):
            weight = torch.ones_like(t)
            for i in range(start, start + count):
                if i != j:
                    weight = weight * ((t - self.times[i]) / (self.times[j] - self.times[i]))
            if not torch.is_grad_enabled() and not bool(weight.any()):
                total = total + torch.zeros_like(t)[:, None]
                continue
            total = total + weight[:, None] * self._network(self.thetas[j], space)
        return total

    def _network(self, theta: Tensor, space: Tensor) -> Tensor:
        named = [(name, p) for name, p in self.module.named_parameters()]
        parts = theta.to(space).split([p.numel() for _, p in named])
        state = {name: part.view_as(p) for (name, p), part in zip(named, parts, strict=True)}
        return functional_call(self.module, state, (space,))


@propagate.register
def _(layer: Trajectory, jet: Jet) -> Jet:
    return differentiated(layer, jet)  # few points at once: windows differ from point to point


def columns_of(problem: Problem) -> list[str]:
    """The scalars of a problem's equation: of what evolves first, then of what is algebraic."""
    unknowns = problem.evolution().unknowns
    return [s for part in (False, True) for u in unknowns if u.algebraic == part for s in u.scalars]


class MarchedSolution(Solution):
    """A trajectory of networks, lifted to the conditions at every time.

    columns: the scalars that the networks hold, in order, see `columns_of`. `lift` is one of the problem itself. Until
    the march has come to the final time it is a solution up to `reached`.
    """

    def __init__(
        self, problem: Problem, trajectory: Trajectory, lift: Lift | None, values: Mapping[str, Value] | None = None,
        *, columns: Sequence[str], dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__(problem, values, device)
        self.trajectory, self.lift, self.dtype = trajectory, lift, dtype
        self.parameters = sum(p.numel() for p in trajectory.module.parameters())
        self._columns = tuple(columns)

    @property
    def reached(self) -> float | None:
        """The time that the march has come to; None where that is the final one."""
        time, times = self.problem.time, self.trajectory.times
        assert time is not None
        return times[-1] if times and times[-1] < time.upper else None

    def state(self, x: Coordinates) -> State:
        equation = self.problem.equation
        known = equation.scalars
        quantities = [self.problem.quantity(name) if name in known else Quantity(name) for name in self._columns]
        outputs = x.outputs(self.trajectory, quantities)
        scalars = {name: outputs[name] for name in known}
        if self.lift is not None:
            lift = self.lift
            with torch.enable_grad():  # the first to ask may want values only, the next one derivatives
                lifted = x.once(self, lambda: lift.at(x, self.values))
            scalars = lifted(scalars)
        return assemble(equation.unknowns, scalars)

    def write(self, folder: Path) -> None:
        content = {
            "module": {k: v.detach().cpu() for k, v in self.trajectory.module.state_dict().items()},
            "times": self.trajectory.times,
            "thetas": torch.stack(self.trajectory.thetas).cpu(),
        }
        aside = folder / f".{FILE}.{os.getpid()}"
        torch.save(content, aside)
        aside.replace(folder / FILE)

    def take(self, folder: Path) -> None:
        """Take the networks that `write` stored.

        Raises:
            InputError: no such file, a damaged one, or one of another network.
        """
        path = folder / FILE
        try:
            content = torch.load(path, weights_only=True, map_location=self.device)
            self.trajectory.module.load_state_dict(dict(content["module"]))
            times: Sequence[float] = content["times"]
            self.trajectory.times, self.trajectory.thetas = list(times), list(content["thetas"])
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, TypeError, UnpicklingError) as error:
            reason = " ".join((str(error) or type(error).__name__).split())[:120]
            raise InputError(f"cannot read the networks in {path}: {reason}") from error
