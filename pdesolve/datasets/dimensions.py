"""Arrays of files as variables: dimensions brought into their one order, components, complex numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pdesolve.data.arrays import Array, Memory
from pdesolve.data.dataset import COMPONENT, SAMPLE, Variable
from pdesolve.datasets.layout import Opening
from pdesolve.datasets.stored import Parts, dropped, is_complex, transposed
from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import TIME

ONE = "_"  # what stands for a dimension of size one that is left out
_FIRST = (SAMPLE, TIME, COMPONENT, "x", "y", "z")


def arranged(
    name: str,
    array: Array,
    dims: Sequence[str],
    *,
    space: Sequence[str] = (),
    unit: str | None = None,
    components: Sequence[str] = (),
    long_name: str = "",
) -> Variable:
    """An array whose dimensions lie as `dims` say, as a variable: sample, t, component first, x, y, z, then those of
    `space` in their order, then others as they come. Complex numbers get the components `re` and `im`.

    Raises:
        InputError: another number of dimensions, two of one name, one of size one that is not.
    """
    if len(dims) != len(array.shape):
        raise InputError(f"{name} has the shape {array.shape}, and {len(dims)} dimensions were given: {tuple(dims)}")
    small = frozenset(i for i, dim in enumerate(dims) if dim == ONE)
    if any(array.shape[i] != 1 for i in small):
        raise InputError(f"{name} has the shape {array.shape}: only dimensions of size one are left out, as {ONE!r}")
    array, left = dropped(array, small), [dim for dim in dims if dim != ONE]
    if is_complex(array):
        array, left, components = _real(name, array, left, components)
    if len(set(left)) != len(left):
        raise InputError(f"{name} has the dimensions {tuple(left)}: each may stand once")
    order = {dim: i for i, dim in enumerate(dict.fromkeys((*_FIRST, *space, *left)))}
    numbers = tuple(sorted(range(len(left)), key=lambda i: order[left[i]]))
    made = tuple(left[i] for i in numbers)
    array = transposed(array, numbers)
    if COMPONENT in made and not components:
        components = tuple(str(i) for i in range(array.shape[made.index(COMPONENT)]))
    return Variable(name, array, made, unit or None, tuple(components) if COMPONENT in made else (), long_name)


def _real(
    name: str, array: Array, dims: list[str], components: Sequence[str]
) -> tuple[Array, list[str], Sequence[str]]:
    if COMPONENT in dims:
        raise InputError(f"{name} is complex and has components as well: give the dimension another name")
    return Parts(array), [COMPONENT, *dims], ("re", "im")


def given_dims(name: str, array: Array, opening: Opening, known: Mapping[str, int]) -> tuple[str, ...] | None:
    """The dimensions that a user gave for a variable, checked against the sizes that are known.

    Raises:
        InputError: another number of them, or one whose coordinates have another size.
    """
    dims = opening.dims.get(name)
    if dims is None:
        return None
    if len(dims) != len(array.shape):
        small = tuple(n for n in array.shape if n != 1)
        if len(dims) != len(small):
            raise InputError(
                f"{name} has the shape {array.shape}, dims gives {len(dims)} dimensions ({', '.join(dims)}): give one "
                "for each"
            )
        left = iter(dims)
        dims = tuple(ONE if n == 1 else next(left) for n in array.shape)
    for dim, size in zip(dims, array.shape, strict=True):
        if known.get(dim, size) != size:
            raise InputError(f"dims says that {name} {array.shape} has {size} along {dim}, which has {known[dim]}")
    return dims


def unused_dims(opening: Opening, names: Iterable[str]) -> None:
    """Refuse dimensions of variables that are not there.

    Raises:
        InputError: an unknown variable.
    """
    for name in opening.dims:
        if name not in set(names):
            raise unknown_name("variable in dims", name, names)


def told(layout: str, opening: Opening) -> None:
    """Refuse dimensions for files that say theirs themselves.

    Raises:
        InputError: dimensions were given.
    """
    if opening.dims:
        raise InputError(f"files of the layout {layout} tell their dimensions: leave out dims={dict(opening.dims)}")


def parameter(name: str, values: np.ndarray | float, dims: tuple[str, ...] = (), unit: str | None = None) -> Variable:
    """A parameter whose values are there: one, or one for each sample."""
    return Variable(name, Memory(np.asarray(values)), dims, unit)
