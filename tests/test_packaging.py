"""Packaging: the wheel, the environments, README's first block, the set-up script."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import pdesolve
from pdesolve.command.doctor import CORE, EXTRAS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# what conda calls torch
CONDA_NAMES = {"pytorch": "torch"}


def requirement(text: str) -> tuple[str, str]:
    """The name and the version bounds of a requirement."""
    match = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?(.*)", text.strip())
    assert match is not None, text
    return match[1], match[2]


def python(*arguments: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "PDESOLVE_CACHE": str(cwd / "cache")}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=cwd, check=False, timeout=300
    )


def readme_blocks() -> list[str]:
    """README's blocks of Python, the first one first."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks[0][0] == "python", "README begins with the first result"
    return [text for language, text in blocks if language == "python"]


def test_environment_yml_is_pyproject() -> None:
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    names = {requirement(entry)[0] for entry in conda}
    assert {"python", "pytorch", "h5py", "xarray", "matplotlib", "scipy", "pip"} <= names
    assert pip[-1] == "-e ."
    stated = dict(requirement(entry) for entry in [*conda, *pip[:-1]] if entry != "pip")
    assert stated.pop("python") == PROJECT["requires-python"]
    stated = {CONDA_NAMES.get(name, name): bounds for name, bounds in stated.items()}
    assert stated == dict(requirement(entry) for entry in PROJECT["dependencies"])


def test_constraints_pin_a_torch_that_is_allowed() -> None:
    (pin,) = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    name, bounds = requirement(pin)
    assert name == "torch" and tuple(map(int, bounds.removeprefix("==").split("."))) >= (2, 6, 0)


def test_doctor_knows_every_dependency() -> None:
    assert set(CORE) == {requirement(entry)[0] for entry in PROJECT["dependencies"]}
    extras = {k: {requirement(e)[0] for e in v} for k, v in PROJECT["optional-dependencies"].items() if k != "dev"}
    assert {name: set(modules) for name, modules in EXTRAS.items()} == extras


