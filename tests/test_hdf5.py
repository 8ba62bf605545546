"""HDF5 files of others: read in parts, never led out of their folder, and refused in one line where they are broken."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pdesolve.datasets.containers import container_of
from pdesolve.datasets.handles import close_files, files_opened
from pdesolve.datasets.hdf5 import H5Array, attributes_of, contents, look, numbers, texts
from pdesolve.errors import InputError

NUMBERS = np.arange(24.0).reshape(4, 6)


def refused(act: Callable[[], object]) -> str:
    """The one line that a user reads."""
    with pytest.raises(InputError) as found:
        act()
    assert "\n" not in str(found.value) and len(str(found.value)) < 600
    return str(found.value)


def array_in(path: Path, name: str) -> H5Array:
    with look(path) as root:
        return H5Array.of(root[name])


def virtual(path: Path, name: str, source: str, dataset: str) -> None:
    layout = h5py.VirtualLayout((4, 6), dtype=float)
    layout[:] = h5py.VirtualSource(source, dataset, (4, 6))
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset(name, layout)


def pattern(path: Path, sources: str) -> None:
    """A virtual data set of as many files as there are, each with 4 rows."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    whole = h5py.h5s.create_simple((4, 6), (h5py.h5s.UNLIMITED, 6))
    whole.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (4, 6), (4, 6))
    properties.set_virtual(whole, sources.encode(), b"a", h5py.h5s.create_simple((4, 6)))
    with h5py.File(path, "a") as file:
        h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_DOUBLE, whole, properties)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "inside").mkdir()
    for folder in (tmp_path, tmp_path / "inside"):
        with h5py.File(folder / "other.h5", "w") as file:
            file["a"] = NUMBERS
    return tmp_path / "inside" / "data.h5"


