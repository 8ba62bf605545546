"""Residual-adaptive points: clouds that follow where a residual is large, on any domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry.discretisation import PointCloud

Adaptivity = Literal["none", "rad", "rar_d", "r3"]
Size = Callable[[PointCloud], Tensor]  # |r| of a cloud (point,), or what else points are chosen by


@dataclass(frozen=True)
class Adaptive:
    """How collocation points move between minimisations. Clouds lose their quadrature weights on the way.

    Attributes:
        kind: none; rad (all points drawn anew, by density); rar_d (points added, by density); r3 (points of large
            residual stay, the others are drawn anew, evenly).
        exponent: k of the density |r|^k / mean(|r|^k) + c of rad and rar_d (1 to 2).
        offset: c (0 to 1). The paper has k = c = 1 for rad, k = 2 and c = 0 for rar_d.
        candidates: candidates for each point that is to be drawn by density (4 to 100).
        added: points that rar_d adds each time, as a part of the cloud it began with.
        most: times as many points as there were first at which rar_d stops adding.
    """

    kind: Adaptivity = "rad"
    exponent: float = 1.0
    offset: float = 1.0
    candidates: int = 4
    added: float = 0.1
    most: float = 2.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Adaptivity):
            raise unknown_name("adaptivity", self.kind, get_args(Adaptivity))
        if not (self.exponent > 0 and self.offset >= 0 and self.candidates >= 1 and self.added > 0 and self.most >= 1):
            raise InputError(
                "adaptive points need exponent > 0, offset >= 0, candidates >= 1, added > 0 and most >= 1, got "
                f"{self.exponent}, {self.offset}, {self.candidates}, {self.added} and {self.most}"
            )

    def move(
        self, cloud: PointCloud, size: Size, draw: Callable[[int], PointCloud], *, first: int, generator: Generator
    ) -> PointCloud:
        """The cloud that follows, of as many points but for rar_d.

        draw: n -> about n points of the domain. first: the number of points training began with.
        """
        n = len(cloud.x)
        if self.kind == "rad":
            return adaptive_points(
                draw(self.candidates * first), size, n, exponent=self.exponent, offset=self.offset, generator=generator
            )
        if self.kind == "rar_d":
            new = min(max(1, round(self.added * first)), int(self.most * first) - n)
            if new <= 0:
                return cloud
            return added_points(
                cloud, draw(self.candidates * first), size, new,
                exponent=self.exponent, offset=self.offset, generator=generator,
            )  # fmt: skip
        if self.kind == "r3":
            return retained_points(cloud, size, draw)
        return cloud


def adaptive_points(
    candidates: PointCloud,
    size: Size,
    n: int,
    *,
    exponent: float = 1.0,
    offset: float = 1.0,
    generator: Generator,
) -> PointCloud:
    """n of the candidates, drawn without replacement with probability proportional to |r|^k / mean(|r|^k) + c.

    size: |r| of a cloud, (point,). exponent: k, offset: c; k = c = 1 concentrates points where the residual is large
    and keeps half of them everywhere. Residual-based adaptive distribution: C. Wu, M. Zhu, Q. Tan, Y. Kartha, L. Lu,
    Comput. Methods Appl. Mech. Eng. 403 (2023) 115671, arXiv 2207.10289. The points have no quadrature weights.
    """
    # relative to the largest: powers of small residuals would underflow
    r = size(candidates).double()
    r = (r / r.max().clamp_min(torch.finfo(r.dtype).tiny)) ** exponent
    # the last summand lets residuals that vanish nearly everywhere be drawn from all the same
    density = r / r.mean().clamp_min(torch.finfo(r.dtype).tiny) + offset + torch.finfo(r.dtype).eps
    chosen = torch.multinomial(density, min(n, len(density)), generator=generator)
    return PointCloud(candidates.axes, candidates.x[chosen])


def added_points(
    cloud: PointCloud,
    candidates: PointCloud,
    size: Size,
    n: int,
    *,
    exponent: float = 2.0,
    offset: float = 0.0,
    generator: Generator,
) -> PointCloud:
    """The cloud and, after its points, n of the candidates drawn as `adaptive_points` draws them.

    Residual-based adaptive refinement with distribution (RAR-D): Wu et al., 2023, arXiv 2207.10289.
    """
    new = adaptive_points(candidates, size, n, exponent=exponent, offset=offset, generator=generator)
    return PointCloud(cloud.axes, torch.cat([cloud.x, new.x]))


def retained_points(cloud: PointCloud, size: Size, draw: Callable[[int], PointCloud]) -> PointCloud:
    """The cloud with fresh points in the place of those whose |r| is not above the mean; the others stay in place.

    Retain, resample, release (R3): A. Daw, J. Bu, S. Wang, P. Perdikaris, A. Karpatne, ICML 2023, arXiv 2207.02338.
    Its causal variant has g |r| for `size`, g the gate of `pdesolve.training.causality.Gate`.

    Raises:
        InputError: `draw` gives fewer points than it was asked for: samplers on regular points do where domains are no
            boxes.
    """
    r = size(cloud).to(cloud.x.device)
    released = ~(r > r.mean())
    places = released.nonzero()[:, 0]
    x = cloud.x.clone()
    if len(places):
        fresh = draw(len(places)).x
        if len(fresh) < len(places):
            raise InputError(
                f"r3 draws {len(places)} points anew, its sampler gave {len(fresh)}: take the sampler sobol, uniform "
                "or latin_hypercube"
            )
        x[places] = fresh[: len(places)].to(x)
    return PointCloud(cloud.axes, x)
