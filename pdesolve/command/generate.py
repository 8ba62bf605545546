"""`pdesolve generate`: simulation data of a family of problems."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pdesolve.cli import DIVERGED
from pdesolve.command.arguments import Parser, number, only_json, print_json, settings_text, split_settings
from pdesolve.errors import InputError, unknown_name
from pdesolve.settings import check_names

if TYPE_CHECKING:
    from pdesolve.datasets.generation import Generated, State

_EVERY = 5.0  # seconds between two lines of progress
_WORDS = {"dtype": ("float32", "float64"), "compression": ("none", "gzip")}

_EPILOG = """settings:
  --family.NAME VALUE   a setting of the family; pdesolve generate FAMILY --help names them

examples:
  pdesolve generate burgers --n 1000 --out burgers.h5
  pdesolve generate burgers --n 1000 --out burgers.h5 --family.points 512 --split train=0.8,valid=0.1,test=0.1
  torchrun --nproc-per-node 4 -m pdesolve generate burgers -n 1000 --out burgers.h5

Samples are numbers 0 to n - 1 of the seed: the same whatever the batch, the processes and the interruptions. Those that
are done are never made again: the same command goes on after a kill, a larger --n extends a file. A sample that is
not finite, has lost what its equation conserves or whose defect is above the family's tolerance is left out of the
file, counted at the end and named in its attribute "generation".

exit codes: 0 done, 2 bad input or a full disk, 3 some samples failed the checks (the others are in the file),
130 interrupted, 143 terminated (what was done is in the file)"""


def parser() -> Parser:
    made = Parser("generate", "Simulate samples of a family of problems, check them and write them to a file.", _EPILOG)
    made.add_argument("family", nargs="?", metavar="FAMILY", help="a name; pdesolve list families names them")
    # torchrun takes --n for an option of its own
    made.add_argument("-n", "--n", metavar="N", help="how many samples")
    made.add_argument("--out", metavar="FILE", help="the file, HDF5 that is netCDF-4 (default: FAMILY.h5)")
    made.add_argument("--seed", metavar="SEED", default="0", help="of every random number (default: 0)")
    made.add_argument(
        "--batch", metavar="N", default="auto", help="samples simulated and written together (default: by their bytes)"
    )
    made.add_argument("--device", metavar="NAME", default="cpu", help="cpu, cuda, cuda:1 or auto (default: cpu)")
    made.add_argument("--dtype", metavar="NAME", default="float32", help="of the file: float32 (default) or float64")
    made.add_argument("--compression", metavar="NAME", default="none", help="none (default) or gzip: smaller, slower")
    made.add_argument("--split", metavar="NAME=SHARE,...", help="train=0.8,valid=0.1,test=0.1: by numbers of samples")
    made.add_argument("--threads", metavar="N", help="CPU threads of each process (default: all)")
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    rest, settings = split_settings(arguments)
    given = parser().read(rest, setting=_setting, settings=_settings)
    check_names(settings, {"family": None}, "")
    if given.family is None:
        raise InputError("which family? write pdesolve generate burgers --n 100; pdesolve list families names them all")
    if given.n is None:
        raise InputError("how many samples? write --n 100")
    for name, words in _WORDS.items():
        if getattr(given, name) not in words:
            raise unknown_name(name, getattr(given, name), words)
    n, seed, threads = (number(getattr(given, name), int, f"--{name}") for name in ("n", "seed", "threads"))
    batch = None if given.batch == "auto" else number(given.batch, int, "--batch")
    shares = _shares(given.split)

    from pdesolve.catalogue import make_family

    family = make_family(given.family, settings.get("family", {}))

    from pdesolve.datasets.generation import generate
    from pdesolve.training.devices import threads as limited
    from pdesolve.training.processes import leads

    with only_json(given.json), _Progress(f"generate {given.family}") as progress:
        import torch

        with limited(threads or torch.get_num_threads()):
            done = generate(
                family,
                n,
                given.out or f"{given.family}.h5",
                seed=seed,
                batch=batch,
                device=given.device,
                dtype=given.dtype,
                compression=None if given.compression == "none" else given.compression,
                split=shares,
                report=progress if leads() else None,
                say=progress.say if leads() else None,
            )
    if leads():
        if given.json:
            print_json(done.json())
        else:
            _print(done)
    return DIVERGED if done.failed else 0


def _shares(text: str | None) -> dict[str, float] | None:
    """The shares of "train=0.8,test=0.2"."""
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--split takes shares by name such as train=0.8,valid=0.1,test=0.1, got {text!r}")
        if name.strip() in found:
            raise InputError(f"--split names {name.strip()} twice")
        found[name.strip()] = number(share, float, "--split")
    return found


def _print(done: Generated) -> None:
    drifts = "".join(f", {name} kept to {drift:.1e}" for name, drift in done.drifts.items())
    print(f"{done.path}: {done.samples} samples of {done.family}, seed {done.seed}, {done.nbytes / 1e6:.3g} MB")
    print(f"checked: finite, defects up to {done.defect:.1e}{drifts}")
    if done.splits:
        print("splits: " + ", ".join(f"{name} {count}" for name, count in done.splits.items()))
    if done.failed:
        number, reason = next(iter(done.failed.items()))
        print(
            f"failed: {len(done.failed)} of {len(done.failed) + done.samples} samples, number {number} since {reason}"
        )
    if done.made:
        each = done.cpu_seconds / done.made
        print(f"cost: {done.made} samples in {done.seconds:.1f} s, {each:.2g} CPU s each")
    print(f"next: pdesolve data info {done.path}")


class _Progress:
    """A bar on a terminal, elsewhere a line every few seconds; all of it on stderr."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: Any = None
        self.task: Any = None
        self.next = time.monotonic() + _EVERY

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, state: State) -> None:
        failed = f", {state.failed} failed" if state.failed else ""
        if sys.stderr.isatty():
            self._show(state, failed)
        elif time.monotonic() >= self.next or state.done >= state.wanted:
            self.next = time.monotonic() + _EVERY
            self.say(f"{state.done} of {state.wanted} samples{failed}")

    def _show(self, state: State, failed: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self.bar is None:
            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=Console(file=sys.stderr), transient=True,
            )  # fmt: skip
            self.task = self.bar.add_task(self.title, total=state.wanted)
            self.bar.start()
        self.bar.update(self.task, completed=state.done, description=self.title + failed)

    def say(self, line: str) -> None:
        """Show a line that stays."""
        if self.bar is not None:
            self.bar.console.print(f"{self.title}: {line}", highlight=False, markup=False)
        else:
            print(f"{self.title}: {line}", file=sys.stderr, flush=True)


def _setting(given: argparse.Namespace, name: str) -> str | None:
    """--family.NAME where the family that is given has that setting."""
    from pdesolve.catalogue import find_family
    from pdesolve.settings import settings_of

    with suppress(InputError):
        if given.family is not None and name in settings_of(find_family(given.family)):
            return f"--family.{name}"
    return None


def _settings(given: argparse.Namespace) -> Iterator[str]:
    if given.family:
        from pdesolve.catalogue import find_family
        from pdesolve.settings import settings_of

        table = settings_text(settings_of(find_family(given.family)), "family")
        yield f"settings of the family {given.family}:\n{table}"
