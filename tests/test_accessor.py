"""The accessor .pde: what it says of a data set is what the rest of the package says, on our data and on others'."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from conftest import draw_nothing

import pdesolve as ps
from pdesolve.equation import assemble
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import Grid, PointCloud
from pdesolve.labelled import to_dataset
from pdesolve.solving import reference_dataset

ROOT = Path(__file__).resolve().parent.parent


def exact(name: str, points: int = 41, steps: int = 20, **settings) -> xr.Dataset:
    """The exact solution of a problem of the catalogue on a grid."""
    problem = ps.make_problem(name, settings)
    times = np.linspace(problem.time.lower, problem.time.upper, steps + 1).tolist() if problem.time else None
    return formula(problem, problem.grid(points, times))


def formula(problem: ps.Problem, places: Grid | PointCloud) -> xr.Dataset:
    assert problem.exact is not None
    x = Coordinates(places, gradients=False)
    state = problem.exact.formula(problem.bind(x), x)
    return to_dataset(problem, places, {name: x.expand(field).values for name, field in state.items()})


def waves(sizes: dict[str, int], lengths: dict[str, float], seed: int = 0, **extra) -> xr.Dataset:
    """Noise on a periodic grid, two variables."""
    rng = np.random.default_rng(seed)
    axes = {
        name: (
            name,
            lengths[name] * np.arange(n) / n,
            {"periodic": 1, "bounds_lower": 0.0, "bounds_upper": lengths[name]},
        )
        for name, n in sizes.items()
    }
    shape = (*extra.values(), *sizes.values())
    return xr.Dataset({v: ((*extra, *sizes), rng.normal(size=shape)) for v in ("u", "v")}, axes)


@pytest.mark.parametrize(
    ("code", "there"),
    [
        ("import pdesolve", False),
        ("import pdesolve.plotting", True),
        pytest.param(
            "import pdesolve as ps, torch; p = ps.make_problem('heat_1d'); from pdesolve.labelled import to_dataset;"
            "g = p.grid(5, [0.0]); to_dataset(p, g, {'u': torch.zeros(g.shape)})",
            True,
            id="torch",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_it_is_there_once_xarray_is_touched_through_us(code: str, there: bool) -> None:
    script = f"{code}\nimport sys; print('xarray' in sys.modules); import xarray; print(hasattr(xarray.Dataset, 'pde'))"
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=120,
    )  # fmt: skip
    assert found.stdout.split() == [str(there), str(there)], found.stderr


@pytest.fixture(scope="module")
def solved(tmp_path_factory) -> ps.Solution:
    method = ps.make_method("pinn", {"width": 6, "depth": 1, "collocation": 200, "condition_points": 50})
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        return ps.solve("heat_1d", method, steps=30, budget="20s", out=tmp_path_factory.mktemp("runs") / "heat")


def test_errors_are_those_of_the_proof(solved) -> None:
    reference = reference_dataset(solved)
    assert reference is not None and solved.proof is not None
    found = solved.dataset().pde.error(reference)
    assert found == solved.proof.errors and found["u"]["relative_l2"] > 1e-9
    # labels count, not the order things are stored in
    turned = reference.isel(x=slice(None, None, -1)).transpose("x", "t")
    assert solved.dataset().pde.error(turned)["u"] == pytest.approx(found["u"], rel=1e-12)
    assert solved.dataset()["u"].pde.error(reference["u"].rename("truth"))["u"] == found["u"]


def test_errors_are_exact_figures() -> None:
    u = exact("heat_1d")
    v = u.copy(deep=True)
    v["u"][-1] = v["u"][-1] * 1.5
    v["u"][0, 3] = v["u"][0, 3] + 0.25
    found = v.pde.error(u)["u"]
    last = float(np.linalg.norm(u["u"][-1]))
    assert found["max"] == pytest.approx(0.25) and found["final"] == pytest.approx(0.5)
    expected = math.hypot(0.25, 0.5 * last) / float(np.linalg.norm(u["u"]))
    assert found["relative_l2"] == pytest.approx(expected, rel=1e-12)
    still = exact("poisson_2d")
    assert still.pde.error(still)["u"] == {"relative_l2": 0.0, "max": 0.0, "final": None}
    # missing in both: no place of the domain; missing in one: unknown
    hole = u.where(u["x"] > 0.3)
    assert hole.pde.error(hole)["u"]["relative_l2"] == 0.0
    assert math.isnan(hole.pde.error(u)["u"]["relative_l2"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda u: u.isel(x=slice(None, None, 2)),
            r"u is known at other x, 41 from 0 to 1 and 21 from 0 to 1: .*\.pde\.at",
        ),
        (lambda u: u.assign_coords(x=u["x"] * 1.01), r"known at other x"),
        (lambda u: u.isel(t=-1), r"u is over t, x and x: choose by \.sel or interpolate by \.pde\.at"),
        (lambda u: u.rename(u="w"), r"no variable is in both data sets, they have u and w: rename"),
        (lambda u: u.assign(u=u["u"].assign_attrs(units="K")), r"u is in '1' and in 'K': convert"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(change, message) -> None:
    u = exact("heat_1d")
    with pytest.raises(InputError, match=message) as error:
        u.pde.error(change(u))
    assert "\n" not in str(error.value)
    if "units" not in message and "no variable" not in message:
        with pytest.raises(InputError):
            u.pde.plot(change(u))


def test_the_line_that_an_error_suggests_works() -> None:
    coarse, fine = exact("heat_1d", 41, 20), exact("heat_1d", 61, 30)
    with pytest.raises(InputError, match=r"ds\.pde\.error\(other\.pde\.at\(ds\)\)"):
        coarse.pde.error(fine)
    assert coarse.pde.error(fine.pde.at(coarse))["u"]["relative_l2"] < 1e-10


def test_values_elsewhere_are_of_high_order_and_labelled() -> None:
    def worst(n: int) -> float:
        found = exact("heat_1d", n, n).pde.at(x=np.linspace(1, 0, 60), t=np.linspace(0, 1, 50))["u"]
        truth = np.exp(-(np.pi**2) * 0.25 * found["t"]) * np.sin(np.pi * found["x"])
        return float(abs(found - truth).max())

    assert worst(17) < 1e-7 and math.log2(worst(17) / worst(33)) > 7.4
    u = exact("heat_1d")
    found = u.pde.at(x=[0.7, 0.31], t=0.5)
    assert found["u"].dims == ("x",) and found["x"].values.tolist() == [0.7, 0.31]
    assert float(found["t"]) == 0.5 and found["u"].attrs["units"] == "1" and found["x"].attrs == u["x"].attrs
    assert found.attrs["problem"] == "heat_1d"
    one = u["u"].pde.at(x=0.3)
    assert isinstance(one, xr.DataArray) and one.dims == ("t",) and one.name == "u"
    assert np.array_equal(u.pde.at(x=u["x"].values)["u"], u["u"])
    assert np.array_equal(u.pde.at(x=[0.5, 0.5])["u"][:, 0], u["u"][:, 20])
    upside_down = u.isel(x=slice(None, None, -1)).transpose("x", "t")
    assert np.allclose(upside_down.pde.at(x=0.3)["u"], one, rtol=0, atol=1e-15)


def test_values_at_points() -> None:
    u = exact("helmholtz_2d", 41)
    rng = np.random.default_rng(1)
    x, y = (xr.DataArray(rng.uniform(-1, 1, 30), dims="point") for _ in "xy")
    found = u.pde.at(x=x, y=y)
    assert found["u"].dims == ("point",) and found["x"].dims == ("point",)
    problem = ps.make_problem("helmholtz_2d")
    cloud = PointCloud(problem.axes, torch.from_numpy(np.stack([x.values, y.values], 1)))
    points = formula(problem, cloud)
    assert points.pde.error(found)["u"]["max"] < 1e-4
    assert u.pde.at(points).pde.error(found)["u"]["max"] == 0.0
    evolving = exact("heat_1d").pde.at(x=xr.DataArray([0.2, 0.4], dims="point"))
    assert evolving["u"].dims == ("t", "point")
    with pytest.raises(InputError, match=r"over one common dimension, got x over .*a.*, y over .*b"):
        u.pde.at(x=xr.DataArray([0.1], dims="a"), y=xr.DataArray([0.1], dims="b"))


def test_periodic_axes_go_round_but_not_over_gaps() -> None:
    axis = {"periodic": 1, "bounds_lower": 0.0, "bounds_upper": 1.0}
    x = np.arange(32) / 32
    u = xr.Dataset({"u": ("x", np.sin(2 * np.pi * x))}, {"x": ("x", x, axis)})
    for data in (u, u.isel(x=slice(0, 32)), u.assign_coords(x=("x", x + 1 / 64, axis))):
        shift = float(data["x"][0])
        truth = np.sin(2 * np.pi * (np.array([0.99, 1.27]) - shift))
        assert np.abs(data.pde.at(x=[0.99, 1.27])["u"].values - truth).max() < 1e-12
    closed = xr.Dataset(
        {"u": ("x", np.sin(2 * np.pi * np.linspace(0, 1, 33)))}, {"x": ("x", np.linspace(0, 1, 33), axis)}
    )
    assert abs(float(closed.pde.at(x=1.1)["u"]) - math.sin(0.2 * math.pi)) < 1e-6
    with pytest.raises(InputError, match=r"coordinate x runs from 0.9 to 0.9, the field is known from 0 to 0.59375"):
        u.isel(x=slice(0, 20)).pde.at(x=0.9)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"y": 0.3}, "unknown axis 'y': .*known: t, x"),
        ({"x": 1.3}, "coordinate x runs from 1.3 to 1.3, the field is known from 0 to 1"),
        ({}, r"give places, as in \.pde\.at\(x=0\.3"),
    ],
)
def test_places_that_are_not_there_are_refused(places, message) -> None:
    with pytest.raises(InputError, match=message):
        exact("heat_1d").pde.at(**places)


@pytest.mark.parametrize("name", ["heat_1d", "wave_1d"])
@pytest.mark.parametrize("accuracy", [2, 4])
def test_the_residual_of_an_exact_solution_falls_with_the_order_of_the_differences(name, accuracy) -> None:
    def size(n: int) -> float:
        return float(abs(exact(name, n + 1, n).pde.residual(accuracy=accuracy)["u"]).max())

    coarse, fine = size(64), size(128)
    assert math.log2(coarse / fine) > accuracy - 0.5


def test_a_residual_is_that_of_the_equation_with_the_stored_parameters() -> None:
    data = exact("heat_1d", 81, 80, diffusivity=0.1)
    found = data.pde.residual()
    assert found["u"].dims == ("t", "x") and found["u"].attrs["long_name"] == "residual of u"
    assert float(abs(found["u"]).max()) < 1e-4, "the settings of the problem are remembered"
    other = data.pde.residual(values={"diffusivity": 0.3})
    expected = (0.3 - 0.1) * np.pi**2 * data["u"]
    assert float(abs(other["u"] - expected).max()) < 1e-3
    problem = ps.make_problem("heat_1d", {"diffusivity": 0.3})
    assert xr.testing.assert_allclose(data.pde.residual(problem), other) is None
    # stored from values that took the place of the problem's
    learned = to_dataset(problem, problem.grid(81, [0.0, 0.5]), {"u": torch.zeros(2, 81)}, values={"diffusivity": 0.1})
    with pytest.raises(InputError, match="needs 5 points on the axis, got 2"):
        learned.pde.residual()
    moved = data.assign_attrs(settings="{}", parameters=learned.attrs["parameters"])
    assert float(abs(moved.pde.residual()["u"]).max()) < 1e-4


def test_the_problem_is_made_with_the_settings_it_had() -> None:
    """The dimension is no parameter of the equation: without it there would be other axes."""
    found = exact("poisson_nd", 9, dimension=3).pde.residual(accuracy=2)
    assert len(found["u"].dims) == 3


def test_a_residual_of_several_unknowns_on_a_periodic_plane() -> None:
    """Burgers 2-D of a state that is no solution: the row that autograd gives at the same places."""
    from pdesolve.physics.equations.burgers_2d import Burgers2d

    square = ps.Box(ps.Axis("x", 0.0, 1.0, periodic=True), ps.Axis("y", 0.0, 1.0, periodic=True))
    time = ps.Axis("t", 0.0, 1.0)
    still = [ps.InitialValue("velocity", 0.0)]
    problem = ps.Problem("mine", Burgers2d(), square, still, time, evaluation=ps.Evaluation.uniform(8, time, 2))
    grid = problem.grid(24, np.linspace(0, 1, 41).tolist())

    def state(x):
        wave = ps.sin(2 * math.pi * (x["x"] - x["y"]))
        return dict(zip(problem.equation.scalars, (ps.exp(-x["t"]) * wave, 0.5 + 0.2 * x["t"] * wave), strict=True))

    x = Coordinates(grid)
    data = to_dataset(problem, grid, {n: x.expand(f).values for n, f in state(x).items()})
    with pytest.raises(InputError, match=r"mine cannot be made from the catalogue: write \.pde\.residual\(pro"):
        data.pde.residual()
    found = data.pde.residual(problem)
    points = Coordinates(PointCloud(grid.axes, x.columns()))
    fields = assemble(problem.equation.unknowns, state(points))
    rows = problem.equation.residual(fields, problem.bind(points), points)["velocity"]
    for name, row in zip(problem.equation.scalars, rows, strict=True):
        expected = row.values.detach().reshape(grid.shape).numpy()
        assert np.abs(found[name].values - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact("heat_1d").rename(u="w"), "heat_1d needs the variables u, the data set has w: rename"),
        (lambda: exact("heat_1d").isel(t=0), "a residual needs data on a grid of t, x, u has x"),
        (lambda: waves({"x": 8}, {"x": 1.0}), r"names no problem .*\.pde\.residual\(problem=\.\.\.\)"),
        (
            lambda: exact("heat_1d").assign_attrs(parameters='{"diffusivity": null}'),
            "diffusivity of heat_1d was a field",
        ),
    ],
)
def test_residuals_that_cannot_be_are_refused_in_one_line(make, message) -> None:
    with pytest.raises(InputError, match=message) as error:
        make().pde.residual()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sizes", [{"x": 24}, {"x": 25}, {"x": 24, "y": 15}, {"x": 8, "y": 6, "z": 9}])
def test_a_spectrum_keeps_the_energy(sizes) -> None:
    """Parseval: the bands add up to the mean of u^2 / 2, at each time and in each sample."""
    data = waves(sizes, {"x": 2.0, "y": 3.0, "z": 1.0}, t=3, sample=2)
    energy = data.pde.spectrum("u")
    assert energy.dims == ("t", "sample", "wavenumber")
    expected = (data["u"] ** 2).mean([*sizes]) / 2
    assert np.allclose(energy.sum("wavenumber"), expected, rtol=1e-13)
    both = data.pde.spectrum("u", "v")
    assert np.allclose(both, energy + data["v"].pde.spectrum(), rtol=1e-13)


def test_a_wave_is_in_its_band() -> None:
    data = waves({"x": 32, "y": 16}, {"x": 2.0, "y": 1.0})
    wave = 3.0 * np.cos(2 * np.pi * (3 * data["x"] / 2.0 + 2 * data["y"]))
    data = data.assign(u=wave.transpose("x", "y").assign_attrs(units="m s-1"))
    energy = data.pde.spectrum("u")
    assert energy["wavenumber"].values[:3] == pytest.approx([0.0, math.pi, 2 * math.pi])
    assert int(energy.values.argmax()) == 5 and float(energy[5]) == pytest.approx(9 / 4)  # |q| = pi sqrt(9 + 16)
    assert float(energy.sum()) == pytest.approx(9 / 4) and energy.attrs["units"] == "(m s-1)2"
    closed = data.pde.at(x=np.linspace(0, 2, 33)).isel(y=0, drop=True)
    closed["x"].attrs.update(data["x"].attrs)
    assert int(closed.pde.spectrum("u").values.argmax()) == 3, "an end that repeats the start is left out"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact("heat_1d"), r"a spectrum needs periodic axes, x is bounded: where it is periodic, set"),
        (lambda: waves({"x": 32}, {"x": 1.0}).isel(x=slice(0, 20))[["u"]], "equal steps over the period of x"),
        (lambda: waves({"x": 8}, {"x": 1.0}), "of one variable or of a vector's components, there are u, v: name some"),
        (lambda: waves({"x": 8}, {"x": 1.0})[["u"]].rename(x="point"), "a spectrum needs a grid of space, u has point"),
    ],
)
def test_spectra_that_cannot_be_are_refused_in_one_line(make, message) -> None:
    with pytest.raises(InputError, match=message) as error:
        make().pde.spectrum()
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="unknown variable 'w'"):
        make().pde.spectrum("w")


@pytest.mark.slow
def test_figures_are_those_of_the_command_and_notebooks_show_them(solved, tmp_path) -> None:
    from matplotlib.figure import Figure

    from pdesolve.plotting import save_figure, solution_figure

    data, reference = solved.dataset(), reference_dataset(solved)
    figure = data.pde.plot(reference)
    assert isinstance(figure, Figure)
    titles = [axis.get_title() for axis in figure.axes]
    assert "error of u" in titles
    ours, theirs = (
        save_figure(figure, tmp_path / "a.png"),
        save_figure(solution_figure(data, reference), tmp_path / "b.png"),
    )
    assert ours.read_bytes() == theirs.read_bytes()
    assert data["u"].pde.plot()._repr_png_()[:4] == b"\x89PNG"


def test_a_comparison_shows_marches_that_ended_early_at_a_common_time() -> None:
    import xarray as xr

    from pdesolve.plotting import comparison_figure

    x, t = np.linspace(0.0, 1.0, 5), np.linspace(0.0, 1.0, 11)
    whole = xr.Dataset({"u": (("t", "x"), t[:, None] * np.ones(5))}, {"t": t, "x": x})
    early = whole.isel(t=slice(0, 4))
    right = comparison_figure({}, {"teng": early, "reference": whole}).axes[1]
    assert right.get_title() == "at t = 0.3"
    for line in right.lines:
        assert np.asarray(line.get_ydata()) == pytest.approx(0.3)


def test_animations_play_in_notebooks_and_go_to_files(tmp_path) -> None:
    from matplotlib.animation import FuncAnimation, PillowWriter

    movie = exact("heat_1d", 21, 8).pde.animate(frames=3, rate=5)
    assert isinstance(movie, FuncAnimation)
    assert movie._repr_html_().count("data:image/png") == 3
    movie.save(tmp_path / "u.gif", writer=PillowWriter(fps=5))
    assert (tmp_path / "u.gif").read_bytes()[:4] == b"GIF8"
    with pytest.raises(InputError, match="an animation needs the axis t"):
        exact("poisson_2d").pde.animate()


def test_points_are_drawn_and_compared_and_the_rest_is_refused() -> None:
    problem = ps.make_problem("heat_1d")
    cloud = PointCloud(problem.axes, torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    cloud.x[::5, 0] = 1.0
    points = formula(problem, cloud)
    wrong = points.assign(u=points["u"] * 1.1)
    assert wrong.pde.error(points)["u"]["relative_l2"] == pytest.approx(0.1)
    assert wrong.pde.error(points)["u"]["final"] == pytest.approx(0.1)
    assert len(points.pde.plot(wrong).axes) == 2
    with pytest.raises(InputError, match="known at other t"):
        points.pde.error(points.isel(point=slice(None, None, -1)))
    for refused in (lambda: points.pde.residual(), lambda: points.pde.spectrum(), lambda: points.pde.animate()):
        with pytest.raises(InputError, match="point"):
            refused()
    with pytest.raises(InputError, match="values elsewhere need a grid"):
        points.pde.at(x=0.3)


def foreign() -> dict[str, xr.Dataset]:
    """Data sets as others write them: dates, latitudes that fall, names, levels, cell bounds, holes, staggering."""
    lat, lon = np.linspace(90, -90, 9), np.linspace(0, 350, 12)
    field = np.cos(np.radians(lat))[:, None] * np.sin(np.radians(lon))
    dates = np.array(["2020-01-01", "2020-01-11"], dtype="datetime64[ns]")
    times = xr.DataArray(dates, dims="time", attrs={"bounds": "time_bnds"})
    east = xr.DataArray(lon, dims="lon", attrs={"units": "degrees_east"})
    faces = (("face", "three"), np.ones((2, 3), int), {"cf_role": "face_node_connectivity"})
    tas = {
        "tas": (("time", "lat", "lon"), np.stack([field, 2 * field])),
        "time_bnds": (("time", "two"), np.ones((2, 2))),
    }
    text = {"a": (("band", "x"), np.ones((2, 5))), "text": ("band", ["r", "g"]), "n": ((), 3)}
    return {
        "dates": xr.Dataset(tas, {"time": times, "lat": lat, "lon": east}),
        "levels": xr.Dataset({"q": (("level", "lon", "lat"), np.stack([field.T] * 3))}, {"level": [1, 2, 3]}),
        "names": xr.Dataset(text, {"band": ["r", "g"]}),
        "staggered": xr.Dataset({"u": (("y", "xu"), np.full((4, 5), np.nan)), "v": (("yv", "x"), np.ones((3, 6)))}),
        "series": xr.Dataset({"u": ("time", np.arange(5.0))}, {"time": np.arange(5.0)}),
        "mesh": xr.Dataset({"depth": ("node", np.arange(5.0)), "faces": faces}),
    }


@pytest.mark.parametrize("name", foreign())
def test_data_of_others_are_drawn(name) -> None:
    data = foreign()[name]
    figure = data.pde.plot()
    assert figure._repr_png_()[:4] == b"\x89PNG"
    panels = {axis.get_title() or axis.get_ylabel() for axis in figure.axes}
    drawn = {"dates": "tas at t = 10", "levels": "q", "names": "a", "staggered": "u", "series": "u", "mesh": "depth"}
    assert drawn[name] in panels and not {"time_bnds", "faces", "text"} & panels
    if name == "dates":
        assert figure.axes[0].get_xlabel() == "lon"
        assert data.pde.animate(frames=2)._repr_html_().count("data:image/png") == 2
        assert np.isclose(float(data["tas"].isel(time=0).pde.at(lat=45.0, lon=90.0)), math.cos(math.pi / 4), atol=1e-4)
        with pytest.raises(InputError, match="time is no axis of numbers"):
            data.pde.at(time=1.0)


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        xr.Dataset({"n": ((), 3.0), "text": ("x", ["a", "b"])}).pde.plot()
    with pytest.raises(InputError, match="u holds complex128, expected real numbers"):
        xr.Dataset({"u": ("x", np.ones(9) * 1j)}, {"x": np.arange(9.0)}).pde.at(x=0.5)


FILES = {  # file: engine, what a panel is called
    "cf-python/docs/source/sample_files/air_temperature.nc": ("h5netcdf", "tas at t = 45"),
    "neuralgcm/neuralgcm/data/era5_tl31_19590102T00.nc": ("scipy", "temperature"),
    "gridded/gridded/tests/test_data/WCOFS_subset.nc": ("h5netcdf", "u_sur at t = 0.125"),
    "uxarray/test/meshfiles/ugrid/outCSne30/outCSne30_vortex.nc": ("scipy", "psi"),
}


@pytest.mark.skipif("PDESOLVE_DATA" not in os.environ, reason="PDESOLVE_DATA names no folder of real data files")
@pytest.mark.parametrize("name", FILES)
def test_real_files_of_others_are_drawn(name) -> None:
    engine, panel = FILES[name]
    path = Path(os.environ["PDESOLVE_DATA"]) / name
    # years of 360 days need a package that is no dependency: their days stay numbers
    days = "air_temperature" not in name
    with xr.open_dataset(path, engine=engine, decode_times=days) as data:  # type: ignore[arg-type]
        figure = data.pde.plot()
    assert panel in {axis.get_title() or axis.get_ylabel() for axis in figure.axes}
