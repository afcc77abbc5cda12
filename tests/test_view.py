"What a model sees of a value: bounded, cheap, never broken, and as Python writes it where that is short."
import ast
import random
import string
import subprocess
import sys
import tracemalloc
import warnings
from collections import Counter, OrderedDict, deque, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from llama_nbchat import ParameterError, view
from llama_nbchat.view import _cut

Point = namedtuple("Point", "x y")
SIGNS = string.ascii_letters + " \n\t'\"\\{}[]()<>|,;%$#é😀\x00\x1b\ud83d"


@dataclass
class Card:
    name: object
    rest: list = field(default_factory=list)


class Broken:
    def __repr__(self): raise ValueError("no \x1b[31m")


class NoText:
    def __repr__(self): return 42


class BrokenList(list):
    def __len__(self): return 10**9
    def __iter__(self): raise ValueError("no")
    __getitem__ = __reversed__ = __repr__ = __iter__


def value(rng, depth=3):
    "Any kind of value, by chance."
    kinds = ["int", "float", "text", "none", "bytes", "huge", "broken", "notext"]
    if depth: kinds += ["list", "tuple", "dict", "set", "deque", "point", "card", "counter", "brokenlist", "frame", "array", "series"] * 2
    kind = rng.choice(kinds)
    many = rng.choice((0, 1, 2, 5, 300))
    def inner(): return value(rng, depth - 1)
    if kind == "int": return rng.randrange(-10**rng.randrange(1, 30), 10**30)
    if kind == "float": return rng.choice((rng.random(), float("nan"), float("inf"), 1e300))
    if kind == "text": return "".join(rng.choices(SIGNS, k=rng.choice((0, 3, 30, 3000))))
    if kind == "none": return rng.choice((None, True, ..., print, Card, range(5), 2j))
    if kind == "bytes": return rng.choice((bytes, bytearray))(rng.randbytes(many))
    if kind == "huge": return 10**5000   # has no text at all
    if kind == "broken": return Broken()
    if kind == "notext": return NoText()
    if kind == "dict": return rng.choice((dict, OrderedDict))((rng.choice(("a", "b c", (1, 2), n)), inner()) for n in range(many % 50))
    if kind == "set": return rng.choice((set, frozenset))(range(many))
    if kind == "point": return Point(inner(), inner())
    if kind == "card": return Card(inner(), [inner()])
    if kind == "counter": return Counter("".join(rng.choices(SIGNS, k=many)))
    if kind == "brokenlist": return BrokenList(inner() for _ in range(many % 7))
    if kind == "frame": return pd.DataFrame({f"c{n}": [inner() for _ in range(many % 30)] for n in range(rng.choice((0, 1, 3, 40)))})
    if kind == "series": return pd.Series([rng.random() for _ in range(many)], name=rng.choice((None, "s", ("a", 1))))
    if kind == "array": return np.full([rng.randrange(4) for _ in range(rng.randrange(5))], rng.choice((1, 1.5, True, "text", np.nan, None)))
    return {"list": list, "tuple": tuple, "deque": deque}[kind](inner() for _ in range(many % 50))


@pytest.mark.parametrize("seed", range(300))
def test_any_value(seed):
    "It is never longer than asked for, never fails, the same a second time, and a text that can be sent."
    rng = random.Random(seed)
    something = value(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)   # that it can't be shown
        for most in (1, 7, 59, 60, 61, 200, 1999, 20_000):
            seen = view(something, most)
            assert isinstance(seen, str) and len(seen) <= most and view(something, most) == seen


@pytest.mark.parametrize("seed", range(200))
def test_what_is_short_is_as_python_writes_it(seed):
    rng = random.Random(seed)
    def plain(depth=3):
        kind = rng.choice((int, str, float, *(list, tuple, dict, set, frozenset, deque, Point, Card) * bool(depth)))
        if kind in (int, float): return kind(rng.randrange(100))
        if kind is str: return "".join(rng.choices(SIGNS, k=5))
        if kind is dict: return {rng.randrange(10): plain(depth - 1) for _ in range(rng.randrange(4))}
        if kind in (set, frozenset): return kind(rng.choices(range(10), k=rng.randrange(3)))
        if kind in (Point, Card): return kind(plain(depth - 1), [plain(depth - 1)])
        return kind(plain(depth - 1) for _ in range(rng.randrange(4)))
    something = plain()
    assert view(something) == str(something)


