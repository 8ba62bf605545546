"""The accessor `.pde` of xarray's data sets and arrays: figures, errors, spectra, residuals, values elsewhere.

It is there once xarray was touched through us: after `solution.dataset()`, or by `import pdesolve.plotting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from pdesolve.errors import InputError

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

    from pdesolve.problem import Problem, Value


@xr.register_dataset_accessor("pde")
@xr.register_dataarray_accessor("pde")
class Accessor:
    """What a labelled data set can tell of itself, one line each; the work is done by free functions.

    Data of others work too where their coordinates say what is needed.
    """

    def __init__(self, labelled: xr.Dataset | xr.DataArray) -> None:
        self._labelled = labelled

    @property
    def _dataset(self) -> xr.Dataset:
        return _as_dataset(self._labelled)

    def plot(self, reference: xr.Dataset | xr.DataArray | None = None) -> Figure:
        """Each variable as `pdesolve plot` draws it; with a reference, that and the error beside."""
        from pdesolve.labelled import aligned
        from pdesolve.plotting import solution_figure

        if reference is None:
            return solution_figure(self._dataset)
        return solution_figure(*aligned(self._dataset, _as_dataset(reference, self._labelled)))

    def animate(self, *, frames: int = 60, rate: int = 15) -> FuncAnimation:
        """The first variable over time, `rate` frames a second; `.save("u.gif")` writes it."""
        from pdesolve.plotting import movie

        return movie(self._dataset, frames=frames, rate=rate)

    def error(self, reference: xr.Dataset | xr.DataArray) -> dict[str, dict[str, float | None]]:
        """`relative_l2`, `max` and `final` of each variable, as a proof has them, against one at the same places."""
        from pdesolve.labelled import errors

        return errors(self._dataset, _as_dataset(reference, self._labelled))

    def spectrum(self, *names: str) -> xr.DataArray:
        """The energy in bands of wavenumbers of a variable, or of several that are the components of a vector."""
        from pdesolve.errors import unknown_name
        from pdesolve.spectrum import energy_spectrum

        dataset = self._dataset
        for name in names:
            if name not in dataset.data_vars:
                raise unknown_name("variable", name, map(str, dataset.data_vars))
        if not names and len(dataset.data_vars) != 1:
            known = ", ".join(map(str, dataset.data_vars)) or "nothing"
            raise InputError(f"a spectrum is of one variable or of a vector's components, there are {known}: name some")
        return energy_spectrum([dataset[name] for name in names or dataset.data_vars])

    def residual(
        self, problem: Problem | str | None = None, *, values: Mapping[str, Value] | None = None, accuracy: int = 4
    ) -> xr.Dataset:
        """What the equation leaves over on this grid, for the problem that the attributes name, or for another."""
        from pdesolve.provenance import residual

        return residual(self._dataset, problem, values=values, accuracy=accuracy)

    def at(self, like: xr.Dataset | xr.DataArray | None = None, /, **places: Any) -> Any:
        """The values elsewhere, to high order: `at(x=0.3, t=[0.1, 0.2])`, or at the places of another data set."""
        from pdesolve.gridded import at, places_of

        if (like is None) == (not places):
            raise InputError("give places, as in .pde.at(x=0.3, t=[0.1, 0.2]), or another data set, .pde.at(other)")
        found = at(self._dataset, places if like is None else places_of(like, self._dataset))
        return found if isinstance(self._labelled, xr.Dataset) else found[next(iter(found.data_vars))]


def _as_dataset(labelled: xr.Dataset | xr.DataArray, like: xr.Dataset | xr.DataArray | None = None) -> xr.Dataset:
    """A data set; an array gets the name of the array it is compared with."""
    if isinstance(labelled, xr.Dataset):
        return labelled
    if not isinstance(labelled, xr.DataArray):
        raise InputError(f"a data set or an array of xarray was expected, got a {type(labelled).__name__}")
    name = like.name if isinstance(like, xr.DataArray) else labelled.name
    return labelled.to_dataset(name="values" if name is None else name)
