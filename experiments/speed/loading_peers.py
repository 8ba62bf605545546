"""How others load windows of trajectories: run by `loading.py` with a Python that has their packages, never with ours.

python experiments/speed/loading_peers.py NAME FOLDER PAST AHEAD BATCH WORKERS WINDOWS

prints wall seconds, CPU seconds with those of workers, and windows as JSON. NAME is `well` (the-well's own dataset on
FOLDER/native, windows at random), `read_all` (a file read at once and brought into the order of PDEBench's loaders:
sample, x, t, channel) or `read_all_as_stored` (the same without that).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Slices(Dataset):
    """Windows of an array that is in memory, which do not overlap."""

    def __init__(self, path: Path, past: int, ahead: int, axis: int) -> None:
        with h5py.File(path, "r") as file:
            tensor = file["tensor"]
            assert isinstance(tensor, h5py.Dataset)
            values = np.asarray(tensor[:], dtype=np.float32)
            grid = np.asarray(file["x-coordinate"], dtype=np.float32)
        if axis == 2:  # (sample, x, t)
            values = np.ascontiguousarray(values.transpose(0, 2, 1))
        self.values, self.grid = torch.from_numpy(values).unsqueeze(-1), torch.from_numpy(grid)
        self.past, self.length, self.axis = past, past + ahead, axis
        self.each = self.values.shape[axis] // self.length

    def __len__(self) -> int:
        return len(self.values) * self.each

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        sample, window = divmod(number, self.each)
        part = self.values[sample].narrow(self.axis - 1, window * self.length, self.length)
        given = part.narrow(self.axis - 1, 0, self.past)
        wanted = part.narrow(self.axis - 1, self.past, self.length - self.past)
        return given, wanted, self.grid


def batches(name: str, folder: Path, past: int, ahead: int, windows: int, options: dict[str, Any]) -> Iterator[Any]:
    if name == "well":
        from the_well.data import WellDataset  # pyright: ignore[reportMissingImports]

        data = WellDataset(
            path=str(folder / "native"), well_split_name="train", n_steps_input=past, n_steps_output=ahead,
            return_grid=False, boundary_return_type=None,
        )  # fmt: skip
        return iter(DataLoader(data, sampler=RandomSampler(data, num_samples=windows), **options))
    axis = {"read_all": 2, "read_all_as_stored": 1}[name]
    return iter(DataLoader(Slices(folder / "pdebench.hdf5", past, ahead, axis), shuffle=True, **options))


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def main(name: str, folder: Path, past: int, ahead: int, batch: int, workers: int, windows: int) -> None:
    torch.set_num_threads(1)
    if name == "well":
        import the_well.data  # noqa: F401  # pyright: ignore[reportMissingImports]
    start, before, count = time.perf_counter(), cpu_seconds(), 0
    for found in batches(name, folder, past, ahead, windows, {"batch_size": batch, "num_workers": workers}):
        first = found["input_fields"] if isinstance(found, dict) else found[0]
        count += len(first)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds() - before, "windows": count}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
