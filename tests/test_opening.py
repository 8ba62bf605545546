"""Opening data sets: layouts found by content, many files as one, folders, patterns, archives, and what is refused."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import pdesolve as ps
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets import archives, recognition
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.handles import files_opened
from pdesolve.datasets.joining import joined
from pdesolve.errors import InputError
from pdesolve.geometry import Axis

N, T, X = 2, 5, 8


def scalar(path: Path, *, beta: float = 0.1, times: int = T, length: float = 1.0) -> np.ndarray:
    """PDEBench's layout of one unknown on an axis."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(int(1000 * beta)).standard_normal((N, times, X)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["tensor"], file.attrs["beta"] = values, beta
        file["x-coordinate"], file["t-coordinate"] = length * (np.arange(X) + 0.5) / X, np.arange(times + 1.0)
    return values


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(InputError) as found:
        act()
    assert "\n" not in str(found.value)
    return str(found.value)


def test_layouts_are_the_modules_of_their_folder() -> None:
    entries = recognition.layouts()
    assert {"pdebench", "the_well"} <= {entry.name for entry in entries}
    assert len({entry.name for entry in entries}) == len(entries)
    modules = {path.stem for path in Path(recognition.__file__).with_name("layouts").glob("[a-z]*.py")}
    assert {entry.module.rpartition(".")[2] for entry in entries} <= modules
    for entry in entries:
        made = entry.load()
        assert (made.name, made.containers, made.fallback) == (entry.name, entry.containers, entry.fallback)


def test_opening_reads_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = scalar(tmp_path / "a.h5")
    read: list[str] = []
    get = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda node, *a: read.append(str(node.name)) or get(node, *a))
    data = ps.open_dataset(tmp_path / "a.h5")
    assert sorted(read) == ["/t-coordinate", "/x-coordinate"]
    part = data.isel({"sample": [1], "t": slice(0, 4, 2)}).to_xarray()
    assert "/tensor" not in read
    assert np.array_equal(part["u"].isel(x=3).values, values[1:, 0:4:2, 3]) and "/tensor" in read
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(again.read("u"), values)


def test_an_open_data_set_holds_no_file(tmp_path: Path) -> None:
    scalar(tmp_path / "a.h5")
    data = ps.open_dataset(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["tensor"][...] = 1.0
    assert (data.read("u") == 1.0).all()


def test_many_files_are_one(tmp_path: Path) -> None:
    values = [scalar(tmp_path / f"runs/{i}.h5", beta=0.1 * (i + 1)) for i in range(3)]
    (tmp_path / "runs/README.md").write_text("about")
    files = sorted((tmp_path / "runs").glob("*.h5"))
    for path in (tmp_path / "runs", str(tmp_path / "runs/*.h5"), files, [str(file) for file in files]):
        data = ps.open_dataset(path)
        assert data.samples == 3 * N and data.paths == tuple(files)
        assert np.array_equal(data.read("u", {"sample": slice(1, 6, 2)}), np.concatenate(values)[1:6:2])
        assert np.allclose(data.read("beta"), np.repeat([0.1, 0.2, 0.3], N)) and "beta" not in data.attributes
    same = ps.open_dataset([files[0], files[0]])
    assert same.parameters["beta"].dims == ()


def test_a_hundred_files_are_opened_once_each(tmp_path: Path) -> None:
    for i in range(100):
        scalar(tmp_path / f"part_{i}.h5", beta=0.01 * i)
    before = files_opened()
    data = ps.open_dataset(tmp_path)
    assert files_opened() - before == 100 and data.samples == 100 * N
    assert np.allclose(data.read("beta"), 0.01 * np.repeat(np.arange(100), N))  # part_2 before part_10
    before = files_opened()
    data.read("u", {"sample": 7})
    assert files_opened() - before == 1


def test_threads_read_side_by_side(tmp_path: Path) -> None:
    values = np.concatenate([scalar(tmp_path / f"{i}.h5", beta=0.01 * i) for i in range(80)])
    data = ps.open_dataset(tmp_path)

    def right(start: int) -> bool:
        samples = [(7 * start + 3 * i) % len(values) for i in range(40)]
        return all(np.array_equal(data.read("u", {"sample": i}), values[i]) for i in samples)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, range(16)))


