"""How long `import pdesolve` and the command's help take, each in a fresh process: median and worst of ten.

python experiments/speed/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import pdesolve": ["-c", "import pdesolve"],
    "pdesolve --help": ["-m", "pdesolve", "--help"],
    "pdesolve solve --help": ["-m", "pdesolve", "solve", "--help"],
    "pdesolve list": ["-m", "pdesolve", "list"],
}


def measure(arguments: list[str], times: int = 10) -> list[float]:
    """Wall seconds of fresh processes, the first of which warms the disk's cache and is not counted."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


if __name__ == "__main__":
    for name, arguments in COMMANDS.items():
        seconds = measure(arguments)
        print(f"{name:<22} median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s")
