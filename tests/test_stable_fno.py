"""The stabilised Fourier neural operator: its bounds, its tori, its method."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pdesolve as ps
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.windows import Windows
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.metrics import relative_l2
from pdesolve.nn.places import GridPlaces
from pdesolve.operators.stable_fno.bounded import AtMostOne, Mixing
from pdesolve.operators.stable_fno.extension import DoubleFourierSphere, Reflection
from pdesolve.operators.stable_fno.filters import BoundedFilter, DynamicFilter, disc, indices, low_pass
from pdesolve.operators.stable_fno.method import StableFNO
from pdesolve.operators.stable_fno.model import Block, Layout, StableFourierNetwork
from pdesolve.training.operator_training import Training

KINDS = {"static": BoundedFilter, "dynamic": DynamicFilter}
LONGITUDE = Axis("longitude", 0.0, 2 * math.pi, periodic=True)
LATITUDE = Axis("latitude", -math.pi / 2, math.pi / 2)


def torus(*sizes: int) -> GridPlaces:
    axes = Axes(tuple(Axis(name, 0.0, 1.0, periodic=True) for name in "xyz"[: len(sizes)]))
    return GridPlaces.of(Grid.regular(axes, dict(zip("xyz", sizes, strict=False))), dtype=torch.float64)


def globe(rows: int, columns: int, *, poles: bool = False, latitude_first: bool = True) -> GridPlaces:
    members = (GridAxis(LATITUDE, "nodes" if poles else "cells", rows), GridAxis(LONGITUDE, "periodic", columns))
    return GridPlaces.of(Grid(members if latitude_first else members[::-1]), dtype=torch.float64)


def network(dimension: int = 1, **settings: Any) -> StableFourierNetwork:
    torch.manual_seed(0)
    layout = Layout(**{"modes": 9, "width": 12, "depth": 2, **settings})
    ends = (False, None) if layout.surface == "sphere" else (None,) * dimension
    return StableFourierNetwork(1, 1, ends, layout).double()


def applied(net: StableFourierNetwork, x: Tensor, places: GridPlaces) -> Tensor:
    return net(x, x.new_zeros(len(x), 0), places, places)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_no_wave_gains_whatever_the_weights_are(kind: str, dimension: int) -> None:
    torch.manual_seed(1)
    made = KINDS[kind](4, (5,) * dimension).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(30.0).add_(torch.randn_like(parameter))
    v = torch.randn(3, 4, *[12] * dimension, dtype=torch.float64)
    coefficients = torch.fft.rfftn(v, dim=tuple(range(2, v.ndim)), norm="forward")
    gains = made.multiplier(coefficients, indices(made.waves, v.shape[2:])).abs()
    assert 0.99 < gains.max() < 1
    assert made(v).square().sum() < v.square().sum()


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_filter_multiplies_each_wave_by_its_own_number(dimension: int) -> None:
    torch.manual_seed(0)
    made = BoundedFilter(1, (3,) * dimension).double()
    with torch.no_grad():
        made.parts.copy_(torch.randn_like(made.parts))
    wave = torch.tensor([1, -2, 1][-dimension:])
    at = int((made.waves == wave).all(1).nonzero())
    z = complex(*made.parts[0, at].tolist())
    m = z / math.sqrt(1 + abs(z) ** 2)
    for size in (8, 9, 12):
        angle = 2 * math.pi * (torus(*[size] * dimension).columns()[0] @ wave.double())
        found = made(angle.cos().reshape(1, 1, *[size] * dimension)).flatten()
        wanted = m.real * angle.cos() - m.imag * angle.sin()
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
        beyond = (4 * angle / wave[-1]).cos().reshape(1, 1, *[size] * dimension)  # |k| of 4 or more
        assert size == 8 or float(made(beyond).detach().abs().max()) < 1e-12


def test_discs_hold_the_waves_of_real_fields_once() -> None:
    assert disc((3,)).flatten().tolist() == [0, 1, 2, 3]
    waves = [tuple(k) for k in disc((2, 2)).tolist()]
    assert len(waves) == len(set(waves))
    assert set(waves) == {(a, b) for a in range(-2, 3) for b in range(3) if a * a + b * b <= 4}
    assert (1, 1) not in [tuple(k) for k in disc((1, 1)).tolist()]


def test_matrices_are_shrunk_to_norm_one_and_never_enlarged() -> None:
    torch.manual_seed(0)
    small = 0.3 * torch.linalg.qr(torch.randn(16, 16)).Q
    assert torch.equal(AtMostOne(small)(small), small)
    mixing = Mixing(24, 40)
    weights = mixing.parametrizations["weight"].original  # type: ignore[index]
    for step in range(60):  # weights that move, as in training
        with torch.no_grad():
            weights += (0.3 if step < 30 else 0.002) * torch.randn_like(weights)
        used = mixing.weight
        if step > 50:
            assert float(torch.linalg.matrix_norm(used.detach(), 2)) <= 1 + 1e-3
    assert float(torch.linalg.matrix_norm(weights.detach(), 2)) > 3
    with torch.no_grad():
        weights.copy_(5 * torch.randn_like(weights))  # the vectors of other weights, as of averaged ones
    assert float(torch.linalg.matrix_norm(mixing.eval().weight.detach(), 2)) <= 1 + 1e-5
    assert float(torch.linalg.matrix_norm(Mixing(40, 3).weight.detach(), 2)) <= 1 + 1e-5


def test_steps_in_a_row_are_differentiated_with_the_vectors_they_had() -> None:
    """Two forward passes move the buffers twice before the first is differentiated."""
    torch.manual_seed(0)
    mixing = Mixing(12, 12).double()
    weights = mixing.parametrizations["weight"].original  # type: ignore[index]
    with torch.no_grad():
        weights.mul_(3.0).add_(torch.randn_like(weights))
    x = torch.randn(2, 12, 5, dtype=torch.float64)
    for _ in range(200):
        _ = mixing.weight
    mixing(mixing(x)).square().sum().backward()
    mixing.eval()  # the singular value itself
    found = weights.grad.clone()
    weights.grad = None
    mixing(mixing(x)).square().sum().backward()
    torch.testing.assert_close(found, weights.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("surface", ["box", "sphere"])
def test_without_blocks_no_wave_can_grow(surface: str) -> None:
    net = network(2, surface=surface, placed=False).eval()
    places = globe(10, 12) if surface == "sphere" else torus(10, 12)
    for block in net.blocks:
        nn.init.zeros_(block.mixing.parametrizations.weight.original)  # type: ignore[union-attr]
    x = torch.randn(4, 1, 10, 12, dtype=torch.float64)
    y = applied(net, x, places)
    assert 0 < float(y.detach().square().sum()) <= float(x.square().sum()) * (1 + 1e-9)
    torch.testing.assert_close(y, net.project(net.lift(x)))


def test_gates_make_a_convex_combination() -> None:
    net = network(1, residual="gated", depth=1)
    assert float(torch.sigmoid(net.blocks[0].gate)) == 0.5  # type: ignore[arg-type]
    block, h = net.blocks[0], torch.randn(1, 12, 16, dtype=torch.float64)
    extension = Reflection((None,))
    nn.init.constant_(block.gate, 50.0)  # type: ignore[arg-type]
    torch.testing.assert_close(block.forward(h, extension), h)  # type: ignore[operator]


@pytest.mark.parametrize("settings", [{}, {"filtering": "dynamic"}, {"residual": "gated"}, {"evaluation_filter": 1.0}])
@pytest.mark.parametrize("dimension", [1, 2])
def test_finer_grids_give_the_same_function(settings: dict[str, Any], dimension: int) -> None:
    net = network(dimension, amplitude=0.3, **settings).eval()
    gaps = []
    for size in (12, 24):
        found = []
        for points in (size, 96):
            places = torus(*[points] * dimension)
            columns = places.columns()[0]
            x = (torch.cos(2 * math.pi * columns[:, 0]) + 0.5 * torch.sin(4 * math.pi * columns[:, -1])).exp()
            found.append(applied(net, x.reshape(1, 1, *places.shape), places))
        thin = (..., *[slice(None, None, 96 // size)] * dimension)
        gaps.append(relative_l2(found[0], found[1][thin]))
    assert gaps[1] < 1e-4 and gaps[1] < 0.1 * gaps[0]


def test_transforms_stay_in_single_precision_under_autocast() -> None:
    for filtering in KINDS:
        net = network(1, filtering=filtering, placed=False).float().eval()
        x = torch.randn(4, 1, 32)
        whole = applied(net, x, torus(32))
        with torch.autocast("cpu", torch.bfloat16):
            half = applied(net, x, torus(32))
            block = net.blocks[0]
            assert isinstance(block, Block)
            filtered = block.filter(torch.randn(2, 12, 32, dtype=torch.bfloat16))
        assert half.dtype == filtered.dtype == torch.float32
        assert 0 < relative_l2(half, whole) < 0.03


def test_filters_follow_the_moments_of_the_waves_over_samples_and_channels() -> None:
    """After one step in training the running moments are 0.9 of their start, 0 and 1, and 0.1 of what was seen."""
    made = DynamicFilter(3, (4,)).double()
    v = torch.randn(5, 3, 16, dtype=torch.float64) + 2.0
    made(v)
    waves = torch.fft.rfft(v, norm="forward")[..., :5].flatten(0, 1)
    mean = waves.mean(0)
    torch.testing.assert_close(torch.view_as_complex(made.mean), 0.1 * mean)
    torch.testing.assert_close(made.variance, 0.9 + 0.1 * (waves - mean).abs().square().mean(0))


def test_modes_have_both_signs_and_no_wave_of_two_points() -> None:
    assert [Layout(modes=modes).highest for modes in (7, 8, 9)] == [3, 3, 4]


def test_predictions_can_be_cut_off() -> None:
    x = torch.randn(2, 1, 24, dtype=torch.float64)
    net = network(1, evaluation_filter=1.0)
    assert float(torch.fft.rfft(applied(net, x, torus(24)))[..., 6:].abs().mean()) > 1e-2  # in training nothing is cut
    waves = torch.fft.rfft(applied(net.eval(), x, torus(24)))
    assert float(waves[..., 5:].abs().max()) < 1e-12 < float(waves[..., 4].abs().min())
    field = torch.randn(1, 1, 12, 10, dtype=torch.float64)
    torch.testing.assert_close(low_pass(field, (100, 100)), field)


@pytest.mark.parametrize("poles", [False, True])
@pytest.mark.parametrize("latitude_first", [False, True])
def test_what_is_continued_over_the_poles_comes_back(poles: bool, latitude_first: bool) -> None:
    places = globe(9, 12, poles=poles, latitude_first=latitude_first)
    sphere = DoubleFourierSphere.of(places, tangent=(1, 2))
    assert (sphere.poles, sphere.latitude) == (poles, 1 - latitude_first)
    v = torch.randn(2, 3, *places.shape, dtype=torch.float64)
    whole = sphere.extend(v)
    assert tuple(whole.shape[2:]) == sphere.shape(places.shape)
    assert sorted(whole.shape[2:]) == sorted([18 - 2 * poles, 12])
    assert torch.equal(sphere.restrict(whole), v)


@pytest.mark.parametrize("poles", [False, True])
def test_smooth_fields_on_the_sphere_are_smooth_on_the_torus(poles: bool) -> None:
    places = globe(20, 32, poles=poles)
    latitude = (math.pi * (places.points[0] - 0.5))[:, None]
    longitude = (2 * math.pi * places.points[1])[None]
    x, y, z = latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin() + 0 * longitude
    scalar = x * y * z + x**3 - z  # a polynomial of degree 3: waves up to 3
    east, north = -longitude.sin() + 0 * latitude, -latitude.sin() * longitude.cos()  # the vector (1, 0, 0)
    sphere = DoubleFourierSphere.of(places, tangent=(1, 2))

    def roughness(extension: DoubleFourierSphere, v: Tensor) -> Tensor:
        waves = torch.fft.fft2(extension.extend(v), norm="forward").abs()[0]
        return waves[:, 4:-3, :].amax((1, 2)) + waves[:, :, 4:-3].amax((1, 2))

    v = torch.stack([scalar, east, north])[None]
    assert float(roughness(sphere, v).max()) < 1e-12
    wrong = roughness(DoubleFourierSphere.of(places), v)  # vectors as scalars: they jump at the poles
    assert float(wrong[0]) < 1e-12 and float(wrong[1:].min()) > 1e-3


@pytest.mark.parametrize("poles", [False, True])
def test_zonal_waves_are_no_finer_than_at_the_equator(poles: bool) -> None:
    places = globe(16, 32, poles=poles)
    sphere = DoubleFourierSphere.of(places, finest=8.0)
    v = torch.randn(1, 1, 16, 32, dtype=torch.float64)
    trimmed = sphere.restrict(sphere.trim(sphere.extend(v)))
    colatitude = math.pi * places.points[0]
    waves = torch.fft.rfft(trimmed)[0, 0].abs()
    kept = torch.arange(17) <= (8 * colatitude.sin()).clamp(min=0.5)[:, None]
    assert float(waves[~kept].max()) < 1e-12 < float(waves[kept].min())


def test_bounded_axes_are_continued_evenly() -> None:
    for nodal, torus_size in ((True, 10), (False, 12)):
        extension = Reflection((nodal, None))
        v = torch.randn(1, 2, 6, 4)
        whole = extension.extend(v)
        assert tuple(whole.shape[2:]) == extension.shape((6, 4)) == (torus_size, 4)
        assert torch.equal(extension.restrict(whole), v)
        other = torch.randn(1, 2, torus_size, 4)
        image = other.flip(2).roll(1, 2) if nodal else other.flip(2)  # each place and its mirror image
        torch.testing.assert_close(extension.restrict(other), (other + image)[:, :, :6] / 2)
        place = torch.fft.fft(whole, dim=2)  # even about a point or the middle between two
        shift = torch.exp(-1j * math.pi * torch.arange(torus_size) / torus_size)[:, None] if not nodal else 1.0
        assert float((place * shift).imag.abs().max()) < 1e-5


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            torus(10, 10),
            "a sphere has a periodic longitude and a bounded latitude, the data have x periodic, y periodic",
        ),
        (globe(8, 9), "9 longitudes are odd in number: interpolate to 8 or 10"),
    ],
)
def test_what_is_no_sphere_is_refused(places: GridPlaces, message: str) -> None:
    with pytest.raises(InputError, match=message):
        network(2, surface="sphere").check(places)


def test_latitudes_of_unequal_steps_are_refused() -> None:
    places = globe(16, 16)
    gauss = torch.as_tensor(np.arcsin(np.polynomial.legendre.leggauss(16)[0]) / math.pi + 0.5)
    uneven = GridPlaces(places.axes, (gauss**1.5, places.points[1]), places.parts)
    with pytest.raises(InputError, match="neither middles of equal cells nor equal steps"):
        DoubleFourierSphere.of(uneven)


@pytest.mark.parametrize("settings", [{}, {"filtering": "dynamic"}, {"surface": "sphere"}])
def test_it_can_be_exported(settings: dict[str, Any]) -> None:
    net = network(2, **settings).eval()
    places = globe(10, 12) if settings.get("surface") else torus(12, 12)

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return applied(self.net, x, places)

    x = torch.randn(2, 1, *places.shape, dtype=torch.float64)
    exported = torch.export.export(Step(), (x,)).module()
    torch.testing.assert_close(exported(x), applied(net, x, places))


def test_grids_too_coarse_for_the_modes_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"9 modes and x has 8 points: give finer data, or train with --method.modes 8"
    ):
        network(1).check(torus(8))
    network(1).check(torus(9))
    network(2, surface="sphere").check(globe(5, 10))  # ten latitudes on the torus


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expansion": 0}, "expansion of at least 1"),
        ({"amplitude": 0.0}, "a positive amplitude"),
        ({"width": 1.5}, "width"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StableFNO(**settings)


def waves(samples: int = 20, frames: int = 9, points: int = 32) -> Dataset:
    """Waves that travel and fade."""
    generator = np.random.default_rng(0)
    x, t = np.arange(points) / points, 0.05 * np.arange(frames)
    size, phase = generator.uniform(0.5, 1, (2, samples, 3, 1, 1))
    k = np.arange(1, 4)[:, None, None]
    u = (size * np.exp(-k * t[:, None]) * np.cos(2 * np.pi * (k * (x - t[:, None]) + phase))).sum(1)
    variable = Variable("u", Memory(u.astype(np.float32)), ("sample", "t", "x"))
    axis = Axis("x", 0.0, 1.0, periodic=True)
    time = Axis("t", 0.0, float(t[-1]))
    return Dataset({"u": variable}, {"t": Coordinate(time, t), "x": Coordinate(axis, x)})


SMALL = StableFNO(modes=17, width=16, training=Training(batch=8, learning_rate=1e-2))


def test_predictions_leave_the_moments_of_training_as_they_are(tmp_path: Path) -> None:
    dynamic = dataclasses.replace(SMALL, filtering="dynamic")
    surrogate = ps.train(dynamic, waves(), steps=5, threads=1, out=tmp_path / "run")
    batch = Windows(waves(), surrogate.signature.task).batch(range(6))
    first = surrogate.predict(batch)["u"]
    for again in (surrogate, ps.load_surrogate(tmp_path / "run")):
        assert torch.equal(again.predict(batch)["u"], first)
        one = dataclasses.replace(batch, inputs={"u": batch.inputs["u"][:1]})  # others of a batch do not matter
        torch.testing.assert_close(again.predict(one)["u"], first[:1], rtol=1e-4, atol=1e-6)


def test_it_learns_rolls_out_and_comes_back_from_its_file(tmp_path: Path) -> None:
    data = waves()
    surrogate = ps.train(SMALL, data, steps=100, threads=1, out=tmp_path / "run")
    assert surrogate.report is not None
    (row,) = surrogate.report.metrics.values()
    assert row["relative_l2"] < 0.2, row
    again = ps.load_surrogate(tmp_path / "run")
    batch = Windows(data, surrogate.signature.task).batch(range(3))
    first, second = surrogate.predict(batch)["u"], again.predict(batch)["u"]
    assert torch.equal(first, second)
    fine = Windows(waves(points=64), surrogate.signature.task).batch(range(3))
    assert relative_l2(again.predict(fine)["u"][..., ::2], first) < 0.05
    rollout = again.rollout(batch, 50)
    assert not rollout.diverged.any() and float(rollout.states["u"].abs().max()) < 5


def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(tmp_path: Path) -> None:
    """Bit for bit: the singular vectors of the matrices are part of the state."""
    method = dataclasses.replace(SMALL, training=Training(batch=8, schedule="constant"))
    write(waves(), tmp_path / "waves.h5")
    ps.train(method, tmp_path / "waves.h5", steps=24, threads=1, out=tmp_path / "whole")
    ps.train(method, tmp_path / "waves.h5", steps=11, threads=1, out=tmp_path / "parts")
    ps.resume_training(tmp_path / "parts", steps=24, threads=1)
    whole, parts = (
        torch.load(tmp_path / name / "surrogate.pt", weights_only=True)["weights"] for name in ("whole", "parts")
    )
    assert sum(name.endswith(".left") for name in whole) == 12
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
