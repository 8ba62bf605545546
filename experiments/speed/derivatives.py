"""Loss and parameter gradient of a residual: jets, nested autograd, DeepXDE, jitted JAX and bare matrix products.

python experiments/speed/derivatives.py [--rounds 9] [--points 10000] [--threads 1] [--device cpu] [--dtype float32]
                                        [--peers FOLDER] [--cases burgers,heat] [--out FILE]

A perceptron of 4 hidden layers of 64 tanh units, the mean square of the residual of Burgers' equation, of the heat
equation in space and of the Kuramoto-Sivashinsky equation (fourth order). Everybody has the same weights and points and
must find the same loss and gradient. DeepXDE and JAX are installed into an environment of their own (--peers), JAX in
three ways. Every side is a process that waits for its turn; rounds go through all of them, so that other work on the
machine meets all alike. CPU seconds on the CPU, wall seconds on a GPU, medians; compile time is not counted.

Jets carry what the residual only adds up as one: 3, 5 and 5 channels, and so many has the side of matrix products.
`added` is what an evaluation adds to the memory of its process at its peak. `roofline` is the least time for the
matrix products of all derivative channels, forward, for the errors and for the weights' gradients: for each of them the
larger of operations / peak rate and bytes / peak bandwidth, when each is one kernel that reads its operands and writes
its result once, activations for nothing. Rate and bandwidth are given (--rate, --bandwidth) or measured, by a product
of large matrices and a copy. On a GPU the peers are left out and CUDA graphs join, by mode="reduce-overhead".
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from derivative_peers import AXES, HIDDEN, VISCOSITY, Made, make, points, weights

PEERS = ["deepxde", "jax jvp", "jax grad", "jax jet"]
COMPILED = ["jets, whole", "jets, fused", "jets, one graph"]  # engines of the fields; loss and network compiled as one
OURS = [*COMPILED, "jets, eager", "nested autograd", "matrix products"]
PACKAGES = ["deepxde==1.15.*", "jax", "torch"]
BOUNDS = {"burgers": 1.5, "heat": 1.8, "kuramoto_sivashinsky": 4.5}  # times faster than the fastest peer
# what the jets carry: derivatives in space below the highest order, and all that the residual only adds up as one sum
CHANNELS = {"burgers": 3, "heat": 5, "kuramoto_sivashinsky": 5}


def ours(side: str, case: str, settings: argparse.Namespace) -> Made:
    import torch
    from torch import nn

    torch.set_num_threads(settings.threads)
    kind: dict[str, Any] = {"dtype": getattr(torch, settings.dtype), "device": settings.device}
    layers: list[nn.Module] = []
    for w, b in weights(case):
        layer = nn.Linear(*w.shape, **kind)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(w.T))
            layer.bias.copy_(torch.tensor(b))
        layers += [layer, nn.Tanh()]
    module = nn.Sequential(*layers[:-1])
    x = torch.tensor(points(case, settings.points), **kind)
    parameters = list(module.parameters())
    if side == "matrix products":
        return _products(case, x, parameters), lambda result: (float("nan"), float("nan"))
    way = side.removeprefix("jets, ")
    if way in ("one graph", "CUDA graphs"):
        loss = _jets(case, module, x)
        loss = torch.compile(loss, dynamic=False, mode="reduce-overhead" if way == "CUDA graphs" else None)
    else:
        loss = _fields(case, module, x, way)

    def work() -> Any:
        value = loss()
        return value, torch.autograd.grad(value, parameters, materialize_grads=True)

    def read(result: Any) -> tuple[float, float]:
        value, gradients = result
        return float(value), float(sum(g.square().sum() for g in gradients) ** 0.5)

    return work, read


def _jets(case: str, module: Any, x: Any) -> Callable[[], Any]:
    """The residual written out on a jet that carries what `Coordinates.sums_wanted_by` finds."""
    from pdesolve.fields.jets import Jet
    from pdesolve.fields.multi_index import Combination
    from pdesolve.fields.propagation import propagate

    terms = {
        "burgers": {(1, 0): 1.0, (0, 2): -VISCOSITY},
        "heat": {(1, 0, 0, 0): 1.0, (0, 2, 0, 0): -1.0, (0, 0, 2, 0): -1.0, (0, 0, 0, 2): -1.0},
        "kuramoto_sivashinsky": {(1, 0): 1.0, (0, 4): 1.0},
    }[case]
    sums = Combination(tuple(terms.items()))
    start = Jet.of_points(x, (sums,))

    def loss() -> Any:
        jet = propagate(module, start)
        of = lambda channel: jet.channels[jet.indices.index(channel)][:, 0]  # noqa: E731
        if case == "heat":
            return of(sums).square().mean()
        residual = of(sums) + of((0, 0)) * of((0, 1))
        return (residual if case == "burgers" else residual + of((0, 2))).square().mean()

    return loss


def _fields(case: str, module: Any, x: Any, way: str) -> Callable[[], Any]:
    """The catalogue's equation on point fields, or on jet fields by one of the engines."""
    import torch

    from pdesolve import make_problem
    from pdesolve.fields import Constant, Coordinates, Quantity
    from pdesolve.fields.engines import engine
    from pdesolve.geometry import Axes, Axis, PointCloud

    name = {"burgers": "burgers_shock", "heat": "heat_1d", "kuramoto_sivashinsky": "kuramoto_sivashinsky"}[case]
    equation = make_problem(name).equation
    values = dict.fromkeys((parameter.name for parameter in equation.parameters), 1.0)
    values |= {"viscosity": VISCOSITY} if case == "burgers" else {}
    kind: dict[str, Any] = {"dtype": x.dtype, "device": x.device}
    p = {k: Constant(torch.tensor(v, **kind), Quantity(k)) for k, v in values.items()}
    cloud = PointCloud(Axes(tuple(Axis(n, 0.0, 1.0) for n in AXES[case])), x)

    def residual(at: Coordinates) -> Any:
        return equation.residual({**at.outputs(module, [Quantity("u")])}, p, at)["u"]

    if way == "nested autograd":
        return lambda: residual(Coordinates(cloud, **kind)).values.square().mean()
    made: Any = engine(way, x.device)  # type: ignore[arg-type]
    wanted = Coordinates.sums_wanted_by(residual, cloud, **kind)
    at = Coordinates.of_jets(cloud, wanted, engine=made, **kind)  # kept from step to step, as in training
    return lambda: residual(at).values.square().mean()


