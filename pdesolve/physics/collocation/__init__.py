"""Solving by collocation, whatever the network is: what methods that minimise residuals at points share.

A method is a `CollocationSolver` that says what network it trains, and with which random features it solves problems
that are linear in the unknowns.
"""

from pdesolve.physics.collocation.linear import Kind
from pdesolve.physics.collocation.solver import CollocationSolver

__all__ = ["CollocationSolver", "Kind"]
