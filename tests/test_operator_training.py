"""Training of surrogates by `ps.train`: gone on with bit for bit, stopped by all that stops it, refused early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from waves import waves, waves_file

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.method import Surrogate
from pdesolve.nn.pointwise import Pointwise
from pdesolve.operators.fno.method import FNO
from pdesolve.surrogates.judging import scored
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.surrogates.rollout import rollout_windows
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import CHECKPOINT
from pdesolve.training.compiling import compilable
from pdesolve.training.losses import RelativeL2
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.objective import Fixed, sum_of
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training, optimiser_of, seeded, steps_apart
from pdesolve.training.room import check_room, few, step_bytes
from pdesolve.training.run import Run, read_history
from pdesolve.training.trial import compiles

STEPS = 14
SMALL = FNO(modes=4, width=4, depth=1, training=Training(batch=16))
SETTINGS: dict[str, Any] = {"steps": STEPS, "threads": 1, "device": "cpu", "budget": 600}
VARIANTS = {
    "plain": {},
    "average": {"average": 0.8},
    "noise": {"noise": 0.1},
    "unroll": {"unroll": 2, "push_forward": 1},
    "all": {"average": 0.8, "noise": 0.1, "unroll": 2, "schedule": "cosine", "warm_up": 0.2},
}

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return waves_file(tmp_path)


def method(**training: Any) -> FNO:
    return replace(SMALL, training=replace(SMALL.training, **training))


class Waiting(TorchDispatchMode):
    """Counts what would wait for a GPU: reading a number, and shapes that follow from values."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal")
    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        masked = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        self.count += name in self.NAMES or masked
        return func(*args, **(kwargs or {}))


def weights(surrogate: Surrogate) -> dict[str, torch.Tensor]:
    assert isinstance(surrogate, OperatorSurrogate)
    return {k: v for k, v in surrogate.module.state_dict().items() if isinstance(v, torch.Tensor)}


def same(first: Surrogate, second: Surrogate) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def rows(folder: str | Path) -> list[tuple[Any, ...]]:
    """The history without its clocks."""
    return [tuple(v for k, v in row.items() if not k.endswith("seconds")) for row in read_history(Path(folder))]


def as_killed(folder: str) -> None:
    record = json.loads(Path(folder, "run.json").read_text())
    Path(folder, "run.json").write_text(json.dumps({**record, "status": "running"}))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_killed_training_ends_as_if_nothing_had_been(name: str, data: Path, stopping_after) -> None:
    """Killed in the first epoch and within a later one: the same weights, those kept as the best and the history."""
    learner = method(**VARIANTS[name])
    whole = ps.train(learner, data, out="whole", **SETTINGS)
    for n in (2, 5):
        with stopping_after(n):
            ps.train(learner, data, out=f"run{n}", **SETTINGS)
        assert json.loads(Path(f"run{n}/run.json").read_text())["status"] == "failed"
        position = torch.load(f"run{n}/{CHECKPOINT}", weights_only=True)["position"]
        assert 0 < position["step"] < STEPS
        found = ps.resume_training(f"run{n}")
        assert same(found, whole) and rows(f"run{n}") == rows("whole")
        assert found.report is not None and whole.report is not None
        assert found.report.metrics == whole.report.metrics and found.report.status == "finished"


