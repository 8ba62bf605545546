"""Settings and procedure of the physics-informed neural network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from pdesolve.geometry import PointCloud
from pdesolve.nn import Activation, Architecture, Features, Weights, network
from pdesolve.physics.collocation import CollocationSolver, Kind
from pdesolve.physics.collocation.model import Residuals
from pdesolve.problem import Problem
from pdesolve.training.optimisers import Optimiser
from pdesolve.training.run import Run

_WIDTH, _DEPTH = 20, 3  # of a network that nobody asked to be of another size
_DENSE = 4000  # parameters up to which a dense inverse Hessian pays


@dataclass(frozen=True)
class Pinn(CollocationSolver):
    """Physics-informed neural network whose conditions hold exactly where they can, minimised by the best method known.

    Attributes:
        architecture: mlp; modified_mlp, whose hidden layers are mixed by two gates; piratenet, residual blocks that
            start as the identity.
        width: units in each hidden layer (20 to 128); None for 20.
        depth: hidden layers (1 to 8), of piratenet blocks of three hidden layers each; None for 3. Where neither is
            asked for, linear problems get one wide layer (see `optimiser`).
        activation: tanh, silu or sine. Each is smooth, as second derivatives need.
        weights: factorised gives each unit a trained logarithm of its scale; plain has none.
        features: what the network is given: coordinates, or sines of them (fourier: fixed random frequencies;
            learned_fourier: trained ones; sine: a trained layer of sines).
        feature_count: number of those frequencies.
        feature_scale: their typical angular frequency on axes rescaled to [-1, 1].
        harmonics: cosine and sine pairs on each periodic axis.
    """

    architecture: Architecture = "mlp"
    width: int | None = None
    depth: int | None = None
    activation: Activation = "tanh"
    weights: Weights = "plain"
    features: Features = "coordinates"
    feature_count: int = 32
    feature_scale: float = 2.0
    harmonics: int = 1

    def network(
        self, problem: Problem, generator: torch.Generator, beside: tuple[nn.Module, int] | None = None
    ) -> nn.Sequential:
        return network(
            problem.axes, len(problem.equation.scalars), architecture=self.architecture,
            width=self.largest, depth=_DEPTH if self.depth is None else self.depth,
            activation=self.activation, weights=self.weights, features=self.features, harmonics=self.harmonics,
            feature_count=self.feature_count, feature_scale=self.feature_scale, beside=beside, generator=generator,
        )  # fmt: skip

    @property
    def units(self) -> int:
        return self.largest * (self.depth or _DEPTH)

    @property
    def largest(self) -> int:
        return _WIDTH if self.width is None else self.width

    @property
    def kinds(self) -> tuple[Kind, ...]:
        # sines know products of sines by heart, so that tanh comes first
        free = self.width is None and self.depth is None and self.architecture == "mlp"
        return ("tanh", "sine", "spectral") if free and self.features == "coordinates" else ()

    @property
    def remedies(self) -> Mapping[str, bool]:
        return {"--method.features fourier": self.features == "coordinates"}

    @property
    def form(self) -> Literal["normal"] | None:
        return None

    def refuse(self, problem: Problem) -> None:
        pass  # its network refuses what it cannot be

    def moved(self, objective: Residuals, cloud: PointCloud, run: Run) -> None:
        pass  # its units have no places

    def following(self, parameters: int) -> Optimiser:
        return "self_scaled_broyden" if parameters <= _DENSE else "lbfgs"
