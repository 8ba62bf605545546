"""Text tables of which a row is a point: CSV and columns between blanks, with a header of names or without."""

from __future__ import annotations

from pathlib import Path

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.dimensions import arranged, given_dims, unused_dims
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.datasets.placement import coordinate
from pdesolve.datasets.text_files import read_table

_MOST = 12  # columns without names beyond which a table is a matrix
_AXES = ("t", "x", "y", "z")


class Tables(Layout):
    """Columns are variables over `point` by the names of the header, without one `c0`, `c1`, ...; those called x, y, z
    or t (by names={"c0": "x"} too) are the coordinates of the points.

    One coordinate that ascends is an axis. Many columns without names are the matrix `values`, which dims says more of.
    """

    name = "table"
    containers = ("text",)
    fallback = True

    def refusal(self, path: Path) -> str | None:
        return None if read_table(path) is not None else "no table of numbers in its first lines"

    def open(self, path: Path, opening: Opening) -> Dataset:
        table = read_table(path)
        assert table is not None
        paths, notes = (path.absolute(),), ()
        if "values" in opening.dims or (not table.header and table.columns > _MOST):
            unused_dims(opening, ["values"])
            dims = given_dims("values", table.array(), opening, {}) or ("row", "column")
            variables = {"values": arranged("values", table.array(), dims)}
            return Dataset(variables, layout=self.name, paths=paths)
        unused_dims(opening, [])
        header = table.header or tuple(f"c{i}" for i in range(table.columns))
        names = [opening.names.get(name, name) for name in header]
        where = {name: table.all()[:, i] for i, name in enumerate(names) if name in _AXES}
        if not table.header and not where:
            notes = ('its columns have no names: give some by names={"c0": "x", ...}, x, y, z and t being coordinates',)
        if len(where) == len(names):
            where = {}  # nothing but coordinates: a list of points, or a curve of y over x
        place, coordinates, clouds = "point", {}, ()
        points = next(iter(where.values()), None)
        if points is not None and len(where) == 1 and len(points) > 1 and (points[1:] > points[:-1]).all():
            (place,) = where
            coordinates = {place: coordinate(place, points)}
        elif where:
            clouds = (point_cloud(where),)
        variables = {
            name: arranged(name, table.column(i), (place,)) for i, name in enumerate(names) if name not in where
        }
        return Dataset(variables, coordinates, {}, clouds, layout=self.name, paths=paths, notes=notes)