@pytest.mark.parametrize("most", range(1, 300, 7))
def test_what_is_left_out_of_a_text_is_counted(most):
    text = "".join(random.Random(most).choices(string.ascii_lowercase, k=12_345))
    seen = _cut(text, most)
    assert len(seen) <= most
    if "[…" in seen:
        begin, rest = seen.split(" [… ")
        number, end = rest.split(" characters left out …] ")
        assert text.startswith(begin) and text.endswith(end) and len(begin) + len(end) + int(number.replace(",", "")) == len(text)
    else: assert seen == text[:most - 1] + "…" and most < 70


def test_what_is_left_out_of_a_list_is_counted():
    for number in (10, 100, 1000):
        for most in (60, 100, 500):
            begin, bar, end = view(list(range(number)), most).partition("[… ")
            if not bar: continue
            left, end = end.split(" more …]")
            first, last = ast.literal_eval(begin.rstrip(", ") + "]"), ast.literal_eval("[" + end.lstrip(", "))
            assert first == list(range(len(first))) and last == list(range(number - len(last), number))
            assert len(first) + len(last) + int(left.replace(",", "")) == number


HUGE = {
    "list": lambda: [0] * 20_000_000,
    "list of texts": lambda: ["x" * 30_000_000] * 100_000,
    "dict": lambda: dict.fromkeys(range(2_000_000), "x" * 1_000_000),
    "text": lambda: "x" * 50_000_000,
    "bytes": lambda: b"x" * 50_000_000,
    "within one another": lambda: {"a": [{"b": [0] * 20_000_000}]},
    "dataclass": lambda: Card("a", [0] * 20_000_000),
    "named tuple": lambda: Point([0] * 20_000_000, 1),
    "deque": lambda: deque([0] * 5_000_000),
    "array": lambda: np.zeros(20_000_000),
    "many dimensions": lambda: np.zeros((2,) * 24),
    "not in a row": lambda: np.zeros((5000, 4000)).T,
    "frame": lambda: pd.DataFrame(np.zeros((2_000_000, 10))),
    "wide frame": lambda: pd.DataFrame(np.zeros((3, 100_000))),
    "frame of texts": lambda: pd.DataFrame({"a": ["x" * 30_000_000] * 3000}),
    "series": lambda: pd.Series(np.zeros(20_000_000)),
}


@pytest.mark.parametrize("kind", HUGE)
def test_what_is_huge_costs_little(kind):
    "Measured in memory, which is the same on a busy machine."
    something = HUGE[kind]()
    view(something)   # what is imported or cached at the first time
    tracemalloc.start()
    try:
        seen = view(something)
        most = tracemalloc.get_traced_memory()[1]
    finally: tracemalloc.stop()
    assert len(seen) <= 20_000 and ("…" in seen or "..." in seen or "the first of" in seen)
    assert most < 20_000_000   # the million numbers whose range is found, twice


def test_within_itself():
    cards = [1]
    cards.append({"cards": cards})
    assert view(cards) == "[1, {'cards': […]}]"
    deep = []
    for _ in range(100_000): deep = [deep]
    assert len(view(deep)) < 100
    wide = 0
    for _ in range(25): wide = [wide] * 300   # of 300 ** 25 numbers, not one is looked at in vain
    assert len(view(wide)) <= 20_000


def test_nothing_is_imported():
    "A package that nobody uses is not loaded to look for its values."
    code = "import sys\nfrom llama_nbchat.view import view\nview({'a': [1]}), view(3.5)\nprint([name for name in ('numpy', 'pandas', 'matplotlib', 'llama_cpp') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_cant_be_shown_is_said():
    with pytest.warns(UserWarning, match="This Broken can't be shown"): assert view(Broken()) == "<Broken that can't be shown>"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert view([Broken(), 1]) == "[<Broken that can't be shown>, 1]"
        assert view({"a": NoText()}) == "{'a': <NoText that can't be shown>}"
        assert "<Broken that can't be shown>" in view(pd.DataFrame({"a": [Broken()]}))


@pytest.mark.parametrize("most", (0, -1, 2.5, "100", None, True))
def test_bounds_that_are_none(most):
    with pytest.raises(ParameterError, match="a number of characters, such as 2000"): view("Hello", most)


