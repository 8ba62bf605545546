"""The contract of what is minimised here: a loss of flat parameters that can be linearised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import Diverged, InputError, unknown_name
from pdesolve.least_squares.jacobian import Jacobian

Terms = Mapping[str, Tensor]


@dataclass(frozen=True)
class Linearisation:
    """A loss at theta to first order: r + J d for residuals, g and the metric MᵀM for energies.

    loss (*batch), gradient (*batch, parameter). residual (*batch, row), or None where the loss is no sum of squares;
    then `jacobian` is that of the metric's rows.
    """

    loss: Tensor
    gradient: Tensor
    jacobian: Jacobian
    residual: Tensor | None = None

    @property
    def slope(self) -> Tensor:
        """|g| (*batch)."""
        return self.gradient.norm(dim=-1)

    def rows(self, asking: str) -> Tensor:
        """The residual.

        Raises:
            InputError: the loss is an energy.
        """
        if self.residual is None:
            raise no_rows(asking)
        return self.residual


def of_rows(r: Tensor, jacobian: Jacobian) -> Linearisation:
    """The linearisation of |r|²/2."""
    return Linearisation(half_squares(r), jacobian.transposed(r), jacobian, r)


def no_rows(asking: str) -> InputError:
    """The error of asking an energy for rows."""
    return InputError(f"{asking} needs residual rows, an energy has none: use GaussNewton or AdaptiveEnergy")


class Objective(ABC):
    """A loss as a function of flat parameters theta (*batch, parameter): what every step asks.

    Problems of a batch are independent: loss is (*batch). Nothing here is differentiated by the caller.
    """

    @abstractmethod
    def loss(self, theta: Tensor) -> Tensor:
        """The loss (*batch), |r|²/2 for residuals; infinite where it is not finite, so that no step goes there."""

    @abstractmethod
    def values(self, theta: Tensor) -> Tensor:
        """The weighted residual rows (*batch, row), whatever they are, for second differences along a step.

        Raises:
            InputError: the loss is an energy.
        """

    @abstractmethod
    def linearise(self, theta: Tensor) -> Linearisation:
        """Loss, gradient and Jacobian at theta.

        Raises:
            Diverged: a value that is not finite, with its term and row.
        """


def stack(terms: Terms, weights: Mapping[str, float] | None = None, *, batch: int = 0) -> Tensor:
    """Named residuals {name: (*batch, ...)} as weighted rows (*batch, row), in the order of the names.

    weights: factor of each term's sum of squares, 1 where none is given; 0 leaves rows of zeros, whatever the term is.
    batch: number of leading dimensions that count problems.

    Raises:
        InputError: no terms, terms without names, a negative weight, a weight of no term.
    """
    _check_named(terms)
    weights = weights or {}
    for name, weight in weights.items():
        if name not in terms:
            raise unknown_name("term", name, terms)
        if not weight >= 0:
            raise InputError(f"the weight of the term {name} must be zero or more, got {weight}")
    return torch.cat([scaled(t.flatten(batch), weights.get(name, 1.0)) for name, t in terms.items()], -1)


def _check_named(terms: Terms) -> None:
    if not isinstance(terms, Mapping):
        raise InputError(f"a residual is terms by name, got a {type(terms).__name__}: return {{'equation': rows}}")
    if not terms:
        raise InputError("a residual has at least one named term, got none: return {'equation': rows}")


def scaled(rows: Tensor, weight: float) -> Tensor:
    """Rows whose sum of squares has the weight; zeros where it is 0, also for rows that are not finite."""
    return rows * weight**0.5 if weight else torch.zeros_like(rows)


def half_squares(rows: Tensor) -> Tensor:
    """|r|²/2 of rows (*batch, row); infinite where it is not finite."""
    loss = rows.square().sum(-1) / 2
    return torch.where(torch.isfinite(loss), loss, torch.inf)


def first_not_finite(terms: Terms) -> tuple[str, int] | None:
    """The first term and the first of its values that are not finite, or None. The index is that of the last axis."""
    for name, term in terms.items():
        bad = ~torch.isfinite(term.detach())
        if bool(bad.any()):
            return name, int(bad.reshape(-1, term.shape[-1] if term.ndim else 1).any(0).nonzero()[0])
    return None


def check_finite(terms: Terms, weights: Mapping[str, float] | None = None) -> None:
    """Refuse values that are not finite; terms of the weight 0 may be anything.

    Raises:
        InputError: no terms, or terms without names.
        Diverged: with the term and the row; optimisers add the step.
    """
    _check_named(terms)
    found = first_not_finite({name: t for name, t in terms.items() if (weights or {}).get(name, 1.0)})
    if found is not None:
        name, row = found
        value, dtype = float(terms[name].detach().reshape(-1, terms[name].shape[-1])[:, row].sum()), terms[name].dtype
        advice = "take smaller steps" if dtype == torch.float64 else "take smaller steps or float64"
        raise Diverged(f"the term {name} is {value} at row {row} ({str(dtype).removeprefix('torch.')}): {advice}")
