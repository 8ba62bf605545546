"""Fields and their calculus: what an equation is written in."""

from pdesolve.fields.calculus import (
    curl,
    d,
    div,
    dot,
    dt,
    dtt,
    dx,
    dxx,
    dxxx,
    dxxxx,
    dy,
    dyy,
    dz,
    dzz,
    grad,
    integrate,
    laplacian,
    mean,
)
from pdesolve.fields.coordinates import Coordinates
from pdesolve.fields.elementary import (
    absolute,
    arctan,
    cos,
    cosh,
    erf,
    exp,
    log,
    maximum,
    minimum,
    sech,
    sin,
    sinh,
    sqrt,
    step,
    tan,
    tanh,
)
from pdesolve.fields.engines import Eager, Engine, engine
from pdesolve.fields.field import Constant, Field, Quantity
from pdesolve.fields.function import FunctionField
from pdesolve.fields.grid import Edge, GridField
from pdesolve.fields.jet_field import JetField
from pdesolve.fields.jets import Jet
from pdesolve.fields.mesh import MeshField, MeshPlaces, WeakField
from pdesolve.fields.point import Places, PointField
from pdesolve.fields.potential import inverse_laplacian, leray
from pdesolve.fields.propagation import propagate
from pdesolve.fields.vector import Vector

__all__ = [
    "Constant", "Coordinates", "Eager", "Edge", "Engine", "Field", "FunctionField", "GridField", "Jet", "JetField",
    "MeshField", "MeshPlaces", "Places",
    "PointField", "Quantity", "Vector", "WeakField", "absolute", "arctan", "cos", "cosh", "curl", "d", "div", "dot",
    "dt", "dtt", "dx", "dxx", "dxxx", "dxxxx", "dy", "dyy", "dz", "dzz", "engine", "erf", "exp", "grad", "integrate",
    "inverse_laplacian", "laplacian", "leray", "log", "maximum", "mean", "minimum", "propagate", "sech", "sin", "sinh",
    "sqrt", "step", "tan", "tanh",
]  # fmt: skip