def test_folders_of_splits(tmp_path: Path) -> None:
    train = [scalar(tmp_path / f"data/train/{i}.h5", beta=0.1 * i) for i in range(2)]
    test = scalar(tmp_path / "data/test/0.h5", beta=0.7)
    data = ps.open_dataset(tmp_path)
    assert np.array_equal(data.split("train").read("u"), np.concatenate(train))
    assert np.array_equal(data.split("test").read("u"), test)
    assert ps.open_dataset(tmp_path, split="test").paths == (tmp_path / "data/test/0.h5",)
    assert "unknown split 'valid'" in refused(lambda: ps.open_dataset(tmp_path, split="valid"))


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another length of time": (
        lambda p: scalar(p, times=4),
        r"t has 5 entries in .*a\.h5 and 4 in .*b\.h5: open them one by one, cut by isel\({'t': slice\(0, 4\)}\)",
    ),
    "other points": (lambda p: scalar(p, length=2.0), r"x of .*a\.h5 \(0.0625 to 0.9375\) are not those of .*b\.h5"),
    "another layout": (lambda p: other_layout(p), r"b\.h5 has another layout than the files before it \(pdebench\)"),
    "no data": (lambda p: p.write_bytes(bytes(range(256))), r"b\.h5 \(unknown\) has no layout that is known"),
    "an empty file": (lambda p: p.write_bytes(b""), r"b\.h5 is empty"),
}  # fmt: skip


def other_layout(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros(3)


@pytest.mark.parametrize("name", OTHERS)
def test_files_that_do_not_fit_together_are_told(tmp_path: Path, name: str) -> None:
    make, message = OTHERS[name]
    scalar(tmp_path / "a.h5")
    make(tmp_path / "b.h5")
    with pytest.raises(InputError, match=message):
        ps.open_dataset(tmp_path)


def test_files_of_different_lengths_are_cut_and_joined(tmp_path: Path) -> None:
    values = [scalar(tmp_path / "a.h5"), scalar(tmp_path / "b.h5", beta=0.3, times=T - 1)]
    first, second = (ps.open_dataset(tmp_path / name) for name in ("a.h5", "b.h5"))
    both = joined([first.isel({"t": slice(0, T - 1)}), second])
    assert np.array_equal(both.read("u"), np.concatenate([values[0][:, : T - 1], values[1]]))


def made(name: str = "a.h5", **changes: object) -> Dataset:
    u = Variable("u", Memory(np.zeros((2, 3))), ("sample", "x"), "m s-1")
    fixed = Variable("mask", Memory(np.arange(3.0)), ("x",))
    points = Coordinate(Axis("x", 0, 1, "m"), np.array([0.0, 0.5, 1.0]), "m")
    return replace(Dataset({"u": u, "mask": fixed}, {"x": points}, paths=(Path(name),)), **changes)  # type: ignore[arg-type]


def test_what_differs_between_files_gets_samples() -> None:
    first, other = made(), made("b.h5", splits={"test": np.array([1])})
    both = joined([first, other])
    assert both.variables["mask"].dims == ("sample", "x") and both.read("mask").shape == (4, 3)
    assert both.splits["test"].tolist() == [3] and both.paths == (Path("a.h5"), Path("b.h5"))
    single = [replace(data, variables={"mask": data.variables["mask"]}) for data in (first, other)]
    assert joined(single).samples == 2
    ragged = Dataset({"u": Variable("u", Memory(np.arange(5.0)), ("node",))}, offsets={"node": np.array([0, 2, 5])})
    packed = joined([ragged, ragged])
    assert packed.samples == 4 and packed.read("u", {"sample": 3}).tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": replace(made().variables["u"], unit="cm s-1")}, r"u is in m s-1 in a\.h5 and in cm s-1 in b\.h5"),
        ({"u": replace(made().variables["u"], unit=None)}, r"u is in m s-1 in a\.h5 and in no unit in b\.h5"),
        ({}, r"the same variables: b\.h5 lacks mask, u, against a\.h5"),
        ({**made().variables, "p": made().variables["mask"]}, r"b\.h5 has p besides"),
    ],
)  # fmt: skip
def test_units_and_names_that_differ_are_refused(change: dict[str, Variable], message: str) -> None:
    variables = change if len(change) != 1 else {**made().variables, **change}
    with pytest.raises(InputError, match=message):
        joined([made(), made("b.h5", variables=variables)])


def test_what_the_file_does_not_say(tmp_path: Path) -> None:
    values = scalar(tmp_path / "a.h5")
    data = ps.open_dataset(tmp_path / "a.h5", names={"u": "height", "x": "y", "beta": "speed"}, parameters={"g": 9.81})
    assert data.variables["height"].dims == ("sample", "t", "y") and data.coordinates["y"].axis.name == "y"
    assert data.read("g") == 9.81 and data.read("speed") == 0.1 and np.array_equal(data.read("height"), values)
    message = refused(lambda: ps.open_dataset(tmp_path / "a.h5", names={"w": "v"}))
    assert "unknown variable, parameter or axis 'w'" in message


