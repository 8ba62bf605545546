"""The page on data: its commands and examples run, one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pdesolve.cli import main
from pdesolve.datasets.opening import open_dataset

PAGE = Path(__file__).parent.parent / "docs/data.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = [code for kind, code in BLOCKS if kind == "sh"]
    for line in code.splitlines():
        assert main(shlex.split(line, comments=True)[1:]) == 0, line
    assert (tmp_path / "flow.png").stat().st_size > 10_000
    there, back = open_dataset("micro:burgers"), open_dataset("back.h5")
    assert (there.read("u") == back.read("u")).all() and back.coordinates["x"].axis.periodic


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in [code for kind, code in BLOCKS if kind == "python"]:
        exec(compile(code, "data.md", "exec"), names)
    said = capsys.readouterr().out
    for part in ("u (sample 32, t 11, x 64)", "('t', 'x') 0.1", "torch.Size([8, 2, 1, 64]) torch.Size([8, 3, 1, 64])"):
        assert part in said