FRAMES = {
    "empty": (pd.DataFrame(), "DataFrame: 0 rows, 0 columns ()\n"),
    "dates": (pd.DataFrame({"t": [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02 12:30")]}), "0,2024-01-01\n1,2024-01-02 12:30:00"),
    "missing": (pd.DataFrame({"a": [1.5, None], "b": [pd.NA, "x"]}), ",a,b\n0,1.5,"),
    "quotes": (pd.DataFrame({"a,b": ['say "no"', "two\nlines"]}), '0,"say ""no"""\n1,"two\nlines"'),
    "names twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), ",a,a\n0,1,2"),
    "two indices": (pd.DataFrame({"v": [1]}, index=pd.MultiIndex.from_tuples([("a", 1)])), "0"),
    "categories": (pd.DataFrame({"c": pd.Categorical(["x"])}), "category"),
    "lists": (pd.DataFrame({"l": [[1, 2]]}), '0,"[1, 2]"'),
    "figures": (pd.DataFrame({"f": [0.1 + 0.2, 1234567.8, 1e-9]}), "0,0.3\n1,1234567.8\n2,1e-09"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_tables(kind):
    frame, part = FRAMES[kind]
    assert part in view(frame) if kind != "two indices" else view(frame).endswith('"(\'a\', 1)",1'), view(frame)


def test_a_table_is_whole_or_its_head():
    for rows in (1, 10, 11, 30, 200, 10_000):
        lines = view(pd.DataFrame({"a": range(rows), "b": range(rows)})).splitlines()
        if lines[-1].startswith("[…"): assert lines[-1] == f"[… {rows - 10:,} more rows …]" and len(lines) == 13 and rows > 30
        else: assert len(lines) == rows + 2 and rows <= 200


def test_plots():
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, (left, right) = plt.subplots(1, 2)
    figure.suptitle("All")
    left.plot(pd.to_datetime(["2024-01-01", "2024-03-01"]), [1, 10], label="growth")
    left.scatter(pd.to_datetime(["2024-02-01"]), [5])
    left.set(title="Over time", ylabel="units", yscale="log")
    left.legend()
    right.bar(["a", "b"], [3, 4.5])
    right.imshow(np.zeros((3, 4)))
    seen = view(figure)
    for part in ("Figure 'All'", "Plot 'Over time'", "y axis 'units'", "(log)", "legend: growth", "line 'growth': 2 points, x 2024-01-01 to 2024-03-01, y 1 to 10",
            "points: 1 point, x 2024-02-01 to 2024-02-01, y 5 to 5", "bars: 2, 3 to 4.5", "image: shape (3, 4)"): assert part in seen, seen
    assert view(left) in seen and view(plt.figure()) == "Figure, empty"
    many = plt.figure().subplots()
    for n in range(50): many.plot([n, n])
    assert "[… 30 more …]" in view(many) and len(view(many)) <= 2000
    plt.close("all")


@pytest.mark.parametrize("n_ctx", (128, 512, 2048))
def test_a_prompt_with_variables_leaves_room_for_the_answer(n_ctx):
    "What fits is there as a whole; what does not is cut, and that is said of a text."
    from llama_nbchat import Chat, load
    from llama_nbchat.magics import _fitted
    chat = Chat(load(n_ctx=n_ctx))
    def tokens(prompt): return chat._count([{"role": "user", "content": prompt}])
    rng = random.Random(n_ctx)
    for number in (1, 10, 100, 1000, 10_000):
        text = " ".join(rng.choices(("Mars", "is", "red", "12,5", "größer", "😀"), k=number))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            prompt = _fitted("What of {text} and {{text}}?", {"text": text}, chat)
        whole = f"What of {text} and {{text}}?"
        if tokens(whole) <= n_ctx // 2: assert prompt == whole and not said
        else: assert (tokens(prompt) <= n_ctx // 2 or len(prompt) < 250) and "left out" in prompt and "{text} has" in str(said[0].message)
    frame = pd.DataFrame(np.random.default_rng(1).random((1000, 20)))
    assert tokens(_fitted("{frame}", {"frame": frame}, chat)) <= n_ctx // 2 or n_ctx == 128
