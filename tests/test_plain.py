"""Numbers that are read past the HDF5 library: the same as through it, whatever the chunks."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from pdesolve.data.arrays import Joined, Transposed
from pdesolve.datasets.hdf5 import H5Array, look
from pdesolve.datasets.plain import plain
from pdesolve.errors import InputError

NUMBERS = np.random.default_rng(0).standard_normal((7, 33, 20)).astype("f4")


def arrays(path: Path) -> dict[str, H5Array]:
    with h5py.File(path, "w") as file:
        file["contiguous"] = NUMBERS
        for name, chunks in {"odd": (2, 8, 7), "frames": (1, 16, 20), "whole": (7, 33, 20)}.items():
            file.create_dataset(name, data=NUMBERS, chunks=chunks)
        file.create_dataset("compressed", data=NUMBERS, compression="gzip")
        file.create_dataset("swapped", data=NUMBERS.astype(">f4"))
        file.create_dataset("unwritten", (7, 33, 20), "f4", chunks=(1, 33, 20))[0] = 1.0
        file.create_dataset("never", (7, 33, 20), "f4")
    with look(path) as root:
        return {name: H5Array.of(root[name]) for name in root}


@pytest.mark.parametrize("name", ["contiguous", "odd", "frames", "whole"])
def test_parts_are_those_of_the_file(name: str, tmp_path: Path) -> None:
    array = plain(arrays(tmp_path / "a.h5")[name])
    assert array is not None
    array = pickle.loads(pickle.dumps(array))
    generator = np.random.default_rng(1)
    for _ in range(100):
        index = []
        for n in NUMBERS.shape:
            start, stop = sorted(generator.integers(0, n + 1, 2).tolist())
            index.append(slice(start, stop, int(generator.integers(1, 3))))
        assert np.array_equal(array.read(tuple(index)), NUMBERS[tuple(index)]), index


def test_views_of_several_files_are_read_directly(tmp_path: Path) -> None:
    several = tuple(arrays(tmp_path / f"{i}.h5")["frames"] for i in range(2))
    found = plain(Transposed(Joined(several), (1, 0, 2)))
    assert found is not None
    assert np.array_equal(found.all(), np.concatenate([NUMBERS] * 2).transpose(1, 0, 2))


@pytest.mark.parametrize("name", ["compressed", "swapped", "unwritten", "never"])
def test_what_is_stored_otherwise_is_left_to_the_library(name: str, tmp_path: Path) -> None:
    assert plain(arrays(tmp_path / "a.h5")[name]) is None


def test_a_user_block_is_left_to_the_library(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file["u"] = NUMBERS
    with look(tmp_path / "a.h5") as root:
        assert plain(H5Array.of(root["u"])) is None


def test_a_file_that_changes_is_told(tmp_path: Path) -> None:
    array = plain(arrays(tmp_path / "a.h5")["frames"])
    assert array is not None
    arrays(tmp_path / "b.h5")
    (tmp_path / "b.h5").replace(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"a\.h5 has changed since it was opened"):
        array.all()
