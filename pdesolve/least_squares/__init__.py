"""Optimisers for residuals: what takes small networks from 1e-2 to the accuracy of solvers."""

from pdesolve.least_squares.quasi_newton import SelfScaledBroyden

__all__ = ["SelfScaledBroyden"]
