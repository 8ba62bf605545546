"""Guards: what the source tree must keep, read from the source itself. Each test names every offender."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

import pdesolve

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pdesolve"
MODULES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "experiments").rglob("*.py"))]
LONGEST = 400
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
# public functions that may take **kwargs, each with its reason
MAY_SWALLOW: dict[str, str] = {
    "pdesolve.accessor.at": "axes are named by the data, as in the sel of xarray",
    "pdesolve.method.at": "axes are named by the problem, as in the accessor's",
}
LAYERS = ("physics", "operators", "datasets")
SEEN_FROM = {
    "command": ("command", *LAYERS),
    "names": LAYERS,  # the package's own module, which loads them late
    "core": (),
    "physics": ("physics",),
    "operators": ("physics", "operators"),
    "datasets": ("physics", "datasets"),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree(path)))


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """So many nodes would be looked through whenever later tests collect garbage."""
    yield
    tree.cache_clear()
    nodes.cache_clear()


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    return tuple(imports(nodes(path)))


def imports(found: Iterable[ast.AST]) -> Iterator[str]:
    """Every module a source imports, inside functions too; `from a import b` counts as a and a.b."""
    for node in found:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> str:
    parts = module.split(".")
    if len(parts) == 1:
        return "names"
    return parts[1] if parts[1] in SEEN_FROM else "core"


def method(module: str) -> str | None:
    """The method a module belongs to: physics.solvers.NAME or operators.NAME."""
    match = re.match(r"pdesolve\.(physics\.solvers\.\w+|operators\.\w+)", module)
    return match[1] if match else None


def steps_up(module: str, imported: str) -> bool:
    """Whether a module may not import another: layers look down, the command at all, methods not at one another."""
    if not imported.startswith("pdesolve."):
        return False
    if layer(imported) != "core" and layer(imported) not in SEEN_FROM[layer(module)]:
        return True
    target = method(imported)
    return target is not None and target != method(module) and layer(module) != "command"


def test_layers_look_down_only() -> None:
    found = [f"{name_of(p)} imports {i}" for p in MODULES for i in imports_of(p) if steps_up(name_of(p), i)]
    assert not found, f"core <- physics <- operators, datasets, and methods stand alone: {found}"


@pytest.mark.parametrize(
    ("module", "imported", "refused"),
    [
        ("pdesolve.fields.grid", "pdesolve.physics.equations.heat", True),
        ("pdesolve.physics.problems.kdv", "pdesolve.operators.fno", True),
        ("pdesolve.physics.solvers.pinn.method", "pdesolve.physics.solvers.reference.method", True),
        ("pdesolve.physics.problems.kdv", "pdesolve.physics.solvers.reference.method", True),
        ("pdesolve.operators.fno.method", "pdesolve.datasets.writing", True),
        ("pdesolve.physics.solvers.pinn.method", "pdesolve.physics.collocation.model", False),
        ("pdesolve.operators.fno.method", "pdesolve.physics.problems.kdv", False),
        ("pdesolve.physics.problems.kdv", "pdesolve.fields", False),
        ("pdesolve.solving", "pdesolve.command.solve", True),
        ("pdesolve.solving", "pdesolve.datasets.opening", True),
        ("pdesolve", "pdesolve.datasets.opening", False),
        ("pdesolve.command.doctor", "pdesolve.physics.solvers.reference.cache", False),
    ],
)
def test_the_guard_of_the_layers_sees_steps_up(module: str, imported: str, refused: bool) -> None:
    assert steps_up(module, imported) == refused


def test_nothing_imports_through_the_links_or_relatively() -> None:
    links = [name_of(p) for p in EVERYTHING if {i.partition(".")[0] for i in imports_of(p)} & {*LAYERS}]
    relative = [name_of(p) for p in EVERYTHING for n in nodes(p) if isinstance(n, ast.ImportFrom) and n.level > 0]
    assert not links and not relative


def test_modules_are_short_and_named_by_nouns() -> None:
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert not {n: length for n, length in lengths.items() if length > LONGEST}, f"at most {LONGEST} lines: split"
    assert not [name_of(p) for p in EVERYTHING if set(name_of(p).split(".")) & FORBIDDEN_NAMES]


def test_public_functions_swallow_no_keywords() -> None:
    found = [
        f"{name_of(p)}.{node.name}"
        for p in MODULES
        for node in nodes(p)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.kwarg and node.name[0] != "_"
    ]
    assert set(found) == set(MAY_SWALLOW)


def test_nothing_is_evaluated_or_unpickled() -> None:
    found = []
    for path in MODULES:
        for call in (node for node in nodes(path) if isinstance(node, ast.Call)):
            function = ast.unparse(call.func)
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            bad = function in ("eval", "exec", "compile", "__import__") or function.split(".")[0] in ("pickle", "dill")
            bad |= function == "torch.load" and keywords.get("weights_only") != "True"
            bad |= function in ("np.load", "numpy.load") and keywords.get("allow_pickle", "False") != "False"
            bad |= function == "yaml.load" and "SafeLoader" not in path.read_text(encoding="utf-8")
            if bad:
                found.append(f"{name_of(path)}:{call.lineno} {function}")
    assert not found


def test_modules_say_what_they_are_and_leave_nothing_to_do() -> None:
    assert not [name_of(p) for p in EVERYTHING if not ast.get_docstring(tree(p))]
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3))
    assert not [name_of(p) for p in EVERYTHING if re.search(rf"\b({marks})\b", p.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", LAYERS)
def test_links_at_the_root_are_relative(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink() and os.readlink(link) == f"pdesolve/{name}"
    folder = PACKAGE / name
    assert (folder / "README.md").read_text().startswith(f"# {name}\n")
    assert not (folder / "__init__.py").exists(), "a namespace folder, so that distributions of the name keep it"


def test_each_method_has_its_card() -> None:
    patterns = ("physics/solvers/*/method.py", "operators/*/method.py")
    folders = sorted(path.parent for pattern in patterns for path in PACKAGE.glob(pattern))
    assert folders
    for folder in folders:
        card = ast.get_docstring(tree(folder / "__init__.py")) or ""
        first = card.partition("\n")[0]
        assert first.endswith(".") and len(first) <= 120, f"{folder.name}: the card begins with one sentence"
        for title in ("Papers?", "Needs"):
            assert re.search(rf"^{title}: \w", card, re.MULTILINE), f"{folder.name}: no paragraph '{title}: ...'"


@pytest.mark.parametrize(
    "code",
    ["import pdesolve; dir(pdesolve)", "import pdesolve.cli, pdesolve.catalogue as c; assert c.entries()"],
    ids=["import", "catalogue"],
)
def test_importing_is_light(code: str) -> None:
    check = "import sys; print(sorted({'torch', 'xarray', 'numpy', 'matplotlib', 'neuralop'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=120,
    )  # fmt: skip
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def test_the_names_of_the_package_are_where_it_says() -> None:
    declared: dict[str, str] = {}
    for node in nodes(PACKAGE / "__init__.py"):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pdesolve."):
            declared.update({alias.name: node.module or "" for alias in node.names})
    assert declared == pdesolve._HOME
    assert all(getattr(pdesolve, name) is not None for name in declared)
    assert set(declared) <= set(dir(pdesolve)) and set(declared) < set(pdesolve.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        pdesolve.no_such_name  # noqa: B018
    # a submodule of that name would take the place of the function as soon as somebody imports it
    assert not set(declared) & {path.stem for path in PACKAGE.iterdir()}


def test_the_shares_of_time_are_watched() -> None:
    from conftest import CORE_SECONDS, METHOD_SECONDS, cpu_seconds, too_long

    assert too_long({"test_pinn": METHOD_SECONDS, "test_fields": CORE_SECONDS}) == []
    assert "test_pinn takes 17" in too_long({"test_pinn": 17.0})[0]
    (line,) = too_long({"test_fields": 200.0, "test_geometry": 50.0})
    assert "250 CPU s" in line and "test_fields 200" in line
    start = cpu_seconds()
    assert cpu_seconds() >= start > 0
