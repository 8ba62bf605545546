"""Points that follow the residual: where they gather, what stays, what is drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import (
    Adaptive,
    Axis,
    Disk,
    Domain,
    Interval,
    PointCloud,
    adaptive_points,
    added_points,
    retained_points,
    sample,
)

TIME = Axis("t", 0.0, 1.0)


def drawing(domain: Domain, seed: int = 0) -> tuple[Callable[[int], PointCloud], torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return lambda n: sample(domain, n, generator=generator, time=TIME), generator


def peak(cloud: PointCloud) -> Tensor:
    """Large in a twentieth of space alone."""
    return torch.exp(-((cloud.x[:, 1] - 0.5) ** 2) / (2 * 0.02**2))


def near(cloud: PointCloud) -> float:
    return float(((cloud.x[:, 1] - 0.5).abs() < 0.05).double().mean())


def test_added_points_concentrate_and_the_old_ones_stay() -> None:
    draw, generator = drawing(Interval("x", 0, 1))
    cloud = draw(200)
    more = added_points(cloud, draw(4000), peak, 100, generator=generator)
    assert torch.equal(more.x[:200], cloud.x) and len(more.x) == 300
    new = PointCloud(more.axes, more.x[200:])
    assert near(new) == 1.0 and 0.05 < near(cloud) < 0.15
    flat = added_points(cloud, draw(4000), peak, 100, exponent=1.0, offset=1.0, generator=generator)
    assert 0.3 < near(PointCloud(flat.axes, flat.x[200:])) < 0.8  # half of them everywhere


def test_r3_keeps_what_is_large() -> None:
    draw, _ = drawing(Interval("x", 0, 1))
    cloud = draw(300)
    large = peak(cloud) > peak(cloud).mean()
    moved = retained_points(cloud, peak, draw)
    assert len(moved.x) == 300
    assert torch.equal(moved.x[large], cloud.x[large])
    assert not (moved.x[~large] == cloud.x[~large]).all(1).any()
    for _ in range(20):
        moved = retained_points(moved, peak, draw)
    assert near(moved) > 3 * near(cloud)
    even = retained_points(cloud, lambda c: torch.ones(len(c.x)), draw)  # nothing is above the mean
    assert not (even.x == cloud.x).all(1).any()


@pytest.mark.parametrize("kind", ["rad", "r3", "rar_d", "none"])
@pytest.mark.parametrize("domain", [Interval("x", 0, 1), Disk(radius=1.0)], ids=["interval", "disk"])
def test_every_kind_stays_in_its_domain_and_is_the_same_again(kind: str, domain: Domain) -> None:
    adaptive = Adaptive(kind=kind, added=0.25, most=1.5)  # type: ignore[arg-type]
    clouds = []
    for _ in range(2):
        draw, generator = drawing(domain, seed=3)
        cloud, sizes = draw(80), []
        for _ in range(4):
            cloud = adaptive.move(cloud, peak, draw, first=80, generator=generator)
            sizes.append(len(cloud.x))
        clouds.append(cloud)
        assert sizes == ([100, 120, 120, 120] if kind == "rar_d" else [80] * 4)
    assert torch.equal(clouds[0].x, clouds[1].x)
    assert domain.inside(clouds[0].x[:, 1:]).all()
    assert clouds[0].axes.names == ("t", *domain.axes.names)


def test_residuals_that_vanish_nearly_everywhere_are_drawn_from() -> None:
    draw, generator = drawing(Interval("x", 0, 1))
    candidates = draw(500)
    only = torch.zeros(500, dtype=torch.float64)
    only[7] = 1e-200
    chosen = adaptive_points(candidates, lambda c: only, 50, exponent=2.0, offset=0.0, generator=generator)
    assert len(chosen.x) == 50 and (chosen.x == candidates.x[7]).all(1).any()
    assert len(adaptive_points(candidates, lambda c: 0 * only, 50, offset=0.0, generator=generator).x) == 50


def test_what_cannot_be_drawn_is_refused() -> None:
    draw, _ = drawing(Interval("x", 0, 1))
    cloud = draw(50)
    with pytest.raises(InputError, match="sampler gave 1: take the sampler sobol"):
        retained_points(cloud, peak, lambda n: draw(1))
    with pytest.raises(InputError, match="did you mean 'rar_d'"):
        Adaptive(kind="rard")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="candidates"):
        Adaptive(candidates=0)
