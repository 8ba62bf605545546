"""How the terms of a physics-informed loss are weighed: one against another, and point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Axis
from pdesolve.training.attention import Attention, squared
from pdesolve.training.balance import Balance, Balancing, balance, ones, weighted
from pdesolve.training.causality import Causality, Gate, pointwise
from pdesolve.training.reduction import total

INTERIOR = "equation"
Rows = Mapping[str, Tensor]

# What weighs single points: residual-based attention, or the order of time by chunks (causal) or by a moving front.
Emphasis = Literal["none", "attention", "causal", "gate"]


@dataclass
class Weighting:
    """The weights of terms and of points, and their state, tensors alone.

    conditions: the weight of every condition's mean square against the equation's. time: the axis that causal weights
    and the gate follow. Rows are weighed by `weigh`; `adapt` moves the weights to where a minimisation has got.
    """

    conditions: float
    balancing: Balancing = "none"
    emphasis: Emphasis = "none"
    time: Axis | None = None
    state: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.balance: Balance | None = balance(self.balancing)
        if self.emphasis not in get_args(Emphasis):
            raise unknown_name("emphasis", self.emphasis, get_args(Emphasis))
        if self.emphasis in ("causal", "gate") and self.time is None:
            raise InputError(
                f"the emphasis {self.emphasis} follows time, which this problem has none of: take attention"
            )
        self.attention, self.causality, self.gate = Attention(), Causality(), Gate()

    @property
    def fixed(self) -> bool:
        """Whether weights stay what they are."""
        return self.balance is None and self.emphasis == "none"

    def weigh(self, rows: Rows, times: Tensor | None) -> dict[str, Tensor]:
        """Rows (*component, point), divided by √points, times the roots of their weights."""
        found = {name: row if name == INTERIOR else row * self.conditions**0.5 for name, row in rows.items()}
        points = self._points(times)
        if points is not None:
            found[INTERIOR] = pointwise(found[INTERIOR], points)
        if self.emphasis == "attention" and "attention" in self.state:
            weights = squared(self.state["attention"])
            found = {name: pointwise(row, weights[name]) for name, row in found.items()}
        return weighted(found, self.state["terms"]) if "terms" in self.state else found

    @torch.no_grad()
    def adapt(self, rows: Callable[[], Rows], module: nn.Module, times: Tensor | None, step: int) -> None:
        """Move the weights to residuals as they are: `rows` divided by √points, not weighted.

        step: how often this was called; a balance is not measured each time.
        """
        if self.balance is not None:
            with torch.enable_grad():
                now = rows()
            if "terms" not in self.state:
                some = next(iter(now.values()))
                self.state["terms"] = ones(now, dtype=some.dtype, device=some.device)
            if step % self.balance.every == 0:
                self.state["terms"] = self.balance.update(self.state["terms"], module, rows)
        if self.emphasis == "none":
            return
        with torch.enable_grad():  # derivatives of the unknowns may be taken by autograd
            now = {name: row.detach() for name, row in rows().items()}
        # of r itself: causal weights are absolute
        residual = now[INTERIOR] * float(total(torch.ones_like(now[INTERIOR][0]).sum())) ** 0.5
        if self.emphasis == "attention":
            before = self.state.get("attention") or self.attention.start(now)
            self.state["attention"] = self.attention.update(before, now)
        elif self.emphasis == "causal":
            assert times is not None and self.time is not None
            rung = self.state.get("causality") or self.causality.start(device=residual.device)
            losses = self.causality.losses(residual, self.causality.chunk(times, self.time))
            self.state |= {"losses": losses, "causality": self.causality.update(rung, losses)}
        else:
            front = self.state.get("gate") or self.gate.start(dtype=residual.dtype, device=residual.device)
            assert times is not None and self.time is not None
            weights = self.gate.weights(front, times, self.time)
            self.state["gate"] = self.gate.update(front, residual, weights)

    def move(self, before: Tensor, after: Tensor) -> None:
        """Collocation points were drawn anew, (point, axis) each: weights of points go along."""
        if "attention" in self.state:
            carried = self.attention.carried(self.state["attention"][INTERIOR], before, after)
            self.state["attention"] = {**self.state["attention"], INTERIOR: carried}

    def _points(self, times: Tensor | None) -> Tensor | None:
        """The weights of |r|² at collocation points (point,) that follow the order of time."""
        if times is None or self.time is None:
            return None
        if self.emphasis == "causal" and "causality" in self.state:
            chunk = self.causality.chunk(times, self.time)
            return self.causality.weights(self.state["causality"], self.state["losses"])[chunk]
        if self.emphasis == "gate" and "gate" in self.state:
            return self.gate.weights(self.state["gate"], times, self.time)
        return None
