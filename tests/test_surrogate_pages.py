"""The pages on surrogates and on training: commands have options and settings that exist."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

import pdesolve as ps
from pdesolve.cli import VERBS
from pdesolve.command.arguments import split_settings

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("surrogates", "training")}


def commands(name: str) -> list[str]:
    """The lines of a page's blocks that call the command, those of torchrun too, joined where they go on."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", PAGES[name], re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    calls = [re.search(r"(?:^pdesolve|-m pdesolve) (\w+ .*)", line.split("#")[0]) for line in lines]
    return [re.split(r"\s{3,}", call[1])[0] for call in calls if call is not None]


@pytest.mark.parametrize("name", PAGES)
def test_commands_have_options_and_settings_that_exist(name: str) -> None:
    lines = commands(name)
    assert len(lines) >= 4
    for line in lines:
        verb, *words = shlex.split(line)
        assert verb in VERBS, line
        rest, settings = split_settings(words)
        given = import_module(f"pdesolve.command.{verb}").parser().read(rest)
        if verb == "train":
            ps.make_learner(given.method, settings.get("method", {}))
        assert {"method": {}, "family": {}}.keys() >= settings.keys()


def test_settings_of_training_that_pages_name_exist() -> None:
    for option in re.findall(r"--method\.training\.(\w+ \w+)", "".join(PAGES.values())):
        setting, value = option.split()
        ps.make_learner("fno", {"training": {setting: value}})
    page = PAGES["surrogates"].split("## How it is trained")[1].split("\n## ")[0]
    words = ("average 0.999", "unroll 4", "push_forward 2", "noise 0.01", "precision bfloat16", "residual 1")
    for option in words:
        assert option in page
        setting, value = option.split()
        ps.make_learner("fno", {"training": {setting: value}})
