"""Network parts that two methods or more use."""

from pdesolve.nn.affine import Affine
from pdesolve.nn.features import FourierFeatures, PeriodicEmbedding, Rescale
from pdesolve.nn.mlp import Activation, Sine, mlp
from pdesolve.nn.solution import NetworkSolution

__all__ = ["Activation", "Affine", "FourierFeatures", "NetworkSolution", "PeriodicEmbedding", "Rescale", "Sine", "mlp"]