def test_numbers_are_read_in_parts(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("big", data=NUMBERS.astype(">f4"), chunks=(2, 3), compression="gzip")
        file["count"] = np.arange(3, dtype=np.int16)
        file["one"] = 2.5
    big = pickle.loads(pickle.dumps(array_in(path, "big")))
    assert (big.shape, big.dtype, big.chunks, big.nbytes) == ((4, 6), np.dtype("=f4"), (2, 3), 96)
    part = big.read((slice(1, 4, 2), slice(0, 5)))
    assert part.dtype.isnative and np.array_equal(part, NUMBERS[1:4:2, :5])
    assert array_in(path, "count").all().tolist() == [0, 1, 2]
    assert array_in(path, "one").all() == 2.5 and array_in(path, "one").shape == ()


@pytest.mark.parametrize("chunks", [None, (1, 5, 7), (2, 4, 30)])
def test_steps_pick_what_numpy_would(path: Path, chunks: tuple[int, ...] | None) -> None:
    values = np.random.default_rng(0).standard_normal((4, 9, 3000)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, chunks=chunks)
    array, generator = array_in(path, "a"), np.random.default_rng(1)
    for _ in range(25):
        ends = [sorted(generator.integers(0, n + 1, 2).tolist()) for n in values.shape]
        index = tuple(slice(*pair, int(generator.integers(1, 12))) for pair in ends)
        found, out = array.read(index), np.empty_like(values[index])
        array.read_into(index, out)
        assert np.array_equal(found, values[index]) and np.array_equal(out, values[index]), index


def test_a_file_is_opened_once_and_again_when_it_has_changed(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = NUMBERS, NUMBERS + 1
    before = files_opened()
    a, b = array_in(path, "a"), array_in(path, "b")
    for i in range(4):
        assert a.read((slice(i, i + 1), slice(0, 6))).sum() < b.read((slice(i, i + 1), slice(0, 6))).sum()
    assert files_opened() - before == 1
    aside = path.with_suffix(".new")
    with h5py.File(aside, "w") as file:
        file["a"] = -NUMBERS
    aside.rename(path)
    assert np.array_equal(a.all(), -NUMBERS)
    assert "no '/b'" in refused(b.all)
    with h5py.File(aside, "w") as file:
        file["a"] = NUMBERS[:2]
    aside.rename(path)
    assert "expected /a of the shape (4, 6), found (2, 6)" in refused(a.all)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")
def test_few_files_stay_open_and_none_across_a_fork(tmp_path: Path) -> None:
    def held() -> list[str]:
        links = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
        return [os.readlink(link) for link in links if os.path.islink(link) and str(tmp_path) in os.readlink(link)]

    arrays = []
    for i in range(150):
        with h5py.File(tmp_path / f"{i}.h5", "w") as file:
            file["a"] = NUMBERS + i
        arrays.append(array_in(tmp_path / f"{i}.h5", "a"))
    for i, array in enumerate(arrays):
        assert array.read((slice(0, 1), slice(0, 1))) == i
    assert 0 < len(held()) <= 128
    close_files()
    assert held() == []
    assert arrays[3].all()[0, 0] == 3
    child = multiprocessing.get_context("fork").Process(target=_in_a_child, args=(arrays[3], held))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert arrays[3].all()[0, 0] == 3


def _in_a_child(array: H5Array, held: Callable[[], list[str]]) -> None:
    assert held() == []
    assert np.array_equal(array.all(), NUMBERS + 3)


def test_links_inside_of_the_folder_are_followed(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/a"] = NUMBERS
        file["soft"], file["group/up"] = h5py.SoftLink("/group"), file["/"]
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/a")
    virtual(path, "virtual", "other.h5", "a")
    virtual(path, "own", ".", "group/a")
    for i in range(2):
        with h5py.File(path.parent / f"part-{i}.h5", "w") as file:
            file["a"] = NUMBERS + 24 * i
    pattern(path.with_name("many.h5"), "part-%b.h5")
    many = array_in(path.with_name("many.h5"), "a")
    assert np.array_equal(many.all(), np.arange(48.0).reshape(8, 6))
    for name in ("soft/a", "group/up/group/up/soft/a", "elsewhere", "virtual", "own"):
        assert np.array_equal(array_in(path, name).all(), NUMBERS), name


HOSTILE: dict[str, tuple[Callable[[Path, h5py.File], None], str]] = {
    "an external link": (
        lambda p, f: f.__setitem__("a", h5py.ExternalLink("../other.h5", "/a")),
        r"the link 'a' leads to '../other.h5' outside of the folder",
    ),
    "an absolute one": (
        lambda p, f: f.__setitem__("a", h5py.ExternalLink(str(p.parent.parent / "other.h5"), "/a")),
        "outside of the folder",
    ),
    "one behind a soft link": (
        lambda p, f: (
            f.__setitem__("b", h5py.ExternalLink("../other.h5", "/")),
            f.__setitem__("a", h5py.SoftLink("/b/a")),
        ),
        "the link 'b' leads to",
    ),
    "one to nothing": (
        lambda p, f: f.__setitem__("a", h5py.ExternalLink("gone.h5", "/a")),
        "names 'gone.h5', which is",
    ),
    "a circle of links": (
        lambda p, f: (f.__setitem__("a", h5py.SoftLink("/b")), f.__setitem__("b", h5py.SoftLink("/a"))),
        "lacks something that its layout needs: there is no",
    ),
    "raw storage": (
        lambda p, f: f.create_dataset("a", (3,), dtype=float, external=[("/etc/passwd", 0, 24)]),
        "the numbers of /a lie in the raw file '/etc/passwd', refused",
    ),
    "a virtual source outside": (
        lambda p, f: (f.close(), virtual(p, "a", "../other.h5", "a")),
        "the virtual data set /a leads to '../other.h5' outside of the folder",
    ),
    "a virtual source that is gone": (
        lambda p, f: (f.close(), virtual(p, "a", "gone.h5", "a")),
        "the virtual data set /a names 'gone.h5', which is not there",
    ),
    "a virtual data set of itself": (lambda p, f: (f.close(), virtual(p, "a", "data.h5", "a")), "/a is made of itself"),
    "a virtual data set of raw storage": (
        lambda p, f: (
            f.create_dataset("raw", (4, 6), dtype=float, external=[("/etc/passwd", 0, 192)]),
            f.close(),
            virtual(p, "a", "data.h5", "raw"),
        ),
        "raw file '/etc/passwd', refused",
    ),
    "a pattern of sources outside": (lambda p, f: (f.close(), pattern(p, "../other-%b.h5")), "'../other-0.h5' outside"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_leads_out_of_the_folder(path: Path, name: str) -> None:
    make, message = HOSTILE[name]
    with h5py.File(path, "w") as file:
        make(path, file)
    before = files_opened()
    assert re.search(message, refused(lambda: array_in(path, "a")))
    assert files_opened() - before == 1
    assert "a" in contents(path)


def test_a_link_that_a_shortcut_of_the_folder_leads_out_is_refused(path: Path) -> None:
    (path.parent / "way").symlink_to(path.parent.parent)
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("way/other.h5", "/a")
    assert "outside of the folder" in refused(lambda: array_in(path, "a"))


def test_broken_files_are_told(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"], file["text"], file["none"] = NUMBERS, ["x", "y"], h5py.Empty("f4")
        file.create_dataset("huge", (10**9, 10**4), dtype=float, chunks=(1, 10**4))
    assert "expected numbers in /text, found (2,) object" in refused(lambda: array_in(path, "text"))
    assert "found an empty data set" in refused(lambda: array_in(path, "none"))
    assert array_in(path, "huge").read((slice(5, 6), slice(0, 3))).tolist() == [[0, 0, 0]]
    with look(path) as root:
        assert "too many to be coordinates" in refused(lambda: numbers(root["huge"]))


def test_truncated_files_are_told(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = NUMBERS
    whole, array = path.read_bytes(), array_in(path, "a")
    path.write_bytes(whole[:-100])
    assert "is truncated" in refused(lambda: array_in(path, "a"))
    assert "is truncated" in refused(array.all)
    path.write_bytes(b"\x00" * 1000 + whole)
    assert container_of(path) == "unknown"
    assert "no HDF5 file" in refused(lambda: array_in(path, "a"))


def test_damage_anywhere_is_told_in_one_line(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/a", data=NUMBERS, chunks=(2, 3), compression="gzip")
        file["group"].attrs["names"] = ["x", "y"]
    whole, generator = bytearray(path.read_bytes()), np.random.default_rng(0)
    seen = set()
    for _ in range(120):
        broken = bytearray(whole)
        for place in generator.integers(0, len(whole), 30):
            broken[place] = int(generator.integers(256))
        path.write_bytes(broken)
        close_files()  # written faster than clocks tell times
        try:
            with look(path) as root:
                attributes_of(root["group"])
            array_in(path, "group/a").all()
            seen.add("read")
        except InputError as error:
            assert "\n" not in str(error)
            seen.add("refused")
    assert seen == {"read", "refused"}


def test_a_file_that_is_being_written_is_locked(path: Path) -> None:
    writer = (
        f"import h5py, sys; f = h5py.File({str(path)!r}, 'w', locking=True); f['a'] = [1.0]; f.flush(); "
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", writer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        assert "is locked, another process writes to it" in refused(lambda: array_in(path, "a"))
        process.stdin.close()
        process.wait(60)
    assert array_in(path, "a").all().tolist() == [1.0]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions are those of POSIX")
def test_no_permission(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        assert "chmod u+r" in refused(lambda: container_of(path))
        assert "chmod u+r" in refused(lambda: array_in(path, "a"))
    finally:
        os.seteuid(user)


def test_attributes_become_text_and_numbers(path: Path) -> None:
    with h5py.File(path, "w") as file:
        about = file.attrs
        about["n"], about["list"], about["names"], about["flag"] = np.int64(3), [1.5, 2], ["a", "b"], np.bool_(True)
        about["bytes"], about["empty"], about["one"] = np.bytes_(b"grid"), np.zeros(0), np.array(["x"], object)
        about["nothing"] = h5py.Empty("f4")
    with look(path) as root:
        found = attributes_of(root)
        assert [texts(root, name) for name in ("names", "one", "bytes", "empty", "gone")] == [
            ["a", "b"], ["x"], ["grid"], [], [],
        ]  # fmt: skip
    assert found == {"n": 3, "list": [1.5, 2.0], "names": ["a", "b"], "flag": True, "bytes": "grid", "one": "x"}


def test_a_filter_that_is_missing_is_named(path: Path) -> None:
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4, 6))
        # optional, so that h5py writes without it; of a number that no library registers, as netCDF4 does some
        properties.set_filter(32767, h5py.h5z.FLAG_OPTIONAL, (2, 2, 8, 192, 5, 1, 1))
        space = h5py.h5s.create_simple((4, 6))
        h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, space, properties)
    assert "compressed by filter 32767" in refused(lambda: array_in(path, "a"))


KINDS: dict[str, tuple[bytes, str]] = {
    "netCDF": (b"CDF\x02" + bytes(20), "netcdf3"),
    "MATLAB 5": (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM", "mat5"),
    "MATLAB 7.3": (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384), "mat73"),
    "behind a block": (bytes(512) + b"\x89HDF\r\n\x1a\n", "hdf5"),
    "numpy": (b"\x93NUMPY\x01", "npy"),
    "XML with raw bytes": (b'<?xml version="1.0"?><VTKFile>\x00\xff\xfe', "xml"),
    "XML with a mark": (b"\xef\xbb\xbf<Xdmf>", "xml"),
    "text cut in a character": (b"a" * 8191 + "\u00e9".encode(), "text"),
    "Gmsh": (b"$MeshFormat\n4.1", "gmsh"),
    "bytes": (bytes(range(256)), "unknown"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_told_by_content(tmp_path: Path, name: str) -> None:
    content, kind = KINDS[name]
    file = tmp_path / "data.h5"
    file.write_bytes(content)
    assert container_of(file) == kind


def test_what_is_no_data_is_told(tmp_path: Path) -> None:
    file = tmp_path / "data.h5"
    assert "there is no file" in refused(lambda: container_of(file))
    file.write_bytes(b"")
    assert "is empty" in refused(lambda: container_of(file))
    file.write_bytes(pickle.dumps({"a": 1}))
    assert "is a pickle" in refused(lambda: container_of(file))
    file.write_bytes(b"PK\x03\x04" + bytes(40))
    assert "truncated zip" in refused(lambda: container_of(file))
    np.savez(tmp_path / "a.npz", a=NUMBERS)
    assert container_of(tmp_path / "a.npz") == "npz" and container_of(tmp_path) == "folder"
    (tmp_path / ".zgroup").write_text("{}")
    assert container_of(tmp_path) == "zarr"
