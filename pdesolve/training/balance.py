"""Weights of loss terms that keep any of them from drowning the others.

The loss is Σ_i λ_i |r_i|², r_i the rows of one term divided by √points. A balance measures now and then what each term
does to the parameters and moves the weights there:

    λ ← m λ + (1 − m) λ̂

All of a balance's state is its weights, tensors by name: kept beside the parameters they make a resume exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.least_squares.objective import Terms
from pdesolve.least_squares.trace import traces
from pdesolve.training.reduction import total

Weights = Mapping[str, Tensor]
Balancing = Literal["none", "gradient_statistics", "gradient_norm", "tangent_kernel"]


@dataclass(frozen=True)
class Balance(ABC):
    """How the weights of terms are found.

    Attributes:
        memory: m, the part of the weights that stays (0 to 0.99).
        every: steps between two updates (100 to 1000); each costs a backward pass for every term.
        most: bound of a weight: a term that holds already, as conditions built into a network do, would get an
            infinite one.
    """

    memory: float = 0.9
    every: int = 100
    most: float = 1e4

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1 or self.every < 1 or not self.most >= 1:
            raise InputError(
                "a balance needs 0 <= memory < 1, every >= 1 and most >= 1, got "
                f"{self.memory}, {self.every} and {self.most}"
            )

    @abstractmethod
    def targets(self, module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
        """λ̂ of every term of `rows() -> {name: (*component, point)}`, which are divided by √points, not weighted."""

    def update(self, weights: Weights, module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
        """The weights brought up to date with the module as it is. Nothing waits for a GPU.

        A term without any gradient keeps its weight.
        """
        return moved(weights, self.targets(module, rows), memory=self.memory, most=self.most)


@dataclass(frozen=True)
class GradientStatistics(Balance):
    """λ̂_i = max |∇L_main| / mean |∇L_i| over all parameters, and 1 for the term `main`, the equation's.

    S. Wang, Y. Teng, P. Perdikaris, SIAM J. Sci. Comput. 43 (2021) A3055, arXiv 2001.04536.
    """

    main: str = "equation"

    def targets(self, module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
        found = gradients(module, rows)
        if self.main not in found:
            raise unknown_name("term", self.main, found)
        top = found[self.main].abs().max()
        return {n: torch.ones_like(top) if n == self.main else top / g.abs().mean() for n, g in found.items()}


@dataclass(frozen=True)
class GradientNorm(Balance):
    """λ̂_i = Σ_j |∇L_j| / |∇L_i|: all weighted gradients get one length.

    S. Wang, S. Sankaran, H. Wang, P. Perdikaris, "An expert's guide to training physics-informed neural networks",
    2023, arXiv 2308.08468.
    """

    def targets(self, module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
        return ratios({name: g.norm() for name, g in gradients(module, rows).items()})


@dataclass(frozen=True)
class TangentKernel(Balance):
    """λ̂_i = Σ_j tr(J_j J_jᵀ) / tr(J_i J_iᵀ): all weighted terms converge at one rate, on average.

    Traces of rows divided by √points, so that more points of a term do not count as a faster one.
    S. Wang, X. Yu, P. Perdikaris, J. Comput. Phys. 449 (2022) 110768, arXiv 2007.14527.
    """

    def targets(self, module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
        return ratios({name: total(trace) for name, trace in traces(module, rows).items()})


def balance(kind: Balancing, *, memory: float = 0.9, every: int = 100, main: str = "equation") -> Balance | None:
    """The balance of that name, None for "none".

    Raises:
        InputError: another name, settings that make no sense.
    """
    match kind:
        case "none":
            return None
        case "gradient_statistics":
            return GradientStatistics(memory, every, main=main)
        case "gradient_norm":
            return GradientNorm(memory, every)
        case "tangent_kernel":
            return TangentKernel(memory, every)
    raise unknown_name("balance", kind, get_args(Balancing))


def ones(names: Iterable[str], *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
    """The weights that training starts with."""
    return {name: torch.ones((), dtype=dtype, device=device) for name in names}


def ratios(sizes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Σ_j size_j / size_i of each term; infinite where its size is zero."""
    whole = torch.stack(list(sizes.values())).sum()
    return {name: whole / size for name, size in sizes.items()}


def moved(weights: Weights, targets: Weights, *, memory: float, most: float) -> dict[str, Tensor]:
    """m λ + (1 − m) min(λ̂, most); λ where λ̂ is not finite."""
    new = {}
    for name, weight in weights.items():
        target = targets[name].detach().to(weight)
        step = memory * weight + (1 - memory) * target.clamp_max(most)
        new[name] = torch.where(torch.isfinite(target), step, weight)
    return new


def gradients(module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
    """∇|r_i|² of each term, flat in all trained parameters (parameter,), summed over processes."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    found = {}
    with torch.enable_grad():
        for name, row in rows().items():
            if row.requires_grad:
                parts = torch.autograd.grad(row.square().sum(), parameters, retain_graph=True, materialize_grads=True)
            else:  # depends on no parameter
                parts = [torch.zeros_like(p) for p in parameters]
            found[name] = total(torch.cat([g.flatten() for g in parts]))
    return found


def weighted(rows: Terms, weights: Weights) -> dict[str, Tensor]:
    """Rows times √λ of their term, so that their squares sum to the weighted loss; 1 for terms without a weight."""
    return {name: row * weights[name].sqrt() if name in weights else row for name, row in rows.items()}
