"Functions as tools: schemas, arguments as small models write them, results, and what keeps a call from doing harm."
import asyncio
import dataclasses
import enum
import json
import os
import re
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from IPython.display import HTML
from typing_extensions import TypedDict   # pydantic wants this one before Python 3.12

from llama_nbchat import Chat, ChatError, ScriptedModel
from llama_nbchat.errors import ParameterError, ToolError
from llama_nbchat.local.calls import as_call
from llama_nbchat.tools import Call, Tool, Tools, cut_in_the_middle, result_text


class Color(enum.Enum): red, blue = "r", "b"
class Point(NamedTuple): x: int; y: int
HERE = Point(1, 2)
class Person(TypedDict): name: str; age: int
@dataclasses.dataclass
class Node: name: str; under: "list[Node]" = dataclasses.field(default_factory=list)
class Station:
    "A weather station."
    def rain(self, day:str, # Which day
        hours:int=24): "Rain of a day."; return f"{day} {hours}"
    @classmethod
    def known(cls, name:str): "Whether it is known."; return name == "A"
    @staticmethod
    def sum(a:float, b:float): return a + b
    def __call__(self, place:str): return place


def plain(planet:str, # Which planet
    days:bool=True,   # In days?
    color:Color=Color.red, kind:Literal["a", "b"]="a", node:"Node|None"=None, point:Point=HERE, who:Person|None=None, more:dict[str, Any]|None=None,
    many:Annotated[list[int], "How many of each"]=()):
    """Does something.

    It does it well."""
    return planet


async def later(text:str): await asyncio.sleep(0.01); return text[::-1]
def unhinted(a, b=3, c=None): return f"{a!r} {b!r} {c!r}"
def positional(a:int, /, b:int=2, *, c:int=3): return [a, b, c]
def on_tables(frame, rows:int=3): return rows


def test_the_schema_tells_all_that_a_model_needs():
    tool = Tool(plain)
    properties = tool.schema["properties"]
    assert tool.name == "plain" and tool.description == "Does something.\n\nIt does it well." and tool.schema["required"] == ["planet"]
    assert properties["planet"] == {"type": "string", "description": "Which planet"} and properties["days"] == {"type": "boolean", "description": "In days?", "default": True}
    assert properties["color"]["enum"] == ["r", "b"] and properties["kind"]["enum"] == ["a", "b"] and properties["many"]["description"] == "How many of each"
    assert properties["who"]["properties"]["age"] == {"type": "integer"} and properties["more"]["type"] == "object"
    assert "title" not in json.dumps(tool.schema) and json.loads(json.dumps(tool.as_dict())) == tool.as_dict()
    assert "$ref" in json.dumps(properties["node"]) and "Node" in tool.schema["$defs"]    # it contains itself


@pytest.mark.parametrize("function, name, parameters, arguments, result", (
    (Station().rain, "rain", ["day", "hours"], {"day": "Monday", "hours": "6"}, "Monday 6"), (Station.known, "known", ["name"], {"name": "A"}, "true"),
    (Station.sum, "sum", ["a", "b"], {"a": 1, "b": "2.5"}, "3.5"), (Station(), "Station", ["place"], {"place": "here"}, "here"),
    (partial(plain, days=False), "plain", None, {"planet": "Mars"}, "Mars"), (partial(positional, 1), "positional", ["b", "c"], {"b": 5}, "[1, 5, 3]"), (later, "later", ["text"], {"text": "abc"}, "cba"),
    (positional, "positional", ["a", "b", "c"], {"a": 7, "c": 1}, "[7, 2, 1]"), (partial(on_tables, frame=object()), "on_tables", ["rows"], {"rows": 4}, "4")))
def test_whatever_can_be_called_is_a_tool(function, name, parameters, arguments, result):
    tools = Tools([function])
    tool = tools.tools[name]
    if parameters is not None: assert [parameter.name for parameter in tool.parameters] == parameters
    call = tools.run(as_call(name, arguments))
    assert (call.result, call.error, call.refused) == (result, None, False), call
    assert Tools([function], seconds=None).run(as_call(name, json.dumps(arguments))).result == result


