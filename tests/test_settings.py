"""Settings: text becomes typed values, misfits are refused in one line, and nothing a user writes is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from pdesolve.errors import InputError
from pdesolve.settings import build, check_values, read_config, settings_of

# a module that nothing here imports: whoever tries to import what a user wrote brings it in
BAIT = "this"


@dataclass(frozen=True)
class Inner:
    """A part of the settings.

    Attributes:
        size: of the part.
    """

    size: int = 1


@dataclass(frozen=True)
class Everything:
    """Settings of every type that text may give.

    Attributes:
        width: units in each layer,
            hidden ones only.
        rate: step of the optimiser: small.
    """

    width: int = 64
    rate: float = 1e-3
    shape: Literal["tanh", "sine"] = "tanh"
    smooth: bool = True
    title: str = "none"
    layers: tuple[int, ...] = (3, 4)
    pair: tuple[int, float] = (1, 2.0)
    limit: float | None = None
    steps: int | Literal["auto"] = "auto"
    weights: dict[str, float] = field(default_factory=dict)
    part: Inner = field(default_factory=Inner)


def wave(*, speed: float = 1.0, modes: tuple[int, ...] = (1, 4)) -> tuple[float, tuple[int, ...]]:
    """A function whose keyword arguments are settings.

    Args:
        speed: of the wave.
    """
    return speed, modes


def test_settings_are_listed_with_type_default_and_meaning() -> None:
    listed = settings_of(Everything)
    assert listed["width"].json() == {
        "name": "width", "type": "int", "default": 64, "doc": "units in each layer, hidden ones only.",
    }  # fmt: skip
    assert listed["rate"].doc == "step of the optimiser: small."
    types = {name: setting.type for name, setting in listed.items()}
    assert types["shape"] == "tanh | sine" and types["layers"] == "[int, ...]" and types["limit"] == "float | none"
    assert types["weights"] == "{name: float}" and types["part"] == "Inner" and types["steps"] == "int | auto"
    assert listed["part"].json()["default"] == {"size": 1} and listed["weights"].default == {}
    assert settings_of(wave)["speed"].doc == "of the wave." and settings_of(wave)["modes"].default == (1, 4)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"width": "32"}, {"width": 32}),
        ({"rate": "1e-4"}, {"rate": 1e-4}),
        ({"rate": 2}, {"rate": 2.0}),
        ({"shape": "sine"}, {"shape": "sine"}),
        ({"smooth": "false"}, {"smooth": False}),
        ({"title": "12"}, {"title": "12"}),
        ({"title": "os.system"}, {"title": "os.system"}),
        ({"layers": "[5, 6, 7]"}, {"layers": (5, 6, 7)}),
        ({"layers": [5]}, {"layers": (5,)}),
        ({"pair": "[2, 1e-3]"}, {"pair": (2, 1e-3)}),
        ({"limit": "3"}, {"limit": 3.0}),
        ({"limit": None}, {"limit": None}),
        ({"limit": "none"}, {"limit": None}),
        ({"steps": "12"}, {"steps": 12}),
        ({"weights": {"equation": "2.5"}}, {"weights": {"equation": 2.5}}),
        ({"part": {"size": "9"}}, {"part": Inner(9)}),
    ],
    ids=str,
)
def test_text_and_values_are_read_by_type(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made, values = build("method", Everything, given)
    assert made == Everything(**expected)
    name, value = next(iter(expected.items()))
    assert type(getattr(made, name)) is type(value)
    assert build("method", Everything, values)[0] == made, "the plain values make the same again"


def test_functions_get_their_keyword_arguments() -> None:
    assert build("problem", wave, {"speed": "3", "modes": "[2]"}) == ((3.0, (2,)), {"speed": 3.0, "modes": [2]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widht": 3}, "unknown method setting 'widht': did you mean 'width'"),
        ({"part": {"sise": 3}}, r"unknown method\.part setting 'sise': did you mean 'size'"),
        ({"width": "wide"}, r"method\.width must be int, got 'wide'"),
        ({"width": 1.5}, r"method\.width must be int, got 1\.5"),
        ({"width": True}, r"method\.width must be int"),
        ({"width": None}, r"method\.width must be int, got n"),
        ({"width": [1]}, r"method\.width must be int"),
        ({"rate": ".nan"}, r"method\.rate must be a finite number"),
        ({"rate": float("inf")}, r"method\.rate must be a finite number"),
        ({"weights": {"a": float("nan")}}, r"method\.weights\.a must be a finite number"),
        ({"layers": [1, None]}, r"method\.layers must be \[int, \.\.\.\]"),
        ({"pair": [1, 2, 3]}, r"method\.pair must be \[int, float\]"),
        ({"shape": "tahn"}, r"method\.shape must be tanh \| sine, got 'tahn'"),
        ({"part": {"size": "big"}}, r"method\.part\.size must be int, got 'big'"),
        ({"part": 3}, r"method\.part has settings of its own, size, got 3"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_misfits_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build("method", Everything, given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        {"class_path": f"{BAIT}.fly"},
        {"class_path": "tests.Everything", "init_args": {"width": 3}},
        {"width": {"class_path": f"{BAIT}.fly"}},
        {"title": {"class_path": f"{BAIT}.fly", "init_args": {}}},
        {"weights": {"class_path": f"{BAIT}.fly"}},
        {"part": {"class_path": f"{BAIT}.fly"}},
        {"part": f"{BAIT}.fly"},
        {"layers": f"{BAIT}.fly"},
        {"limit": f"{BAIT}.fly"},
        {"shape": BAIT},
    ],
    ids=str,
)
def test_a_class_is_never_imported(given: dict[str, Any]) -> None:
    assert BAIT not in sys.modules
    with pytest.raises(InputError) as error:
        build("method", Everything, given)
    assert BAIT not in sys.modules and "\n" not in str(error.value)
    if "class_path" in str(given):
        assert "names a class" in str(error.value)


def test_types_that_would_import_what_text_names_are_refused() -> None:
    for hint in (Callable[[float], float], type[Inner], Any, Inner | type, dict[int, float], list[Callable]):

        @dataclass(frozen=True)
        class Loose:
            function: hint = None  # type: ignore[valid-type]

        Loose.__annotations__["function"] = hint
        with pytest.raises(InputError, match=r"method\.function has the type .* which no text may give"):
            build("method", Loose, {"function": f"{BAIT}.fly"})
    assert BAIT not in sys.modules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold names and values"),
        ("- 1\n- 2\n", "must hold names and values"),
        ("1: 2\n", "must have words for names"),
        ("seed: [1, 2\n", "line 2"),
        ("seed: !!python/name:os.system\n", "line 1: could not determine a constructor"),
        (f"seed: !!python/module:{BAIT}\n", "line 1: could not determine a constructor"),
        (f"seed: !!python/object/apply:{BAIT}.fly []\n", "could not determine a constructor"),
        ("a: &a [1, 1]\nb: [*a, *a]\n", "line 2: it holds an alias"),
        ("a: \x00\n", "cannot read"),
        ("seed: 1\nbudget: 3\nseed: 2\n", "'seed' is given twice"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_file_holds_plain_values_or_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_config(path)
    assert "\n" not in str(error.value) and BAIT not in sys.modules


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("problem: {name: kdv}\nmethod:\n  name: pinn\n  width: 12\nseed: 3\n")
    assert read_config(path) == {"problem": {"name": "kdv"}, "method": {"name": "pinn", "width": 12}, "seed": 3}
    with pytest.raises(InputError, match="No such file"):
        read_config(tmp_path / "missing.yaml")
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="cannot read"):
        read_config(path)


@dataclass(frozen=True)
class Given:
    word: Literal["sin", "cos"] | Literal["auto"] = "auto"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, str] | None = None
    names: dict[str, float] = field(default_factory=dict)
    flag: bool = False
    call: Callable[[], int] | None = None  # nothing is said of what no text may give


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"word": "cs"}, r"unknown word 'cs': did you mean 'cos'\? known: auto, cos, sin"),
        ({"word": 0.0}, "got 0.0"),
        ({"sizes": (1, 2.0)}, r"sizes must be \[int, ...\]"),
        ({"sizes": 3}, "sizes must be"),
        ({"pair": (1.0,)}, "pair must be"),
        ({"names": {"a": "b"}}, "names must be"),
        ({"flag": 1}, "flag must be bool, got 1"),
        ({"pair": (float("inf"), "a")}, "pair must be a finite number"),
    ],
)
def test_values_that_no_text_gave_are_checked_by_their_types(changes: dict[str, Any], message: str) -> None:
    check_values(Given(word="sin", pair=(1, "a"), sizes=[3], names={"a": 1}, call=lambda: 1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        check_values(Given(**changes))
