"""Each layout on small files that the tests write themselves, and files that are damaged, ambiguous or hostile."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from pdesolve.data.arrays import Array, Memory
from pdesolve.data.dataset import Dataset
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.placement import Ends, coordinate, unit_text
from pdesolve.datasets.stored import Flipped, Mapped, Parts, Whole
from pdesolve.datasets.unpacked import Unpacked
from pdesolve.errors import InputError
from pdesolve.geometry import Mesh, PointCloud

RANDOM = np.random.default_rng(0)
X, T = np.linspace(-1, 1, 20, endpoint=False), np.linspace(0, 1, 7)
WAVE = np.sin(np.pi * (X[None] - T[:, None])) + 0.1 * np.cos(3 * np.pi * X[None])  # (t, x)


def shapes(data: Dataset) -> dict[str, str]:
    return {name: " ".join(f"{d} {n}" for d, n in v.sizes.items()) for name, v in data.variables.items()}


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


def save_mat73(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """As MATLAB does: a header of 512 bytes, axes the other way round, complex numbers as records."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            values = np.ascontiguousarray(values.T)
            if values.dtype.kind == "c":
                values = values.astype(complex).view([("real", "f8"), ("imag", "f8")])
            file.create_dataset(name, data=values).attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


SAVE: dict[str, Callable[[Path, Mapping[str, np.ndarray]], Any]] = {
    "mat 5": lambda path, arrays: scipy.io.savemat(path, dict(arrays)),
    "mat 5 compressed": lambda path, arrays: scipy.io.savemat(path, dict(arrays), do_compression=True),
    "mat 7.3": save_mat73,
    "npz": lambda path, arrays: np.savez(path.open("wb"), **arrays),
    "npz compressed": lambda path, arrays: np.savez_compressed(path.open("wb"), **arrays),
    "pt": lambda path, arrays: torch.save({k: torch.tensor(np.array(a, order="C")) for k, a in arrays.items()}, path),
}  # fmt: skip


@pytest.mark.parametrize("container", SAVE)
def test_every_container_gives_the_same_numbers(container: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    field = RANDOM.standard_normal((7, 20))
    complex_field = field[:, :, None] * np.array([1.0, 1j, 2.0 - 1j])
    small = {"x": X[:, None], "t": T[None], "u": field.T, "z": complex_field, "nu": np.array([[0.25]])}
    SAVE[container](path, small | {"whole": np.arange(6.0).reshape(2, 3)})
    found = bundle(path)
    assert {k: a.shape for k, a in found.arrays.items()} == {k: a.shape for k, a in small.items()} | {"whole": (2, 3)}
    for index in [(slice(0, 20), slice(0, 7)), (slice(3, 17, 4), slice(6, 7))]:
        part = found.arrays["u"].read(index)
        assert part.dtype == np.float64 and np.array_equal(part, field.T[index])
    path = tmp_path / "other"  # HDF5 replaces no file that is open
    SAVE[container](path, small)
    data = open_dataset(path, dims={"z": ("t", "x", "mode")})
    assert data.layout == "space_time" and float(data.read("nu")) == 0.25
    assert shapes(data) == {"u": "t 7 x 20", "z": "t 7 component 2 x 20 mode 3"} and data.paths == (path,)
    assert np.array_equal(data.read("u"), field)
    part = pickle.loads(pickle.dumps(data)).read("z", {"x": slice(4, 9), "t": 5})
    assert np.array_equal(part[0] + 1j * part[1], complex_field[5, 4:9])


def test_arrays_that_are_not_compressed_are_read_in_parts(tmp_path: Path) -> None:
    """A file that grew too large for the memory could still be read: nothing but headers was read so far."""
    values = np.zeros((3, 2**17))
    np.savez(tmp_path / "a.npz", u=values)
    np.save(tmp_path / "b.npy", np.asfortranarray(values))
    scipy.io.savemat(tmp_path / "c.mat", {"u": values})
    kinds = {name: type(next(iter(bundle(tmp_path / name).arrays.values()))) for name in ("a.npz", "b.npy", "c.mat")}
    assert set(kinds.values()) == {Mapped}
    np.savez_compressed(tmp_path / "d.npz", u=values)
    (array,) = bundle(tmp_path / "d.npz").arrays.values()
    assert isinstance(array, Whole) and array.chunks == values.shape
    (tmp_path / "d.npz").unlink()
    assert "is gone" in refusal(array.all)


def test_big_endian_files_of_matlab(tmp_path: Path) -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    numbers = RANDOM.standard_normal((4, 3))
    inner = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 4, 3)) + element(1, b"u")
    inner += element(9, numbers.astype(">f8").tobytes("F"))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + element(14, inner))
    data = open_dataset(tmp_path / "a.mat", dims={"u": ("x", "t")})
    assert np.array_equal(data.read("u"), numbers.T) and np.array_equal(
        scipy.io.loadmat(tmp_path / "a.mat")["u"], numbers
    )


