"""Constraints that hold by construction: lifts of a network to states that obey conditions of a problem."""

from pdesolve.physics.constraints.box import Affine, BoxLift
from pdesolve.physics.constraints.exactness import lift

__all__ = ["Affine", "BoxLift", "lift"]
