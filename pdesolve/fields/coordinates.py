"""Coordinates: the axes of a discretisation as fields, so that formulas in x, y and t read as formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pdesolve.errors import unknown_name
from pdesolve.fields.carrier import Carrier, Propagation, Recorder, Wanted, fields_of
from pdesolve.fields.engines import Eager, Engine
from pdesolve.fields.field import Constant, Field, Quantity
from pdesolve.fields.function import Argument, FunctionField, coordinate, known, outputs
from pdesolve.fields.grid import GridField
from pdesolve.fields.jet_field import JetField
from pdesolve.fields.jet_field import coordinate as jet_coordinate
from pdesolve.fields.jet_field import known as known_at_points
from pdesolve.fields.jet_field import of as jet_field
from pdesolve.fields.linearity import combined
from pdesolve.fields.mesh import MeshField, MeshPlaces
from pdesolve.fields.multi_index import Channel, Index
from pdesolve.fields.partials import Uniform
from pdesolve.fields.point import Places, PointField
from pdesolve.fields.vector import Vector
from pdesolve.geometry import TIME, Axes, Discretisation, Grid, Mesh, PointCloud, Quadrature
from pdesolve.unit import Unit

T = TypeVar("T")
_FEW = 4  # points at which a formula is probed


class Coordinates(Mapping[str, Field]):
    """`x["x"]`, `x["t"]`: one field per axis, in axis order, all at the places of one discretisation.

    Formulas read coordinates as plain numbers in the units of their axes, so that they carry no unit themselves.
    On points the columns are leaves of the autograd graph, and every state evaluated from them can be differentiated.
    The places of a mesh are its points; those of its quadrature are where mesh fields are known. `normals` is the
    outward unit normal on a boundary. `at_instant` fixes the time of a grid of space, for conditions and sources that
    depend on time; `projected` fixes any coordinates, for what is known on a side or at an instant only.
    """

    def __init__(
        self,
        discretisation: Discretisation,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        gradients: bool = True,
    ) -> None:
        self.discretisation = discretisation
        self.dtype, self.device = dtype, torch.device(device)
        self.fields: dict[str, Field] = {}
        self.normals: Vector | None = None
        self.places: Places | MeshPlaces | None = None
        self.root: Argument | None = None  # of function fields
        self.carrier: Carrier | None = None  # of jet fields
        self._known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        if isinstance(discretisation, (PointCloud, Mesh)):
            cloud = discretisation
            if isinstance(cloud, Mesh):
                cloud = PointCloud(cloud.axes, cloud.points, cloud.weights)
            self.places = Places(cloud, dtype=dtype, device=device, gradients=gradients)
            for name, column in self.places.columns.items():
                self.fields[name] = PointField(column, self.places, Quantity(name))
            self.normals = self._vector(cloud.normals)
        elif isinstance(discretisation, Quadrature):
            self.places = MeshPlaces(discretisation, dtype=dtype, device=device, gradients=gradients)
            for name, column in self.places.columns.items():
                self.fields[name] = MeshField(column, self.places, Quantity(name))
            self.normals = self._vector(discretisation.normals)
        elif isinstance(discretisation, Grid):
            for name, column in discretisation.columns(dtype=dtype, device=device).items():
                self.fields[name] = _GridCoordinate(column, discretisation, Quantity(name), name)
        else:
            raise TypeError(f"no coordinates on a {type(discretisation).__name__}")

    @staticmethod
    def of_functions(
        cloud: PointCloud, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Coordinates:
        """The coordinates of points as function fields: what is computed from them is differentiated by torch.func."""
        made = Coordinates(cloud, dtype=dtype, device=device, gradients=False)
        assert isinstance(made.places, Places)
        root = made.root = Argument(made.places)
        made.fields = {name: coordinate(name, root) for name in cloud.axes.names}
        if made.normals is not None:
            made.normals = made.normals.map(lambda normal: known(normal.values, root, normal.quantity))
        return made

    @staticmethod
    def of_jets(
        cloud: PointCloud,
        wanted: Wanted,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        engine: Engine | None = None,
    ) -> Coordinates:
        """The coordinates of points as jet fields: a network is evaluated once, with the partials that are wanted.

        wanted: of each output by its name, or of all, multi-indices (orders per axis, in axis order), see
        `Coordinates.wanted_by`, and sums of them, see `Coordinates.sums_wanted_by`. engine: how networks are
        evaluated, `Eager()` by default.
        """
        return Coordinates._jets(cloud, Propagation(wanted, engine or Eager()), dtype, device)

    @staticmethod
    def _jets(cloud: PointCloud, carrier: Carrier, dtype: torch.dtype, device: torch.device | str) -> Coordinates:
        made = Coordinates(cloud, dtype=dtype, device=device)
        assert isinstance(made.places, Places)
        places, made.carrier = made.places, carrier
        made.fields = {name: jet_coordinate(name, places) for name in cloud.axes.names}
        if made.normals is not None:
            made.normals = made.normals.map(lambda n: known_at_points(n.values, places, n.quantity))
        return made

    @staticmethod
    def wanted_by(
        formula: Callable[[Coordinates], Any],
        cloud: PointCloud,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> dict[str, frozenset[Index]]:
        """Which partials of each output of a network a formula of coordinates asks for: one run at a few points.

            Coordinates.wanted_by(lambda x: equation.residual(solution.state(x), problem.bind(x), x), cloud)

        The formula must give the fields it computes (in a mapping, a vector, a sequence). No network is evaluated.
        """
        recorder, content = Coordinates._probed(formula, cloud, dtype, device)
        with torch.enable_grad():
            for field in content:
                _ = getattr(field, "values", None)
        return {name: frozenset(asked) for name, asked in recorder.asked.items()}

    @staticmethod
    def sums_wanted_by(
        formula: Callable[[Coordinates], Any],
        cloud: PointCloud,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> dict[str, frozenset[Channel]]:
        """As `wanted_by`, with partials that only enter as one sum, such as u_t - ν u_xx, carried as that sum.

        Cheaper; right for this very formula with these values of its parameters and for no other.
        """
        recorder, content = Coordinates._probed(formula, cloud, dtype, device)
        with torch.enable_grad():
            return combined([field for field in content if isinstance(field, JetField)], recorder.asked)

    @staticmethod
    def _probed(
        formula: Callable[[Coordinates], Any], cloud: PointCloud, dtype: torch.dtype, device: torch.device | str
    ) -> tuple[Recorder, list[Any]]:
        recorder = Recorder()
        with torch.enable_grad():  # values of coordinates that a formula takes by torch are differentiated
            content = formula(Coordinates._jets(cloud.some(slice(0, _FEW)), recorder, dtype, device))
        return recorder, list(fields_of(content))

    def at(self, cloud: PointCloud) -> Coordinates:
        """Coordinates of the same kind, of other points."""
        if self.carrier is not None:
            return Coordinates._jets(cloud, self.carrier, self.dtype, self.device)
        if self.root is not None:
            return Coordinates.of_functions(cloud, dtype=self.dtype, device=self.device)
        return Coordinates(cloud, dtype=self.dtype, device=self.device)

    @property
    def axes(self) -> Axes:
        return self.discretisation.axes

    def at_instant(self, time: float | Tensor) -> Coordinates:
        """These coordinates of space with the time `time` beside them as a constant."""
        return self.projected({TIME: time})

    def projected(self, fixed: Mapping[str, float | Tensor]) -> Coordinates:
        """These coordinates with constants for some of them: {"x": 0.0} are the feet of the places on the side x = 0.

        A formula of them sees nothing off that side, or of another instant than {"t": 0.0}, and gives fields at the
        places of these coordinates that can be differentiated along the other axes and are constant along the fixed.
        """
        moved = object.__new__(Coordinates)
        moved.__dict__.update(self.__dict__)
        moved._known = WeakKeyDictionary()
        kind: Any = {"dtype": self.dtype, "device": self.device}
        constants: dict[str, Field] = {}
        for name, place in fixed.items():
            # not as_tensor: a trace would keep the value as a constant
            value = place.to(**kind) if isinstance(place, Tensor) else torch.tensor(place, **kind)
            constants[name] = Constant(value, Quantity(name))
        beside = {name: constant for name, constant in constants.items() if name not in self.fields}
        moved.fields = {**beside, **self.fields, **constants}
        return moved

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives the first time it is asked for by this key: fields at these places that nothing trains.

        It is kept as long as both the key and these coordinates live.
        """
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def without_unknowns(self) -> Coordinates:
        """These coordinates of a quadrature for a state of its own: of those before it knows nothing."""
        assert isinstance(self.places, MeshPlaces)
        fresh = object.__new__(Coordinates)
        fresh.__dict__.update(self.__dict__)
        fresh._known = WeakKeyDictionary()
        fresh.places = places = self.places.without_unknowns()
        fresh.fields = {n: f.moved(places) if isinstance(f, MeshField) else f for n, f in self.fields.items()}
        if self.normals is not None:
            fresh.normals = self.normals.map(lambda f: f.moved(places) if isinstance(f, MeshField) else f)
        return fresh

    def field(self, values: Tensor, name: str, unit: Unit | None = None) -> Field:
        """A field of the given values (*sample, *places) at these coordinates."""
        if self.root is not None:
            return known(values, self.root, Quantity(name, unit))
        if isinstance(self.places, MeshPlaces):
            return MeshField(values, self.places, Quantity(name, unit))
        if self.carrier is not None:
            assert isinstance(self.places, Places)
            return known_at_points(values, self.places, Quantity(name, unit))
        if self.places is not None:
            return PointField(values, self.places, Quantity(name, unit))
        assert isinstance(self.discretisation, Grid)
        return GridField(values, self.discretisation, Quantity(name, unit))

    def outputs(self, function: Callable[[Tensor], Tensor], quantities: Sequence[Quantity]) -> dict[str, Field]:
        """One field for each output of a function (point, axis) -> (point, output) of the coordinates: a network."""
        if self.root is not None:
            fixed = {i: self.fields[name] for i, name in enumerate(self.axes.names) if self._is_fixed(name)}
            return {**outputs(_with_columns(function, fixed) if fixed else function, quantities, self.root)}
        if self.carrier is not None:
            assert isinstance(self.places, Places)
            fixed = [i for i, name in enumerate(self.axes.names) if self._is_fixed(name)]
            table = self.columns().detach()
            return {**self.carrier.outputs(function, table, fixed, self.places, quantities, self.once)}
        columns = function(self.columns())
        shape = self.discretisation.shape
        return {q.name: self.field(columns[:, i].reshape(shape), q.name, q.unit) for i, q in enumerate(quantities)}

    def constant(self, value: float, name: str = "constant") -> Field:
        """A field of one value at every place."""
        if self.root is not None:
            return FunctionField(lambda at: torch.full_like(at.table()[:, 0], value), self.root, Quantity(name))
        if self.carrier is not None:
            assert isinstance(self.places, Places)
            return jet_field(Uniform(float(value)), self.places, Quantity(name))
        return self.field(torch.full(self.discretisation.shape, value, dtype=self.dtype, device=self.device), name)

    def expand(self, field: Field) -> Field:
        """The field with its values written out at every place (constants and coordinates are stored thin)."""
        shape = self.discretisation.shape
        if isinstance(field, (FunctionField, JetField)):
            return field
        if not field.axes.names:
            values = field.values.reshape(*field.values.shape, *[1] * len(shape))
            return self.field(values.expand(*field.values.shape, *shape), field.name, field.unit)
        return field.like(field.values.expand(*field.sample_shape, *shape), field.quantity)

    def _is_fixed(self, name: str) -> bool:
        return isinstance(self.fields[name], Constant)

    def columns(self) -> Tensor:
        """The points as a tensor (point, axis): what a network takes. Grids are flattened in row-major order."""
        shape = self.discretisation.shape
        names = self.axes.names
        return torch.stack([self.fields[name].values.expand(shape).reshape(-1) for name in names], 1)

    def _vector(self, normals: Tensor | None) -> Vector | None:
        if normals is None:
            return None
        normals = normals.to(dtype=self.dtype, device=self.device)
        return Vector({a: self.field(normals[..., i], f"n_{a}") for i, a in enumerate(self.axes.space.names)})

    def __getitem__(self, name: str) -> Field:
        if name not in self.fields:
            raise unknown_name("axis", name, self.fields)
        return self.fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


def _with_columns(function: Callable[[Tensor], Tensor], fixed: Mapping[int, Field]) -> Callable[[Tensor], Tensor]:
    """The function of points (point, axis) whose columns `fixed` are those constants."""

    def projected(table: Tensor) -> Tensor:
        columns = [fixed[i].values.expand_as(column) if i in fixed else column for i, column in enumerate(table.mT)]
        return function(torch.stack(columns, -1))

    return projected


class _GridCoordinate(GridField):
    """A coordinate of a grid: its derivative along its own axis is one, also where the axis is periodic."""

    def __init__(self, values: Tensor, grid: Grid, quantity: Quantity, axis: str) -> None:
        super().__init__(values, grid, quantity)
        self.along = axis

    def differentiate(self, axis: str, order: int) -> GridField:
        value = 1.0 if axis == self.along and order == 1 else 0.0
        return self.like(torch.full_like(self.values, value), Quantity(f"d{self.name}/d{axis}"))
