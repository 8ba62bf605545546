"""Constraints that hold by construction: lifts of a network to states that obey conditions of a problem."""

from pdesolve.physics.constraints.exactness import lift
from pdesolve.physics.constraints.box import Affine, BoxLift

__all__ = ["Affine", "BoxLift", "lift"]
