"""What is wrong with a data set: `pdesolve data check`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pdesolve.data.blocks import BLOCK_BYTES, blocks
from pdesolve.data.dataset import SAMPLE, Dataset, Variable

_UNIFORM = 1e-4  # of a step: how far coordinates in single precision may be off
_SHOWN = 5
_LONG = 2**28  # bytes of a variable from which on reading takes a while


@dataclass(frozen=True)
class Finding:
    """Something odd. An error makes the data wrong, a warning may be meant."""

    kind: Literal["error", "warning"]
    message: str

    def json(self) -> dict[str, str]:
        return asdict(self)


def check(dataset: Dataset, tell: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """Look through all of a data set, in one pass and bounded memory. `tell` hears of the progress.

    Errors: numbers that are not finite, frames of zeros at the end, attributes that contradict the data, splits that
    overlap, are empty or name samples that are not there. Warnings: what the layout's reader noted, samples that are
    there twice, fields that are constant, coordinates that are not uniform.
    """
    found = [Finding("warning", note) for note in dataset.notes]
    found += _attributes(dataset)
    found += _axes(dataset)
    found += _splits(dataset)
    digests = [hashlib.blake2b(digest_size=16) for _ in range(dataset.samples)]
    for name, variable in (*dataset.variables.items(), *dataset.parameters.items()):
        if variable.array.dtype.kind in "fiubc":
            if variable.array.nbytes > _LONG:
                tell(f"{name}: {variable.array.nbytes / 1e9:.1f} GB")
            found += _values(dataset, name, variable, digests)
    if any(_sampled(dataset, v) for v in dataset.variables.values()):
        found += _duplicates(digests)
    return found


def _attributes(dataset: Dataset) -> Iterator[Finding]:
    about = dataset.attributes
    counted: Mapping[str, int] = {"n_trajectories": dataset.samples, "n_spatial_dims": len(dataset.space)}
    for name, count in counted.items():
        stated = about.get(name)
        if stated is not None and int(stated) != count and not dataset.offsets and len(dataset.paths) <= 1:
            yield Finding("error", f"attribute {name} says {int(stated)}, the data have {count}")
    listed = about.get("simulation_parameters")
    for name in map(str, listed) if isinstance(listed, (list, tuple, np.ndarray)) else ():
        if name not in dataset.parameters and name not in about:
            yield Finding("error", f"attribute simulation_parameters names {name!r}, which stands nowhere")


def _axes(dataset: Dataset) -> Iterator[Finding]:
    for name, coordinate in dataset.coordinates.items():
        points = np.asarray(coordinate.points, dtype=float)
        if not np.isfinite(points).all():
            yield Finding("error", f"coordinate {name} holds numbers that are not finite")
            continue
        gaps = np.diff(points, axis=-1)
        if gaps.size and not (gaps > 0).all():
            yield Finding("error", f"coordinate {name} does not ascend")
        elif gaps.size and np.ptp(gaps, axis=-1).max() > _UNIFORM * np.abs(gaps).max():
            where = f"steps from {gaps.min():.4g} to {gaps.max():.4g}"
            yield Finding(
                "warning", f"coordinate {name} is not uniform, {where}: spectral layers and FFTs expect it to be"
            )
    for name in dataset.space:
        if name not in dataset.coordinates and not dataset.meshes:
            yield Finding("warning", f"{name} has no coordinates: give them before any derivative is taken")


def _splits(dataset: Dataset) -> Iterator[Finding]:
    seen: dict[int, str] = {}
    for name, numbers in dataset.splits.items():
        if not len(numbers):
            yield Finding("error", f"split {name} is empty")
        outside = [int(n) for n in numbers if not 0 <= n < dataset.samples]
        if outside:
            yield Finding("error", f"split {name} names {_listed(outside)}, there are {dataset.samples} samples")
        shared = [int(n) for n in numbers if n in seen]
        if shared:
            yield Finding("error", f"splits {seen[shared[0]]} and {name} share {_listed(shared)}")
        seen |= {int(n): name for n in numbers}


def _values(dataset: Dataset, name: str, variable: Variable, digests: Sequence[Any]) -> Iterator[Finding]:
    """One pass over a variable: what is not finite, what is constant, where frames end in zeros."""
    bad: dict[int, int] = {}
    first: dict[str, int] | None = None
    low, high = np.inf, -np.inf
    timed = "t" in variable.dims and variable.sizes["t"] > 1
    nonzero: dict[int, int] = {}  # sample -> last frame that is not zero everywhere
    bounds = _bounds(dataset, variable)
    position = _sampled(dataset, variable)
    for piece in blocks(variable, limit=BLOCK_BYTES):
        values = variable.array.read(piece)
        wrong = ~np.isfinite(values)
        if wrong.any():
            places = np.argwhere(wrong) + np.array([part.start for part in piece])
            first = first or dict(zip(variable.dims, map(int, places[0]), strict=True))
            numbers = _sample_of(places[:, position - 1], bounds) if position else np.zeros(len(places), int)
            for n, count in zip(*np.unique(numbers, return_counts=True), strict=True):
                bad[int(n)] = bad.get(int(n), 0) + int(count)
        good = values[~wrong] if values.dtype.kind != "c" else np.abs(values[~wrong])
        if good.size:
            low, high = min(low, good.min()), max(high, good.max())
        if position:
            _digest(values, piece, position - 1, bounds, digests)
        if timed:
            _last_frames(values, piece, variable, nonzero)
    if first is not None:
        where = ", ".join(f"{dim} {n}" for dim, n in first.items()) or "its one number"
        which = f" in {_listed(sorted(bad))}" if position else ""
        yield Finding(
            "error", f"{name} holds {sum(bad.values())} numbers that are not finite{which}, the first at {where}"
        )
    if low == high and len(variable.dims) > 1:
        yield Finding("warning", f"{name} is {high:.6g} everywhere")
    ended = {n: last for n, last in nonzero.items() if -1 < last < variable.sizes.get("t", 0) - 1}
    if ended:
        n, last = next(iter(ended.items()))
        yield Finding(
            "error", f"{name} is zero from frame {last + 1} on in {_listed(sorted(ended))}: did its run crash?"
        )


def _bounds(dataset: Dataset, variable: Variable) -> np.ndarray:
    """Where the samples of a variable begin and end along the dimension that holds them."""
    ragged = [dim for dim in variable.dims if dim in dataset.offsets]
    return np.asarray(dataset.offsets[ragged[0]]) if ragged else np.arange(dataset.samples + 1)


def _sampled(dataset: Dataset, variable: Variable) -> int:
    """The position, counted from one, of the dimension that tells samples apart; 0 where none does."""
    return next((i for i, dim in enumerate(variable.dims, 1) if dim == SAMPLE or dim in dataset.offsets), 0)


def _sample_of(places: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    return np.searchsorted(bounds, places, side="right") - 1


def _digest(values: np.ndarray, piece: Any, position: int, bounds: np.ndarray, digests: Sequence[Any]) -> None:
    begin, end = piece[position].start, piece[position].stop
    along = np.moveaxis(values, position, 0)
    for n in range(int(_sample_of(np.array([begin]), bounds)[0]), len(bounds) - 1):
        a, b = max(int(bounds[n]), begin), min(int(bounds[n + 1]), end)
        if a >= end:
            break
        digests[n].update(np.ascontiguousarray(along[a - begin : b - begin]).tobytes())


def _last_frames(values: np.ndarray, piece: Any, variable: Variable, nonzero: dict[int, int]) -> None:
    t = variable.dims.index("t")
    samples = variable.dims.index(SAMPLE) if SAMPLE in variable.dims else None
    others = tuple(i for i in range(values.ndim) if i not in (t, samples))
    moving = (values != 0).any(axis=others)  # (sample, t), (t,)
    moving = moving if samples is not None else moving[None]
    begin = piece[samples].start if samples is not None else 0
    for i, row in enumerate(moving):
        frames = np.flatnonzero(row)
        last = piece[t].start + int(frames[-1]) if len(frames) else -1
        nonzero[begin + i] = max(nonzero.get(begin + i, -1), last)


def _duplicates(digests: Sequence[Any]) -> Iterator[Finding]:
    first: dict[bytes, int] = {}
    twins: dict[int, list[int]] = {}
    for n, digest in enumerate(digests):
        key = digest.digest()
        if key in first:
            twins.setdefault(first[key], []).append(n)
        first.setdefault(key, n)
    for n, others in list(twins.items())[:_SHOWN]:
        yield Finding("warning", f"{_listed(others)} {'is' if len(others) == 1 else 'are'} the same as sample {n}")
    if len(twins) > _SHOWN:
        yield Finding("warning", f"{len(twins) - _SHOWN} more samples are there more than once")


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"sample{'s' if len(numbers) > 1 else ''} {shown}{more}"