def test_descriptions_are_those_of_the_function():
    assert Tool(Station().rain).description == "Rain of a day." and Tool(Station()).description == "A weather station." and Tool(partial(plain, days=False)).description.startswith("Does")
    assert Tool(Station().rain).schema["properties"]["day"]["description"] == "Which day"
    made = {}
    exec("def without_source(a:int): return a", made)
    assert Tool(made["without_source"]).schema["properties"] == {"a": {"type": "integer"}}


def test_what_a_model_cannot_call_is_refused_by_name():
    def many(*numbers): ...
    def named(**options): ...
    def odd(table:threading.Thread): ...
    def unknown(a:"Nowhere"): ...   # noqa: F821
    for function, words in ((many, "*numbers"), (named, "**options"), (odd, "functools.partial(odd"), (unknown, "Nowhere"), (lambda a: a, "def"), (3, "not 3"), (Station, "the method of an object"), (plain("x"), "'x'")):
        with pytest.raises(ToolError) as refused: Tools([function])
        assert words in str(refused.value) and isinstance(refused.value, ChatError)
    with pytest.raises(ToolError, match="Two tools are called plain"): Tools([plain, partial(plain, days=True)])


def test_without_hints_the_default_tells_or_it_is_a_text_and_that_is_said():
    with pytest.warns(UserWarning, match="unhinted does not say what a is"): tool = Tool(unhinted)
    kinds = {name: value["type"] for name, value in tool.schema["properties"].items()}
    assert kinds == {"a": "string", "b": "integer", "c": "string"}


def test_hints_may_name_what_is_around(recwarn):
    class Local(TypedDict): a: int
    def inner(x:"Local", later:"int"=1): return Local
    assert Tool(inner).schema["properties"]["x"]["properties"] == {"a": {"type": "integer"}} and not recwarn.list


@pytest.mark.parametrize("given, taken", (({"a": "3"}, {"a": 3}), ('{"a": 3.0}', {"a": 3}), ({"a": 3, "b": 7}, {"a": 3, "b": "7"}), ({"a": 3, "c": "[1, 2]"}, {"a": 3, "c": [1, 2]}),
    ({"a": 3, "d": "null"}, {"a": 3, "d": None}), ({"a": 3, "d": None}, {"a": 3}), ({"a": 3, "e": "yes"}, {"a": 3, "e": True}), ({"a": 3, "f": '{"x": 1, "y": 2}'}, {"a": 3, "f": Point(1, 2)}), ('{"a": 3, "b": "x\ny"}', {"a": 3, "b": "x\ny"})))
def test_arguments_are_taken_leniently(given, taken):
    def f(a:int, b:str="", c:list[int]=(), d:int|None=None, e:bool=False, f:Point=HERE): ...
    assert Tool(f).check(given) == taken


@pytest.mark.parametrize("given, words", (({}, "planet: is missing"), ({"planet": "Mars", "moon": 1}, "moon: there is no such"), ({"planet": "Mars", "days": "perhaps"}, "not 'perhaps'"),
    ('{"planet": "Ma', "no JSON"), ("[1]", "no JSON object"), ({"planet": ["x"] * 1000}, "valid string"), ({"planet": "M", "node": {"name": 1, "under": [{"nam": 2}]}}, "node")))
def test_errors_for_the_model_are_brief(given, words):
    call = Tools([plain]).run(as_call("plain", given))
    assert words in call.error and len(call.error) < 700 and call.result == f"Error: {call.error}" and "pydantic" not in call.error and "http" not in call.error
    assert Tools([plain]).run(as_call("nothing", given)).error == "There is no function 'nothing'. There are: plain."