@pytest.mark.slow  # three processes that import torch
def test_a_killed_command_ends_as_if_nothing_had_been(data: Path) -> None:
    words = ["train", "fno", "--data", str(data), "--method.modes", "4", "--method.width", "6", "--method.depth", "2"]
    words += ["--method.training.batch", "16", "--method.training.average", "0.9", "--method.training.noise", "0.05"]
    words += ["--steps", "400", "--threads", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "pdesolve"]
    subprocess.run([*command, *words, "--out", "whole"], check=True, capture_output=True, timeout=300)
    running = subprocess.Popen([*command, *words, "--out", "run"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        if len(read_history(Path("run"))) > 12:
            running.kill()
        time.sleep(0.01)
    assert running.wait() == -signal.SIGKILL
    assert json.loads(Path("run/run.json").read_text())["status"] == "running"
    subprocess.run([*command, "resume", "run"], check=True, capture_output=True, timeout=300)
    assert same(ps.load_surrogate("run"), ps.load_surrogate("whole")) and rows("run") == rows("whole")


def interrupting(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send this process a signal while a step is taken."""
    forward, calls = OperatorObjective.forward, []

    def interrupted(self: OperatorObjective, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == step:
            os.kill(os.getpid(), number)
        return forward(self, batch)

    defaults = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    monkeypatch.setattr(signal, "getsignal", defaults.get)  # whatever started the tests
    monkeypatch.setattr(OperatorObjective, "forward", interrupted)


def test_an_interrupt_within_an_epoch_is_gone_on_from(data: Path, monkeypatch) -> None:
    """Between two looks: the look that the interrupt makes for its reader has no part in what is gone on with."""
    learner = method(average=0.8, noise=0.1)
    whole = ps.train(learner, data, out="whole", **SETTINGS)
    with monkeypatch.context() as patch:
        interrupting(patch, 7, signal.SIGINT)
        stopped = ps.train(learner, data, out="run", **SETTINGS)
    assert stopped.report is not None and stopped.report.status == "interrupted" and stopped.report.steps == 7
    with pytest.raises(InputError, match="run has taken 7 steps: give it more in all, --steps 14"):
        ps.resume_training("run", steps=5)
    assert not same(stopped, whole)
    assert same(ps.load_surrogate("run"), stopped)
    assert same(ps.resume_training("run"), whole) and rows("run") == rows("whole")


def test_a_terminated_training_is_stored_before_the_process_ends(data: Path, monkeypatch, capsys) -> None:
    whole = ps.train(SMALL, data, out="whole", **SETTINGS)
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        interrupting(patch, 5, signal.SIGTERM)
        ps.train(SMALL, data, out="run", **SETTINGS)
    assert end.value.code == 143
    record = json.loads(Path("run/run.json").read_text())
    assert record["status"] == record["report"]["status"] == "terminated"
    assert "next: pdesolve resume run" in capsys.readouterr().err
    assert same(ps.resume_training("run"), whole)


def test_a_finished_training_goes_on_with_more_steps(data: Path) -> None:
    ps.train(SMALL, data, out="run", **SETTINGS)
    with pytest.raises(InputError, match="run is finished: give it more in all"):
        ps.resume_training("run")
    more = ps.resume_training("run", steps=2 * STEPS)
    assert more.report is not None and more.report.steps == 2 * STEPS
    with pytest.raises(InputError, match=f"run has taken {2 * STEPS} steps: give it more in all, --steps {4 * STEPS}"):
        ps.resume_training("run", steps=STEPS)


def test_a_training_that_its_target_ended_tells_the_steps_it_took(data: Path) -> None:
    whole = ps.train(SMALL, data, out="run", target=10.0, **SETTINGS)
    assert whole.report is not None
    taken = whole.report.steps
    assert 0 < taken < STEPS
    with pytest.raises(InputError, match=f"run has taken {taken} steps: give it more in all, --steps {2 * taken}"):
        ps.resume_training("run", steps=taken)
    more = ps.resume_training("run", steps=taken + 2, target=1e-9)
    assert more.report is not None and more.report.steps == taken + 2


@pytest.mark.parametrize("average", [0.0, 0.8])
def test_a_divergence_keeps_the_best_weights_and_says_so(average: float, data: Path, monkeypatch, capsys) -> None:
    """The learning rate becomes absurd at the eighth step; the run can be gone on with."""
    training = ["--method.modes", "4", "--method.width", "4", "--method.depth", "1", "--method.training.batch", "16"]
    words = ["train", "fno", "--data", str(data), *training, "--method.training.average", str(average)]
    steps = ["--steps", str(STEPS), "--threads", "1", "--device", "cpu", "--out", "run"]
    assert main([*words, *steps, "--method.training.learning_rate", "1e6"]) == 3
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("pdesolve:")]
    assert len(lines) == 1 and "the best weights so far are kept; try a learning rate of" in lines[0]
    assert "next: pdesolve resume run" in out and "diverged" in out
    stored = ps.load_surrogate("run")
    assert all(bool(torch.isfinite(value).all()) for value in weights(stored).values())
    content = torch.load(f"run/{CHECKPOINT}", weights_only=True)
    assert content["position"]["shrink"] == pytest.approx(0.1)
    parts = content["parts"]
    for state in (parts["objective"], parts["stepping"]["sums"], parts["stepping"].get("average", {})):
        assert all(bool(torch.isfinite(v).all()) for v in state.values() if isinstance(v, torch.Tensor))
    assert main(["resume", "run"]) == 3  # 1e5 is no better, and it says so again
    assert "try a learning rate of" in capsys.readouterr().err


def waits(steps: int, data: Path, **training: Any) -> int:
    with Waiting() as waiting:
        ps.train(method(**training), data, steps=steps, threads=1, device="cpu", out=f"run{steps}")
    return waiting.count


BUSY = {"noise": 0.1, "unroll": 2, "push_forward": 1, "clip": 1.0, "loss": "h1", "schedule": "cosine", "warm_up": 0.2}


@pytest.mark.parametrize("training", [{}, BUSY], ids=["plain", "busy"])
def test_steps_wait_for_no_number_of_the_device(training: dict[str, Any], data: Path) -> None:
    assert 0 < waits(STEPS, data, **training) == waits(2 * STEPS, data, **training)


def test_a_compiler_that_fails_is_told_in_a_line(data: Path, monkeypatch, capsys) -> None:
    from torch._dynamo.exc import Unsupported

    def failing(self: torch.nn.Module) -> None:
        raise Unsupported("no such operation\nand much more")

    monkeypatch.setattr(torch.nn.Module, "compile", failing)
    words = ["train", "fno", "--data", str(data), "--steps", "2", "--out", "run", "--method.training.compiled", "yes"]
    assert main(words) == 2
    said = "the network cannot be compiled here (no such operation): train with --method.training.compiled no"
    assert said in capsys.readouterr().err and not Path("run").exists()
    with pytest.raises(RuntimeError, match="of another kind"), compilable():
        raise RuntimeError("of another kind")


def test_data_that_break_within_a_training_are_named(data: Path, monkeypatch) -> None:
    """What the check of the beginning cannot see: values of a file that change."""
    forward = OperatorObjective.forward

    def broken(self: OperatorObjective, batch: Any) -> Any:
        if self.count == 3:
            batch.targets["u"][4] = float("nan")
        return forward(self, batch)

    monkeypatch.setattr(OperatorObjective, "forward", broken)
    monkeypatch.setattr("pdesolve.training.minibatch._EVERY", 1)
    found = ps.train(SMALL, data, **SETTINGS)
    assert found.report is not None and found.report.status == "diverged"
    assert "the target u of 1 samples, such as number" in found.notes["diverged"]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_data_that_are_not_finite_are_refused_before_time_is_spent(split: str, monkeypatch) -> None:
    whole = waves()
    u = whole.variables["u"].array.all().copy()
    u[whole.splits[split][1], 2, 5] = np.nan
    broken = replace(whole, variables={"u": replace(whole.variables["u"], array=Memory(u))})
    monkeypatch.setattr("pdesolve.training.operator_training.fit", None)
    number = whole.splits[split][1]
    with pytest.raises(InputError, match=f"u is nan at sample {number}, t 2, x 5: leave such samples out"):
        ps.train(SMALL, broken, out="run", **SETTINGS)
    assert not Path("run").exists()


def test_values_whose_squares_overflow_are_refused() -> None:
    whole = waves()
    huge = Memory(1e30 * whole.variables["u"].array.all())
    with pytest.raises(InputError, match=r"u is about \de\+(29|30), whose squares float32 does not hold"):
        ps.train(SMALL, replace(whole, variables={"u": replace(whole.variables["u"], array=huge)}), **SETTINGS)


def test_what_is_misplaced_is_told_where_it_goes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = {
        ("--modes", "4"): "write --method.modes VALUE",
        ("--epochs", "4"): "write --method.training.epochs VALUE",
    }
    for words, line in lines.items():
        assert main(["train", "fno", "--data", str(data), *words, "--out", "run"]) == 2
        said = capsys.readouterr().err
        assert line in said and said.count("\n") == 1, said
    assert not Path("run").exists()


def test_a_run_that_held_nothing_out_says_so() -> None:
    whole = replace(waves(), splits={})
    everything = ps.train(SMALL, whole, ps.TaskChoice(split="train=1"), out="all", **SETTINGS)
    assert everything.report is not None and "no samples were held out" in everything.report.table()
    assert everything.report.samples == 0 and everything.report.split == ""


def test_data_that_were_moved_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ps.train(SMALL, data, out="run", **SETTINGS)
    data.rename("elsewhere.h5")
    capsys.readouterr()
    for words in (["eval", "run"], ["resume", "run", "--steps", "99"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert f"{data}, which the run was trained on, is not there any more" in said and said.count("\n") == 1, said
    assert main(["eval", "run", "--data", "elsewhere.h5"]) == 0


def test_the_budget_and_the_target_stop_a_training(data: Path) -> None:
    short = ps.train(SMALL, data, budget=0.5, threads=1, device="cpu", steps=10**6, out="short")
    assert short.report is not None and short.report.steps < 10**6 and short.report.cpu_seconds < 3.0
    again = ps.resume_training("short", budget=1.0)
    assert again.report is not None and again.report.steps > short.report.steps
    planned = ps.train(SMALL, data, budget=2.0, threads=1, device="cpu")
    assert planned.report is not None and planned.run is not None
    steps = json.loads((planned.run / "run.json").read_text())["choices"]["steps of train"]
    assert 0.6 * steps < planned.report.steps <= steps  # looks count in so short a run
    assert 0.8 < planned.report.cpu_seconds < 3.0
    aimed = ps.train(SMALL, data, target=10.0, out="aimed", **SETTINGS)
    assert aimed.report is not None and aimed.report.steps < STEPS
    assert torch.load(f"aimed/{CHECKPOINT}", weights_only=True)["position"]["reason"] == "target"


def test_other_runs_methods_and_versions_are_refused(data: Path, capsys) -> None:
    ps.train(SMALL, data, out="run", **SETTINGS)
    checkpoint, config = Path(f"run/{CHECKPOINT}"), Path("run/config.yaml")
    content, text = checkpoint.read_bytes(), config.read_text()

    def refused() -> str:
        capsys.readouterr()
        assert main(["resume", "run", "--steps", "99"]) == 2
        return capsys.readouterr().err

    config.write_text(text.replace("width: 4", "width: 5"))
    assert "belongs to another run: it has width: 4, the folder width: 5; start again by pdesolve train" in refused()
    config.write_text(text.replace("batch: 16", "batch: 8"))
    assert "it has batch: 16, the folder batch: 8" in refused()
    config.write_text(text)
    parts = torch.load(checkpoint, weights_only=True)
    torch.save({**parts, "format": 99}, checkpoint)
    assert "has format 99" in refused()
    other = {**parts, "parts": {**parts["parts"], "objective": {"other": torch.zeros(3)}}}
    torch.save(other, checkpoint)
    assert "does not fit the objective of this run" in refused()
    checkpoint.write_bytes(content[: len(content) // 2])
    assert "is damaged" in refused()
    checkpoint.write_bytes(content)
    surrogate = Path("run/surrogate.pt")
    stored = torch.load(surrogate, weights_only=True)
    torch.save({**stored, "method": "tfno"}, surrogate)
    with pytest.raises(InputError, match="is a surrogate of tfno, not of fno"):
        ps.load_surrogate("run")
    weights = dict(stored["weights"])
    taken = weights.pop(next(iter(weights)))
    for changed in (weights, {**stored["weights"], "more": taken}):
        torch.save({**stored, "weights": changed}, surrogate)
        with pytest.raises(InputError, match=r"does not fit the fno of these settings: it lacks .* or has more"):
            ps.load_surrogate("run")
    torch.save({**stored, "format": 99}, surrogate)
    with pytest.raises(InputError, match="has format 99"):
        ps.load_surrogate("run")


def test_epochs_are_passes_through_all_windows(data: Path) -> None:
    """The last batch of an epoch has the rest."""
    train = len(Windows(waves().split("train"), ps.Task(("u",), ("u",), ps.Steps(1, 1))))
    assert train % 32
    settings = {name: value for name, value in SETTINGS.items() if name != "steps"}
    found = ps.train(method(epochs=2, batch=32), data, out="run", **settings)
    assert found.report is not None and found.report.steps == 2 * (train // 32 + 1)


def test_validations_are_planned_by_counts() -> None:
    assert steps_apart(10_000, validation=0, training=Training()) == 50
    assert steps_apart(10_000, validation=12, training=Training()) == 76
    # steps pushed forward have no backward pass
    assert steps_apart(10_000, validation=100, training=Training(unroll=2, push_forward=2)) == 238
    assert steps_apart(20, validation=100, training=Training()) == 4
    assert steps_apart(3, validation=100, training=Training()) == 1


@pytest.mark.parametrize("push_forward", [0, 1])
def test_who_learns_rollouts_is_chosen_by_rollouts(data: Path, push_forward: int) -> None:
    """The least error of the history is that of rollouts of as many steps, by windows without common targets."""
    learner = method(unroll=3, push_forward=push_forward)
    found = ps.train(learner, data, out="run", **SETTINGS)
    windows = rollout_windows(found.signature, waves().split("valid"), 3 + push_forward)
    assert len(windows) == 4, "one of each of 4 trajectories of 6 frames"
    expected = scored(found, windows, steps=3 + push_forward).table()["u"]["relative_l2"]
    least = min(row["relative_l2 u"] for row in read_history(Path("run")))
    assert least == pytest.approx(expected, rel=1e-5)
    single = scored(found, Windows(waves().split("valid"), found.signature.task)).table()["u"]["relative_l2"]
    assert abs(single - least) > 1e-4 * least, "which single steps do not have"


def test_counted_looks_do_not_ask_the_clock(data: Path, monkeypatch) -> None:
    found = ps.train(SMALL, data, out="run", **SETTINGS)
    assert [row["step"] for row in read_history(Path("run"))] == [3, 6, 9, 12, 14]
    monkeypatch.setattr("pdesolve.training.run.Run.due", lambda self: True)
    again = ps.train(SMALL, data, out="again", **SETTINGS)
    assert rows("again") == rows("run") and same(found, again)


def test_windows_whose_steps_are_computed_anew_take_less_memory_and_have_the_same_gradient(data: Path) -> None:
    found = {}
    for recompute in (False, True):
        objective, batch = objective_of(data, unroll=4, recompute=recompute)
        parameters = list(objective.parameters())
        gradient = torch.autograd.grad(sum_of(objective(batch)), parameters)
        found[recompute] = step_bytes(objective, batch), gradient
    assert all(torch.equal(a, b) for a, b in zip(found[False][1], found[True][1], strict=True))
    assert found[True][0] < 0.6 * found[False][0]


def objective_of(data: Path, **settings: Any) -> tuple[OperatorObjective, Batch]:
    """The objective of a small operator and a batch of eight windows."""
    window = settings.get("unroll", 1)
    source = FromDataset(ps.open_dataset(data), ps.Task(("u",), ("u",), ps.Steps(1, 1)))
    with seeded(0):
        module = FNO(modes=4, width=8, depth=2).module(source.signature)
    batches = source.batches(ps.Task(("u",), ("u",), ps.Steps(1, window)), batch=8, device=torch.device("cpu"))
    batches.renew()
    assert isinstance(batches.batch, Batch)
    return OperatorObjective(module, {"relative_l2": (1.0, RelativeL2())}, **settings).train(), batches.batch


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(data: Path, monkeypatch) -> None:
    objective, batch = objective_of(data)
    one, whole = (step_bytes(objective, few(batch, count)) for count in (1, 8))
    foreseen = one + 7 * (step_bytes(objective, few(batch, 2)) - one)
    assert foreseen == pytest.approx(whole, rel=0.1)
    monkeypatch.setattr("pdesolve.training.room.free_bytes", lambda device: int(0.6 * foreseen))
    with pytest.raises(
        InputError, match=r"a batch of 8 windows needs .* GB are free: take --method.training.batch [34]"
    ):
        check_room(objective, batch, torch.device("cpu"))
    monkeypatch.setattr("pdesolve.training.room.free_bytes", lambda device: 2 * foreseen)
    check_room(objective, batch, torch.device("cpu"))
    assert objective.count == 0 and objective.training


def test_transforms_stay_in_float32_under_bfloat16(data: Path, monkeypatch) -> None:
    seen: dict[str, set[torch.dtype]] = {"fft": set(), "products": set()}
    for name in ("rfft", "fft", "rfftn", "fftn", "irfft", "ifft", "irfftn"):
        was = getattr(torch.fft, name)

        def told(x: torch.Tensor, *more: Any, was: Any = was, **named: Any) -> torch.Tensor:
            seen["fft"].add(x.dtype)
            return was(x, *more, **named)

        monkeypatch.setattr(torch.fft, name, told)
    objective, batch = objective_of(data, precision=torch.bfloat16)
    for part in objective.modules():
        if isinstance(part, Pointwise):
            part.register_forward_hook(lambda _, __, found: seen["products"].add(found.dtype))
    low = sum_of(objective(batch))
    low.backward()
    exact = sum_of(objective_of(data)[0](batch))
    assert seen["products"] == {torch.bfloat16}
    assert torch.bfloat16 not in seen["fft"] and torch.float16 not in seen["fft"]
    assert low.dtype == torch.float32 and float(low.detach()) == pytest.approx(float(exact.detach()), rel=0.5)
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in objective.parameters())


def test_what_compiling_gains_is_measured_and_told(data: Path, monkeypatch) -> None:
    said: list[str] = []
    run = Run(budget=Budget.from_now(10_000), say=said.append)
    objective, batch = objective_of(data)
    stepping = Minibatch(torch.optim.AdamW(objective.parameters()))
    seconds = {"": 0.2, "module.network": 0.1}
    monkeypatch.setattr("pdesolve.training.trial.step_seconds", lambda *_, compiled="": seconds[compiled])
    assert compiles(objective, stepping, Fixed(batch), run, network="module.network", steps=0)
    assert said[-1].startswith("a step takes 0.2 CPU s, 0.1 compiled") and said[-1].endswith(": compiled")
    assert not compiles(objective, stepping, Fixed(batch), run, network="module.network", steps=10)  # not worth it
    monkeypatch.setattr("pdesolve.training.trial.shutil.which", lambda name: None)
    assert not compiles(objective, stepping, Fixed(batch), run, network="module.network", steps=0)
    assert said[-1] == "no C++ compiler: the training runs eager"


def test_adamw_is_fused_where_all_weights_are_real_and_takes_the_same_steps(data: Path) -> None:
    found = []
    for whole in (True, False):
        objective, batch = objective_of(data)
        optimiser = optimiser_of(Training(), objective)
        assert optimiser.param_groups[0]["fused"]
        optimiser.param_groups[0]["fused"] = whole
        stepping = Minibatch(optimiser)
        for _ in range(5):
            stepping.take(objective, batch)
        found.append(torch.cat([p.detach().flatten() for p in objective.parameters()]))
    start = torch.cat([p.detach().flatten() for p in objective_of(data)[0].parameters()])
    moved = (found[1] - start).norm()
    assert (found[0] - found[1]).norm() < 1e-4 * moved
    complex_too = torch.nn.ParameterList([torch.ones(2), torch.ones(2, dtype=torch.complex64)])
    assert not optimiser_of(Training(), complex_too).param_groups[0]["fused"]
