"""Networks of coordinates: features, then one of the architectures."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Axes
from pdesolve.nn.factorised import FactorisedLinear, factorise
from pdesolve.nn.features import (
    Beside,
    FourierFeatures,
    LearnedFourierFeatures,
    PeriodicEmbedding,
    Rescale,
    sine_features,
)
from pdesolve.nn.gated import ModifiedMLP, PirateNet
from pdesolve.nn.mlp import Activation, mlp

Architecture = Literal["mlp", "modified_mlp", "piratenet"]
Weights = Literal["plain", "factorised"]
Features = Literal["coordinates", "fourier", "learned_fourier", "sine"]


def network(
    axes: Axes,
    outputs: int,
    *,
    architecture: Architecture = "mlp",
    width: int,
    depth: int,
    activation: Activation = "tanh",
    weights: Weights = "plain",
    features: Features = "coordinates",
    feature_count: int = 32,
    feature_scale: float = 2.0,
    harmonics: int = 1,
    beside: tuple[nn.Module, int] | None = None,
    generator: torch.Generator,
) -> nn.Sequential:
    """A network (point, axis) -> (point, output) in float64, every draw from the generator.

    Coordinates are rescaled to [-1, 1], periodic axes become cosines and sines, then features, then the architecture.

    depth: hidden layers; of piratenet blocks of three hidden layers each. weights: factorised (log-scales of mean 0.5
    and deviation 0.1) changes the architecture's linear layers, not the features. features: what the architecture is
    given; `feature_count` frequencies of a typical angular frequency `feature_scale`, which for fourier are fixed.
    harmonics: pairs of cosine and sine for each periodic axis. beside: further inputs, a module without parameters
    from coordinates to numbers of the size of one, and how many.

    Raises:
        InputError: an unknown name; a count or a size below one; a scale of zero or less.
    """
    for kind, name, known in (
        ("architecture", architecture, Architecture), ("weights", weights, Weights), ("features", features, Features),
    ):  # fmt: skip
        if name not in get_args(known):
            raise unknown_name(kind, name, get_args(known))
    if min(feature_count, harmonics) < 1 or not feature_scale > 0:
        raise InputError(
            "features need a count and harmonics from 1 on and a scale above zero, got "
            f"{feature_count}, {harmonics} and {feature_scale}"
        )
    # what is given of a point beforehand is one layer: it is evaluated once for each set of points
    given, inputs = prepared(axes, harmonics=harmonics, beside=beside)
    layers: list[nn.Module] = [given]
    if features == "fourier":
        layers.append(FourierFeatures(inputs, feature_count, feature_scale, generator))
        inputs = 2 * feature_count
    elif features == "learned_fourier":
        layers.append(LearnedFourierFeatures(inputs, feature_count, feature_scale, generator))
        inputs = 2 * feature_count
    elif features == "sine":
        layers.append(sine_features(inputs, feature_count, feature_scale, generator))
        inputs = feature_count
    make = {"mlp": mlp, "modified_mlp": ModifiedMLP, "piratenet": PirateNet}[architecture]
    body = make(inputs, outputs, width=width, depth=depth, activation=activation, generator=generator)
    if weights == "factorised":
        body = factorise(body, generator=generator)
    # a perceptron's layers stand in the sequence itself
    return nn.Sequential(*layers, *(body if isinstance(body, nn.Sequential) else [body]))


@torch.no_grad()
def fit_output(module: nn.Module, x: Tensor, values: Tensor, *, cut: float = 1e-10) -> float:
    """Fit the last linear layer to values (point, output) at points (point, axis); the relative residual in L2.

    The shortest weights and bias by truncated singular values, those below `cut` times the largest left out; what is
    before the layer stays. From an initial state, taken as the state at all times, a network starts near a solution
    (the physics-informed initialisation of PirateNet: Wang, Li, Chen and Perdikaris, 2024, arXiv 2402.00326).

    Raises:
        InputError: a module whose last layer is not linear, values of another shape.
    """
    layer = [part for part in module.modules() if not any(part.children())][-1]
    if not isinstance(layer, nn.Linear | FactorisedLinear):
        raise InputError(f"the last layer of {type(module).__name__} is a {type(layer).__name__}: it must be linear")
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        shape = module(x).shape
    finally:
        hook.remove()
    if values.shape != shape:
        raise InputError(
            f"values are (point, output) {tuple(shape)} at these points, got {tuple(values.shape)}: reshape them"
        )
    # float64: hidden units depend on one another nearly
    hidden, target = seen[-1].double(), values.double()
    bias = layer.bias
    matrix = hidden if bias is None else torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    inverse = torch.where(s > cut * s[0], 1 / s, 0.0)
    fitted = vh.mT @ (inverse[:, None] * (u.mT @ target))  # (hidden, output)
    weight = fitted[: hidden.shape[1]].mT
    if isinstance(layer, FactorisedLinear):
        layer.direction.copy_(weight / layer.logarithm.exp()[:, None])
    else:
        layer.weight.copy_(weight)
    if bias is not None:
        bias.copy_(fitted[-1])
    return float((matrix @ fitted - target).norm() / target.norm().clamp_min(torch.finfo(target.dtype).tiny))


def prepared(axes: Axes, *, harmonics: int, beside: tuple[nn.Module, int] | None) -> tuple[nn.Module, int]:
    """What is made of coordinates before any layer, and how many numbers it gives: rescaled, periodic axes embedded.

    beside: further inputs, a module of coordinates and how many numbers it gives.
    """
    given: nn.Module = Rescale(axes)
    inputs = len(axes)
    if any(axis.periodic for axis in axes):
        embedding = PeriodicEmbedding(axes, harmonics)
        given, inputs = nn.Sequential(given, embedding), embedding.outputs
    if beside is not None:
        given, inputs = Beside(given, beside[0]), inputs + beside[1]
    return given, inputs
