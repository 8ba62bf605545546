"""The documents run: the notebook's cells in order, as stored, and the blocks of the page on the accessor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"

# what a notebook does: the cells in one namespace, the value of a last expression shown as a picture where it has one
RUNNER = """
import ast, json, sys
space = {"__name__": "__main__"}
pictures = 0
for source in json.load(sys.stdin):
    *body, last = ast.parse(source).body
    shown = ast.Expression(last.value) if isinstance(last, ast.Expr) and not source.rstrip().endswith(";") else None
    exec(compile(ast.Module(body if shown else [*body, last], []), "cell", "exec"), space)
    value = eval(compile(shown, "cell", "eval"), space) if shown else None
    if hasattr(value, "_repr_png_"):
        pictures += value._repr_png_()[:4] == b"\\x89PNG"
print(json.dumps({"error": space["error"]["u"], "proof": space["solution"].proof.errors["u"], "pictures": pictures}))
"""


def notebook() -> dict:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def code() -> list[dict]:
    return [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def stored_text() -> str:
    return "\n".join("".join(o.get("text") or o["data"].get("text/plain", "")) for c in code() for o in c["outputs"])


def run(script: str, given: str, folder: Path) -> str:
    """The standard output of a script in a process of its own, in an empty folder."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-c", script],
        input=given, capture_output=True, text=True, env=settings, cwd=folder, check=False, timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


def test_the_notebook_is_stored_as_it_ran() -> None:
    """Every cell in order and with its output; pictures small; no place on the machine where it ran."""
    content = notebook()
    assert content["nbformat"] == 4 and len(content["cells"]) <= 15
    assert NOTEBOOK.stat().st_size < 400_000
    assert [cell["execution_count"] for cell in code()] == list(range(1, len(code()) + 1))
    assert all(cell["outputs"] for cell in code())
    assert not [o for cell in code() for o in cell["outputs"] if o["output_type"] == "error"]
    assert sum("image/png" in o.get("data", {}) for cell in code() for o in cell["outputs"]) == 3
    for cell in content["cells"]:
        pictures = [o["data"].pop("image/png", None) for o in cell.get("outputs", []) if "data" in o]
        assert len(pictures) <= 1
    assert not re.findall(r"(?<![\w.])/\w+/[\w/.-]+|[A-Z]:\\\\", json.dumps(content))


def test_the_notebook_runs_and_finds_what_it_says(tmp_path) -> None:
    found = json.loads(run(RUNNER, json.dumps([source(cell) for cell in code()]), tmp_path).splitlines()[-1])
    assert found["pictures"] == 2
    assert found["error"] == found["proof"]
    (stored,) = re.findall(r"error of u +(\S+) relative L2", stored_text())
    assert 1e-4 < float(stored) < 2e-2
    # six hundred steps of quasi-Newton carry rounding along: another machine ends near, not at, the stored figure
    assert found["error"]["relative_l2"] == pytest.approx(float(stored), rel=1.0)


def test_the_page_on_the_accessor_runs(tmp_path) -> None:
    page = (ROOT / "docs" / "accessor.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    error, values, residual, wave = run("\n".join(blocks), "", tmp_path).splitlines()
    assert 0 < float(error) < 0.5 and float(residual) > 0 and float(wave) == 3.0
    assert len(values.strip("[]").split()) == 2
    import pdesolve.accessor as accessor

    for name in re.findall(r"\.pde\.(\w+)", page):
        assert hasattr(accessor.Accessor, name)
