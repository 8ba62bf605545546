"""Second-order least squares: what takes small networks from 1e-2 to the accuracy of solvers."""

from pdesolve.least_squares.functional import Functional
from pdesolve.least_squares.gauss_newton import GaussNewton
from pdesolve.least_squares.levenberg_marquardt import LevenbergMarquardt
from pdesolve.least_squares.minimise import Minimum, minimise
from pdesolve.least_squares.quasi_newton import SelfScaledBroyden

__all__ = ["Functional", "GaussNewton", "LevenbergMarquardt", "Minimum", "SelfScaledBroyden", "minimise"]
