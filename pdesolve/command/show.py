"""`pdesolve show`: what a problem, a family, a method or an equation is, with its settings and what it needs."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pdesolve.catalogue import (
    PLURALS,
    Entry,
    Kind,
    documentation,
    entries,
    find,
    find_equation,
    find_family,
    find_method,
    is_problem_file,
    make_family,
    make_problem,
    problem_settings,
)
from pdesolve.command.arguments import Parser, print_json, settings_text
from pdesolve.errors import InputError, unknown_name
from pdesolve.settings import Setting, settings_of

if TYPE_CHECKING:
    from pdesolve.equation import Equation
    from pdesolve.problem import Problem


def parser() -> Parser:
    made = Parser(
        "show", "What a problem, a family, a method or an equation is: settings, paper, parameters, conditions."
    )
    made.add_argument("name", nargs="?", metavar="NAME", help="a name of `pdesolve list`, or a problem's .yaml file")
    made.add_argument("--kind", metavar="KIND", help="problem, family, method or equation, where a name is that of two")
    made.add_argument("--yaml", action="store_true", help="print a problem as text, to start one of your own from")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.name is None:
        raise InputError(f"show needs a name, one of {', '.join(entry.name for entry in entries())}")
    if given.yaml:
        print(_text(given.name), end="")
        return 0
    if given.kind is not None and given.kind not in PLURALS.values():
        raise unknown_name("kind", given.kind, PLURALS.values())
    entry = _entry(given.name, given.kind)
    content = describe(entry)
    if given.json:
        print_json(content)
        return 0
    _print(content)
    for other in entries():
        if other.name == entry.name and other.kind != entry.kind and given.kind is None:
            print(f"also {_a(other.kind)}: pdesolve show {other.name} --kind {other.kind}")
    return 0


def _entry(name: str, kind: Kind | None) -> Entry:
    """The entry of a name, or of a problem file."""
    if not is_problem_file(name):
        return find(name, kind)
    problem = make_problem(name)
    return Entry(problem.name, "problem", problem.description.strip().partition("\n")[0], name)


def _text(name: str) -> str:
    from pdesolve.problem_file import problem_text

    if not is_problem_file(name) and find(name).kind != "problem":
        raise InputError(f"{name} is {_a(find(name).kind)}, only problems are written as text: pdesolve list problems")
    return problem_text(make_problem(name))


def describe(entry: Entry) -> dict[str, Any]:
    """All there is to say of an entry, as JSON."""
    if entry.kind == "problem":
        name = entry.target if is_problem_file(entry.target) else entry.name
        problem, settings = make_problem(name), problem_settings(name)
        content: dict[str, Any] = {**entry.json(), "description": documentation(entry) or problem.description}
        return {**content, "settings": [s.json() for s in settings.values()], **_problem(problem)}
    content = {**entry.json(), "description": documentation(entry)}
    if entry.kind == "method":
        settings = settings_of(find_method(entry.name))
        card = {title.lower(): paragraph(content["description"], title) for title in ("Paper", "Needs")}
        return {**content, "settings": [s.json() for s in settings.values()], **card}
    if entry.kind == "family":
        kind = find_family(entry.name)
        return {**content, "settings": [s.json() for s in settings_of(kind).values()], **_family(entry.name)}
    equation = find_equation(entry.name)
    return {**content, "description": inspect.getdoc(equation) or "", **_equation(equation)}


def paragraph(text: str, title: str) -> str:
    """The paragraph of a docstring that begins with "title:", in one line."""
    match = re.search(rf"^{title}s?: (.+?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def _equation(equation: type[Equation] | Equation) -> dict[str, Any]:
    return {
        "unknowns": [{"name": u.name, "unit": u.unit, "components": list(u.components)} for u in equation.unknowns],
        "parameters": [
            {"name": p.name, "unit": p.unit, "default": p.default, "bounds": [_finite(b) for b in p.bounds]}
            for p in equation.parameters
        ],
        "fields": list(equation.kinds),
    }


def _a(kind: str) -> str:
    return f"{'an' if kind == 'equation' else 'a'} {kind}"


def _family(name: str) -> dict[str, Any]:
    """What the problems of a family share, by its first sample."""
    family = make_family(name)
    problem = family.sample(1)[0]
    about = _problem(problem)
    about["evaluation"]["grid"] = problem.domain.is_box
    for part in ("exact", "sister"):
        del about[part]
    return {**about, "tolerance": family.tolerance}


def _problem(problem: Problem) -> dict[str, Any]:
    from pdesolve.text.equation import rows_of

    known = _equation(problem.equation)
    for parameter in known["parameters"]:
        value = problem.values.get(parameter["name"], parameter.pop("default"))
        if isinstance(value, (int, float)):
            parameter["value"] = float(value)
        else:
            parameter["value"] = "a field" if callable(value) else "one for each sample"
    points = problem.evaluation.points
    return {
        "equation": "; ".join(rows_of(problem.equation)) or type(problem.equation).__name__,
        **known,
        "axes": [
            {"name": a.name, "lower": a.lower, "upper": a.upper, "unit": a.unit, "periodic": a.periodic}
            for a in problem.axes
        ],
        "boundary": list(problem.domain.boundaries),
        "conditions": list(problem.named_conditions),
        "condition_kinds": [type(condition).__name__ for condition in problem.all_conditions],
        "evaluation": {
            "points": points if isinstance(points, int) else dict(points),
            "times": len(problem.evaluation.times),
        },
        "exact": problem.exact.source or "in closed form" if problem.exact else None,
        "sister": problem.sister or None,
        "paper": problem.source,
    }


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _print(content: dict[str, Any]) -> None:
    print(f"{content['name']}, {_a(content['kind'])}\n")
    print(content["description"].strip())
    kind = content["kind"]
    if kind in ("problem", "method", "family"):
        print(f"\nsettings\n{settings_text({s['name']: Setting(**s) for s in content['settings']}, kind)}")
    print()
    for parameter in content.get("parameters", ()):
        print(_parameter(parameter))
    if kind in ("problem", "family"):
        axes = ", ".join(
            f"{a['name']} in [{a['lower']:g}, {a['upper']:g}]{' periodic' if a['periodic'] else ''}"
            for a in content["axes"]
        )
        unknowns = ", ".join(unknown["name"] for unknown in content["unknowns"])
        times = content["evaluation"]["times"]
        print(f"equation: {content['equation']}, unknown {unknowns}\naxes: {axes}")
        kinds = zip(content["conditions"], content["condition_kinds"], strict=True)
        print(f"conditions: {'; '.join(f'{name} ({kind})' if ' at ' in name else name for name, kind in kinds)}")
        sizes = content["evaluation"]["points"]
        if isinstance(sizes, int):
            points = f"{sizes} points along each axis"
        else:
            points = f"{' x '.join(map(str, sizes.values()))} points along {', '.join(sizes)}"
        done = "stored" if kind == "family" else "judged"
        if not content["evaluation"].get("grid", True):
            points = "a mesh or points of each sample"
        print(f"{done} on: {points}" + (f" at {times} times" if times else ""))
        if kind == "family":
            print(f"tolerance: samples whose defect is above {content['tolerance']:g} are left out")
            print(f"next: pdesolve generate {content['name']} --n 100 --out {content['name']}.h5")
            return
        print(f"exact solution: {content['exact'] or 'none, judged against the method reference'}")
        print(f"parts of the boundary: {', '.join(content['boundary']) or 'none'}")
        if content["sister"]:
            both = f"{content['name']},{content['sister']}"
            print(f"sister problem, made of no sines: pdesolve compare {both} --methods pinn")
        name = content["target"] if is_problem_file(content["target"]) else content["name"]
        print(f"next: pdesolve solve {name} --method pinn")
    elif kind == "equation":
        unknowns = ", ".join(f"{u['name']} [{u['unit'] or '1'}]" for u in content["unknowns"])
        print(f"unknown {unknowns}; on {' and '.join(content['fields'])} fields")


def _parameter(parameter: dict[str, Any]) -> str:
    value = parameter.get("value", parameter.get("default"))
    number = f"{value:.6g}" if isinstance(value, float) else value
    low, high = parameter["bounds"]
    bounds = [f"at least {low:g}"] if low is not None else []
    bounds += [f"at most {high:g}"] if high is not None else []
    return f"parameter {parameter['name']} = {number} [{parameter['unit'] or '1'}]" + "".join(f", {b}" for b in bounds)
