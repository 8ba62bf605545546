"""What one process finds against what two find together: `apart("learner", "fno", ...)` of a test starts this file.

It becomes two processes. Each takes the check alone first, and then with the other one. Printed is the largest
difference of each tensor that the check gives, relative to its largest entry.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def apart(check: str, *words: str) -> dict[str, float]:
    """The differences that the first of two processes prints."""
    if not hasattr(os, "fork"):
        pytest.skip("a process becomes two where processes can be forked")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, __file__, check, *words], env={**os.environ, **shared}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    ) as first:  # fmt: skip
        try:
            out, err = first.communicate(timeout=300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)  # the second, too
    assert first.returncode == 0, err[-2000:]
    return json.loads(out.splitlines()[-1])


def learner(name: str, how: str, dtype: str, *settings: str) -> Tensors:
    """The weights of a learner of the catalogue after a few steps; divided or copied where there are two processes."""
    from test_learners import COARSE, TASK, made, waves

    from pdesolve.datasets.training_data import FromDataset
    from pdesolve.training import sharding
    from pdesolve.training.run import Run

    sharding._LEAST = 100  # small networks have parts, too
    precision = getattr(torch, dtype)
    method: Any = dataclasses.replace(made(name), **dict(word.split("=") for word in settings))  # type: ignore[type-var]
    training = dataclasses.replace(method.training, sharded=how == "divided", batch=3, learning_rate=1e-3)
    run = Run(seed=1, steps=4, dtype=precision, measure=lambda candidate: candidate.validate())
    data = FromDataset(waves(COARSE), TASK, dtype=precision)
    surrogate: Any = dataclasses.replace(method, training=training).learn(data, run)
    assert not sharding.divided(surrogate.module)
    return {name: value for name, value in surrogate.module.state_dict().items() if isinstance(value, Tensor)}


def uncertain(how: str, dtype: str) -> Tensors:
    """What uqno learns and promises: weights of both stages, sizes of errors, factors of the bands, what they miss."""
    from test_uqno import TASK, noisy

    from pdesolve.datasets.training_data import FromDataset
    from pdesolve.operators.uqno.method import UQNO
    from pdesolve.training import sharding
    from pdesolve.training.operator_training import Training
    from pdesolve.training.run import Run

    sharding._LEAST = 100
    precision = getattr(torch, dtype)
    # epochs of 54 and 18 windows end with batches of 5 and 4: shares are uneven
    training = Training(batch=7, learning_rate=1e-3, sharded=how == "divided", average=0.9, noise=0.1)
    learner = UQNO(modes=8, width=8, depth=2, alpha=0.3, delta=0.3, share=0.5, training=training)
    run = Run(seed=1, steps=20, dtype=precision, measure=lambda candidate: candidate.validate())
    surrogate = learner.learn(FromDataset(noisy(), TASK, dtype=precision), run)
    assert surrogate.bands is not None
    parts = {"base": surrogate.base.module, "of errors": surrogate.of_error.module}
    assert not any(sharding.divided(part) for part in parts.values())
    assert {row["stage"]: row["step"] for row in run.history} == {"operator": 10, "errors": 10}
    found = {f"{i} {k}": v for i, part in parts.items() for k, v in part.state_dict().items() if isinstance(v, Tensor)}
    told = {"size": run.choices["error sizes"]["u"], **surrogate.notes["bands"]["test"]["u"]}
    numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in told.items()}
    return found | numbers | {"factor": surrogate.bands.factors["u"]}


CHECKS: dict[str, Callable[..., Tensors]] = {"learner": learner, "uncertain": uncertain}


def main(check: str, *words: str) -> None:
    import test_learners  # noqa: F401
    import torch.distributed.fsdp
    import torch.distributed.tensor

    from pdesolve.training.processes import joined

    torch.set_num_threads(1)
    second = os.fork()  # what both need is imported by now, and no thread has been started
    number = "0" if second else "1"
    alone = CHECKS[check](*words)
    os.environ.update(RANK=number, WORLD_SIZE="2", LOCAL_RANK=number)
    with joined(torch.device("cpu")):
        found = CHECKS[check](*words)
    if second:
        assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 0
        assert found.keys() == alone.keys()
        print(json.dumps({name: distance(alone[name], value) for name, value in found.items()}))


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / a.abs().max().clamp_min(1e-12)) if a.numel() else 0.0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
