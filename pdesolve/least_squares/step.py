"""What every least-squares method is: a state of tensors and a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.least_squares.form import Form
from pdesolve.least_squares.objective import Objective

State = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """Where a step went, for each problem of a batch.

    loss: at the new theta. moved: false where nothing better was found. slope: |g| where the step began. note: what the
    linear solve found out about directions that J leaves undetermined, in a line; empty for none.
    """

    theta: Tensor
    state: State
    loss: Tensor
    moved: Tensor
    slope: Tensor
    note: str = ""


class Method(ABC):
    """Settings of a method; the state is all that it remembers, so that resuming is exact."""

    @abstractmethod
    def start(self, theta: Tensor) -> State:
        """The state before the first step, tensors whose leading dimensions are theta's (*batch)."""

    @abstractmethod
    def step(self, objective: Objective, theta: Tensor, state: State, *, form: Form) -> Step:
        """One step from theta (*batch, parameter), each problem of the batch by itself.

        Raises:
            Diverged: the objective is not finite at theta.
        """


def keep(moved: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` for the problems (*batch) that moved, `old` for the others."""
    return torch.where(moved[(..., *(None,) * (new.ndim - moved.ndim))], new, old)
