"""The card of a surrogate: what it was trained on, how good it is, how to use it and where it ends."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdesolve.data.signature import Slot
from pdesolve.data.task import Frames, InitialToFinal, Steps, Trajectory
from pdesolve.method import Learner, Surrogate
from pdesolve.surrogates.judging import Report

CARD = "card.md"


def card(surrogate: Surrogate, learner: Learner, report: Report, versions: Mapping[str, Any]) -> str:
    """The card as Markdown. Of paths it has the names alone."""
    signature = surrogate.signature
    grid = " x ".join(map(str, signature.shape)) or "points"
    data = {**report.data, "paths": [Path(path).name for path in report.data.get("paths", ())]}
    about = "\n".join(f"- {name}: {_named(value)}" for name, value in data.items())
    settings = "\n".join(f"- {name}: {json.dumps(value)}" for name, value in report.settings.items())
    run = Path(report.run).name if report.run else "RUN"
    judged = f"{report.samples} samples of the split `{report.split}`" if report.split else "no held-out samples"
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return f"""# {report.method} from {_slots(signature.inputs)} to {_slots(signature.targets)}

{_paper(learner)}

## Task
- inputs: {_slots(signature.inputs)}
- parameters: {_slots(signature.parameters) or "none"}
- targets: {_slots(signature.targets)}
- frames: {_frames(signature.frames)}
- grid: {grid} along {", ".join(axis.name for axis in signature.axes)}

## Data
{about}

## Errors
```
{report.table()}
```

## Training
- {report.status} after {report.steps} steps, {report.cpu_seconds:.1f} CPU s
- seed {report.seed}, {report.dtype} on {report.device}
- {told}

Settings:
{settings}

## Use
```
pdesolve eval {run}
surrogate = pdesolve.load_surrogate("{run}")
surrogate.predict(batch)
```

## Limits
It was trained on the grid {grid} and judged on {judged}; other resolutions, parameters and
distributions are not covered by these errors. `pdesolve eval {run} --data FILE` measures them.
"""


def _frames(frames: Frames | None) -> str:
    """Which frames are given and wanted, and the option that says so."""
    match frames:
        case InitialToFinal():
            return "the first to the last (`--frames final`)"
        case Trajectory():
            return f"the first {frames.past} to all (`--frames trajectory`), {frames.stride} to a step"
        case Steps():
            return f"{frames.past} to the next {frames.ahead} (`--frames steps`), {frames.stride} to a step"
    return "none"


def _slots(slots: tuple[Slot, ...]) -> str:
    return ", ".join(slot.name + (f" ({slot.frames} frames)" if slot.frames > 1 else "") for slot in slots)


def _named(value: Any) -> str:
    """A JSON value with the last part of each path."""
    if isinstance(value, str):
        return Path(value).name if value.startswith("/") else value
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_named(entry)}" for name, entry in value.items())
    return ", ".join(map(_named, value)) if isinstance(value, (list, tuple)) else json.dumps(value)


def _paper(learner: Learner) -> str:
    """What the docstring of the method's folder names as its papers."""
    module = sys.modules.get(type(learner).__module__.rpartition(".")[0])
    found = re.search(r"Papers?: (.+?)(?=\n\n|Departures|$)", (module and module.__doc__) or "", re.DOTALL)
    return f"Paper: {' '.join(found[1].split())}" if found else ""
