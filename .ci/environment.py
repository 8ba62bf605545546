"""Find or make the Python environment of this checkout, and print the path of its interpreter.

    python3 .ci/environment.py [--dev]

An environment that imports torch >= 2.6 already is used as it is: what it lacks is added under a constraint on its
torch, which nothing replaces. Else `.venv` is made in the checkout, with torch from constraints.txt. `--dev` asks for
what tests and checks need, too. Standard library only; an older Python gets far enough to say what is wrong.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(ROOT, ".setup.json")
LEAST_PYTHON = (3, 11)
LEAST_TORCH = (2, 6)
SIZES = {
    "torch": "torch: about 200 MB for a CPU build, about 3 GB for a CUDA build, as the package index has it",
    "core": "scipy, xarray, matplotlib, neuraloperator and the rest of the core: about 150 MB",
    "dev": "pytest, ruff, pyright and build tools: about 85 MB",
}


def main():
    """Print the interpreter; exit with 2 and one line where none can be had."""
    dev = "--dev" in sys.argv[1:]
    if sys.version_info < LEAST_PYTHON:
        for name in ("python3.13", "python3.12", "python3.11", "python3.14"):
            newer = shutil.which(name)
            if newer:
                os.execv(newer, [newer, *sys.argv])
        version = sys.version.split()[0]
        fail(f"Python 3.11 or newer is needed, {sys.executable} is {version}: write make PYTHON=/path/to/python3.12")
    if "--lacking" in sys.argv[1:]:
        print("\n".join(lacking(dev)))
        return
    print((earlier(dev) or prepare(dev))["python"])


def earlier(dev):
    """What an earlier call wrote down, where it still holds."""
    try:
        with open(STAMP) as file:
            state = json.load(file)
    except (OSError, ValueError):
        return None
    known = state.get("key") == key() and sys.executable in (state["asked by"], state["python"])
    return state if known and (state["dev"] or not dev) and os.path.exists(state["python"]) else None


def prepare(dev):
    """Choose the interpreter, install what it lacks, write it down."""
    torch = torch_of(sys.executable)
    if torch and writable():
        python = sys.executable
        say(f"using {python} with its torch {torch}, which stays as it is")
    else:
        python = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
        if not os.path.exists(python):
            make_venv(shared=bool(torch))
        torch = torch_of(python)
    mode = ["--lacking", "--dev"] if dev else ["--lacking"]
    if subprocess.check_output([python, os.path.abspath(__file__), *mode]).strip():
        install(python, torch, dev)
    state = {"python": python, "key": key(), "asked by": sys.executable, "dev": dev}
    with open(STAMP, "w") as file:
        json.dump(state, file)
    return state


def make_venv(shared):
    """Make `.venv`; `shared`: it sees a system's own torch, which stays where it is."""
    say(f"making the environment {VENV}")
    try:
        run([sys.executable, "-m", "venv", VENV, *(["--system-site-packages"] if shared else [])])
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)  # half an environment would be taken for a whole one
        raise


def install(python, torch, dev):
    """Install pdesolve and what it lacks. torch comes first, so that no other package chooses its build."""
    say("downloads, unless pip has them already:")
    for part in (["torch"] if not torch else []) + ["core"] + (["dev"] if dev else []):
        say(f"  {SIZES[part]}")
    say("this takes a few minutes, and up to 2 GB of disk without CUDA")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--quiet"]
    if not torch:
        run([*pip, "-c", os.path.join(ROOT, "constraints.txt"), "torch"])
        torch = torch_of(python)
        if not torch:
            fail(f"torch was installed but cannot be imported: {python} -c 'import torch' says why")
    with tempfile.TemporaryDirectory() as folder:
        kept = os.path.join(folder, "constraints.txt")
        with open(kept, "w") as file:
            file.write(f"torch=={torch}\n")
        run([*pip, "-c", kept, "--editable", ROOT + ("[dev]" if dev else "")])
    after = torch_of(python)
    if after != torch:
        fail(f"torch {torch} of {python} has become {after}: install torch {torch} again")


def lacking(dev):
    """The requirements of pyproject.toml that this interpreter's environment does not meet."""
    import tomllib
    from importlib.metadata import PackageNotFoundError, version

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    missing = []
    for requirement in project["dependencies"] + (project["optional-dependencies"]["dev"] if dev else []):
        name = re.match(r"[\w.-]+", requirement)[0]
        least = requirement.partition(">=")[2]
        try:
            if numbers(version(name)) < numbers(least):
                missing.append(requirement)
        except PackageNotFoundError:
            missing.append(requirement)
    return missing


def numbers(version):
    """The leading numbers of a version, for comparison."""
    return tuple(int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part)


def torch_of(python):
    """The version of the torch that an interpreter imports; None where there is none or it is too old."""
    try:
        found = subprocess.run(
            [python, "-c", "import torch; print(torch.__version__)"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    version = found.stdout.decode().strip().rpartition("\n")[2]
    return version if found.returncode == 0 and numbers(version) >= LEAST_TORCH else None


def writable():
    """Whether packages may be added to this interpreter's own environment."""
    managed = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    return os.access(sysconfig.get_path("purelib"), os.W_OK) and (sys.prefix != sys.base_prefix or not managed)


def key():
    """Changes when the requirements do, or the checkout moves."""
    digest = hashlib.sha256(ROOT.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def run(command):
    """Run a command with its output on stderr: stdout is for the interpreter's path."""
    if subprocess.call(command, stdout=sys.stderr, stdin=subprocess.DEVNULL) != 0:
        fail(f"failed: {' '.join(command)}")


def say(text):
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    sys.exit(2)


if __name__ == "__main__":
    main()
