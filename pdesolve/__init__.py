"""One PDE definition, every method.

    import pdesolve as ps

    solution = ps.solve("burgers_shock", "pinn", budget="1min")

Names are loaded when they are first used, so that `import pdesolve` imports neither torch nor xarray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pdesolve.catalogue import make_family as make_family
    from pdesolve.catalogue import make_learner as make_learner
    from pdesolve.catalogue import make_method as make_method
    from pdesolve.catalogue import make_problem as make_problem
    from pdesolve.comparing import compare as compare
    from pdesolve.condition import Dirichlet as Dirichlet
    from pdesolve.condition import Impermeable as Impermeable
    from pdesolve.condition import InitialRate as InitialRate
    from pdesolve.condition import InitialValue as InitialValue
    from pdesolve.condition import Neumann as Neumann
    from pdesolve.condition import Observed as Observed
    from pdesolve.condition import Robin as Robin
    from pdesolve.condition import Traction as Traction
    from pdesolve.data.splits import divided as divided
    from pdesolve.data.task import InitialToFinal as InitialToFinal
    from pdesolve.data.task import Steps as Steps
    from pdesolve.data.task import Task as Task
    from pdesolve.data.task import Trajectory as Trajectory
    from pdesolve.data.task_choice import TaskChoice as TaskChoice
    from pdesolve.datasets.comparison import compare_learners as compare_learners
    from pdesolve.datasets.conversion import convert as convert
    from pdesolve.datasets.evaluation import evaluate as evaluate
    from pdesolve.datasets.family_stream import FamilyStream as FamilyStream
    from pdesolve.datasets.generation import generate as generate
    from pdesolve.datasets.opening import open_dataset as open_dataset
    from pdesolve.datasets.prediction import predict as predict
    from pdesolve.datasets.streaming import loader as loader
    from pdesolve.datasets.training import resume_training as resume_training
    from pdesolve.datasets.training import train as train
    from pdesolve.equation import Conserving as Conserving
    from pdesolve.equation import Energetic as Energetic
    from pdesolve.equation import Equation as Equation
    from pdesolve.equation import Evolution as Evolution
    from pdesolve.equation import FluxForm as FluxForm
    from pdesolve.equation import Parameter as Parameter
    from pdesolve.equation import State as State
    from pdesolve.equation import Unknown as Unknown
    from pdesolve.equation import Values as Values
    from pdesolve.errors import Diverged as Diverged
    from pdesolve.errors import InputError as InputError
    from pdesolve.fields import Coordinates as Coordinates
    from pdesolve.fields import Field as Field
    from pdesolve.fields import GridField as GridField
    from pdesolve.fields import Vector as Vector
    from pdesolve.fields import absolute as absolute
    from pdesolve.fields import arctan as arctan
    from pdesolve.fields import cos as cos
    from pdesolve.fields import cosh as cosh
    from pdesolve.fields import curl as curl
    from pdesolve.fields import d as d
    from pdesolve.fields import div as div
    from pdesolve.fields import dot as dot
    from pdesolve.fields import dt as dt
    from pdesolve.fields import dtt as dtt
    from pdesolve.fields import dx as dx
    from pdesolve.fields import dxx as dxx
    from pdesolve.fields import dxxx as dxxx
    from pdesolve.fields import dxxxx as dxxxx
    from pdesolve.fields import dy as dy
    from pdesolve.fields import dyy as dyy
    from pdesolve.fields import dz as dz
    from pdesolve.fields import dzz as dzz
    from pdesolve.fields import erf as erf
    from pdesolve.fields import exp as exp
    from pdesolve.fields import grad as grad
    from pdesolve.fields import integrate as integrate
    from pdesolve.fields import laplacian as laplacian
    from pdesolve.fields import log as log
    from pdesolve.fields import maximum as maximum
    from pdesolve.fields import mean as mean
    from pdesolve.fields import minimum as minimum
    from pdesolve.fields import sech as sech
    from pdesolve.fields import sin as sin
    from pdesolve.fields import sinh as sinh
    from pdesolve.fields import sqrt as sqrt
    from pdesolve.fields import step as step
    from pdesolve.fields import tan as tan
    from pdesolve.fields import tanh as tanh
    from pdesolve.finetuning import finetune as finetune
    from pdesolve.geometry import Axis as Axis
    from pdesolve.geometry import Ball as Ball
    from pdesolve.geometry import Box as Box
    from pdesolve.geometry import Difference as Difference
    from pdesolve.geometry import Disk as Disk
    from pdesolve.geometry import Domain as Domain
    from pdesolve.geometry import Grid as Grid
    from pdesolve.geometry import Intersection as Intersection
    from pdesolve.geometry import Interval as Interval
    from pdesolve.geometry import Mesh as Mesh
    from pdesolve.geometry import MeshDomain as MeshDomain
    from pdesolve.geometry import PointCloud as PointCloud
    from pdesolve.geometry import Polygon as Polygon
    from pdesolve.geometry import Renamed as Renamed
    from pdesolve.geometry import Union as Union
    from pdesolve.geometry import read_mesh as read_mesh
    from pdesolve.geometry import refine as refine
    from pdesolve.geometry import triangulate as triangulate
    from pdesolve.geometry import write_mesh as write_mesh
    from pdesolve.learning import load_surrogate as load_surrogate
    from pdesolve.method import Learner as Learner
    from pdesolve.method import Solution as Solution
    from pdesolve.method import Solver as Solver
    from pdesolve.method import Surrogate as Surrogate
    from pdesolve.problem import Evaluation as Evaluation
    from pdesolve.problem import Exact as Exact
    from pdesolve.problem import Problem as Problem
    from pdesolve.problem_file import problem_text as problem_text
    from pdesolve.problem_file import read_problem as read_problem
    from pdesolve.resuming import resume as resume
    from pdesolve.solving import load as load
    from pdesolve.solving import solve as solve
    from pdesolve.surrogates.exporting import export as export

__version__ = "0.1.0"

# Where each name lives; a test holds it against the imports above, which are what type checkers and editors read.
_HOMES = {
    "pdesolve.catalogue": "make_family make_learner make_method make_problem",
    "pdesolve.comparing": "compare",
    "pdesolve.condition": "Dirichlet Impermeable InitialRate InitialValue Neumann Observed Robin Traction",
    "pdesolve.datasets.comparison": "compare_learners",
    "pdesolve.datasets.conversion": "convert",
    "pdesolve.datasets.evaluation": "evaluate",
    "pdesolve.datasets.family_stream": "FamilyStream",
    "pdesolve.datasets.generation": "generate",
    "pdesolve.datasets.opening": "open_dataset",
    "pdesolve.datasets.prediction": "predict",
    "pdesolve.datasets.streaming": "loader",
    "pdesolve.datasets.training": "resume_training train",
    "pdesolve.equation": "Conserving Energetic Equation Evolution FluxForm Parameter State Unknown Values",
    "pdesolve.errors": "Diverged InputError",
    "pdesolve.fields": (
        "Coordinates Field GridField Vector absolute arctan cos cosh curl d div dot dt dtt dx dxx dxxx dxxxx dy dyy dz "
        "dzz erf exp grad integrate laplacian log maximum mean minimum sech sin sinh sqrt step tan tanh"
    ),
    "pdesolve.finetuning": "finetune",
    "pdesolve.geometry": (
        "Axis Ball Box Difference Disk Domain Grid Intersection Interval Mesh MeshDomain PointCloud Polygon Renamed "
        "Union read_mesh refine triangulate write_mesh"
    ),
    "pdesolve.learning": "load_surrogate",
    "pdesolve.method": "Learner Solution Solver Surrogate",
    "pdesolve.problem": "Evaluation Exact Problem",
    "pdesolve.problem_file": "problem_text read_problem",
    "pdesolve.resuming": "resume",
    "pdesolve.solving": "load solve",
    "pdesolve.data.splits": "divided",
    "pdesolve.surrogates.exporting": "export",
    "pdesolve.data.task": "InitialToFinal Steps Task Trajectory",
    "pdesolve.data.task_choice": "TaskChoice",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pdesolve' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
