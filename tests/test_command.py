"""The command: verbs, output, exit codes, configurations, one line for what cannot work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import pdesolve
from pdesolve.cli import VERBS, main
from pdesolve.errors import Diverged, InputError
from pdesolve.labelled import read_dataset

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("--method.width", "8", "--method.depth", "2", "--method.collocation", "64", "--method.condition_points", "16")
# the command counts the CPU time of the whole process, here that of all tests before
SOLVE = ("solve", "heat_1d", "--method", "pinn", "--budget", "100h", "--steps", "12", *SMALL)


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; gives its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_help_and_version_need_nothing(command) -> None:
    code, out, err = command("--help")
    assert code == 0 and not err and all(f"  {verb} " in out for verb in VERBS)
    assert command() == (code, out, err)
    assert command("--version") == (0, f"pdesolve {pdesolve.__version__}\n", "")
    for verb in VERBS:
        code, out, err = command(verb, "--help")
        assert code == 0 and out.startswith(f"usage: pdesolve {verb}") and not err


def test_help_of_a_problem_and_a_method_shows_their_settings(command) -> None:
    out = command("solve", "burgers_shock", "--method", "pinn", "--help")[1]
    assert "--problem.viscosity (float, default 0.00318" in out
    assert "--method.activation (tanh | silu | sine" in out and "units in each hidden layer" in out


def test_the_command_starts_without_torch() -> None:
    code = (
        "import sys; from pdesolve.cli import main\n"
        "for words in (['--help'], ['solve', '--help'], ['compare', '--help'], ['list'], ['list', '--json']):\n"
        "    assert main(words) == 0\n"
        "assert main(['solve', 'burgers_shok', '--method', 'pinn', '--budgt', '1s']) == 2\n"
        "assert not {'torch', 'numpy', 'xarray', 'rich', 'jsonargparse'} & set(sys.modules), sorted(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_list_shows_the_catalogue(command) -> None:
    code, out, _ = command("list")
    assert code == 0 and out.startswith("problems\n") and "\nmethods\n" in out and "\nequations\n" in out
    listed = json.loads(command("list", "--json")[1])
    assert {"name", "kind", "summary"} <= set(listed[0])
    assert {"burgers_shock", "pinn", "Burgers"} <= {entry["name"] for entry in listed}
    assert {entry["kind"] for entry in json.loads(command("list", "methods", "--json")[1])} == {"method"}


def test_show_says_what_each_kind_is(command) -> None:
    problem = json.loads(command("show", "burgers_shock", "--json")[1])
    assert problem["equation"] == "Burgers" and problem["parameters"][0]["name"] == "viscosity"
    assert problem["settings"][0]["name"] == "viscosity" and problem["conditions"] == ["initial u", "u at the boundary"]
    assert [axis["name"] for axis in problem["axes"]] == ["t", "x"] and "378" in problem["paper"]
    method = json.loads(command("show", "pinn", "--json")[1])
    assert {"width", "depth"} <= {setting["name"] for setting in method["settings"]}
    assert "arXiv 1711.10561" in method["paper"] and method["needs"]
    equation = json.loads(command("show", "Wave", "--json")[1])
    assert equation["unknowns"][0]["name"] == "u" and equation["fields"]
    for entry in json.loads(command("list", "--json")[1]):
        code, out, err = command("show", entry["name"], "--kind", entry["kind"])
        assert code == 0 and not err and out.startswith(f"{entry['name']}, a") and entry["summary"] in out


def test_doctor_examines_this_installation(command) -> None:
    found = json.loads(command("doctor", "--json")[1])
    assert found["missing"] == [] and found["versions"]["torch"] and found["devices"][0] == "cpu"
    assert found["cache"]["writable"] and set(found["extras"]) >= {"mesh", "view"}
    code, out, _ = command("doctor")
    assert code == 0 and "C++ compiler" in out and "torch" in out


@pytest.mark.draws
def test_solve_prints_the_proof_and_names_the_next_command(command) -> None:
    code, out, err = command(*SOLVE)
    assert code == 0 and "error of u" in out and "heat_1d by pinn" in err
    lines = out.splitlines()
    assert lines[-1].startswith("next: pdesolve ")
    picture = next(line for line in lines if line.startswith("picture: ")).removeprefix("picture: ")
    assert Path(picture).read_bytes().startswith(b"\x89PNG")
    words = lines[-1].removeprefix("next: pdesolve ").split()
    assert command(*words)[0] == 0, "the next command runs as it is printed"


def test_json_is_one_object_and_nothing_else(command) -> None:
    code, out, _ = command(*SOLVE, "--json", "--seed", "5", "--out", "run")
    proof = json.loads(out)
    assert code == 0 and proof["run"] == "run" and proof["seed"] == 5 and proof["settings"]["width"] == 8
    assert proof["errors"]["u"]["relative_l2"] > 0 and proof["parameters"] > 0


@pytest.mark.slow
def test_a_stored_configuration_repeats_the_run(command) -> None:
    first = json.loads(command(*SOLVE, "--json", "--out", "first", "--problem.diffusivity", "0.1", "--seed", "2")[1])
    code, out, _ = command("solve", "--config", "first/config.yaml", "--out", "again", "--json")
    again = json.loads(out)
    assert code == 0 and again["errors"] == first["errors"] and again["settings"] == first["settings"]
    kept = [yaml.safe_load(Path(run, "config.yaml").read_text()) for run in ("first", "again")]
    assert kept[0] == kept[1] and kept[0]["problem"] == {"name": "heat_1d", "diffusivity": 0.1}
    # the command line wins
    changed = json.loads(
        command("solve", "--config", "first/config.yaml", "--seed", "3", "--method.width=9", "--json", "--out", "c")[1]
    )
    assert changed["seed"] == 3 and changed["settings"] == {**first["settings"], "width": 9}


@pytest.mark.slow
def test_requirements_decide_the_exit_code(command) -> None:
    assert command(*SOLVE, "--require", "rel_l2=1e9", "--require", "residual=1e9")[0] == 0
    code, out, _ = command(*SOLVE, "--require", "rel_l2=1e-12")
    assert code == 4 and "required rel_l2 <= 1e-12, reached" in out
    assert command(*SOLVE, "--require", "rel_l2=1e-12", "--json")[0] == 4


def test_divergence_and_interrupts_have_their_exit_codes(command, monkeypatch) -> None:
    code, out, _ = command(*SOLVE, "--method.learning_rate", "1e300", "--out", "run", "--method.optimiser", "adam")
    assert code == 3 and "diverged" in out + str(Path("run/run.json").read_text())

    def stop(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    def blow_up(*arguments: Any, **options: Any) -> None:
        raise Diverged("the loss term equation\nis not finite at step 1")

    monkeypatch.setattr("pdesolve.solving.solve", stop)
    assert command(*SOLVE) == (130, "", "pdesolve: interrupted\n")
    monkeypatch.setattr("pdesolve.solving.solve", blow_up)
    assert command(*SOLVE) == (3, "", "pdesolve: the loss term equation is not finite at step 1\n")


def test_a_full_disk_and_too_little_memory_are_one_line(command, monkeypatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device", "runs/x/last.pt")

    def small(*arguments: Any, **options: Any) -> None:
        raise MemoryError("8 TB asked for")

    monkeypatch.setattr("pdesolve.solving.solve", full)
    assert command(*SOLVE) == (2, "", "pdesolve: No space left on device: runs/x/last.pt\n")
    monkeypatch.setattr("pdesolve.solving.solve", small)
    assert command(*SOLVE) == (2, "", "pdesolve: out of memory: 8 TB asked for\n")


def test_negative_values_reach_their_option(command) -> None:
    code, out, err = command(*SOLVE, "--budget", "-3s")
    assert (code, out) == (2, "") and "a budget is a time" in err and "-3s" in err
    code, out, err = command(*SOLVE, "--target", "-1")
    assert (code, out) == (2, "") and "positive" in err


def test_a_budget_counts_a_command_not_what_ran_before_it_in_its_process(command, monkeypatch) -> None:
    clock = os.times
    monkeypatch.setattr(os, "times", lambda: (clock().user + 5000.0, *clock()[1:]))
    assert (
        command("solve", "heat_1d", "--method", "pinn", *SMALL, "--steps", "3", "--budget", "1min", "--out", "run")[0]
        == 0
    )
    run = json.loads(Path("run/run.json").read_text())
    assert run["status"] == "finished" and run["proof"]["cpu_seconds"] < 60
    assert command("resume", "run", "--steps", "6")[0] == 0
    assert json.loads(Path("run/run.json").read_text())["proof"]["cpu_seconds"] < 60


@pytest.mark.slow
def test_an_interrupt_from_the_keyboard_leaves_a_usable_run(command) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "pdesolve", "solve", "heat_1d", "--method", "pinn", "--budget", "10min", *SMALL]
    # tests that a shell runs in the background inherit that SIGINT is ignored
    heard = (lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) if os.name == "posix" else None
    with subprocess.Popen([*words, "--out", "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                          text=True, preexec_fn=heard) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while not Path("run/last.pt").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in out and "Traceback" not in err
    assert json.loads(Path("run/run.json").read_text())["status"] == "interrupted"
    assert command("predict", "run", "--grid", "9", "--times", "0,1")[0] == 0


@pytest.mark.slow
@pytest.mark.draws
def test_predictions_go_to_files_that_open_elsewhere(command) -> None:
    command(*SOLVE, "--out", "run")
    assert command("predict", "run", "--grid", "21", "--times", "0,0.5", "--out", "grid.nc")[0] == 0
    grid = read_dataset(Path("grid.nc"))
    assert grid["u"].dims == ("t", "x") and grid.sizes == {"t": 2, "x": 21}
    Path("points.csv").write_text("x,t\n0.25,0.5\n0.5,0.0\n")
    code, out, _ = command("predict", "run", "--points", "points.csv", "--out", "values.csv", "--json")
    assert code == 0 and json.loads(out)["variables"]["u"]["shape"] == [2]
    rows = [line.split(",") for line in Path("values.csv").read_text().splitlines()]
    assert rows[0] == ["t", "x", "u"] and [float(v) for v in rows[1][:2]] == [0.5, 0.25]
    assert float(rows[2][2]) == pytest.approx(float(grid["u"].sel(t=0.0, x=0.5)), abs=1e-12)
    code, out, _ = command("plot", "grid.nc")
    assert code == 0 and Path("grid.png").exists() and out == "picture: grid.png\n"
    assert command("plot", "grid.nc", "--animate", "--out", "grid.gif")[0] == 0
    assert Path("grid.gif").read_bytes().startswith(b"GIF")
    assert json.loads(command("plot", "run", "--json")[1])["out"] == "run/figures/solution.png"


@pytest.mark.slow
@pytest.mark.draws
def test_compare_gives_one_table_and_one_figure(command) -> None:
    words = ("compare", "heat_1d", "--methods", "pinn", "--pinn.width", "6", "--budget", "1min", "--steps", "4")
    code, out, _ = command(*words, "--seeds", "0,1", "--sweep", "problem.diffusivity=0.1", "--out", "both")
    assert code == 0 and Path("both/comparison.png").exists()
    table = out.splitlines()
    assert sum(line.startswith("pinn diffusivity=0.1") for line in table) == 2 and table[-1].startswith("next: ")
    listed = json.loads(command(*words, "--json")[1])
    assert len(listed) == 1 and listed[0]["settings"]["width"] == 6


@pytest.mark.slow
def test_an_interrupt_ends_a_comparison(command, monkeypatch) -> None:
    from pdesolve.training.run import Run

    watch = Run.watch

    def interrupted(self: Run, solution: Any, **state: Any) -> bool:
        watch(self, solution, **state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "watch", interrupted)
    words = ("compare", "heat_1d", "--methods", "pinn,reference", "--pinn.width", "6", "--seeds", "0,1", "--steps", "4")
    code, out, _ = command(*words, "--out", "both")
    assert code == 130 and sum(line.startswith(("pinn", "reference")) for line in out.splitlines()) == 1


BAD = {
    "slove": "unknown verb 'slove': did you mean 'solve'",
    "list problem": "did you mean 'problems'",
    "show burgers_shok": "did you mean 'burgers_shock'",
    "show": "show needs a name",
    "solve": "which problem[?] write pdesolve solve",
    "solve heat_1d": "which method[?] write --method pinn",
    "solve burgers_shok --method pinn": "unknown problem 'burgers_shok': did you mean 'burgers_shock'",
    "solve heat_1d --method pin": "unknown method 'pin': did you mean 'pinn'",
    "solve heat_1d --method os.system": "unknown method 'os.system'",
    "solve heat_1d --method pinn --method.widht 3": "unknown method setting 'widht': did you mean 'width'",
    "solve heat_1d --method pinn --method.width x": "method.width must be int | none, got 'x'",
    "solve heat_1d --method pinn --method.width": "--method.width needs a value",
    "solve heat_1d --method pinn --method.width --json": "--method.width needs a value",
    "solve heat_1d --method pinn --method.width.deep 3": "method.width must be int",
    "solve heat_1d --method pinn --method. 3": "is no setting",
    "solve heat_1d --method pinn --model.width 3": "unknown setting 'model'",
    "solve heat_1d --method pinn --problem.diffusivity -1": "diffusivity must be a number in",
    "solve heat_1d --method pinn --problem.diffusvity 1": "did you mean 'diffusivity'",
    "solve heat_1d --method teng --scheme rk4": "'--scheme', a setting here: write --method.scheme VALUE",
    "solve heat_1d --method pinn --diffusivity=2": "write --problem.diffusivity VALUE",
    "solve heat_1d --method pinn --budgt 3s": "unknown option '--budgt': did you mean '--budget'",
    "solve heat_1d --method pinn --budget 0": "a budget must be more than zero",
    "solve heat_1d --method pinn --budget soon": "a budget is a time such as 90s",
    "solve heat_1d --method pinn --seed many": "seed must be int, got 'many'",
    "solve heat_1d --method pinn --seed -1": "a seed is a number from 0",
    "solve heat_1d --method pinn --threads 0": "at least one thread",
    "solve heat_1d --method pinn --steps 0": "at least one step",
    "solve heat_1d --method pinn --dtype float16": "dtype must be float64 | float32, got 'float16'",
    "solve heat_1d --method pinn --device tpu": "a device is auto, cpu",
    "solve heat_1d --method pinn --target 0": "a target is a positive",
    "solve heat_1d --method pinn --require accuracy=1": "unknown requirement 'accuracy'",
    "solve heat_1d --method pinn --learn diffusivty --steps 1": "did you mean 'diffusivity'",
    "solve heat_1d --method pinn --observe missing.csv": "missing.csv",
    "solve heat_1d --method pinn --config missing.yaml": "cannot read the configuration missing.yaml",
    "solve heat_1d again --method pinn": "unexpected argument 'again'",
    "solve heat_1d --method": "argument --method: expected one argument",
    "compare heat_1d": "compare needs methods and a problem or data",
    "compare heat_1d --methods pinn --seeds 0,x": "--seeds takes numbers",
    "compare heat_1d --methods pinn --seeds 0,-1": "a seed is a number from 0",
    "compare heat_1d --methods pinn --seed 1 --seeds 0,1": "give one of the two",
    "compare heat_1d --methods pinn --sweep diffusivity=1": "a sweep reads problem",
    "compare heat_1d --methods pinn --sweep method.width=1": "unknown sweep",
    "compare heat_1d --methods pinn --other.width 1": "unknown setting 'other'",
    "predict": "predict needs a run folder",
    "predict nowhere": "no run folder",
    "predict nowhere --points a.csv --grid 3": "leave out --grid",
    "predict nowhere --grid 1": "at least 2 points",
    "predict nowhere --out values.txt": "written as .nc or .csv",
    "plot": "plot needs a file",
    "plot nothing.nc": "there is no file nothing.nc",
    "plot nothing.nc --animate --out a.png": "an animation is written as .gif",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_exit_2_with_nothing_written(words: str, command) -> None:
    code, out, err = command(*words.split())
    assert code == 2 and out == "" and err.startswith("pdesolve: ") and err.count("\n") == 1, err
    pattern = BAD[words]
    assert any(part.replace("[?]", "?") in err for part in (pattern, *pattern.split("|"))), err
    assert not [path for path in Path().rglob("*") if path.is_file()], "something was written"


CONFIGS = {
    "problem: heat_1d\nmethod: {name: pinn, widht: 3}\n": "unknown method setting 'widht': did you mean 'width'",
    "problem: {name: heat_1d, diffusvity: 3}\nmethod: pinn\n": "unknown problem setting 'diffusvity'",
    "problem: heat_1d\nmethod: pinn\nbudgt: 3s\n": "unknown setting 'budgt': did you mean 'budget'",
    "problem: heat_1d\nmethod: pinn\nbudget: [3]\n": "budget must be float | str",
    "problem: heat_1d\nmethod: {class_path: os.system}\n": "method.class_path names a class",
    "problem: {class_path: subprocess.run, init_args: {args: ls}}\nmethod: pinn\n": "problem.class_path names a class",
    "problem: heat_1d\nmethod: {name: pinn, width: {class_path: this.poem}}\n": "method.width.class_path names a class",
    "problem: heat_1d\nmethod: this.poem\n": "unknown method 'this.poem'",
    "problem: heat_1d\nmethod: !!python/name:this.s pinn\n": "could not determine a constructor",
    "problem: [heat_1d]\nmethod: pinn\n": "problem must be a name",
    "problem: {name: 3}\nmethod: pinn\n": "problem.name must be a word",
    "method: pinn\n": "which problem?",
    "problem: {name: kdv}\n": "which method?",
}


@pytest.mark.parametrize("text", CONFIGS)
def test_bad_configurations_are_refused_alike(text: str, command, tmp_path: Path) -> None:
    Path("config.yaml").write_text(text)
    code, out, err = command("solve", "--config", "config.yaml")
    assert code == 2 and out == "" and err.count("\n") == 1 and CONFIGS[text] in err, err
    assert "this" not in sys.modules and [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_name_that_contradicts_the_file_is_refused(command) -> None:
    Path("config.yaml").write_text("problem: {name: heat_1d, diffusivity: 0.2}\nmethod: pinn\n")
    code, _, err = command("solve", "kdv", "--config", "config.yaml")
    assert code == 2 and "settings of the problem 'heat_1d', the command line asks for 'kdv'" in err


def test_a_finished_run_is_kept(command) -> None:
    command(*SOLVE, "--out", "run")
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
    code, _, err = command(*SOLVE, "--out", "run")
    assert code == 2 and "finished" in err
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")} == before


def test_warnings_are_one_line(command, monkeypatch) -> None:
    import warnings

    def solve(*arguments: Any, **options: Any) -> None:
        warnings.warn("two conditions\ndisagree at a corner", stacklevel=2)
        raise InputError("enough")

    monkeypatch.setattr("pdesolve.solving.solve", solve)
    assert command(*SOLVE)[2] == "pdesolve: warning: two conditions disagree at a corner\npdesolve: enough\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-m", "pdesolve", "list", "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
