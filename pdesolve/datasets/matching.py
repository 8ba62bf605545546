"""Which dimension of a bare array is which: by the lengths of the axes, and by asking where these do not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pdesolve.data.arrays import Array, Part
from pdesolve.data.dataset import COMPONENT, SAMPLE
from pdesolve.datasets.bundle import Bundle
from pdesolve.datasets.dimensions import ONE
from pdesolve.datasets.placement import EDGES
from pdesolve.datasets.stored import Parts, is_complex
from pdesolve.errors import InputError

_AXES = {
    "x": "x", "X": "x", "xx": "x", "y": "y", "Y": "y", "yy": "y", "z": "z", "Z": "z", "zz": "z",
    "t": "t", "T": "t", "tt": "t", "time": "t",
}  # fmt: skip
LOOKED_FOR = "x, y, z and t (also X, xx, tt, time) of one dimension"
_RESIDUE = 1e-5  # of the largest real part: what complex arithmetic leaves in solutions that are real
PLACES = ("X_star", "X_test", "X", "coords", "points", "nodes", "X_ref")
_PLACES_BYTES = 2**26
_COMPONENTS = 9  # the most that a last dimension which is no axis is taken for


def axis_of_name(name: str) -> str | None:
    """The axis whose coordinates an array of this name holds by custom."""
    return _AXES.get(name)


def places_of(found: Bundle) -> str | None:
    """The name of an array with the coordinates of a point in each row, where other arrays are as long."""
    for name in PLACES:
        array = found.numbers.get(name)
        least = 2 if axis_of_name(name) else 1  # X may be an axis, a column
        if array is None or len(array.shape) != 2 or not least <= array.shape[1] <= 3 or array.nbytes > _PLACES_BYTES:
            continue
        if any(array.shape[0] in other.shape for key, other in found.numbers.items() if key != name):
            return name
    return None


def matched(
    name: str, shape: tuple[int, ...], axes: Mapping[str, int], *, others: Sequence[str] = ()
) -> tuple[str, ...]:
    """The dimensions of an array by the sizes of axes. One that is none of them is that of the samples where it is
    the first, of components where it is the last and small; those of size one are left out. others: names of arrays
    of the same shape, for what to write.

    Raises:
        InputError: two axes of one size, a size that is no axis or one off: the choices, and what to write.
    """

    def asked(why: str) -> InputError:
        return InputError(_ask([name, *others], shape, why, axes))

    real = [i for i, n in enumerate(shape) if n != 1 or n in axes.values()]
    found = [ONE] * len(shape)
    for i in real:
        fitting = [axis for axis, size in axes.items() if size == shape[i]]
        if len(fitting) == 1:
            found[i] = fitting[0]
        elif fitting:
            raise asked(f"{' and '.join(fitting)} have {shape[i]} entries each")
        elif i == real[0]:
            near = [axis for axis, size in axes.items() if abs(size - shape[i]) == 1 and size not in shape]
            if near:  # samples, or an axis that was stored with an entry too many
                raise asked(f"{near[0]} has {axes[near[0]]} entries, one off the {shape[i]} in front")
            found[i] = SAMPLE
        elif i == real[-1] and shape[i] <= _COMPONENTS:
            found[i] = COMPONENT
        else:
            raise asked(f"{shape[i]} is the size of no axis")
    twice = [dim for dim in found if dim != ONE and found.count(dim) > 1]
    if twice:
        raise asked(f"two of them fit {twice[0]}")
    return tuple(found)


def _ask(names: Sequence[str], shape: tuple[int, ...], why: str, axes: Mapping[str, int]) -> str:
    """What to write where the dimensions of variables of one shape are not known."""
    order = sorted(axes, key=lambda axis: axis != "t") or [SAMPLE, "x"]
    choices = [_choice(names, shape, axes, order), _choice(names, shape, axes, order[::-1])]
    return (
        f"the dimensions of {' and '.join(names)} {shape} are not told by the file ({why}): write dims={choices[0]} or "
        f"dims={choices[1]}"
    )


def _choice(names: Sequence[str], shape: tuple[int, ...], axes: Mapping[str, int], order: list[str]) -> str:
    left, dims = list(order), []
    for n in shape:
        if n == 1:
            continue
        fits = next((axis for axis in left if axes.get(axis, n) == n), None)
        dims.append(fits or (SAMPLE if SAMPLE not in dims else COMPONENT))
        if fits:
            left.remove(fits)
    inner = ", ".join(f'"{dim}"' for dim in dims) + ("," if len(dims) == 1 else "")
    return "{" + ", ".join(f'"{name}": ({inner})' for name in names) + "}"


def real(name: str, array: Array) -> tuple[Array, str]:
    """The real part of complex numbers whose imaginary part is a residue of computing (which reads them, where they
    are not too many), and a note that it was taken."""
    if not is_complex(array) or array.nbytes > EDGES:
        return array, ""
    parts = Parts(array)
    rest = tuple(slice(0, n) for n in array.shape)
    both = np.abs(parts.read((slice(0, 2), *rest)))
    largest, residue = both[0].max(initial=0.0), both[1].max(initial=0.0)
    if residue > _RESIDUE * largest:
        return array, ""
    note = f"{name} is complex: its imaginary part, at most {residue:.1e} (the real one {largest:.1e}), is left out"
    return Part(parts, (slice(0, 1), *rest), frozenset({0})), note
