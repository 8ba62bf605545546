"""The doctor of a fit: keeps its best parameters, and names what went astray where and when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.fields import Coordinates
from pdesolve.least_squares.objective import first_not_finite
from pdesolve.training.checkpoint import Checkpoint
from pdesolve.training.examiner import Examiner
from pdesolve.training.objective import ResidualObjective

_EXPLODED = 1e6  # times the least loss on the same points
_EVERY = 20  # steps between two looks at the loss on a GPU, which would have to be waited for


class Doctor(Examiner):
    """Looks at the losses of an objective, through one stage or several. `best` are the parameters of the least one.

    least: that loss, infinite where none was seen on the points and weights of now. first: the first of all. A loss has
    exploded where it is 1e6 times the least and more than the first: right after new points were drawn, a loss near
    rounding may well be 1e6 times larger. stage: the name of the one that is under way.
    """

    def __init__(self, objective: nn.Module, checkpoint: Checkpoint) -> None:
        self.objective, self.checkpoint, self.stage = objective, checkpoint, ""
        self.parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
        self.best = [p.detach().clone() for p in self.parameters]
        self.least, self.first = math.inf, math.nan

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "least": self.least, "first": self.first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.least, self.first = state["least"], state["first"]
        for kept, saved in zip(self.best, state["best"], strict=True):
            kept.copy_(saved)

    def looks(self) -> bool:
        """Whether the loss of this step is looked at."""
        return self.parameters[0].device.type == "cpu" or self.checkpoint.position.step % _EVERY == 0

    def renew(self) -> None:
        """Losses on other points, or by other weights, are no better or worse than those before."""
        self.least = math.inf

    def examine(self, loss: float) -> None:
        """Keep the parameters where theirs is the least loss.

        Raises:
            Diverged: a loss that is not finite or has exploded; `diagnosis` says more.
        """
        if math.isnan(self.first) and math.isfinite(loss):
            self.first = loss
        if not math.isfinite(loss) or (loss > _EXPLODED * self.least and loss > self.first):
            step = self.checkpoint.position.step + 1
            raise Diverged(f"the loss is {loss:.3g} at step {step} of stage {self.stage}")
        if loss < self.least:
            self.least = loss
            torch._foreach_copy_(self.best, [p.detach() for p in self.parameters])

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best parameters back."""
        torch._foreach_copy_(self.parameters, self.best)

    def diagnosis(self, batch: Any, rate: float | None) -> str:
        """One line about the parameters as they are: the term, its worst point, the step, and what to do.

        rate: the learning rate, for advice; None where there is none.
        """
        at = self.checkpoint.position
        dtype = str(self.parameters[0].dtype).removeprefix("torch.")
        when = f"step {at.step + 1} of stage {self.stage}"
        if not all(bool(torch.isfinite(p).all()) for p in self.parameters):
            return (
                f"the parameters are not finite any more before {when} ({dtype}): the gradient of the loss was not; "
                f"the best ones seen are kept; {_smaller(rate, dtype)}"
            )
        by_point = isinstance(self.objective, ResidualObjective)
        compute: Any = self.objective.rows if isinstance(self.objective, ResidualObjective) else self.objective
        with torch.enable_grad():
            terms = {name: term.detach() for name, term in compute(batch).items()}
        broken = first_not_finite(terms)
        name, row = broken or _largest(terms)
        size = float(terms[name].square().sum() if by_point else terms[name])
        if broken is not None:
            values = terms[name].reshape(-1, terms[name].shape[-1] if terms[name].ndim else 1)[:, row]
            what = f"is {float(values[~torch.isfinite(values)][0])}"
        elif math.isfinite(self.least):
            what = f"rose to {size:.3g}, from a loss of {self.least:.3g},"
        else:
            what = f"is {size:.3g}, most of it"
        if at.since == 0 and not math.isfinite(self.least):
            advice = "no step was taken on these points: a source, coefficient or given value is "
            advice += "not finite there; change it or draw other points" if broken else "too large there; rescale it"
            advice += ", or try float64" if dtype == "float32" else ""
        else:
            advice = f"the best parameters seen are kept; {_smaller(rate, dtype)}"
        where = _place(batch, name, row) if by_point else ""
        return f"the loss term {name} {what}{where} at {when} ({dtype}): {advice}"


def _largest(terms: Mapping[str, Tensor]) -> tuple[str, int]:
    """The term of the largest sum of squares, and the last index of its largest values."""
    name = max(terms, key=lambda n: float(terms[n].square().sum()))
    term = terms[name]
    return name, int(term.reshape(-1, term.shape[-1]).square().sum(0).argmax()) if term.ndim else 0


def _smaller(rate: float | None, dtype: str) -> str:
    """What to change where steps were too long."""
    steps = "try another optimiser" if rate is None else f"try a learning rate of {rate / 10:.1g}"
    return steps + (" or float64" if dtype == "float32" else "")


def _place(batch: Any, name: str, row: int) -> str:
    """The words " at t = 0.5, x = 0" of a row of a term, where the batch says at which points its terms are."""
    x = batch.get(name) if isinstance(batch, Mapping) else None
    if not isinstance(x, Coordinates):
        return ""
    columns: Tensor = x.columns().detach()
    if row >= len(columns):
        return ""
    return " at " + ", ".join(f"{axis} = {float(v):.6g}" for axis, v in zip(x.axes.names, columns[row], strict=True))
