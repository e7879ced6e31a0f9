"""Strategies from files: what is wrong is said by the file's own line, in one sentence."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from agents.contract import Strategy
from agents.hatches import ClassStrategy
from agents.strategy_program import StrategyProgram, parse_program
from streams.operators.bar_class import BarClassOperator
from streams.strategy_file import BadStrategy, build, load, load_named, operator_for, shipped, source_of

HEAD = """\
from tickledger import Enter, Exit, Flat, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema, highest, lowest

@strategy(version=1, bars="H1")
def mine(b, fast=Param(20, 5, 100), slow=Param(50, 20, 400), k=Param(2.0, 0.5, 6.0)):
    f, s, r = ema(b.close, fast), ema(b.close, slow), atr(b, 14)
"""
PLAN = "    plan = Exit(stop=k * r)\n"
YIELD = "    yield Enter.long(cross_above(f, s), plan)\n"

ISSUE = '''\
# ema_cross.py     tickledger backtest ema_cross.py EURUSD_M1.csv --spec vantage-raw --risk 0.5%
from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema, highest, lowest

@strategy(version=1, bars="H1")
def ema_cross(b, fast=Param(20, 5, 100), slow=Param(50, 20, 400), k=Param(2.0, 0.5, 6.0)):
    """EMA cross; stop k ATR, chandelier trail, break-even at 1 R, out after 120 bars."""
    f, s, r = ema(b.close, fast), ema(b.close, slow), atr(b, 14)
    plan = Exit(stop=k * r, trail_long=highest(b.high, 22) - 3 * r, trail_short=lowest(b.low, 22) + 3 * r, breakeven_at=1.0, max_bars=120)
    yield Enter.long(cross_above(f, s), plan, valid_for="60s")
    yield Enter.short(cross_below(f, s), plan, valid_for="60s")
'''  # noqa: E501 - as a user writes it


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_of_twenty_lines_runs_as_it_stands(tmp_path: Path) -> None:
    found = load(write(tmp_path, ISSUE))
    assert (found.name, list(found.parameters)) == ("ema_cross", ["fast", "slow", "k"])
    assert build(found, {"fast": 10}).digest != build(found).digest


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (PLAN + "    if f > s:\n        yield Enter.long(f > s, plan)\n", 8, "`if f > s:`: an expression has .* use &"),
        (PLAN + "    yield Enter.long(f > s and f > r, plan)\n", 8, "use &, | and ~"),
        (
            PLAN + "    yield Enter.long(b.close > b.close.lag(-1), plan)\n",
            8,
            r"lag\(-1\) would look 1 bars into the future",
        ),
        (PLAN + "    yield Enter.long(f > s, stop=3)\n", 8, "TypeError: .*unexpected keyword argument 'stop'"),
        (PLAN + "    yield Enter.long(f, plan)\n", 8, "takes a condition"),
        (PLAN + "    yield Enter.long(b.close.shift(-2) > f, plan)\n", 8, r"no 'shift': x.lag\(n\) looks back"),
        (PLAN + "    yield Enter.long(b.cloze > f, plan)\n", 8, "bars have no 'cloze': they have open"),
        ("    plan = Exit(stop='2 atr')\n" + YIELD, 7, "Exit: stop must be a number or an expression"),
        ("    plan = Exit(stop=ema(b.close, 0))\n" + YIELD, 7, "period = 0 is not between 1 and 10000"),
        (PLAN + "    1 / 0\n" + YIELD, 8, "`1 / 0`: ZeroDivisionError: division by zero"),
        (PLAN + "    missing\n" + YIELD, 8, "NameError: name 'missing' is not defined"),
        (PLAN + "    return []\n", 4, "mine yields nothing: write"),
        (PLAN + "    yield Flat(f > s)\n", 4, "mine never enters"),
        (PLAN + "    yield f\n", 8, "mine yields Enter.long, Enter.short and Flat, not a number over bars"),
        (PLAN + "    yield Enter.long(f >\n", 8, "this is not Python: "),
    ],
)
def test_a_mistake_is_said_by_its_line(tmp_path: Path, body: str, line: int, said: str) -> None:
    with pytest.raises(BadStrategy, match=rf"(?s)^mine\.py, line {line}\b.*{said}") as caught:
        load(write(tmp_path, HEAD + body))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD.replace("H1", "H7") + PLAN + YIELD,
            r"line 4, `@strategy\(version=1, bars=\"H7\"\)`: .*'H7' is no timeframe",
        ),
        (HEAD.replace("Param(20, 5", "Param(2, 5") + PLAN + YIELD, "line 5, .*the default 2 is not between 5 and 100"),
        ("import nowhere_to_be_found\n", "line 1, .*ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", r"line 2, `sys\.exit\(3\)`: SystemExit: 3"),
        ("x = 1\n", "has no strategy: write @strategy"),
        ("\x00", r"mine\.py, line 1: this is not Python"),
    ],
)
def test_a_file_that_gives_no_strategy_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadStrategy, match=said):
        load(write(tmp_path, text))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadStrategy, match=r"cannot read .*none\.py: No such file"):
        load(tmp_path / "none.py")


def test_the_documentation_shows_a_strategy_that_runs_and_the_message_that_is_given(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    shown = page.split("```text\n")[1].split("```")[0]
    assert load(write(tmp_path, example, "ema_cross.py")).name == "ema_cross"
    wrong = example.replace("    plan = Exit(", "    if f > s:\n        pass\n    plan = Exit(")
    with pytest.raises(BadStrategy) as caught:
        load(write(tmp_path, wrong, "ema_cross.py"))
    assert str(caught.value) == " ".join(shown.split())


def test_of_several_strategies_one_is_named(tmp_path: Path) -> None:
    whole = HEAD + PLAN + YIELD
    path = write(tmp_path, whole + whole.replace("def mine", "def other"))
    with pytest.raises(BadStrategy, match="several strategies, mine, other: say which"):
        load(path)
    assert load(path, "other").name == "other"
    with pytest.raises(BadStrategy, match="no strategy 'third': it has mine, other"):
        load(path, "third")


def test_a_parameter_out_of_bounds_is_said_with_the_file(tmp_path: Path) -> None:
    found = load(write(tmp_path, HEAD + PLAN + YIELD))
    with pytest.raises(BadStrategy, match=r"^mine\.py, line 4: fast = 1 is not between 5 and 100$"):
        build(found, {"fast": 1})


def test_the_files_folder_is_searched_last(tmp_path: Path) -> None:
    write(tmp_path, "LEVEL = 3.0\n", "neighbour_of_mine.py")
    write(tmp_path, "raise SystemExit('shadowed')\n", "agents.py")
    before = list(sys.path)
    try:
        load(write(tmp_path, "from neighbour_of_mine import LEVEL\nimport agents.graph\n" + HEAD + PLAN + YIELD))
        assert sys.path == [*before, str(tmp_path.resolve())]
    finally:
        sys.path[:] = before


CLASS = '''from tickledger import BarStrategy, Enter, Exit, Param


class Mine(BarStrategy):
    """Buys."""

    version = 1
    bars = "M5"
    n = Param(3, 1, 9)

    def start(self):
        self.seen = 0

    def on_bar(self, bar):
        self.seen += 1
        yield Enter.long(plan=Exit(stop=0.001))
'''


PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text(encoding="utf-8")
WRITTEN = [text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "version" in text]


def test_a_class_is_found_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(CLASS)
    found = load(file)
    assert isinstance(found, ClassStrategy)
    assert (found.name, found.doc, list(found.parameters)) == ("Mine", "Buys.", ["n"])
    assert source_of(found) == CLASS
    assert isinstance(operator_for(build(found, {"n": 4})), BarClassOperator)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("self.seen = 0", "self.seen = []", r"^mine\.py, line 12, `self.seen = \[\]`: start sets seen to \[\]"),
        ("self.seen = 0", "self.seen = 1 / 0", r"^mine\.py, line 12, `self.seen = 1 / 0`: ZeroDivisionError"),
        ('bars = "M5"', 'bars = "M6"', r"^mine\.py, line 4: Mine: bars = 'M6' is no timeframe"),
        ("Param(3, 1, 9)", "Param(0, 1, 9)", r"^mine\.py, line 9, .*: Param: the default 0 is not between 1 and 9"),
    ],
)
def test_a_mistake_in_a_class_is_said_by_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(CLASS.replace(old, new))
    with pytest.raises(BadStrategy, match=said):
        load(file)


def test_a_parameter_out_of_its_bounds_is_said(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(CLASS)
    with pytest.raises(BadStrategy, match=r"^mine\.py, line 4: n = 10 is not between 1 and 9"):
        build(load(file), {"n": 10})


def test_an_unknown_timeframe_or_listing_is_said_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for name, said in (("H2", "'H2' is no timeframe: there are M1"), ("a/b/c", "symbol 'b/c' has a '/'")):
        file.write_text(
            "from tickledger import Enter, Exit, other, strategy\n\n\n@strategy(version=1, bars='H1')\n"
            f"def mine(b):\n    x = other('{name}').close\n    yield Enter.long(x > b.close, Exit(stop=0.001))\n"
        )
        with pytest.raises(BadStrategy, match=rf"^mine\.py, line 6, `x = other\('{name}'\).close`: other.*{said}"):
            load(file)


@pytest.mark.parametrize("name", list(shipped()))
def test_each_strategy_that_ships_loads_by_its_name(name: str) -> None:
    strategy = load_named(name)
    program = build(strategy)
    assert isinstance(strategy, Strategy)
    assert isinstance(program, StrategyProgram)
    assert strategy.name == name
    assert strategy.doc
    assert parse_program(program.serialised()) == program
    assert program.has_stop == (name != "buy_and_hold")


@pytest.mark.parametrize("text", WRITTEN)
def test_each_strategy_in_the_documentation_runs_as_it_stands(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    assert build(load(file)).name


def test_a_name_that_does_not_ship_is_said_with_those_that_do() -> None:
    with pytest.raises(BadStrategy, match="pairs, rsi_reversion, sniper, sniper_intraday ship with tickledger"):
        load_named("snipper")
