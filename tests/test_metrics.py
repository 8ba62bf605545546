"""Error measures, held against closed forms and against the values of other packages on the same arrays.

The arrays are `arrays(shape)` below. Values of the-well 1.2.0 (`the_well.benchmark.metrics`, channels last) and of
exponax 0.1.0, whose metrics apebench 0.1.1 reports (domain of length 2, float64), were computed once from these arrays.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pdesolve import metrics
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.geometry.grid import Placement

NAMES = "xyz"
ONE, TWO = (3, 4, 2, 32), (2, 3, 2, 12, 12)


def arrays(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """A prediction and its truth (sample, time, component, *space), sin(k^2) at the flat index k."""
    k = torch.arange(math.prod(shape), dtype=torch.float64)
    truth = torch.sin(0.37 * k * k).reshape(shape) + 0.5
    return truth + 0.2 * torch.sin(0.23 * k * k + 1.0).reshape(shape), truth


def close(found: torch.Tensor, expected: torch.Tensor, rtol: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=0.0)


def grid_of(*sizes: int, length: float = 1.0, placement: Placement = "periodic", accuracy: int = 4) -> Grid:
    axes = Axes(tuple(Axis(name, 0.0, length, periodic=placement == "periodic") for name in NAMES[: len(sizes)]))
    points = dict(zip(NAMES, sizes, strict=False))
    return Grid.regular(axes, points, bounded="nodes" if placement == "periodic" else placement, accuracy=accuracy)


WELL = {
    "rmse": (0.14001412604770921, 0.1410528174408435),
    "nrmse": (0.16421497931543858, 0.16245771396398148),
    "vrmse": (0.19792238730492748, 0.1970824827854635),
    "max": (0.1993662718658112, 0.19998421879313377),
    "correlation": (0.950654260288, 0.9743313127913978),
}


@pytest.mark.parametrize("shape", [ONE, TWO])
def test_the_measures_of_the_well(shape) -> None:
    u, v = arrays(shape)
    n = math.prod(shape[3:])
    unbiased = math.sqrt(n / (n - 1))
    well = {name: values[shape is TWO] for name, values in WELL.items()}
    assert float(metrics.rmse(u, v).mean()) == pytest.approx(well["rmse"], rel=1e-12)
    assert float(metrics.nrmse(u, v).mean()) == pytest.approx(well["nrmse"], rel=2e-7)  # its 1e-7
    assert float(metrics.vrmse(u, v).mean()) == pytest.approx(unbiased * well["vrmse"], rel=2e-7)
    assert float(metrics.max_errors(u, v).mean()) == pytest.approx(well["max"], rel=1e-12)
    assert float(metrics.correlation(u, v).mean()) == pytest.approx(well["correlation"] * n / (n - 1), rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (ONE, [0.0025207631090920454, 0.005518756760040725, 0.011627653380861752]),
        (TWO, [0.0016903679613568395, 0.00595590500275903, 0.012263586184881927]),
    ],
)
def test_the_bands_of_the_well(shape, expected) -> None:
    u, v = arrays(shape)
    n, axes = shape[3], len(shape) - 3
    # its edges are spaced evenly in log |k|, between 2 pi / n and pi sqrt(axes) per point, and begin at 0
    edges = np.geomspace(1.0, n / 2 * math.sqrt(axes) + 1e-6 * n / (2 * math.pi), 4)[1:3]
    bands = metrics.band_rmse(u, v, grid=grid_of(*shape[3:]), edges=edges.tolist()).square()
    assert bands.mean((0, 1, 2)).tolist() == pytest.approx(expected, rel=1e-6)
    close(bands.sum(-1), metrics.rmse(u, v).square())


@pytest.mark.parametrize(
    ("shape", "root", "normal", "cosine"),
    [
        (ONE, 0.3960197519609728, 0.32842998177232763, 0.9813207215849219),
        (TWO, 0.5642112697633741, 0.3249154496078942, 0.9811450069360871),
    ],
)
def test_the_measures_of_apebench(shape, root, normal, cosine) -> None:
    u, v = arrays(shape)
    volume = 2.0 ** (len(shape) - 3)
    assert float(metrics.rmse(u, v).sum(2).mean()) * math.sqrt(volume) == pytest.approx(root, rel=1e-12)
    assert float(metrics.nrmse(u, v).sum(2).mean()) == pytest.approx(normal, rel=1e-12)
    # it takes no means off: the arrays were centred before
    assert float(metrics.correlation(u, v).mean()) == pytest.approx(cosine, rel=1e-12)


def test_the_bands_of_apebench() -> None:
    """Its fourier_MSE between 0 and 3, 4 and 11, 12 and the highest wave, on one axis."""
    u, v = arrays(ONE)
    bands = metrics.band_rmse(u, v, grid=grid_of(32, length=2.0)).square() * 2.0
    expected = [0.015173013577268347, 0.04158419296722147, 0.02191148645548827]
    assert bands.sum(2).mean((0, 1)).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "squares", "slopes"),
    [
        ((2, 3, 2, 31), 34.170287676978404, 0.08691966801224106),
        ((2, 2, 2, 11, 11), 15.977911986828527, 0.07919280785001677),
    ],
)
def test_h1_of_apebench(shape, squares, slopes) -> None:
    """Its H1_MSE of the first component, and its normalised error of slopes alone; of odd sizes, without Nyquist
    waves."""
    u, v = arrays(shape)
    grid = grid_of(*shape[3:], length=2.0)
    volume = 2.0 ** (len(shape) - 3)
    found = metrics.h1_norm(u - v, grid)[:, :, 0].square() * volume
    assert float(found.mean()) == pytest.approx(squares, rel=1e-12)
    parts = [metrics.h1_norm(part, grid).square() - part.square().flatten(3).mean(-1) for part in (u - v, v)]
    assert float((parts[0] / parts[1]).sum(2).mean()) == pytest.approx(slopes, rel=1e-10)


def pdebench(u: np.ndarray, v: np.ndarray) -> dict[str, float]:
    """The measures of PDEBench (Takamoto et al. 2022, arXiv 2210.07182, appendix B and models/metrics.py) as equations.

    Roots over space are averaged over samples; of conserved quantities the root is taken over samples. Then the mean
    over times and components.
    """
    error, space = u - v, tuple(range(3, u.ndim))
    root = np.sqrt((error**2).mean(space))
    faces = [np.take(error, end, axis) ** 2 for axis in space for end in (0, -1)]
    count = sum(math.prod(face.shape[3:]) for face in faces)
    boundary = np.sqrt(sum(face.sum(tuple(range(3, face.ndim))) for face in faces) / count)
    found = {
        "RMSE": root.mean(),
        "nRMSE": (root / np.sqrt((v**2).mean(space))).mean(),
        "cRMSE": np.sqrt((error.sum(space) ** 2).mean(0)).mean() / math.prod(u.shape[3:]),
        "max": np.abs(error).max((0, *space)).mean(),
        "bRMSE": boundary.mean(),
    }
    if len(space) == 1:
        waves = np.sqrt((np.abs(np.fft.rfft(error)) ** 2).mean(0)) / u.shape[3]
        for name, band in (("low", slice(0, 4)), ("middle", slice(4, 12)), ("high", slice(12, None))):
            found[f"fRMSE {name}"] = waves[..., band].mean(-1).mean()
    return found


@pytest.mark.parametrize("shape", [ONE, TWO, (2, 2, 1, 6, 6, 6)])
def test_the_measures_of_pdebench(shape) -> None:
    u, v = arrays(shape)
    grid = grid_of(*shape[3:], placement="cells")
    expected = pdebench(u.numpy(), v.numpy())
    scores = metrics.Scores(grid=grid)
    scores.add({"u": u}, {"u": v})
    row = scores.table()["u"]
    assert row["rmse"] == pytest.approx(expected["RMSE"], rel=1e-12)
    assert row["nrmse"] == pytest.approx(expected["nRMSE"], rel=1e-12)
    assert row["conserved_rmse"] == pytest.approx(expected["cRMSE"], rel=1e-12)
    assert row["boundary_rmse"] == pytest.approx(expected["bRMSE"], rel=1e-12)
    assert float(metrics.max_errors(u, v).amax(0).mean()) == pytest.approx(expected["max"], rel=1e-12)
    assert row["max"] == float((u - v).abs().max()) >= expected["max"]


def test_the_bands_of_pdebench_are_means_over_shells() -> None:
    """Of one axis: the mean over the shells of a band of sqrt(mean over samples of the energy of the error)."""
    u, v = arrays(ONE)
    expected = pdebench(u.numpy(), v.numpy())
    energy = metrics.energy_spectrum(u - v, grid_of(32)).mean(0)
    energy[..., 0] *= 2  # the mean and the highest wave have no conjugate
    energy[..., -1] *= 2
    shells = energy.sqrt().mean((0, 1))
    found = [shells[:4].mean(), shells[4:12].mean(), shells[12:].mean()]
    for name, value in zip(("low", "middle", "high"), found, strict=True):
        assert float(value) == pytest.approx(expected[f"fRMSE {name}"], rel=1e-12)


def test_relative_l2_of_samples_and_of_all() -> None:
    u, v = arrays(TWO)
    parts = [metrics.relative_l2(a, b) for a, b in zip(u, v, strict=True)]
    assert metrics.sample_relative_l2(u, v).tolist() == pytest.approx(parts, rel=1e-12)
    scores = metrics.Scores()
    for i in range(2):
        scores.add({"u": u[i : i + 1]}, {"u": v[i : i + 1]})
    row = scores.table()["u"]
    assert row["relative_l2"] == pytest.approx(metrics.relative_l2(u, v), rel=1e-12)
    assert row["sample_relative_l2"] == pytest.approx(sum(parts) / 2, rel=1e-12)
    frames = [metrics.relative_l2(a, b) for a, b in zip(u[0], v[0], strict=True)]
    assert metrics.frame_relative_l2(u, v)[0].tolist() == pytest.approx(frames, rel=1e-12)


def test_uneven_points_are_weighted_by_their_quadrature() -> None:
    """The integrals of x^2 and of x^4 over an interval, by Chebyshev points; equal weights are far off."""
    grid = grid_of(17, length=2.0, placement="chebyshev")
    x = torch.tensor(grid.members[0].points).reshape(1, 1, 1, -1)
    weights = metrics.quadrature_weights(grid, like=x)
    assert weights is not None and metrics.quadrature_weights(grid_of(17), like=x) is None
    assert float(metrics.rmse(x, 0 * x, weights)) == pytest.approx(math.sqrt(4 / 3), rel=1e-13)
    assert float(metrics.nrmse(x + x.square(), x, weights)) == pytest.approx(math.sqrt(16 / 5 / (4 / 3)), rel=1e-13)
    assert float(metrics.vrmse(1 + 0 * x, x, weights)) == pytest.approx(1.0, rel=1e-13)
    assert abs(float(metrics.rmse(x, 0 * x)) / math.sqrt(4 / 3) - 1) > 0.03
    scores = metrics.Scores(grid=grid)
    scores.add({"u": x + x.square()}, {"u": x})
    assert scores.table()["u"]["nrmse"] == pytest.approx(math.sqrt(16 / 5 / (4 / 3)), rel=1e-13)


def test_padding_counts_in_nothing() -> None:
    """Samples of 5 and of 9 points in one batch, whatever is predicted at the padding."""
    u, v = arrays((2, 2, 1, 9))
    weights = torch.ones(2, 1, 1, 9, dtype=torch.float64)
    weights[0, ..., 5:] = 0
    v[0, ..., 5:], u[0, ..., 5:] = 0.0, torch.nan
    for measure in (metrics.rmse, metrics.nrmse, metrics.vrmse, metrics.max_errors, metrics.correlation):
        short, whole = measure(u[:1, ..., :5], v[:1, ..., :5]), measure(u[1:], v[1:])
        assert measure(u, v, weights).flatten().tolist() == pytest.approx(
            [*short.flatten().tolist(), *whole.flatten().tolist()]
        )


@pytest.mark.parametrize("placement", ["nodes", "cells", "chebyshev", "periodic"])
def test_h1_of_known_slopes(placement) -> None:
    """||sin(2 pi x) + y||_H1 on the unit square; one-sided at the ends of axes, so that no jump is seen there."""
    errors = []
    for n in (24, 48):
        axes = Axes((Axis("x", 0.0, 1.0, periodic=placement == "periodic"), Axis("y", 0.0, 1.0)))
        bounded = "nodes" if placement == "periodic" else placement
        grid = Grid.regular(axes, n, bounded=bounded)
        x, y = (c for c in grid.columns(dtype=torch.float64, device="cpu").values())
        found = metrics.h1_norm((torch.sin(2 * math.pi * x) + y)[None, None, None], grid)
        # no cross term: the sine has mean zero along x
        exact = math.sqrt(0.5 + 1 / 3 + 2 * math.pi**2 + 1)
        errors.append(abs(float(found) - exact) / exact)
    assert errors[0] < 2e-2 and (errors[1] < 0.6 * errors[0] or errors[1] < 1e-12)


def test_h1_sees_no_jump_where_an_axis_does_not_close() -> None:
    """Of the ramp x the slope is 1 everywhere; periodic differences would make it 1 / h at the ends."""
    grid = grid_of(64, placement="nodes")
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).reshape(1, 1, 1, -1)
    assert float(metrics.h1_norm(ramp, grid)) == pytest.approx(math.sqrt(1 / 3 + 1), rel=1e-2)
    assert float(metrics.relative_h1(1.1 * ramp, ramp, grid=grid)) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("sizes", [(24,), (25,), (12, 15), (8, 6, 9)])
def test_spectra_keep_the_energy(sizes) -> None:
    u, _ = arrays((2, 3, 2, *sizes))
    energy = metrics.energy_spectrum(u, grid_of(*sizes))
    close(energy.sum(-1), u.square().flatten(3).mean(-1) / 2)
    bands = metrics.band_energy(u, grid_of(*sizes), edges=(0.5, 1.5))
    close(bands[..., :2], energy[..., :2])
    close(bands.sum(-1), energy.sum(-1))


def test_a_wave_is_in_its_shell_whatever_the_shape_of_the_box() -> None:
    """3 and 2 periods along axes of length 2 and 1: |k| = sqrt(3^2 + (2 * 2)^2) = 5 lowest wavenumbers."""
    axes = Axes((Axis("x", 0.0, 2.0, periodic=True), Axis("y", 0.0, 1.0, periodic=True)))
    grid = Grid.regular(axes, {"x": 32, "y": 16})
    x, y = grid.columns(dtype=torch.float64, device="cpu").values()
    wave = (3 * torch.cos(2 * math.pi * (3 * x / 2 + 2 * y)))[None, None, None]
    energy = metrics.energy_spectrum(wave, grid).flatten()
    assert int(energy.argmax()) == 5 and float(energy[5]) == pytest.approx(9 / 4)
    # on an edge it is of the band above
    assert metrics.band_energy(wave, grid, edges=(5.0,)).flatten().tolist() == pytest.approx([0, 9 / 4], abs=1e-12)
    assert metrics.octave_edges(grid) == (1.0, 2.0, 4.0, 8.0, 16.0)


def test_uneven_points_have_no_spectrum() -> None:
    with pytest.raises(InputError, match="equally spaced points, those along x are chebyshev: interpolate"):
        metrics.energy_spectrum(arrays((1, 1, 1, 9))[0], grid_of(9, placement="chebyshev"))


def test_zero_and_constant_references() -> None:
    u = torch.full((1, 1, 1, 8), 0.3)
    zero, constant = torch.zeros_like(u), torch.full_like(u, 0.1)
    for measure in (metrics.nrmse, metrics.vrmse, metrics.sample_relative_l2):
        assert float(measure(u, zero)) == pytest.approx(0.3)
    assert float(metrics.vrmse(u, constant)) == pytest.approx(0.2), "not 0.2 over rounding"
    assert float(metrics.relative_h1(u, zero, grid=grid_of(8))) == pytest.approx(0.3)


def test_nan_is_never_hidden() -> None:
    u, v = arrays((2, 2, 1, 6, 6))
    u[0, 1, 0, 2, 3] = torch.nan
    grid = grid_of(6, 6, placement="cells")
    for measure in (metrics.rmse, metrics.nrmse, metrics.vrmse, metrics.max_errors, metrics.correlation):
        assert measure(u, v).isnan().flatten().tolist() == [False, True, False, False]
    u[0, 1, 0, 0, 3] = torch.nan
    scores = metrics.Scores(grid=grid)
    scores.add({"u": u[1:]}, {"u": v[1:]})
    assert all(math.isfinite(value) for value in scores.table()["u"].values())
    scores.add({"u": u[:1]}, {"u": v[:1]})
    row = scores.table()["u"]
    lasting = row.pop("correlation_time")
    assert all(math.isnan(value) for value in row.values()), row
    assert lasting == 2.0, "a prediction that is no number has lost the truth"


def test_correlation_time_is_the_first_below() -> None:
    times = torch.tensor([0.5, 1.0, 1.5, 2.0])
    curves = torch.tensor([[1.0, 0.8, 0.79, 0.9], [0.99, 0.95, 0.9, 0.85], [0.7, 0.9, 0.9, 0.9], [1.0, math.nan, 1, 1]])
    assert metrics.correlation_time(curves, times).tolist() == [1.5, math.inf, 0.5, 1.0]
    assert metrics.correlation_time(curves, times, threshold=0.92).tolist() == [1.0, 1.5, 0.5, 1.0]


def test_given_frames_count_in_nothing() -> None:
    u, v = arrays((3, 6, 2, 16))
    u[:, :2] = v[:, :2]  # what was given is right, and no merit
    scores, later = (metrics.Scores(grid=grid_of(16), given=given) for given in (2, 0))
    scores.add({"u": u}, {"u": v})
    later.add({"u": u[:, 2:]}, {"u": v[:, 2:]})
    assert scores.table() == later.table() and scores.curves() == later.curves()
    assert scores.curves()["u"]["lead"] == [1.0, 2.0, 3.0, 4.0]
    assert metrics.lead_curve(metrics.rmse(u, v), given=2).tolist() == pytest.approx(scores.curves()["u"]["rmse"])
    with pytest.raises(InputError, match="6 of 6 frames are given"):
        metrics.lead_curve(metrics.rmse(u, v), given=6)


def test_batches_make_no_difference_nor_who_saw_them() -> None:
    u, v = arrays((7, 3, 2, 8, 8))
    grid = grid_of(8, 8, placement="nodes")
    whole, parts, others = (metrics.Scores(grid=grid, leads=[0.1, 0.2, 0.3]) for _ in range(3))
    whole.add({"u": u}, {"u": v})
    for rows, seen in ((slice(0, 3), parts), (slice(3, 4), parts), (slice(4, 7), others)):
        seen.add({"u": u[rows]}, {"u": v[rows]})
    parts.merge(others)
    assert parts.samples == 7
    assert parts.table()["u"] == pytest.approx(whole.table()["u"], rel=1e-12)
    assert set(parts.table()["u"]) >= {"boundary_rmse", "relative_h1", "rmse_low", "rmse_middle", "correlation_time"}
    for name, curve in parts.curves()["u"].items():
        assert curve == pytest.approx(whole.curves()["u"][name], rel=1e-12)
    for kind, energies in parts.spectra()["u"].items():
        assert energies == pytest.approx(whole.spectra()["u"][kind], rel=1e-12)


def test_a_table_has_what_makes_sense() -> None:
    """Points have no waves, tori no boundary, one frame no correlation time, coarse grids no high waves."""
    u, v = arrays((2, 1, 1, 8))
    points, torus, coarse = metrics.Scores(), metrics.Scores(grid=grid_of(8)), metrics.Scores(grid=grid_of(8))
    for scores in (points, torus, coarse):
        scores.add({"u": u}, {"u": v})
    basic = {"rmse", "nrmse", "vrmse", "relative_l2", "sample_relative_l2", "max", "conserved_rmse"}
    assert set(points.table()["u"]) == basic and not points.spectra()
    assert set(torus.table()["u"]) == basic | {"relative_h1", "rmse_low", "rmse_middle"}
    lacking = metrics.Scores(grid=grid_of(8, 4), axes={"u": ("x",)})
    lacking.add({"u": u}, {"u": v})
    assert lacking.table() == torus.table()


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda s, u: s.add({"v": u}, {"u": u}), "unknown predicted variable 'u'"),
        (lambda s, u: s.add({"u": u[:, :1]}, {"u": u}), "have one shape"),
        (lambda s, u: s.add({"u": u[..., :4]}, {"u": u[..., :4]}), r"grid of this shape, got one of \(8,\) \(x\)"),
        (lambda s, u: s.add({"u": u[:, :1]}, {"u": u[:, :1]}), "1 of the 1 frames of u are given"),
        (lambda s, u: s.add({"u": u[:, :2]}, {"u": u[:, :2]}), "1 frames to judge and there are 2 lead times"),
        (lambda s, u: s.table(), "no batch was added"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(add, message) -> None:
    scores = metrics.Scores(grid=grid_of(8), given=1, leads=(1.0, 2.0))
    with pytest.raises(InputError, match=message) as error:
        add(scores, arrays((2, 3, 1, 8))[0])
    assert "\n" not in str(error.value)


def test_crps_by_its_definition_and_of_a_normal_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    members = torch.randn(5, 2, 1, 1, 6, generator=generator, dtype=torch.float64)
    truth = torch.randn(2, 1, 1, 6, generator=generator, dtype=torch.float64)
    pairs = (members[:, None] - members[None]).abs().sum((0, 1)) / (2 * 5 * 4)
    expected = ((members - truth).abs().mean(0) - pairs).mean(-1)
    close(metrics.crps(members, truth), expected)
    # CRPS of N(0, 1) at y: y (2 P(y) - 1) + 2 p(y) - 1 / sqrt(pi), Gneiting and Raftery 2007, equation 21
    many = torch.randn(4000, 1, 1, 1, 200, generator=generator, dtype=torch.float64)
    for y in (0.0, 1.5):
        normal = torch.distributions.Normal(0.0, 1.0)
        at = torch.tensor(y, dtype=torch.float64)
        exact = y * (2 * normal.cdf(at) - 1) + 2 * normal.log_prob(at).exp() - 1 / math.sqrt(math.pi)
        found = metrics.crps(many, torch.full_like(many[0], y))
        assert float(found) == pytest.approx(float(exact), abs=3e-3)
    members[2, 0, 0, 0, 0] = torch.nan
    assert metrics.crps(members, truth).isnan().flatten().tolist() == [True, False]
    with pytest.raises(InputError, match="two members at least, got 1"):
        metrics.crps(members[:1], truth)


def test_spread_is_skill_where_members_are_drawn_as_the_truth_is() -> None:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(7, 400, 1, 1, 64, generator=generator)
    assert float(metrics.spread_skill(drawn[1:], drawn[0])) == pytest.approx(1.0, abs=0.02)
    assert float(metrics.spread_skill(0.5 * drawn[1:], drawn[0])) < 0.6


def test_coverage_counts_places() -> None:
    truth = torch.tensor([0.0, 1.0, 2.0, 3.0]).reshape(1, 1, 1, 4)
    lower, upper = torch.full_like(truth, 1.0), torch.full_like(truth, 2.0)
    assert float(metrics.coverage(lower, upper, truth)) == 0.5
    assert float(metrics.coverage(lower, upper, truth, torch.tensor([0.0, 1.0, 1.0, 2.0]))) == 0.5
    upper[..., 1] = torch.nan
    assert metrics.coverage(lower, upper, truth).isnan().all()


def test_spread_over_skill_is_a_ratio_of_roots_of_means_over_samples() -> None:
    """By its definition, of samples whose errors and spreads differ much."""
    generator = torch.Generator().manual_seed(2)
    members = torch.randn(3, 4, 2, 1, 5, generator=generator, dtype=torch.float64)
    members = members * torch.tensor([0.1, 1.0, 3.0, 9.0], dtype=torch.float64)[:, None, None, None]
    truth = torch.zeros_like(members[0])
    spread = ((members - members.mean(0)).square().sum(0) / 2).mean(-1)
    skill = (members.mean(0) - truth).square().mean(-1)
    close(metrics.spread_skill(members, truth), (4 / 3 * spread.mean(0) / skill.mean(0)).sqrt())


def test_one_uneven_axis_among_even_ones_has_weights() -> None:
    axes = (Axis("x", 0.0, 1.0, periodic=True), Axis("y", 0.0, 2.0))
    grid = Grid((GridAxis(axes[0], "periodic", 6), GridAxis(axes[1], "chebyshev", 9)))
    y = grid.columns(dtype=torch.float64, device="cpu")["y"].expand(6, 9)[None, None, None]
    weights = metrics.quadrature_weights(grid, like=y)
    assert weights is not None
    assert float(metrics.rmse(y, 0 * y, weights)) == pytest.approx(math.sqrt(4 / 3), rel=1e-13)


def test_points_that_are_even_to_the_digits_of_a_file_count_alike() -> None:
    listed = np.linspace(0.0, 1.0, 31).astype(np.float32).astype(float)
    grid = Grid((GridAxis.at(Axis("x", 0.0, 1.0), listed.tolist()),))
    assert metrics.quadrature_weights(grid, like=torch.ones(1)) is None
    assert metrics.energy_spectrum(torch.ones(1, 1, 1, 31), grid).shape[-1] == 16


def test_plain_figures_by_their_definitions() -> None:
    u, v = torch.tensor([3.0, 1.0, 4.0]), torch.tensor([0.0, 1.0, 2.0])
    assert metrics.relative_l2(u, v) == pytest.approx(math.sqrt(13 / 5))
    assert metrics.relative_l2(u, 0 * v) == pytest.approx(math.sqrt(26)), "the norm, where nothing can be divided by"
    found = metrics.errors(2 * u, u, last=(u, v))
    assert found == {"relative_l2": 1.0, "max": 4.0, "final": pytest.approx(math.sqrt(13 / 5))}
    assert metrics.errors(u, v)["final"] is None
    rows = torch.stack([u, v])
    assert metrics.root_mean_square(rows) == pytest.approx(math.sqrt(31 / 6))
    assert metrics.root_mean_square(rows, torch.tensor([1.0, 0.0, 3.0])) == pytest.approx(math.sqrt((57 + 12) / 8))
    fields = rows[:, None, None]
    assert metrics.conserved_error(fields, 0 * fields).flatten().tolist() == pytest.approx([8 / 3, 1.0])


def test_the_ends_of_a_period_are_no_boundary() -> None:
    """Errors of 1 and 2 on the walls y = 0 and 2 of a channel, none at the walls but far more within."""
    axes = (Axis("x", 0.0, 3.0, periodic=True), Axis("y", 0.0, 2.0))
    grid = Grid((GridAxis(axes[0], "periodic", 6), GridAxis(axes[1], "nodes", 5)))
    error = torch.full((1, 1, 1, 6, 5), 100.0)
    error[..., 0], error[..., -1] = 1.0, 2.0
    assert float(metrics.boundary_rmse(error, 0 * error, grid=grid)) == pytest.approx(math.sqrt((1 + 4) / 2))


def test_lead_curves_of_frames_leave_out_those_that_are_given() -> None:
    errors = torch.tensor([[9.0, 1.0, 2.0], [9.0, 3.0, 6.0]])
    assert metrics.lead_curve(errors, given=1).tolist() == [2.0, 4.0]
    assert metrics.lead_curve(errors[..., None].expand(2, 3, 4), given=1).tolist() == [2.0, 4.0]


def test_scores_hold_spectra_of_all_components_and_each_sample() -> None:
    u, v = arrays((5, 2, 3, 9))
    grid = grid_of(9, placement="nodes", accuracy=2)
    parts, others = metrics.Scores(grid=grid), metrics.Scores(grid=grid)
    parts.add({"u": u[:3]}, {"u": v[:3]})
    others.add({"u": u[3:]}, {"u": v[3:]})
    parts.merge(others)
    close(parts.each()["u"], metrics.sample_relative_l2(u, v))
    energy = sum(parts.spectra()["u"]["truth"])
    assert energy == pytest.approx(float(v.square().mean(-1).sum(2).mean()) / 2)
    slopes = metrics.relative_h1(u, v, grid=grid).mean()
    assert parts.table()["u"]["relative_h1"] == pytest.approx(float(slopes)), "by the grid's own accuracy"


def test_what_is_constant_has_no_correlation_time() -> None:
    u, v = arrays((2, 3, 1, 8))
    scores = metrics.Scores()
    scores.add({"u": u, "still": u}, {"u": v, "still": torch.ones_like(v)})
    assert "correlation_time" in scores.table()["u"] and "correlation_time" not in scores.table()["still"]


def test_h1_is_of_all_frames_and_components_of_a_sample() -> None:
    """Of an error in one frame, where the truth is small: the quotient of norms, not a mean of quotients."""
    grid = grid_of(16)
    wave = torch.sin(2 * math.pi * torch.arange(16, dtype=torch.float64) / 16)
    sizes = torch.tensor([[1.0, 2.0], [0.1, 4.0]], dtype=torch.float64)
    truth = (sizes[..., None] * wave)[None]
    error = torch.zeros_like(truth)
    error[0, 1, 0] = 3 * wave
    found = metrics.relative_h1(truth + error, truth, grid=grid)
    assert float(found) == pytest.approx(3 / float(sizes.norm()), rel=1e-12)


def test_octaves_end_where_the_coarsest_axis_does() -> None:
    assert metrics.octave_edges(grid_of(32, 8)) == (1.0, 2.0, 4.0)
