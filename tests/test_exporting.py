"""Surrogates as files that run without pdesolve: the same function, at one resolution."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from waves import waves, waves_file

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.operators.fno.method import FNO
from pdesolve.operators.unet.method import UNet
from pdesolve.surrogates.exporting import DESCRIPTION, export
from pdesolve.training.operator_training import Training

_TRAINING = Training(batch=16)
METHODS: dict[str, Any] = {
    "fno": FNO(modes=4, width=4, depth=1, training=_TRAINING),
    "unet": UNet(width=4, depth=2, training=_TRAINING),
}

pytestmark = pytest.mark.usefixtures("own_folder")


def trained(name: str, folder: Path) -> Any:
    return ps.train(
        METHODS[name], waves_file(folder), TaskChoice(past=2, ahead=1), out=f"runs/{name}", steps=3, threads=1,
        device="cpu", budget=600,
    )  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_a_file_gives_what_the_surrogate_gives(name: str, tmp_path: Path, capsys) -> None:
    surrogate = trained(name, tmp_path)
    capsys.readouterr()
    assert main(["export", f"runs/{name}", "--grid", "16", "--batch", "3", "-o", "waves.pt2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["inputs"] == {"u": [3, 2, 1, 16]} and told["outputs"] == {"u": [3, 1, 1, 16]}
    assert told["difference"] <= 1e-5
    extra = {DESCRIPTION: ""}
    step = torch.export.load("waves.pt2", extra_files=extra).module()
    described = json.loads(extra[DESCRIPTION])
    assert "sizes are fixed" in described["sizes"] and described["inputs"] == told["inputs"]
    batch = Windows(waves(seed=1), surrogate.signature.task).batch(range(3))
    with torch.no_grad():
        torch.testing.assert_close(step(batch.inputs["u"])[0], surrogate.predict(batch)["u"], rtol=0, atol=1e-5)
    with pytest.raises(Exception, match=r"(?i)shape|size|guard|constrain|expected"):
        step(batch.inputs["u"][:2])


def test_another_resolution_is_another_file(tmp_path: Path) -> None:
    surrogate = trained("fno", tmp_path)
    made = export(surrogate, "fine.pt2", grid=[24])
    assert made.inputs == {"u": [1, 2, 1, 24]} and made.difference <= 1e-5
    x = torch.arange(24) / 24
    u = torch.sin(2 * torch.pi * x).expand(1, 2, 1, -1)
    found = torch.export.load("fine.pt2").module()(u)[0]
    coarse = torch.export.load(export(surrogate, "coarse.pt2").path).module()(u[..., ::3].repeat(1, 1, 1, 2))[0]
    assert found.shape[-1] == 24 and coarse.shape[-1] == 16


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys) -> None:
    surrogate = trained("fno", tmp_path)
    with pytest.raises(InputError, match=r"axes of space x, got the sizes 16,16: .*--grid 16"):
        export(surrogate, "waves.pt2", grid=[16, 16])
    with pytest.raises(InputError, match="at least one sample, got 0"):
        export(surrogate, "waves.pt2", batch=0)
    with pytest.raises(InputError, match="there is no folder nowhere"):
        export(surrogate, "nowhere/waves.pt2")
    capsys.readouterr()
    assert main(["export", "runs/fno", "--dynamic"]) == 2
    assert "sizes of an export are fixed" in capsys.readouterr().err
    assert not [path for path in Path().iterdir() if path.suffix in (".pt2", ".onnx")]


def test_a_file_that_differs_is_not_left(tmp_path: Path, monkeypatch) -> None:
    surrogate = trained("unet", tmp_path)
    load = torch.export.load

    class Off:
        def __init__(self, path: Path) -> None:
            self.step = load(path).module()

        def module(self) -> Any:
            return lambda *values: [1.01 * value for value in self.step(*values)]

    monkeypatch.setattr(torch.export, "load", Off)
    with pytest.raises(InputError, match=r"differs from the surrogate by .*no file was written"):
        export(surrogate, "waves.pt2")
    assert not [path for path in Path().iterdir() if path.suffix in (".pt2", ".onnx")]


HAVE_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))


@pytest.mark.skipif(HAVE_ONNX, reason="the package onnx is there")
def test_onnx_without_its_packages_names_them(tmp_path: Path) -> None:
    surrogate = trained("unet", tmp_path)
    with pytest.raises(InputError, match=r"ONNX needs the package onnx.*pdesolve-suite\[onnx\]"):
        export(surrogate, "waves.onnx", format="onnx")


@pytest.mark.skipif(not HAVE_ONNX, reason="needs the extra onnx")
@pytest.mark.parametrize("name", METHODS)
def test_onnx_gives_what_the_surrogate_gives(name: str, tmp_path: Path) -> None:
    assert export(trained(name, tmp_path), "waves.onnx", format="onnx").difference <= 1e-5


@pytest.mark.skipif(not HAVE_ONNX, reason="needs the extra onnx")
def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path, monkeypatch) -> None:
    surrogate, decode = trained("unet", tmp_path), FieldOperator.decode
    monkeypatch.setattr(
        FieldOperator, "decode",
        lambda self, *given: {k: torch.special.bessel_j0(v) for k, v in decode(self, *given).items()},
    )  # fmt: skip
    with pytest.raises(InputError, match=r"ONNX has no operator for \S*bessel_j0"):
        export(surrogate, "waves.onnx", format="onnx")
    assert not list(Path().glob("*.onnx"))
