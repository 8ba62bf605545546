"""The documents run: the notebook's cells in order, as stored, and the blocks of the page on the accessor."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"


def notebook() -> dict:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def code() -> list[dict]:
    return [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def stored_text() -> str:
    return "\n".join("".join(o.get("text") or o["data"].get("text/plain", "")) for c in code() for o in c["outputs"])


def shown(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does; the value of its last expression, which is shown unless a semicolon ends it."""
    *body, last = ast.parse(cell).body
    if not isinstance(last, ast.Expr) or cell.rstrip().endswith(";"):
        return exec(cell, names)
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, and figures that no window shows."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    yield
    plt.close("all")


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


def test_the_notebook_runs_and_finds_what_it_says(at_home: None) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    values = [shown(source(cell), names) for cell in code()]
    pictures = [value._repr_png_() for value in values if hasattr(value, "_repr_png_")]
    assert len(pictures) == 2 and all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert names["error"]["u"] == names["solution"].proof.errors["u"]
    (stored,) = re.findall(r"error of u +(\S+) relative L2", stored_text())
    assert 1e-4 < float(stored) < 2e-2
    # six hundred steps of quasi-Newton carry rounding along: another machine ends near, not at, the stored figure
    assert names["error"]["u"]["relative_l2"] == pytest.approx(float(stored), rel=1.0)


def test_the_page_on_the_accessor_runs(at_home: None, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "accessor.md").read_text(encoding="utf-8")
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), {})
    error, values, residual, wave = capsys.readouterr().out.splitlines()
    assert 0 < float(error) < 0.5 and float(residual) > 0 and float(wave) == 3.0
    assert len(values.strip("[]").split()) == 2
    import pdesolve.accessor as accessor

    for name in re.findall(r"\.pde\.(\w+)", page):
        assert hasattr(accessor.Accessor, name)
