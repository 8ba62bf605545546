"""The small data sets of the package: there, small, and what their commands make today."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import pdesolve as ps
from pdesolve.command.arguments import split_settings
from pdesolve.datasets.opening import MICRO
from pdesolve.datasets.production import produced
from pdesolve.settings import plain

(BLOCK,) = re.findall(r"^```sh\n(.*?)^```", (MICRO / "README.md").read_text(), re.MULTILINE | re.DOTALL)
COMMANDS = {words[2]: words for words in map(shlex.split, BLOCK.splitlines())}


def test_they_are_a_few_hundred_kilobytes_and_all_of_them_are_recorded() -> None:
    files = sorted(MICRO.glob("*.h5"))
    assert [path.stem for path in files] == sorted(COMMANDS)
    assert sum(path.stat().st_size for path in files) < 600_000


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_they_are_what_their_commands_make(name: str) -> None:
    rest, settings = split_settings(COMMANDS[name])
    options = dict(zip(rest[3::2], rest[4::2], strict=True))
    family, data = ps.make_family(name, settings["family"]), ps.open_dataset(f"micro:{name}")
    assert options["--out"] == f"{name}.h5" and data.samples == int(options["--n"]) and data.layout == "native"
    made = json.loads(data.attributes["generation"])
    assert made["order"]["settings"] == {key: plain(getattr(family, key)) for key in made["order"]["settings"]}
    assert made["record"]["failed"] == {} and made["packed"]
    shares = dict(part.split("=") for part in options["--split"].split(","))
    assert {n: len(numbers) for n, numbers in data.splits.items()} == {
        n: float(share) * data.samples for n, share in shares.items()
    }
    again, _ = produced(family, 0, range(data.samples - 1, data.samples))
    assert again is not None
    for variable in again.variables:
        expected, found = again.read(variable, {"sample": 0}), data.read(variable, {"sample": -1})
        assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max(), f"run its command of {MICRO} again"


def test_an_unknown_one_is_refused_with_those_there_are() -> None:
    with pytest.raises(ps.InputError, match="burgers, darcy, navier_stokes"):
        ps.open_dataset("micro:burger")
    assert Path(ps.open_dataset("micro:darcy").paths[0]).parent == MICRO
