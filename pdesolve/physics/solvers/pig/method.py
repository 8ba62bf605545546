"""Settings of physics-informed Gaussians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import PointCloud
from pdesolve.nn import Basis, Covariance, Widths
from pdesolve.nn.motion import record
from pdesolve.nn.quadrics import CHUNK_BYTES
from pdesolve.physics.collocation import CollocationSolver, Kind
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.solvers.pig.network import Perceptron, Placement, gaussians
from pdesolve.physics.solvers.pig.seeding import bases, given_centres, place, put, reseed, steepness
from pdesolve.problem import Problem
from pdesolve.refusals import at_least
from pdesolve.training.optimisers import Optimiser
from pdesolve.training.run import Run

SEEDINGS = ("even", "residual", "gradient")
# the settings of a network of one's own
_NETWORK = (
    "gaussians", "channels", "centres", "placement", "covariance", "gaussian_width", "widths", "perceptron", "hidden",
    "seeding",
)  # fmt: skip
_COUNT = 60  # Gaussians of a channel that nobody asked to be of another number
_FEW_AXES = 4  # up to which widths are taken as they are
_DENSE = 6000  # parameters up to which least squares by a dense Jacobian pays


@dataclass(frozen=True)
class Pig(CollocationSolver):
    """Physics-informed Gaussians: a sum of trained Gaussians, a light perceptron on top.

    Attributes:
        gaussians: Gaussians of each channel (20 to 4000); None for 60. Where neither that nor another part of the
            network is asked for, linear problems get fixed ones first (see `optimiser`).
        channels: features that the Gaussians are summed to.
        centres: shared gives the same Gaussians to all channels, own each channel its own, as in the paper.
        placement: trained lets centres move as all else does; fixed keeps them where they start, for comparison.
        covariance: diagonal; full, turned by a rotation (up to four dimensions).
        gaussian_width: standard deviation at the start, on axes rescaled to [-1, 1] (0.1 to 0.8); of d > 4 axes √(d/4)
            times as much, since distances grow so: in 100 dimensions Gaussians of width 0.5 vanish everywhere.
        widths: what is trained: the logarithm of a width, which nothing makes zero or negative, or the width (raw).
        basis: gaussian; inverse_quadratic and inverse_multiquadric, with heavy tails; sinusoidal, a sine of a Gaussian;
            separable: products of functions of single coordinates, `channels` of them.
        perceptron: what is on top: tanh or sine, one hidden layer of `hidden` units; none.
        hidden: those units.
        harmonics: cosine and sine pairs on each periodic axis.
        seeding: where Gaussians start. even: spread over the box; residual, gradient: by weighted k-means of the
            collocation points, widths by the spread of the clusters, at the first `seedings` draws of points: weights
            follow |r| or |grad u| of what is known then, half of them even; or a CSV file of centres, its columns named
            as the axes.
        seedings: draws of points at which they are placed so, weights of the features being fitted again (1 to 4).
        reseeding: part of the Gaussians that moves to where the residual is large, each time that collocation points
            do, of those that do nothing; 0: none.
        chunk_bytes: bytes of one tensor of points times Gaussians: points go in chunks of that size (1 to 8 MiB).
    """

    gaussians: int | None = None
    channels: int = 8
    centres: Literal["own", "shared"] = "shared"
    placement: Placement = "trained"
    covariance: Covariance = "diagonal"
    gaussian_width: float = 0.5
    widths: Widths = "logarithm"
    basis: Basis | Literal["separable"] = "gaussian"
    perceptron: Perceptron = "tanh"
    hidden: int = 8
    harmonics: int = 1
    seeding: str = "even"
    seedings: int = 1
    reseeding: float = 0.1
    chunk_bytes: int = CHUNK_BYTES
    # points of linear problems move too: Gaussians find room between those that stay, however many there are
    collocation: int | None = 4000
    condition_points: int = 400
    redraw: int = 50  # points that stay are learned by heart: Levenberg-Marquardt gets far in so many steps
    adam_share: float = 0.0  # it needs no valley to be found

    def refuse(self, problem: Problem) -> None:
        if not 0 <= self.reseeding <= 1:
            raise InputError(f"reseeding is a part between 0 and 1, got {self.reseeding}")
        at_least(self, ("seedings",))
        if self.seeding.endswith(".csv"):
            given_centres(Path(self.seeding), problem.axes, self.count)
        elif self.seeding not in SEEDINGS:
            raise unknown_name("seeding", self.seeding, (*SEEDINGS, "centres.csv"))

    def network(
        self, problem: Problem, generator: torch.Generator, beside: tuple[nn.Module, int] | None = None
    ) -> nn.Sequential:
        width = self.gaussian_width * max(1.0, len(problem.axes) / _FEW_AXES) ** 0.5
        return gaussians(
            problem.axes, len(problem.equation.scalars), count=self.count, channels=self.channels,
            shared=self.centres == "shared", placement=self.placement, covariance=self.covariance,
            width=width, widths=self.widths, basis=self.basis, perceptron=self.perceptron,
            hidden=self.hidden, harmonics=self.harmonics, chunk_bytes=self.chunk_bytes, beside=beside,
            generator=generator,
        )  # fmt: skip

    @property
    def count(self) -> int:
        return _COUNT if self.gaussians is None else self.gaussians

    @property
    def units(self) -> int:
        return self.channels + self.hidden

    @property
    def largest(self) -> int:
        return self.count * (self.channels if self.centres == "own" else 1)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        free = all(getattr(self, name) == getattr(Pig, name) for name in _NETWORK)
        return (self.basis,) if free and self.basis != "separable" else ()

    @property
    def remedies(self) -> Mapping[str, bool]:
        return {"--method.gaussians 200": self.count < 200}

    @property
    def form(self) -> Literal["normal"] | None:
        return "normal"

    def moved(self, objective: Residuals, cloud: PointCloud, run: Run) -> None:
        module = objective.module
        assert isinstance(module, nn.Sequential)
        layers = bases(module, len(cloud.axes))
        if not layers:
            return
        if self.seeding != "even" and int(layers[0].placed) < self.seedings:
            self._place(module, objective, cloud, run)
        elif self.reseeding and self.placement == "trained":
            residual = partial(objective.residual_size, cloud)
            reseed(module, cloud.x, residual, part=self.reseeding, generator=run.generator)
        if run.folder is not None:
            record(run.folder, layers[0], run.checkpoint.position.step)

    def _place(self, module: nn.Sequential, objective: Residuals, cloud: PointCloud, run: Run) -> None:
        if self.seeding.endswith(".csv"):
            put(module, given_centres(Path(self.seeding), cloud.axes, self.count))
            return
        residual = self.seeding == "residual"
        follows = objective.residual_size(cloud) if residual else steepness(objective.solution, cloud)
        weight = follows / follows.mean().clamp_min(torch.finfo(follows.dtype).tiny) + 1
        missed = place(module, cloud.x, weight, generator=run.generator)
        run.say(f"Gaussians placed by the {self.seeding} at {len(cloud.x)} points: features stay to {missed:.1e}")

    def following(self, parameters: int) -> Optimiser:
        return "levenberg_marquardt" if parameters <= _DENSE else "lbfgs"