def _products(case: str, x: Any, parameters: list[Any]) -> Callable[[], Any]:
    """Forward, errors and weight gradients of every channel in every layer into memory that is there: nothing else."""
    import torch

    jobs = []
    for k, (w, (rows, n, m)) in enumerate(zip(parameters[::2], _shapes(case, len(x)), strict=True)):
        matrix, a, e = w.detach(), x.new_empty(rows, n).normal_(), x.new_empty(rows, m).normal_()
        jobs += [(a, matrix.mT, x.new_empty(rows, m)), (e.mT, a, torch.empty_like(matrix))]
        if k:  # the points are not trained
            jobs.append((e, matrix, x.new_empty(rows, n)))

    @torch.no_grad()
    def work() -> Any:
        for a, b, out in jobs:
            torch.mm(a, b, out=out)

    return work


def _shapes(case: str, count: int) -> Any:
    """Rows, inputs and outputs of each layer's product; of the first only the value and first derivatives are there."""
    sizes = (len(AXES[case]), *HIDDEN, 1)
    for k, (n, m) in enumerate(pairwise(sizes)):
        yield count * (CHANNELS[case] if k else 1 + len(AXES[case])), n, m


def roofline(case: str, settings: argparse.Namespace, rate: float, bandwidth: float) -> float:
    """Least seconds of the products, see above."""
    size = 4 if settings.dtype == "float32" else 8
    total = 0.0
    for k, (rows, n, m) in enumerate(_shapes(case, settings.points)):
        moved = size * (rows * (n + m) + n * m)
        total += (3 if k else 2) * max(2 * rows * n * m / rate, moved / bandwidth)
    return total


def peaks(settings: argparse.Namespace) -> tuple[float, float]:
    """Operations and bytes a second: as given, or measured."""
    import torch

    torch.set_num_threads(settings.threads)
    kind: dict[str, Any] = {"dtype": getattr(torch, settings.dtype), "device": settings.device}
    n = 8192 if settings.device.startswith("cuda") else 1024
    a, b = torch.ones(n, n, **kind), torch.ones(n * n * 8, **kind)
    c, d = torch.empty_like(a), torch.empty_like(b)
    product = statistics.median(timed(lambda: torch.mm(a, a, out=c), settings.device) for _ in range(7))
    copy = statistics.median(timed(lambda: d.copy_(b), settings.device) for _ in range(7))
    return settings.rate or 2 * n**3 / product, settings.bandwidth or 2 * b.numel() * b.element_size() / copy


def timed(work: Callable[[], Any], device: str) -> float:
    """CPU seconds, or wall seconds on a GPU, which is waited for."""
    if not device.startswith("cuda"):
        start = time.process_time()
        work()
        return time.process_time() - start
    import torch

    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def added(work: Callable[[], Any], device: str) -> int | None:
    """Bytes that one evaluation adds at its peak; None where the system does not tell."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        before = _status("VmRSS")
        work()
        return _status("VmHWM") - before
    except (OSError, KeyError):
        return None


def _status(name: str) -> int:
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0][:-1]: 1024 * int(words[1]) for words in lines if words[-1] == "kB"}[name]


def worker(side: str, case: str, settings: argparse.Namespace) -> None:
    """A process of one side: ready with its loss, then the seconds of one evaluation for each line that it reads."""
    if settings.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # thread pools count cores
    start = time.perf_counter()
    work, read = make(side, case, settings.points) if side in PEERS else ours(side, case, settings)
    loss, slope = read(work())
    first = time.perf_counter() - start
    work()
    print(json.dumps({"loss": loss, "slope": slope, "first": first, "added": added(work, settings.device)}), flush=True)
    for _ in sys.stdin:
        print(timed(work, settings.device), flush=True)


def installed(folder: Path) -> str:
    """The Python of the peers' environment, made where it is missing."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    probe = [str(python), "-c", "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"]
    if subprocess.run([*probe, "deepxde", "jax", "torch"], check=False).returncode:
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return str(python)


