"""The optimisers that methods name by a word."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import nn

from pdesolve.errors import Diverged, InputError, unknown_name
from pdesolve.least_squares import (
    AdaptiveEnergy,
    Form,
    GaussNewton,
    LeastSquares,
    LevenbergMarquardt,
    Method,
    SelfScaledBroyden,
    Soap,
    Spring,
    Thermodynamic,
)
from pdesolve.least_squares.footprint import Footprint, measured
from pdesolve.least_squares.form import form_for, free_bytes
from pdesolve.least_squares.modular import Modular
from pdesolve.training.objective import ResidualObjective
from pdesolve.training.reduction import total

Optimiser = Literal[
    "adam",
    "soap",
    "lbfgs",
    "self_scaled_broyden",
    "self_scaled_bfgs",
    "levenberg_marquardt",
    "gauss_newton",
    "spring",
    "thermodynamic",
    "adaptive_energy",
]

FIRST_ORDER = ("adam", "soap")
LEAST_SQUARES = ("levenberg_marquardt", "gauss_newton", "spring", "thermodynamic", "adaptive_energy")
QUASI_NEWTON = ("lbfgs", "self_scaled_broyden", "self_scaled_bfgs")
_METHODS: dict[str, Method] = {
    "levenberg_marquardt": LevenbergMarquardt(),
    "gauss_newton": GaussNewton(),
    # rows have no noise here: less damping and longer steps than for Monte Carlo; 1e-8 and no cap diverge
    "spring": Spring(damping=1e-6, momentum=0.9, norm=1e-2),
    "thermodynamic": Thermodynamic(),
    "adaptive_energy": AdaptiveEnergy(),
}


def make_optimiser(
    name: Optimiser, objective: nn.Module, *, learning_rate: float = 1e-3, memory: int = 50,
    form: Form | None = None,
) -> torch.optim.Optimizer:  # fmt: skip
    """The optimiser of that name for the trained parameters of an objective.

    learning_rate: of adam and soap. memory: pairs of vectors of lbfgs. form: of least squares; by size where None.

    Raises:
        InputError: an unknown name, or an optimiser that needs more memory than is free.
    """
    if name not in get_args(Optimiser):
        raise unknown_name("optimiser", name, get_args(Optimiser))
    parameters = [p for p in objective.parameters() if p.requires_grad]
    match name:
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate)
        case "soap":
            return Soap(parameters, lr=learning_rate)
        case "lbfgs":
            # the loop says when nothing more is found; fixed tolerances would stop at losses of 1e-13
            return torch.optim.LBFGS(
                parameters, history_size=memory, tolerance_grad=0.0, tolerance_change=0.0, max_eval=10**9,
                line_search_fn="strong_wolfe",
            )  # fmt: skip
        case "self_scaled_broyden" | "self_scaled_bfgs":
            count, size = sum(p.numel() for p in parameters), parameters[0].element_size()
            _afford(size * count**2, f"{name} for {count} parameters", "lbfgs", parameters[0].device)
            return SelfScaledBroyden(parameters, family="bfgs" if name == "self_scaled_bfgs" else "broyden")
        case _:
            if form is not None:
                _afford(form.bytes, f"{name}, {form},", "lbfgs", parameters[0].device)
            return LeastSquares(objective, _METHODS[name], form=form)


def linear_form(objective: nn.Module, batch: Any) -> Form:
    """The form of least squares' linear solves for the rows of a batch, by size and by the memory that is free.

    The rows are linearised once, to see what that takes.
    """
    assert isinstance(objective, ResidualObjective)
    local = Modular(objective, lambda: objective.rows(batch))
    evaluation = Footprint()
    try:
        here, evaluation = measured(lambda: local.linearise(local.theta()))
        rows = here.jacobian.rows
    except Diverged:  # the first step will say where and when
        rows = sum(rows.numel() for rows in objective.rows(batch).values())
    return form_for(int(total(torch.tensor(rows))), local.parameters, evaluation=evaluation)


def _afford(size: int, what: str, instead: str, device: torch.device) -> None:
    free = free_bytes(device)
    if size > free:
        raise InputError(
            f"{what} needs {size / 1e9:.3g} GB, {free / 1e9:.3g} GB are free: take the optimiser {instead} or a "
            "smaller network"
        )
