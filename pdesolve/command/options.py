"""What every solve is told besides the problem and the method; also the top level of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pdesolve.catalogue import is_problem_file
from pdesolve.errors import InputError
from pdesolve.settings import build, check_names, read_config


@dataclass(frozen=True)
class Options:
    """How to solve, whatever the problem and the method.

    Attributes:
        budget: CPU time of the whole process, all threads: 90s, 2min, 1h.
        target: relative L2 error at which to stop; needs a problem with a reference and a method that does not march.
        steps: stop after this many steps, whatever the budget.
        seed: of every random choice.
        device: auto, cpu, cuda or cuda:1.
        dtype: float64, or float32 for speed on a GPU.
        threads: CPU threads; chosen by the size of the work when left out.
        learn: parameters to fit to observations, viscosity or viscosity=0.05 to start there, with commas between.
        observe: CSV file of observations with the axes and unknowns as columns.
    """

    budget: float | str = "2min"
    target: float | None = None
    steps: int | None = None
    seed: int = 0
    device: str = "auto"
    dtype: Literal["float64", "float32"] = "float64"
    threads: int | None = None
    learn: tuple[str, ...] = ()
    observe: str | None = None


@dataclass(frozen=True)
class Request:
    """What to solve by what and how, as text and plain values: names, their settings, options."""

    problem: str
    problem_settings: Mapping[str, Any]
    method: str
    method_settings: Mapping[str, Any]
    options: Options


def read_request(
    config: str | None, problem: str | None, method: str | None, options: Mapping[str, Any], settings: Mapping[str, Any]
) -> Request:
    """Put together a configuration file and the command line, which wins.

    Raises:
        InputError: no problem or method, unknown names, values that do not fit, names that contradict the file's.
    """
    content = read_config(Path(config)) if config is not None else {}
    known = ("problem", "method", *(field.name for field in fields(Options)))
    check_names({k: v for k, v in content.items() if k not in ("problem", "method")}, dict.fromkeys(known), "")
    check_names(settings, dict.fromkeys(("problem", "method")), "")
    name, problem_settings = _part("problem", content.get("problem"), problem, settings.get("problem", {}))
    if config is not None and problem is None and is_problem_file(name):
        name = str(Path(config).parent / name)  # as a run folder has it, beside its configuration
    by, method_settings = _part("method", content.get("method"), method, settings.get("method", {}))
    top = {key: value for key, value in content.items() if key not in ("problem", "method")}
    typed = {key: value for key, value in options.items() if value is not None}
    return Request(name, problem_settings, by, method_settings, make_options({**top, **typed}))


def make_options(given: Mapping[str, Any]) -> Options:
    """The options of the given values, text or typed."""
    given = dict(given)
    if isinstance(given.get("learn"), str):
        given["learn"] = [name.strip() for name in given["learn"].split(",")]
    options: Options = build("", Options, given)[0]
    if options.threads is not None and options.threads < 1:
        raise InputError(f"at least one thread is needed, got {options.threads}: leave --threads out to choose by size")
    if not 0 <= options.seed < 2**63:
        raise InputError(f"a seed is a number from 0 to 2^63 - 1, got {options.seed}")
    return options


def _part(kind: str, filed: Any, name: str | None, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the settings of a problem or a method, from a file's part and the command line's."""
    if isinstance(filed, str):
        filed = {"name": filed}
    if filed is not None and not isinstance(filed, Mapping):
        raise InputError(f"{kind} must be a name, or a mapping with name and settings, got {filed!r}")
    found = dict(filed or {})
    check_names({k: v for k, v in found.items() if k in ("class_path", "init_args")}, {}, kind)
    stated = found.pop("name", None)
    if stated is not None and not isinstance(stated, str):
        raise InputError(f"{kind}.name must be a word, got {stated!r}")
    if name is not None and stated is not None and name != stated and found:
        raise InputError(
            f"the configuration has settings of the {kind} {stated!r}, the command line asks for {name!r}: "
            f"leave {', '.join(found)} out of the file, or the name out of the command"
        )
    chosen = name or stated
    if chosen is None:
        hint = "pdesolve solve burgers_shock --method pinn" if kind == "problem" else "--method pinn"
        raise InputError(f"which {kind}? write {hint}; pdesolve list {kind}s names them all")
    return chosen, {**found, **given}