def test_views_of_arrays() -> None:
    numbers = RANDOM.standard_normal((5, 6))
    views: list[tuple[Array, np.ndarray]] = [
        (Flipped(Memory(numbers), 1), numbers[:, ::-1]),
        (Parts(Memory(numbers + 2j * numbers)), np.stack([numbers, 2 * numbers])),
        (Parts(Memory((numbers - 1j).astype("c8"))), np.stack([numbers.astype("f4"), np.full((5, 6), -1, "f4")])),
        (Unpacked(Memory(np.array([[1, -9], [3, 4]], "i2")), 0.5, 10.0, (-9.0,), (0.0, 3.5)),
         np.array([[10.5, np.nan], [11.5, np.nan]], "f4")),
        (Unpacked(Memory(np.array([1e20, 2], "f4")), fills=(1e20,)), np.array([np.nan, 2], "f4")),
    ]  # fmt: skip
    for view, expected in views:
        assert view.shape == expected.shape and view.dtype == expected.dtype
        assert np.array_equal(view.all(), expected, equal_nan=True)
        for _ in range(10):
            index = []
            for n in expected.shape:
                start, stop = sorted(RANDOM.integers(0, n + 1, 2).tolist())
                index.append(slice(start, stop, int(RANDOM.integers(1, 4))))
            assert np.array_equal(view.read(tuple(index)), expected[tuple(index)], equal_nan=True)


def ends(values: np.ndarray) -> list[Ends | None]:
    return [Ends.of(Memory(values), values.ndim - 1)]


n, L = 40, 4.0
AXES: dict[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], tuple[float, float, bool]]] = {
    "closed": (np.linspace(0, L, n), lambda x: x**2, (0, L, False)),
    "closed and periodic": (np.linspace(0, L, n), lambda x: np.sin(np.pi * x / 2 + 1), (0, L, True)),
    "closed, the slope jumps": (np.linspace(0, L, n), lambda x: np.sin(np.pi * x / 4), (0, L, False)),
    "closed, constant at the ends": (np.linspace(0, L, n), lambda x: 0 * x, (0, L, False)),
    "half-open": (L * np.arange(n) / n, lambda x: np.sin(np.pi * x / 2 + 1), (0, L, True)),
    "half-open, but it jumps": (L * np.arange(n) / n, lambda x: x, (0, L * (n - 1) / n, False)),
    "half-open at the left": (L * (np.arange(n) + 1) / n, lambda x: np.cos(np.pi * x), (0, L, True)),
    "half-open in pi": (2 * np.pi * np.arange(n) / n, np.sin, (0, 2 * np.pi, True)),
    "symmetric": (-5 + 10 * np.arange(n) / n, lambda x: np.cos(np.pi * x / 5), (-5, 5, True)),
    "cells": (L * (np.arange(n) + 0.5) / n, lambda x: x, (0, L, False)),
    "single": (np.linspace(-1, 1, n, endpoint=False).astype("f4"), lambda x: np.sin(np.pi * x), (-1, 1, True)),
    "not uniform": (np.linspace(0, 1, n) ** 2, lambda x: x, (0, 1, False)),
    "whole numbers": (np.arange(100.0), lambda x: x**2, (0, 99, False)),
}  # fmt: skip


