"""Settings of physics-informed Gaussians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from pdesolve.errors import InputError
from pdesolve.geometry import PointCloud
from pdesolve.nn import Basis, Covariance, Widths
from pdesolve.physics.collocation import CollocationSolver, Kind
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.solvers.pig.network import Perceptron, gaussians
from pdesolve.physics.solvers.pig.seeding import reseed
from pdesolve.problem import Problem
from pdesolve.training.optimisers import Optimiser

_COUNT = 40  # Gaussians of a channel that nobody asked to be of another number
_DENSE = 6000  # parameters up to which least squares by a dense Jacobian pays


@dataclass(frozen=True)
class Pig(CollocationSolver):
    """Physics-informed Gaussians: a sum of trained Gaussians, a light perceptron on top.

    Attributes:
        gaussians: Gaussians of each channel (40 to 4000); None for 40. Where neither that nor another part of the
            network is asked for, linear problems get fixed ones first (see `optimiser`).
        channels: features that the Gaussians are summed to.
        centres: own gives each channel Gaussians of its own, shared the same to all.
        covariance: diagonal; full, turned by a rotation (up to four dimensions).
        gaussian_width: standard deviation at the start, on axes rescaled to [-1, 1] (0.1 to 0.5).
        widths: what is trained: the logarithm of a width, which nothing makes zero or negative, or the width (raw).
        basis: gaussian; inverse_quadratic and inverse_multiquadric, with heavy tails; sinusoidal, a sine of a Gaussian;
            separable: products of functions of single coordinates, `channels` of them.
        perceptron: what is on top: tanh or sine, one hidden layer of `hidden` units; none.
        hidden: those units.
        harmonics: cosine and sine pairs on each periodic axis.
        reseeding: part of the Gaussians that moves to where the residual is large, each time that collocation points
            do, of those that do nothing; 0: none.
    """

    gaussians: int | None = None
    channels: int = 4
    centres: Literal["own", "shared"] = "own"
    covariance: Covariance = "diagonal"
    gaussian_width: float = 0.25
    widths: Widths = "logarithm"
    basis: Basis | Literal["separable"] = "gaussian"
    perceptron: Perceptron = "tanh"
    hidden: int = 16
    harmonics: int = 1
    reseeding: float = 0.1
    redraw: int = 50  # points that stay are learned by heart: Levenberg-Marquardt gets far in so many steps

    def network(
        self, problem: Problem, generator: torch.Generator, beside: tuple[nn.Module, int] | None = None
    ) -> nn.Sequential:
        if not 0 <= self.reseeding <= 1:
            raise InputError(f"reseeding is a part between 0 and 1, got {self.reseeding}")
        return gaussians(
            problem.axes, len(problem.equation.scalars), count=self.count, channels=self.channels,
            shared=self.centres == "shared", covariance=self.covariance, width=self.gaussian_width,
            widths=self.widths, basis=self.basis, perceptron=self.perceptron, hidden=self.hidden,
            harmonics=self.harmonics, beside=beside, generator=generator,
        )  # fmt: skip

    @property
    def count(self) -> int:
        return _COUNT if self.gaussians is None else self.gaussians

    @property
    def units(self) -> int:
        return self.largest

    @property
    def largest(self) -> int:
        return self.channels * self.hidden

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return (self.basis,) if self.gaussians is None and self.basis != "separable" else ()

    @property
    def remedies(self) -> Mapping[str, bool]:
        return {"--method.gaussians 200": self.count < 200}

    @property
    def form(self) -> Literal["normal"] | None:
        return "normal"

    def moved(self, objective: Residuals, cloud: PointCloud, generator: torch.Generator) -> None:
        if self.reseeding and isinstance(objective.module, nn.Sequential):
            r = objective.residual_size(cloud)
            reseed(objective.module, cloud.x, r, part=self.reseeding, generator=generator)

    def following(self, parameters: int) -> Optimiser:
        return "levenberg_marquardt" if parameters <= _DENSE else "lbfgs"