def test_names_and_versions_agree() -> None:
    assert PROJECT["name"] == "pdesolve-suite" and PROJECT["scripts"] == {"pdesolve": "pdesolve.cli:main"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == pdesolve.__version__ and citation["license"] == PROJECT["license"] == "MIT"
    assert (
        f"## [{pdesolve.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
        or "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, built once."""
    out = tmp_path_factory.mktemp("dist")
    code = (
        "import sys; from hatchling.build import build_sdist, build_wheel\n"
        "print(build_wheel(sys.argv[1])); print(build_sdist(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    wheel, sdist = done.stdout.split()[-2:]
    return out / wheel, out / sdist


def test_wheel_and_sdist_hold_the_package_once(distributions: tuple[Path, Path]) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "pdesolve"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("no git checkout: nothing says which files belong to the package")
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert {"pdesolve/py.typed", "pdesolve/physics/README.md", "pdesolve/operators/README.md"} <= tracked
    wheel, sdist = distributions
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == tracked, "the wheel is the package: all of it and no link of the root"
    assert any(name.endswith("licenses/LICENSE") for name in metadata)
    with tarfile.open(sdist) as archive:
        members = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert tracked | {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= members
    assert not {name for name in members if name.partition("/")[0] in ("physics", "operators", "datasets")}


def test_readme_runs_from_the_installed_wheel(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    """Without the checkout in sight: the wheel holds all that the first page needs."""
    site = tmp_path / "site"
    with zipfile.ZipFile(distributions[0]) as archive:
        archive.extractall(site)  # what installing a wheel of pure Python is
    work = tmp_path / "work"
    work.mkdir()
    first, *others = readme_blocks()
    blocks = [first, *(other.replace('budget="5s"', 'budget="1s"') for other in others)]
    code = (
        "import json, sys\nfrom contextlib import redirect_stdout\nfrom io import StringIO\nsaid = []\n"
        "for block in json.loads(sys.argv[1]):\n"
        "    with redirect_stdout(StringIO()) as out:\n        exec(block, {'__name__': '__main__'})\n"
        "    said.append(out.getvalue())\n"
        "import pdesolve\nfrom pdesolve.cli import main\n"
        "with redirect_stdout(StringIO()) as out:\n    main(['list', 'methods'])\n"
        "print(json.dumps([said, out.getvalue(), pdesolve.__file__]))"
    )
    done = python("-c", code, json.dumps(blocks), path=site, cwd=work)
    assert done.returncode == 0, done.stderr
    said, listed, found = json.loads(done.stdout)
    assert found == str(site / "pdesolve/__init__.py")
    for block, out in zip(blocks, said, strict=True):
        assert ("Batch of 16 windows" if "open_dataset" in block else "relative L2") in out
    solved = [block for block in blocks if "ps.solve" in block]
    assert len(list(work.glob("runs/*/figures/solution.png"))) == len(solved) == 2
    assert "pinn" in listed and "reference" in listed


def test_the_root_shadows_no_distribution(tmp_path: Path) -> None:
    """Whoever starts Python at the root and imports `datasets` gets the distribution of that name."""
    other = tmp_path / "datasets"
    other.mkdir()
    (other / "__init__.py").write_text('"""Another distribution of that name."""\n')
    code = "import sys; sys.path.insert(0, ''); import datasets; print(datasets.__file__)"
    done = python("-c", code, path=tmp_path, cwd=ROOT)
    assert done.stdout.strip() == str(other / "__init__.py"), done.stderr


def test_readme_shows_commands_that_exist() -> None:
    from pdesolve.cli import VERBS
    from pdesolve.command import compare, plot, predict, solve

    parsers = {"solve": solve, "compare": compare, "predict": predict, "plot": plot}
    commands = re.findall(r"^pdesolve (\w+)(.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {verb for verb, _ in commands} <= set(VERBS) and "solve" in {verb for verb, _ in commands}
    for verb, rest in commands:
        if verb in parsers:
            parser = parsers[verb].parser()
            known = {option for action in parser._actions for option in action.option_strings}
            plain = {word for word in re.findall(r"--[\w.-]+", rest) if "." not in word}
            assert plain <= known, f"README: pdesolve {verb}{rest}"


@pytest.mark.parametrize("target", ["demo", "test", "test-all", "lint"])
def test_make_knows_its_targets(target: str) -> None:
    done = subprocess.run(["make", "-n", target], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0 and ".ci/environment.py" in done.stdout


def test_the_set_up_sees_what_is_lacking(tmp_path: Path) -> None:
    """In a copy of the checkout whose requirements nobody can meet, or that this environment meets."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/environment.py").write_text((ROOT / ".ci/environment.py").read_text())
    text = '[project]\ndependencies = ["torch>=2.6", "numpy>=999", "no-such-thing>=1"]\n'
    (tmp_path / "pyproject.toml").write_text(text + '[project.optional-dependencies]\ndev = ["pytest>=8"]\n')
    words = [sys.executable, str(tmp_path / ".ci/environment.py")]
    lacking = subprocess.run([*words, "--lacking", "--dev"], capture_output=True, text=True, check=True).stdout
    assert lacking.split() == ["numpy>=999", "no-such-thing>=1"]
    (tmp_path / "pyproject.toml").write_text(text.replace("999", "1").replace(', "no-such-thing>=1"', ""))
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    for _ in range(2):  # chosen, then remembered
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == sys.executable, "torch is here already: this interpreter is used as it is"
    assert done.stderr == ""


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    """Needs a package index: a fresh environment, the wheel with the pinned torch, README's first block."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    interpreter = environment / "bin" / "python"
    pip = [str(interpreter), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "torch"], check=True)
    subprocess.run([*pip, str(distributions[0])], check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = str(environment / "bin" / "pdesolve")
    for words in ([str(interpreter), "-c", readme_blocks()[0]], [command, "doctor"], [command, "list"]):
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=clean, check=False)
        assert done.returncode == 0, done.stderr
    assert "burgers_shock" in done.stdout