@pytest.mark.parametrize("name", AXES)
def test_bounds_and_periods_are_read_off_the_numbers(name: str) -> None:
    points, function, (lower, upper, periodic) = AXES[name]
    times = np.array([[0.5], [1.0], [-2.0]])
    made = coordinate("x", points, fields=ends(times * function(points.astype(float))))
    assert (made.axis.lower, made.axis.upper, made.axis.periodic) == (
        pytest.approx(lower),
        pytest.approx(upper),
        periodic,
    )
    assert not coordinate("t", points).axis.periodic


def test_axes_that_cannot_be_told_apart_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    square = RANDOM.standard_normal((7, 7))
    np.savez(path, x=np.linspace(0, 1, 7), t=np.linspace(0, 2, 7), u=square, v=square)
    message = refusal(lambda: open_dataset(path))
    assert message.startswith("the dimensions of u and v (7, 7) are not told")
    assert 'dims={"u": ("x", "t"), "v": ("x", "t")}' in message
    data = open_dataset(path, dims={"u": ("x", "t"), "v": ("t", "x")})
    assert np.array_equal(data.read("u"), square.T) and np.array_equal(data.read("v"), square)
    assert "unknown variable in dims 'w'" in refusal(lambda: open_dataset(path, dims={"w": ("x", "t")}))
    assert "3 dimensions" in refusal(lambda: open_dataset(path, dims={"u": ("x", "t", "y"), "v": ("x", "t")}))
    assert "which has 7" in refusal(lambda: open_dataset(DEEP(tmp_path), dims={"u": ("t", "x", "sample")}))
    renamed = open_dataset(path, dims={"u": ("x", "t"), "v": ("t", "x")}, names={"u": "height"}, parameters={"c": 2.0})
    assert set(renamed.variables) == {"height", "v"} and float(renamed.read("c")) == 2.0
    # descending axes are turned round, with the fields
    np.savez(path, x=X[::-1], t=T, u=WAVE[:, ::-1])
    data = open_dataset(path)
    assert np.array_equal(data.read("u"), WAVE) and np.array_equal(data.coordinates["x"].points, X)
    # no samples in front, but a time too many
    np.savez(path, x=X, t=np.append(T, 2.0), u=WAVE)
    assert "t has 8 entries, one off the 7 in front" in refusal(lambda: open_dataset(path))
    assert shapes(open_dataset(path, dims={"u": ("sample", "x")})) == {"u": "sample 7 x 20"}
    # samples in front: t, x and u (N, nt, nx)
    np.savez(path, x=X, t=T, u=np.stack([WAVE] * 5))
    assert shapes(open_dataset(path)) == {"u": "sample 5 t 7 x 20"}


def DEEP(folder: Path) -> Path:
    path = folder / "deep.npz"
    np.savez(path, x=X, t=T, u=np.stack([WAVE] * 5))
    return path


def test_points_beside_their_fields(tmp_path: Path) -> None:
    """The cylinder wake: U_star (point, 2, t), p_star (point, t), t, X_star (point, 2)."""
    places, times = RANDOM.standard_normal((50, 2)), np.linspace(0, 1, 8)[:, None]
    wake = {"U_star": RANDOM.standard_normal((50, 2, 8)), "p_star": RANDOM.standard_normal((50, 8))}
    scipy.io.savemat(tmp_path / "wake.mat", {**wake, "t": times, "X_star": places})
    data = open_dataset(tmp_path / "wake.mat")
    assert data.layout == "points" and shapes(data) == {"U_star": "t 8 component 2 point 50", "p_star": "t 8 point 50"}
    cloud = data.meshes[0]
    assert isinstance(cloud, PointCloud) and np.array_equal(cloud.x.numpy(), places)
    assert np.array_equal(data.read("U_star", {"t": 3}), wake["U_star"][:, :, 3].T)


