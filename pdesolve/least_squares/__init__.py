"""Second-order least squares: what takes small networks from 1e-2 to the accuracy of solvers.

Objectives: `Functional` (flat, batched parameters), `Pointwise`, `Energy`; `LeastSquares` makes any method an optimiser
of a module. Methods: `LevenbergMarquardt` first, `GaussNewton` for the last digits, `Spring` where points are redrawn,
`Thermodynamic` and `AdaptiveEnergy`. Of gradients alone: `SelfScaledBroyden`, `Soap`, and torch's LBFGS.
"""

from pdesolve.least_squares.adaptive_energy import AdaptiveEnergy
from pdesolve.least_squares.energy import Energy
from pdesolve.least_squares.form import Form, choose
from pdesolve.least_squares.functional import Functional
from pdesolve.least_squares.gauss_newton import GaussNewton
from pdesolve.least_squares.implicit import implicit
from pdesolve.least_squares.levenberg_marquardt import LevenbergMarquardt
from pdesolve.least_squares.minimise import Minimum, minimise
from pdesolve.least_squares.optimiser import LeastSquares
from pdesolve.least_squares.pointwise import Pointwise
from pdesolve.least_squares.quasi_newton import SelfScaledBroyden
from pdesolve.least_squares.soap import Soap
from pdesolve.least_squares.spring import Spring
from pdesolve.least_squares.step import Method
from pdesolve.least_squares.thermodynamic import Thermodynamic

__all__ = [
    "AdaptiveEnergy",
    "Energy",
    "Form",
    "Functional",
    "GaussNewton",
    "LeastSquares",
    "LevenbergMarquardt",
    "Method",
    "Minimum",
    "Pointwise",
    "SelfScaledBroyden",
    "Soap",
    "Spring",
    "Thermodynamic",
    "choose",
    "implicit",
    "minimise",
]