@pytest.mark.parametrize("result, text", (("as it is\n", "as it is\n"), (None, "done"), ({"a": Path("x"), (1, 2): {3}}, '{"a": "x", "(1, 2)": [3]}'), (b"1234", "4 bytes"), (Node("a"), '{"name": "a", "under": []}'), (Color.red, '"r"'),
    ((n for n in range(3)), "[0, 1, 2]"), (HTML("<b>x</b>"), "<b>x</b>"), ({"ü": 1.5}, '{"ü": 1.5}'), ("\ud800", "\ufffd"), ([Node("a")], '[{"name": "a", "under": []}]')))
def test_results_as_text(result, text): assert result_text(result) == text


def test_results_that_are_tables_endless_or_contain_themselves():
    import itertools
    ring = []
    ring.append(ring)
    assert result_text(ring) == "[[...]]" and len(json.loads(result_text(itertools.count()))) == 1000
    numpy = pytest.importorskip("numpy")
    assert result_text(numpy.arange(3)) == "[0 1 2]" and result_text(numpy.float64(1.5)) == "1.5" and result_text({"a": numpy.int64(3)}) == '{"a": "3"}'
    pandas = pytest.importorskip("pandas")
    assert result_text(pandas.DataFrame({"a": [1, 2]})).split() == ["a", "0", "1", "1", "2"]


def test_a_long_result_is_cut_in_the_middle_and_says_so():
    text = "".join(chr(97 + n % 26) for n in range(30_000))
    call = Tools([plain], most=3000).run(as_call("plain", {"planet": text}))
    head, note, tail = call.result.split("\n")
    assert note == "[... 27,000 characters left out]" and text.startswith(head) and text.endswith(tail) and len(head) + len(tail) == 3000
    assert cut_in_the_middle("short", 10) == "short"
    assert len(Tools([plain]).run(as_call("plain", {"planet": text}), most=50).result) < 100


def test_an_exception_is_told_briefly():
    def fails(): raise ValueError("no\x1b[2J such day " + "x" * 5000)
    def leaves(): sys.exit(3)
    for seconds in (60, None):
        tools = Tools([fails, leaves], seconds=seconds)
        call = tools.run(as_call("fails", {}))
        assert call.error.startswith("ValueError: no") and len(call.result) < 600 and "\x1b" not in repr(call)
        assert "end the program" in tools.run(as_call("leaves", {})).error


def test_a_call_has_a_time_limit():
    going = threading.Event()
    def endless():
        while True: going.set()
    before = time.perf_counter()
    call = Tools([endless], seconds=0.2).run(as_call("endless", {}))
    assert "longer than 0.2 seconds" in call.error and going.is_set() and time.perf_counter() - before < 10
    wait = time.monotonic() + 10
    while any(thread.name == "tool endless" for thread in threading.enumerate()) and time.monotonic() < wait: time.sleep(0.01)
    assert not any(thread.name == "tool endless" for thread in threading.enumerate())    # it was stopped, not only left


@pytest.mark.parametrize("seconds", (60, None))
def test_an_interrupt_stops_a_call(seconds):
    started = threading.Event()
    def waits():
        started.set()
        for _ in range(1000): time.sleep(0.01)
    def press():
        started.wait(10)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt): Tools([waits], seconds=seconds).run(as_call("waits", {}))
    wait = time.monotonic() + 10
    while any(thread.name == "tool waits" for thread in threading.enumerate()) and time.monotonic() < wait: time.sleep(0.01)
    assert not any(thread.name == "tool waits" for thread in threading.enumerate())


def test_the_same_call_twice_in_a_row_is_answered_with_a_hint():
    count = []
    def adds(n:int=0): count.append(n); return "added"
    tools = Tools([adds])
    first = tools.run(as_call("adds", {"n": 1}))
    again = tools.run(as_call("adds", '{"n": 1}'), first)
    other = tools.run(as_call("adds", {"n": 2}), again)
    assert count == [1, 2] and "just made this call" in again.result and other.result == "added"


