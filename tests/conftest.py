"""Settings of the whole test suite, and the watch over its time.

Shares of CPU time (two cores: 2 minutes for the core, 1 for data sets and families, 8 s for each method, 15 s for each
notebook): the suite must stay short for the whole project's life. CPU time, since wall time depends on who else uses
the machine. What is slower is marked `slow`.
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

# small operations: several threads would only wait for one another, and more so beside other test processes
torch.set_num_threads(1)

# traced programs and syntax trees are many objects, which would be looked through at each tenth of their growth
gc.set_threshold(5000, 20, 20)

# reference solutions of tests stay out of the user's cache; commands that tests start inherit this
CACHE = tempfile.TemporaryDirectory(prefix="pdesolve-cache-")
os.environ["PDESOLVE_CACHE"] = CACHE.name

CORE_SECONDS = 240.0
DATA_SECONDS = 120.0
METHOD_SECONDS = 16.0
NOTEBOOK_SECONDS = 30.0
LEARNER_SECONDS = 6.0  # of each learner in tests/test_learners.py
SETUP_SECONDS = 120.0  # of building the wheel and running README from it
NOTEBOOKS = 2  # docs/first_steps.ipynb and the page beside it
METHODS = {path.parent.name for path in Path(__file__).parent.parent.glob("pdesolve/*/**/method.py")} - {"reference"}
LEARNERS = len(list(Path(__file__).parent.parent.glob("pdesolve/operators/*/method.py")))

TESTS = Path(__file__).parent
_ABOUT_DATA = re.compile(r"^from pdesolve\.(datasets|family|data|task)\b", re.MULTILINE)
DATA = {path.stem for path in TESTS.glob("test_*.py") if _ABOUT_DATA.search(path.read_text(encoding="utf-8"))}

spent: dict[str, float] = {}


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Add the test's CPU time, fixtures included, to its file's; slow tests are nobody's share."""
    start = cpu_seconds()
    result = yield
    if item.get_closest_marker("slow") is None:
        spent[item.path.stem] = spent.get(item.path.stem, 0.0) + cpu_seconds() - start
    return result


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """What was imported and what earlier files keep is not looked through when the tests of a file collect garbage."""
    gc.collect()
    gc.freeze()


def too_long(spent: dict[str, float]) -> list[str]:
    """One line for each share that is exceeded."""
    shares = {f"test_{method}": METHOD_SECONDS for method in METHODS}
    shares["test_packaging"] = SETUP_SECONDS
    shares["test_learners"] = LEARNER_SECONDS * LEARNERS
    shares["test_notebook"] = NOTEBOOKS * NOTEBOOK_SECONDS
    lines = [
        f"{name} takes {seconds:.0f} CPU s, its share is {shares[name]:.0f}: make it shorter or mark parts slow"
        for name, seconds in spent.items()
        if seconds > shares.get(name, float("inf"))
    ]
    others = {name: seconds for name, seconds in spent.items() if name not in shares}
    parts = {"core": (others.keys() - DATA, CORE_SECONDS), "data": (others.keys() & DATA, DATA_SECONDS)}
    for part, (names, share) in parts.items():
        total = sum(others[name] for name in names)
        if total > share:
            longest = ", ".join(f"{n} {others[n]:.0f}" for n in sorted(names, key=lambda n: -others[n])[:5])
            lines.append(f"the {part}'s tests take {total:.0f} CPU s, their share is {share:.0f}: {longest}")
    return lines


def pytest_sessionfinish(session: pytest.Session) -> None:
    if too_long(spent) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in too_long(spent):
        terminalreporter.write_line(f"TIME {line}", red=True)


class Killed(BaseException):
    """What a test stops a run with: nothing may catch it."""


@pytest.fixture
def stopping_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """`with stopping_after(n):` each look at a run writes its checkpoint, and the n-th is the last thing it does."""
    from pdesolve.training.checkpoint import Checkpoint
    from pdesolve.training.run import Run

    write = Checkpoint.write

    @contextmanager
    def stopping(n: int) -> Iterator[None]:
        count = 0

        def counted(self: Checkpoint, run: Run, parts: Any) -> None:
            nonlocal count
            write(self, run, parts)
            count += 1
            if count == n:
                raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Checkpoint, "write", counted)
            patch.setattr(Checkpoint, "due", lambda self: self.folder is not None)
            patch.setattr(Run, "due", lambda self: True)
            yield

    return stopping


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end without figures, which are most of a short run's time."""
    solved = ("solution_figure", "history_figure", "march_figure", "times_figure", "save_figure")
    for name in (*solved, "prediction_figure", "rollout_figure", "training_figure"):
        monkeypatch.setattr(f"pdesolve.plotting.{name}", lambda *_: None)


@pytest.fixture
def own_folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs go to a folder of the test's own and draw nothing, but where it is marked `draws`."""
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("draws") is None:
        draw_nothing(monkeypatch)
