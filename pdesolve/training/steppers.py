"""Optimisers in the hands of the loop: how each kind takes a step, and what it has to say of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.least_squares import LeastSquares, LevenbergMarquardt, SelfScaledBroyden
from pdesolve.training.examiner import Examiner
from pdesolve.training.objective import ResidualObjective, sum_of
from pdesolve.training.reduction import total, total_gradients

_LITTLE = 1e-10  # a step of many iterations that lowers the loss by less has found nothing better


@dataclass(frozen=True)
class Taken:
    """What a step did: its iterations, whether it found anything better, and what was odd about it, a line each."""

    iterations: int = 1
    moved: bool = True
    notes: tuple[str, ...] = ()


class Stepper(ABC):
    """An optimiser that the loop takes steps with. The doctor sees the loss of the parameters before they move.

    Attributes:
        has_rate: whether a learning rate sets the lengths of its steps; the others find them.
        advice: what to try where it finds nothing better, in a few words.
    """

    has_rate = False
    advice = "take --method.optimiser levenberg_marquardt, or another seed"

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self.optimiser = optimiser

    @abstractmethod
    def step(self, objective: nn.Module, batch: Any, doctor: Examiner, iterations: int) -> Taken:
        """One step on a batch, of at most so many iterations where it makes several."""

    @abstractmethod
    def renew(self) -> None:
        """Be fit for another batch."""

    def losses(self, objective: nn.Module, batch: Any) -> dict[str, float]:
        """The loss terms to be shown and judged: those of the parameters as they are."""
        return {name: float(total(term.detach())) for name, term in objective(batch).items()}

    def state_dict(self) -> dict[str, Any]:
        """What going on needs beside the state of the optimiser."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where the steps stood whose `state_dict` this was."""
        return None


class FirstOrder(Stepper):
    """Steps along a gradient, of the length of a learning rate."""

    has_rate = True

    def step(self, objective: nn.Module, batch: Any, doctor: Examiner, iterations: int) -> Taken:
        _losses(self.optimiser, objective, batch, doctor)
        return Taken()

    def renew(self) -> None:
        pass  # its averages are of gradients, which change with batches as they do with steps


class QuasiNewton(Stepper):
    """Several iterations a step, each with a line search."""

    def step(self, objective: nn.Module, batch: Any, doctor: Examiner, iterations: int) -> Taken:
        name = "max_iter" if isinstance(self.optimiser, torch.optim.LBFGS) else "iterations"
        self.optimiser.param_groups[0][name] = iterations
        first, *trials = map(float, _losses(self.optimiser, objective, batch, doctor))
        return Taken(iterations, any(loss < (1 - _LITTLE) * first for loss in trials))

    def renew(self) -> None:
        if isinstance(self.optimiser, torch.optim.LBFGS):  # it would take the change of the loss for curvature
            self.optimiser.state.clear()


class Squares(Stepper):
    """Least squares on the rows of a residual objective."""

    optimiser: LeastSquares

    def step(self, objective: nn.Module, batch: Any, doctor: Examiner, iterations: int) -> Taken:
        assert isinstance(objective, ResidualObjective)
        first = True

        def rows() -> dict[str, Tensor]:
            nonlocal first
            terms = objective.rows(batch)
            if first:  # those of the parameters as they are; the others are trials
                doctor.examine(float(total(sum_of({n: term.detach().square().sum() for n, term in terms.items()}))))
            first = False
            return terms

        loss = self.optimiser.step(rows)
        doctor.examine(2 * float(loss))  # some methods rise
        form = self.optimiser.form
        known = "" if form is None else form.note  # that line is said with the form
        return Taken(1, self.optimiser.moved, tuple(note for note in self.optimiser.notes if note != known))

    def renew(self) -> None:
        pass  # a step compares losses of its own

    @property
    def advice(self) -> str:  # type: ignore[override]
        if isinstance(self.optimiser.method, LevenbergMarquardt):
            return "take --method.optimiser self_scaled_broyden, or another seed"
        return "let levenberg_marquardt go before it, or take that one alone"


def stepper(optimiser: torch.optim.Optimizer) -> Stepper:
    """The way to take steps with an optimiser."""
    if isinstance(optimiser, LeastSquares):
        return Squares(optimiser)
    if isinstance(optimiser, (torch.optim.LBFGS, SelfScaledBroyden)):
        return QuasiNewton(optimiser)
    return FirstOrder(optimiser)


def _losses(optimiser: torch.optim.Optimizer, objective: nn.Module, batch: Any, doctor: Examiner) -> list[Tensor]:
    """Take a step of an optimiser that asks for the loss and its gradient; the losses it was given."""
    seen: list[Tensor] = []
    parameters = [p for p in objective.parameters() if p.requires_grad]

    def closure() -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        loss = sum_of(objective(batch))
        whole = total(loss.detach())
        if not seen and doctor.looks():  # the first is that of the parameters as they are, the others are trials
            doctor.examine(float(whole))
        seen.append(whole)
        loss.backward(inputs=parameters)
        total_gradients(parameters)
        return whole

    optimiser.step(closure)  # type: ignore[arg-type]
    return seen