FNO: dict[str, tuple[dict[str, np.ndarray], dict[str, str], dict[str, tuple[float, bool]]]] = {
    "burgers": ({"a": RANDOM.random((9, 16)), "u": RANDOM.random((9, 16)), "gamma": np.array([[2.5]])},
                {"a": "sample 9 x 16", "u": "sample 9 x 16"}, {"x": (15 / 16, True)}),
    "darcy": ({name: RANDOM.random((9, 5, 5)) for name in ("coeff", "sol", "Kcoeff")},
              dict.fromkeys(("coeff", "sol", "Kcoeff"), "sample 9 x 5 y 5"), {"y": (1.0, False)}),
    "navier-stokes": ({"a": RANDOM.random((9, 8, 8)), "t": np.arange(1.0, 7)[None], "u": RANDOM.random((9, 8, 8, 6))},
                      {"a": "sample 9 x 8 y 8", "u": "sample 9 t 6 x 8 y 8"}, {"t": (6.0, False), "y": (7 / 8, True)}),
    "pino": ({"input": RANDOM.random((9, 16)), "output": RANDOM.random((9, 11, 16)), "visc": np.array([[0.01]])},
             {"input": "sample 9 x 16", "output": "sample 9 t 11 x 16"}, {"t": (1.0, False), "x": (15 / 16, True)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FNO)
@pytest.mark.parametrize("container", ["mat 5 compressed", "mat 7.3"])
def test_files_of_the_fourier_operator(name: str, container: str, tmp_path: Path) -> None:
    arrays, expected, axes = FNO[name]
    SAVE[container](tmp_path / "a.mat", arrays)
    data = open_dataset(tmp_path / "a.mat")
    assert data.layout == "fno" and shapes(data) == expected
    found = {k: (float(data.coordinates[k].points[-1]), data.coordinates[k].axis.periodic) for k in axes}
    assert found == axes and all("papers" in note for note in data.notes)
    last = next(k for k in ("u", "sol", "output") if k in arrays)
    values = arrays[last][4]
    values = np.moveaxis(values, -1, 0) if name == "navier-stokes" else values
    assert np.array_equal(data.read(last, {"sample": 4}), values)


def test_triples_and_products_of_deeponet(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    sensors, places = RANDOM.random((6, 10)), RANDOM.random((15, 2))
    both = {f"X_{s}0": sensors[: 6 - i] for i, s in enumerate(("train", "test"))}
    aligned = both | {f"X_{s}1": places for s in ("train", "test")}
    np.savez(path, **aligned, y_train=RANDOM.random((6, 15)), y_test=RANDOM.random((5, 15)))
    data = open_dataset(path)
    assert data.layout == "deeponet" and shapes(data) == {
        "sensors": "sample 11 sensor 10",
        "solution": "sample 11 point 15",
    }
    assert data.split("test").samples == 5 and isinstance(data.meshes[0], PointCloud)
    np.savez(path, **(aligned | {"X_test1": places + 1}), y_train=RANDOM.random((6, 15)), y_test=RANDOM.random((5, 15)))
    assert "different places" in refusal(lambda: open_dataset(path))
    triple = both | {
        "X_train1": places[:6],
        "X_test1": places[:5],
        "y_train": sensors[:, :1],
        "y_test": sensors[:5, :1],
    }
    np.savez(path, **triple)
    data = open_dataset(path)
    assert shapes(data) == {"sensors": "sample 11 sensor 10", "place": "sample 11 component 2", "solution": "sample 11"}
    assert np.array_equal(data.split("train").read("solution"), sensors[:, 0])
    objects = np.empty(2, object)
    objects[:] = [sensors, places]
    np.savez(path, X=objects, y=RANDOM.random((6, 15)))
    message = refusal(lambda: open_dataset(path))
    assert "pickled" in message and "numpy.savez(path, X_train0=X[0], X_train1=X[1], y_train=y)" in message


def test_apebench_with_its_settings(tmp_path: Path) -> None:
    values = RANDOM.random((3, 5, 2, 8, 8)).astype("f4")
    np.save(tmp_path / "phy_train.npy", values)
    assert "holds bare arrays" in refusal(lambda: open_dataset(tmp_path / "phy_train.npy"))
    about = {"num_spatial_dims": 2, "num_points": 8, "domain_extent": 3.0, "dt": 0.1, "advection": 0.5, "ic": "fourier"}
    (tmp_path / "phy.json").write_text(json.dumps({"name": "phy", "info": about}))
    data = open_dataset(tmp_path / "phy_train.npy")
    assert data.layout == "apebench" and shapes(data) == {"u": "sample 3 t 5 component 2 x 8 y 8"}
    assert [m.placement for m in data.grid().members] == ["periodic", "periodic"]
    assert data.coordinates["x"].axis.upper == 3.0 and data.coordinates["t"].points[-1] == pytest.approx(0.4)
    assert float(data.read("advection")) == 0.5 and data.attributes["ic"] == "fourier"
    (tmp_path / "phy.json").write_text(json.dumps({"info": about | {"num_points": 9}}))
    assert "num_points 9" in refusal(lambda: open_dataset(tmp_path / "phy_train.npy"))


COMSOL = """\
% Model:  a.mph
% Dimension:  2
% Length unit:  m
% x        y        u (m/s) @ t=0, Re=1   u (m/s) @ t=2, Re=1   u (m/s) @ t=0, Re=5   u (m/s) @ t=2, Re=5
0  0  1  2  3  4
1  0  5  6  7  8
0  2  9  10 11 12
"""


def test_tables_of_comsol_and_others(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(COMSOL, encoding="utf-8")
    data = open_dataset(path)
    assert data.layout == "comsol" and shapes(data) == {"u": "sample 2 t 2 point 3"}
    assert data.variable("u").unit == "m s-1" and list(data.read("Re")) == [1.0, 5.0]
    assert np.array_equal(data.read("u", {"sample": 1, "t": 1}), [4, 8, 12])
    assert list(data.coordinates["t"].points) == [0.0, 2.0]
    path.write_text(COMSOL.replace("% Length", "% Nodes:  4\n% Length"), encoding="utf-8")
    assert "says Nodes: 4 and has 3 rows of numbers: it is truncated" in refusal(lambda: open_dataset(path))
    path.write_text("x, u\n0, 1\n0.5, 2\n1.0, 5\n")
    data = open_dataset(path)
    assert shapes(data) == {"u": "x 3"} and list(data.read("u")) == [1, 2, 5]
    path.write_text("1 2 3\n4 5 6\n")
    assert shapes(open_dataset(path)) == {"c0": "point 2", "c1": "point 2", "c2": "point 2"}
    data = open_dataset(path, names={"c0": "x", "c1": "y", "c2": "p"})
    assert shapes(data) == {"p": "point 2"} and isinstance(data.meshes[0], PointCloud)
    path.write_text("1 2 3\n4 5\n")
    message = refusal(lambda: open_dataset(path))
    assert "no table of numbers" in message and "usecols" not in message
    path.write_text("Dear reader,\n\n1 2 3\n")
    assert "has no layout that is known" in refusal(lambda: open_dataset(path))


def test_units_that_are_only_written_differently() -> None:
    written = {"m/s": "m s-1", "meter second-1": "m s-1", "m/s^2": "m s-2", "kg/m3": "kg m-3"}
    same = ("m s**-1", "degrees_north", "days since 2000-01-01", "", "1")
    assert {text: unit_text(text) for text in (*written, *same)} == written | {text: text for text in same}


def damaged(path: Path, arrays: Mapping[str, np.ndarray], container: str, part: float) -> None:
    SAVE[container](path, arrays)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("container", SAVE)
def test_what_is_cut_off_is_refused(container: str, part: float, tmp_path: Path) -> None:
    damaged(tmp_path / "a", {"x": X, "t": T, "u": RANDOM.random((7, 20))}, container, part)
    try:
        data = open_dataset(tmp_path / "a")
        data.read("u")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        pytest.fail("it was read")


@pytest.mark.parametrize("container", SAVE)
def test_what_is_altered_raises_nothing_but_input_errors(container: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    SAVE[container](path, {"x": X, "t": T, "u": RANDOM.random((7, 20))})
    whole = bytearray(path.read_bytes())
    for _ in range(40):
        made = bytearray(whole)
        for place in RANDOM.integers(0, min(len(made), 3000), 3):
            made[place] = int(RANDOM.integers(0, 256))
        path.write_bytes(made)
        try:
            data = open_dataset(path)
            for name in data.variables:
                data.read(name)
        except InputError as error:
            assert "\n" not in str(error)


def test_files_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }" % 2**50
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("u.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(1000))
    assert "claims 9,007,199,254,740,992 bytes" in refusal(lambda: open_dataset(path))

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    inner = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<ii", 2**30, 2**20)) + element(1, b"u")
    packed = zlib.compress(element(14, inner + element(9, bytes(80))))
    whole = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(whole)
    assert "made to fill the memory" in refusal(lambda: open_dataset(tmp_path / "a.mat"))


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/tmp/pdesolve-was-here", "w"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    objects = np.empty(2, object)
    objects[:] = [Payload(), Payload()]
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "b.npz", u=objects)
    torch.save({"x": Payload(), "y": torch.zeros(3)}, tmp_path / "c.pt")
    torch.save({"x": Payload()}, tmp_path / "d.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(Payload()))
    for name in ("a.npy", "b.npz", "c.pt", "d.pt", "e.pkl"):
        message = refusal(lambda: open_dataset(tmp_path / name))  # noqa: B023
        assert "pickle" in message and ("savez" in message or "torch.save" in message), message
    assert not Path("/tmp/pdesolve-was-here").exists()
    np.savez(tmp_path / "g.npz", x=X, t=T, u=objects)
    assert "u is left out: it holds pickled Python objects" in refusal(lambda: open_dataset(tmp_path / "g.npz"))
    # what can be read beside them is read, with a note
    np.savez(tmp_path / "f.npz", x=X, t=T, u=WAVE, about=objects)
    data = open_dataset(tmp_path / "f.npz")
    assert shapes(data) == {"u": "t 7 x 20"} and any("about is left out" in note for note in data.notes)


def test_a_mesh_for_every_sample(tmp_path: Path) -> None:
    """PINA's snapshots: points move with the samples, triangles stay; a few of them are listed clockwise."""
    x, y = np.meshgrid(np.linspace(0, 1, 3), np.linspace(0, 1, 3), indexing="ij")
    corner = [(i, j) for i in range(2) for j in range(2)]
    cells = [[3 * i + j, 3 * i + j + 3, 3 * i + j + 4] for i, j in corner]
    cells += [[3 * i + j + 1, 3 * i + j + 4, 3 * i + j][::1] for i, j in corner]
    stretch = np.array([1.0, 2.0, 3.0, 4.0])
    arrays = {"x": x.reshape(-1, 1) * stretch, "y": y.reshape(-1, 1) + 0 * stretch, "triang": np.array(cells),
              "u": RANDOM.random((9, 4)), "mu": RANDOM.random((4, 2))}  # fmt: skip
    SAVE["pt"](tmp_path / "a.pt", arrays)
    data = open_dataset(tmp_path / "a.pt")
    assert data.layout == "snapshots" and shapes(data) == {"u": "sample 4 node 9"} and len(data.meshes) == 4
    areas = [mesh.measure for mesh in data.meshes if isinstance(mesh, Mesh)]
    assert np.allclose(areas, stretch) and np.array_equal(data.read("mu_1"), arrays["mu"][:, 1])


def test_geometries_of_different_sizes(tmp_path: Path) -> None:
    rows = [{"vertices": torch.rand(k, 3), "press": torch.rand(1, k), "query": torch.rand(2, 2, 3)} for k in (5, 8, 3)]
    torch.save(rows, tmp_path / "a.pt")
    data = open_dataset(tmp_path / "a.pt")
    assert data.layout == "geometries" and data.samples == 3 and list(data.offsets["point"]) == [0, 5, 13, 16]
    assert np.array_equal(data.read("press", {"sample": 1}), rows[1]["press"][0].numpy())
    assert shapes(data)["query"] == "sample 3 component 3 d2 2 d2a 2"


def _sum(data: Dataset) -> float:
    return float(sum(np.nansum(data.read(name)) for name in data.variables))


class Sums(torch.utils.data.Dataset):
    """Reads in a worker what its parent has read already."""

    def __init__(self, datasets: list[Dataset]) -> None:
        self.datasets = datasets

    def __len__(self) -> int:
        return len(self.datasets)

    def __getitem__(self, i: int) -> float:
        return _sum(self.datasets[i])


def test_workers_read_what_their_parent_has_open(tmp_path: Path) -> None:
    datasets = []
    for i, container in enumerate(SAVE):
        SAVE[container](tmp_path / f"{i}", {"x": X, "t": T, "u": RANDOM.random((7, 20))})
        datasets.append(open_dataset(tmp_path / f"{i}"))
    expected = [_sum(data) for data in datasets]
    loader = torch.utils.data.DataLoader(Sums(datasets), batch_size=1, num_workers=2, multiprocessing_context="fork")
    assert [float(batch) for batch in loader] == pytest.approx(expected)


def test_data_of_others_are_written_as_ours(tmp_path: Path) -> None:
    from pdesolve.datasets.writing import write

    SAVE["mat 5"](tmp_path / "a.mat", {"x": X[:, None], "t": T[None], "u": WAVE.T, "h": WAVE.T * (1 + 1j)})
    data = open_dataset(tmp_path / "a.mat")
    write(data, tmp_path / "a.h5")
    again = open_dataset(tmp_path / "a.h5")
    assert shapes(again) == shapes(data) and again.coordinates["x"].axis == data.coordinates["x"].axis
    assert all(np.array_equal(again.read(name), data.read(name)) for name in data.variables)


def test_dimensions_are_said_only_where_they_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(COMSOL, encoding="utf-8")
    assert "leave out dims" in refusal(lambda: open_dataset(tmp_path / "a.txt", dims={"u": ("x",)}))
    # a pair of the Fourier operator beside its own coordinates: these are taken
    SAVE["mat 5"](tmp_path / "a.mat", {"a": RANDOM.random((9, 20)), "u": RANDOM.random((9, 20)), "x": 3 * X[:, None]})
    data = open_dataset(tmp_path / "a.mat")
    assert data.layout == "space_time" and shapes(data) == {"a": "sample 9 x 20", "u": "sample 9 x 20"}
    assert data.coordinates["x"].points[0] == -3.0


def test_files_of_geo_fno_that_lie_together(tmp_path: Path) -> None:
    places, stress = RANDOM.random((12, 2, 5)), RANDOM.random((12, 5))
    np.save(tmp_path / "Random_UnitCell_XY_10.npy", places)
    assert "holds bare arrays" in refusal(lambda: open_dataset(tmp_path / "Random_UnitCell_XY_10.npy"))
    np.save(tmp_path / "Random_UnitCell_sigma_10.npy", stress)
    np.save(tmp_path / "Random_UnitCell_rr_10.npy", RANDOM.random((42, 5)))
    for word in ("XY", "sigma", "rr"):
        data = pickle.loads(pickle.dumps(open_dataset(tmp_path / f"Random_UnitCell_{word}_10.npy")))
        assert data.layout == "geo_fno" and shapes(data) == {"sigma": "sample 5 point 12", "rr": "sample 5 radius 42"}
    cloud = data.isel({"sample": [3, 1]}).meshes[1]
    assert isinstance(cloud, PointCloud) and np.array_equal(cloud.x.numpy(), places[:, :, 1]) and len(data.meshes) == 5
    assert np.array_equal(data.read("sigma", {"sample": 3}), stress[:, 3])
    for word, shape in (("X", (4, 9, 3)), ("Y", (4, 9, 3)), ("Q", (4, 5, 9, 3))):
        np.save(tmp_path / f"NACA_Cylinder_{word}.npy", RANDOM.random(shape))
    data = open_dataset(tmp_path / "NACA_Cylinder_Q.npy")
    assert shapes(data) == {"X": "sample 4 i 9 j 3", "Y": "sample 4 i 9 j 3", "Q": "sample 4 component 5 i 9 j 3"}
