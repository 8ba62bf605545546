"""Time integrators and elliptic solves on grids: exponential steps, the method of lines, sparse and spectral solves.

For differential equations of your own, learned ones too: `solve_ivp` with the errors and the stiffness of its steps,
and the penalties on them (docs/neural_ode.md).
"""

from pdesolve.integration.neural_ode import OdeSolution, solve_adjoint, solve_ivp
from pdesolve.integration.runge_kutta import BOGACKI_SHAMPINE, DORMAND_PRINCE, TSITOURAS, RungeKutta
from pdesolve.integration.solver_penalties import (
    ExponentialAnnealing,
    biased_local_error,
    error_penalty,
    local_error_penalty,
    squared_error_penalty,
    stiffness_penalty,
    unbiased_local_error,
)
from pdesolve.integration.step_control import StepControl

__all__ = [
    "BOGACKI_SHAMPINE",
    "DORMAND_PRINCE",
    "TSITOURAS",
    "ExponentialAnnealing",
    "OdeSolution",
    "RungeKutta",
    "StepControl",
    "biased_local_error",
    "error_penalty",
    "local_error_penalty",
    "solve_adjoint",
    "solve_ivp",
    "squared_error_penalty",
    "stiffness_penalty",
    "unbiased_local_error",
]