def test_arrays_that_the_user_describes(tmp_path: Path) -> None:
    values = np.arange(N * T * X, dtype=np.float32).reshape(X, T, N)
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["run/u"], file["run/x"], file["t-coordinate"] = values, np.arange(X) / X, np.arange(T) * 0.5
            file["speed"], file.attrs["viscosity"], file.attrs["author"] = np.arange(N), 0.5, "me"
    assert "dims={'NAME': ('sample', 't', 'x')}" in refused(lambda: ps.open_dataset(tmp_path / "a.h5"))
    dims = {"run/u": ("x", "t", "sample"), "speed": ("sample",)}
    data = ps.open_dataset(tmp_path / "a.h5", dims=dims, names={"run_u": "u"})
    assert data.variables["u"].dims == ("sample", "t", "x") and np.array_equal(
        data.read("u"), values.transpose(2, 1, 0)
    )
    assert (
        data.read("speed").tolist() == [0, 1] and data.read("viscosity") == 0.5 and data.attributes == {"author": "me"}
    )
    assert data.coordinates["t"].points[-1] == 2.0 and data.coordinates["x"].points[1] == 1 / X
    assert ps.open_dataset(tmp_path, dims=dims).samples == 2 * N
    assert "has no array 'v', which dims names" in refused(lambda: ps.open_dataset(tmp_path, dims={"v": ("x",)}))
    assert "2 dimensions" in refused(lambda: ps.open_dataset(tmp_path, dims={"run/u": ("x", "t")}))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))
    values, path = scalar(tmp_path / "runs/a.h5"), tmp_path / f"runs.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "runs/a.h5", "runs/a.h5")
            archive.writestr("runs/README.md", "about")
    else:
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as archive:
            archive.add(tmp_path / "runs", "runs")
    for place in (path, f"{path}!runs/a.h5", path):
        assert np.array_equal(ps.open_dataset(place).read("u"), values)
    assert len(list((tmp_path / "cache/unpacked").iterdir())) == 2
    assert "unknown member" in refused(lambda: ps.open_dataset(f"{path}!a.h5"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "truncated" in refused(lambda: ps.open_dataset(path))


def linked(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, to
    return found


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_that_climb_out_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("good", "x")
            archive.writestr(name, "x")
    else:
        with tarfile.open(path, "w") as archive:
            archive.addfile(tarfile.TarInfo("good"), io.BytesIO())
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    for place in (str(path), f"{path}!{name}", f"{path}!good"):
        message = refused(lambda place=place: ps.open_dataset(place))
        assert "would lie outside of its folder: refused" in message and "evil" in message
    assert not list((tmp_path / "cache/unpacked").iterdir()) and not list(tmp_path.rglob("evil"))


def test_links_and_bombs_in_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            archive.addfile(linked("data.h5", "/etc/passwd", kind))
        assert "'data.h5', which is a link or a device: refused" in refused(lambda: ps.open_dataset(tmp_path / "a.tar"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        about = zipfile.ZipInfo("data.h5")
        about.external_attr = 0o120777 << 16
        archive.writestr(about, "/etc/passwd")
    assert "which is a link" in refused(lambda: ps.open_dataset(tmp_path / "a.zip"))
    monkeypatch.setattr(archives, "LARGEST", 2**20)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.h5", bytes(2**20 + 1))
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        about = tarfile.TarInfo("data.h5")
        about.size = 2**20 + 1
        archive.addfile(about, io.BytesIO(bytes(about.size)))
    for name in ("b.zip", "b.tar.gz"):
        assert "would unpack to more than" in refused(lambda name=name: ps.open_dataset(tmp_path / name))
    assert not list((tmp_path / "cache/unpacked").iterdir())


def test_paths_of_other_kinds(tmp_path: Path) -> None:
    values = scalar(tmp_path / "a b.h5")
    assert np.array_equal(ps.open_dataset((tmp_path / "a b.h5").as_uri()).read("u"), values)
    for url in ("https://somewhere.org/a.h5", "s3://bucket/a.h5"):
        assert "download it first" in refused(lambda url=url: ps.open_dataset(url))
    (tmp_path / "empty").mkdir()
    bad: dict[object, str] = {
        tmp_path / "gone.h5": "there is no file",
        str(tmp_path / "*.gone"): "no file is called like",
        "micro:gone": "unknown small data set micro: 'gone'",
        tmp_path / "empty": "should hold files of data, found none",
        (): "empty list",
        "a\0b": "cannot be read",
        f"{tmp_path / 'a b.h5'}!x": "is no zip or tar archive",
    }
    for path, message in bad.items():
        assert message in refused(lambda path=path: ps.open_dataset(path))  # type: ignore[arg-type]


def test_unknown_layouts_say_what_was_looked_for_and_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stuff"], file["group/x"] = np.zeros((3, 4), np.float32), np.zeros(2)
    message = refused(lambda: ps.open_dataset(tmp_path / "a.h5"))
    assert "Found: group (a group of 1), stuff ((3, 4) float32)" in message
    assert "pdebench: no data sets tensor" in message and "the_well: no group dimensions" in message
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["link"] = h5py.SoftLink("/gone")
    assert "link (a link that leads nowhere)" in refused(lambda: ps.open_dataset(tmp_path / "a.h5"))
    message = refused(lambda: ps.open_dataset(tmp_path / "a.h5", layout="the_well"))
    assert "is not laid out as the_well: no group dimensions" in message
    assert "did you mean 'pdebench'" in refused(lambda: ps.open_dataset(tmp_path / "a.h5", layout="pdebnch"))
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    message = refused(lambda: ps.open_dataset(tmp_path / "a.bin", layout="pdebench"))
    assert "it is unknown" in message


AXES: dict[str, tuple[np.ndarray, bool, tuple[float, float]]] = {
    "centres": ((np.arange(8) + 0.5) / 8, False, (0.0, 1.0)),
    "centres around zero": (np.linspace(-2.5, 2.5, 49)[:-1] + 2.5 / 48, False, (-2.5, 2.5)),
    "centres in single precision": (((np.arange(100) + 0.5) / 100).astype(np.float32), True, (0.0, 1.0)),
    "half-open": (np.arange(10) / 10, True, (0.0, 1.0)),
    "half-open in single precision": ((2 * np.pi * np.arange(7) / 7).astype(np.float32), True, (0.0, 2 * np.pi)),
    "closed": (np.linspace(-1, 1, 11), False, (-1.0, 1.0)),
    "stretched": (np.linspace(0, 1, 9) ** 2, False, (0.0, 1.0)),
    "one": (np.array([3.0]), False, (3.0, 4.0)),
}


@pytest.mark.parametrize("name", AXES)
def test_bounds_come_from_points(name: str) -> None:
    points, periodic, bounds = AXES[name]
    found = coordinate("x", points, periodic=periodic, label="degrees_north")
    assert (found.axis.lower, found.axis.upper) == pytest.approx(bounds, abs=1e-6)
    assert found.axis.periodic == periodic and found.label == "degrees_north" and found.axis.unit is None


def test_points_must_ascend() -> None:
    assert "coordinates x must be finite and ascend, got 0, 2, 1" in refused(
        lambda: coordinate("x", np.array([0, 2, 1]))
    )
    rows = coordinate("t", np.array([[0.0, 1, 2], [0, 1, 2]]))
    assert rows.points.tolist() == [0, 1, 2]
    assert coordinate("t", np.array([[0.0, 1], [1, 3]])).axis.upper == 3


def test_what_confuses_a_layout_ends_in_one_line(tmp_path: Path) -> None:
    """The group that a layout goes by is there, and nothing in it is what it should be."""
    kinds: dict[str, Callable[[h5py.File], object]] = {
        "tensor": lambda f: f.create_group("x-coordinate"),
        "dimensions": lambda f: f.__setitem__("t0_fields", np.zeros(3)),
        "grid": lambda f: f.__setitem__("state/u", np.zeros(3)),
        "train": lambda f: f.create_group("train/pde_3-4"),
        "0000": lambda f: f.__setitem__("0000/data", np.zeros(3)),
        "Sample_0": lambda f: f.__setitem__("Sample_0", np.zeros(3)),
        "data": lambda f: (f.__setitem__("times", "x"), f.attrs.__setitem__("field_attributes", "{")),
    }
    for name, make in kinds.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            make(file)
            if name not in file:
                file.create_dataset(name, data=np.zeros(2)) if name == "data" else file.create_group(name)
            for bound in ("nx", "ny", "xmin", "xmax", "ymin", "ymax"):
                file[name].attrs[bound] = "many"
            file[name].attrs["spatial_dims"] = 3.5
        refused(lambda name=name: ps.open_dataset(tmp_path / f"{name}.h5"))