def test_nobody_is_waited_for_where_nobody_can_answer(monkeypatch):
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "yes")
    tools, call = Tools([plain], confirm=True), as_call("plain", {"planet": "Mars"})
    monkeypatch.setattr("llama_nbchat.tools._can_ask", lambda: False)
    refused = tools.run(call)
    assert refused.refused and "nobody is there" in refused.result and not asked
    monkeypatch.setattr("llama_nbchat.tools._can_ask", lambda: True)
    assert tools.run(call).result == "Mars" and asked == ["Call plain(planet='Mars')? [y/N] "]
    for answer in ("", "n", "what?"):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert tools.run(call).refused


def test_a_function_may_confirm():
    def careful(call):
        assert isinstance(call, Call) and call.result is None
        if call.arguments["planet"] == "Venus": raise ValueError("too hot")
        return call.arguments["planet"] != "Mars"
    run = lambda planet: Tools([plain], confirm=careful).run(as_call("plain", {"planet": planet}))   # noqa: E731
    assert run("Earth").result == "Earth" and run("Mars").refused and "by the user" in run("Mars").result and "too hot" in run("Venus").result


@pytest.mark.parametrize("given, words", (("orbit", "not its name, as in tools=[orbit], unquoted"), (["orbit"], "unquoted"), ([687], "without calling it"), (5, "without calling it"), (plain, "in brackets"), (Tool(plain), "in brackets"),
    ({"orbit": plain}, "not {'orbit'"), ([Station], "the method of an object"), ([Station.rain], "as in tools=[station.rain]"), ([str.upper], "method of str"), ([Tools([plain])], "tools=Tools([orbit])"), ([print], "def my_print"), ([lambda x: x], "with def")))
def test_what_is_no_function_is_told_what_to_write(given, words):
    for hand_over in (Tools, lambda tools: Chat(ScriptedModel(), tools=tools)):
        with pytest.raises(ToolError, match=re.escape(words)): hand_over(given)


def test_a_hint_that_is_no_json_is_named_without_the_words_of_another_package():
    def f(planet:threading.Thread): ...
    with pytest.raises(ToolError, match=r"^f takes planet, and a Thread can't be written as JSON\. Hold it fixed") as error: Tool(f)
    assert "pydantic" not in str(error.value) and "schema" not in str(error.value)


@pytest.mark.parametrize("limits", ({"seconds": "5"}, {"seconds": 0}, {"seconds": True}, {"most": -1}, {"most": None}, {"confirm": "yes"}, {"confirm": 1}))
def test_limits_are_numbers(limits):
    with pytest.raises(ParameterError, match=f"^{next(iter(limits))} is "): Tools([plain], **limits)


@pytest.mark.parametrize("most", (-1, "8", None, True, 2.5))
def test_how_many_calls_is_a_number(most):
    with pytest.raises(ParameterError, match="max_calls is a number of calls"): Chat(ScriptedModel(), max_calls=most)


def test_who_asks_to_be_asked_is_asked():
    asked = []
    def ask(call): asked.append(call.name)
    shared = Tools([plain])
    late = Chat(ScriptedModel([as_call("plain", {"planet": "Mars"})], "No."), confirm=ask)
    late.tools = [plain]
    chats = [Chat(ScriptedModel([as_call("plain", {"planet": "Mars"})], "No."), tools=tools, confirm=ask) for tools in ([plain], (plain,), shared)] + [late]
    for chat in chats: chat("Now?")
    chats += [late.fork()]
    chats[-1]("Now?")
    assert asked == ["plain"] * 5 and all(chat.last.calls[0].refused for chat in chats) and shared.confirm is False


@pytest.mark.parametrize("name", ("tools", "functions"))
@pytest.mark.parametrize("given", (plain, [plain], Tools([plain])))
def test_functions_are_no_parameter_of_a_prompt(name, given):
    with pytest.raises(ParameterError, match="Functions are handed to a chat"): Chat(ScriptedModel())("Hello", **{name: given})
