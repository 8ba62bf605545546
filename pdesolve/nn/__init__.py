"""Network parts that two methods or more use."""

from pdesolve.nn.affine import Affine
from pdesolve.nn.factorised import FactorisedLinear, factorise
from pdesolve.nn.features import (
    Beside,
    FourierFeatures,
    LearnedFourierFeatures,
    PeriodicEmbedding,
    Rescale,
    Waves,
    sine_features,
)
from pdesolve.nn.gated import AdaptiveBlock, AdaptiveSkip, Gates, ModifiedMLP, PirateNet
from pdesolve.nn.mlp import Activation, Sine, mlp
from pdesolve.nn.network import Architecture, Features, Weights, fit_output, network
from pdesolve.nn.radial import Basis, Covariance, RadialBasis, Widths
from pdesolve.nn.solution import NetworkSolution, Stored, read_network
from pdesolve.nn.wide import wide

__all__ = [
    "Activation",
    "AdaptiveBlock",
    "AdaptiveSkip",
    "Affine",
    "Architecture",
    "Basis",
    "Beside",
    "Covariance",
    "FactorisedLinear",
    "Features",
    "FourierFeatures",
    "Gates",
    "LearnedFourierFeatures",
    "ModifiedMLP",
    "NetworkSolution",
    "PeriodicEmbedding",
    "PirateNet",
    "RadialBasis",
    "Rescale",
    "Sine",
    "Stored",
    "Waves",
    "Weights",
    "Widths",
    "factorise",
    "fit_output",
    "mlp",
    "network",
    "read_network",
    "sine_features",
    "wide",
]
