"""Constraints that hold by construction: lifts of a network to states that obey conditions of a problem."""

from pdesolve.physics.constraints.box import Affine, BoxLift
from pdesolve.physics.constraints.exactness import jumps, lift
from pdesolve.physics.constraints.held_walls import of_problem, walls

__all__ = ["Affine", "BoxLift", "jumps", "lift", "of_problem", "walls"]