def measure(case: str, sides: dict[str, str], settings: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """For each side (and its Python) what it found and its median seconds; sides that fail are told and left out."""
    variables = {**os.environ, "OMP_NUM_THREADS": str(settings.threads), "MKL_NUM_THREADS": str(settings.threads)}
    processes: dict[str, subprocess.Popen[str]] = {}
    found: dict[str, dict[str, Any]] = {}
    for side, python in sides.items():  # one after the other: compilers would disturb one another
        command = [python, __file__, "--worker", side, "--cases", case]
        for name in ("points", "threads", "device", "dtype"):
            command += [f"--{name}", str(getattr(settings, name))]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
        )
        assert process.stdout is not None and process.stderr is not None
        line = next((line for line in process.stdout if line.startswith("{")), "")
        if not line:
            reason = process.stderr.read().strip().splitlines()[-1:]
            print(f"{case}: {side} fails: {' '.join(reason)}", file=sys.stderr)
            continue
        processes[side], found[side] = process, {**json.loads(line), "rounds": []}
    for _ in range(settings.rounds):
        for side, process in processes.items():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            found[side]["rounds"].append(float(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return {side: {**row, "seconds": statistics.median(row["rounds"])} for side, row in found.items()}


def table(case: str, found: dict[str, dict[str, Any]], least: float) -> list[str]:
    """The rows of one equation in Markdown, and a line that says how they stand to the bounds."""
    rows = []
    fastest = min((row["seconds"] for side, row in found.items() if side in PEERS), default=math.nan)
    bare = found["matrix products"]["seconds"]
    for side, row in found.items():
        memory = "-" if row["added"] is None else f"{row['added'] / 1e6:.0f} MB"
        loss = "-" if side == "matrix products" else f"{row['loss']:.6g}, {row['slope']:.6g}"
        rows.append(
            f"| {case} | {side} | {1e3 * row['seconds']:.1f} ms | {fastest / row['seconds']:.2f} | "
            f"{row['seconds'] / bare:.2f} | {row['seconds'] / least:.2f} | {memory} | {row['first']:.0f} s | {loss} |"
        )
    return rows


def verdict(case: str, found: dict[str, dict[str, Any]]) -> str:
    """How the fastest of the compiled jets stands to the bounds."""
    best = min((side for side in COMPILED if side in found), key=lambda side: found[side]["seconds"])
    ours = found[best]["seconds"]
    fastest = min((side for side in found if side in PEERS), key=lambda side: found[side]["seconds"])
    return (
        f"{case}: {best} is {found[fastest]['seconds'] / ours:.2f} times as fast as {fastest} (asked {BOUNDS[case]}), "
        f"{ours / found['matrix products']['seconds']:.2f} times the matrix products (asked 1.8 at most)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--cases", default=",".join(AXES))
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache/pdesolve/speed_peers")
    parser.add_argument("--rate", type=float, help="operations a second of the roofline")
    parser.add_argument("--bandwidth", type=float, help="bytes a second of the roofline")
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.worker:
        worker(settings.worker, settings.cases, settings)
        return

    import torch

    cuda = settings.device.startswith("cuda")
    sides = {**dict.fromkeys(OURS, sys.executable)}
    if cuda:
        sides["jets, CUDA graphs"] = sys.executable
    elif settings.dtype == "float32":  # the peers' own precision
        sides |= dict.fromkeys(PEERS, installed(settings.peers))
    rate, bandwidth = peaks(settings)
    name = torch.cuda.get_device_name() if cuda else f"CPU, {settings.threads} thread(s)"
    lines = [
        f"{name}, {settings.dtype}, {settings.points} points, medians of {settings.rounds} rounds, torch "
        f"{torch.__version__}; roofline of {rate / 1e9:.0f} Gflop/s and {bandwidth / 1e9:.0f} GB/s",
        "",
        "| equation | side | time | fastest peer over it | over matrix products | over roofline | added | first call "
        "| loss, slope |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    verdicts = []
    for case in settings.cases.split(","):
        found = measure(case, sides, settings)
        lines += table(case, found, roofline(case, settings, rate, bandwidth))
        if any(side in COMPILED for side in found) and any(side in PEERS for side in found):
            verdicts.append(verdict(case, found))
    text = "\n".join([*lines, "", *verdicts])
    print(text)
    if settings.out:
        settings.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
