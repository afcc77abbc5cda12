"Answers held to schemas, patterns and grammars: at random, with as few tokens as can be, and after thoughts."
import json
import random
import re
import threading

import jsonschema
import numpy as np
import pytest
from llama_cpp import Llama

from llama_nbchat import Chat, ContextOverflowError, Engine, GenerationError, NotInstalledError, ParameterError
from llama_nbchat.local.mask import Guide, Vocabulary, _least_end, pattern_grammar, schema_grammar
from llama_nbchat.structured import _closed
from tests.conftest import moments
from tests.schemas import Schemas
from tools.benchmarks.random_model import STYLES, make, make_hybrid, make_recurrent, make_sliding

CHECKED = ("date", "email", "ipv4", "ipv6", "uuid", "duration", "uri")   # the others allow more than the checker: leap seconds
FORMATS = jsonschema.FormatChecker(CHECKED)
ASK = [{"role": "user", "content": "abcd efgh"}]


def opened(path, style="chatml", template=None, controls=(), size=2000, context=4096):
    if template:
        STYLES["one"] = "bpe", ["<|im_end|>", *controls], template
        style = "one"
    return Engine(Llama(str(make(path, "tiny", style, size=size, context=context)), n_ctx=context, verbose=False, n_threads=1))


@pytest.fixture(scope="module")
def engine(tmp_path_factory): return opened(tmp_path_factory.mktemp("models") / "random.gguf")


def answer(engine, **params):
    deltas = list(engine.stream(ASK, temperature=2.0, top_k=0, top_p=1.0, min_p=0.0, **params))
    return "".join(delta.text for delta in deltas), deltas[-1]


def check(text, schema):
    value = json.loads(text)
    jsonschema.validate(value, schema, format_checker=FORMATS)
    return value


def test_schemas_at_random(engine):
    "Of 500 schemas, each with much room and with as little as can be: all parse and fit, or are refused by name before."
    refused, tried = [], 0
    for seed in moments(500, 25):
        schema, chance = Schemas(seed).schema(), random.Random(seed)
        try: needs = Guide(engine.vocabulary or _vocabulary(engine), schema_grammar(schema)).needs
        except ParameterError as error:
            refused.append(str(error))
            assert "can't be held to this" in str(error)
            continue
        for most in (300, needs, needs + 1, chance.randint(needs, max(needs, 60))):
            text, last = answer(engine, schema=schema, max_tokens=most, seed=seed)
            check(text, schema)
            assert last.usage.completion_tokens <= most and last.finish_reason in ("stop", "closed"), (seed, most)
        if needs > 1:   # 0 would be as many as there is room for
            with pytest.raises(ParameterError, match=f"takes {needs:,} token"):
                answer(engine, schema=schema, max_tokens=needs - 1)
        tried += 1
    print(f"{tried} schemas, {len(refused)} refused")
    assert len(refused) <= max(2, 0.05 * (tried + len(refused)))


def test_every_budget(engine):
    "From as few tokens as can be up to 60, each one: it parses, fits, and is not longer."
    tried = 0
    for seed in moments(120, 30):
        schema = Schemas(1000 + seed).schema()
        try: needs = Guide(engine.vocabulary or _vocabulary(engine), schema_grammar(schema)).needs
        except ParameterError: continue
        for most in range(max(1, needs), 61):
            text, last = answer(engine, schema=schema, max_tokens=most, seed=seed + most)
            check(text, schema)
            assert last.usage.completion_tokens <= most and last.finish_reason in ("stop", "closed"), (seed, most)
            tried += 1
    print(f"{tried} budgets")


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    "An engine that never finds that an answer is over."
    engine = opened(tmp_path_factory.mktemp("models") / "endless.gguf")
    engine.decoder.ends = lambda token: False
    return engine


@pytest.mark.parametrize("form", ["[a-z]+", "([a-z]+ )*[a-z]+", ".*", r"\d+(\.\d*)?", "(ab|cd)+", {"type": "array", "items": {"type": "integer"}},
    {"type": "string"}, {"type": "integer"}, {"type": "object"}, {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}])
def test_without_a_token_that_ends(endless, form):
    "Nothing tells that an answer is at its end, but its form and the budget."
    held = {"pattern" if isinstance(form, str) else "schema": form}
    grammar = pattern_grammar(form) if isinstance(form, str) else schema_grammar(form)
    needs = Guide(endless.vocabulary or _vocabulary(endless), grammar).needs
    assert endless.vocabulary.ends == ()
    for most in range(max(1, needs), 25):
        text, last = answer(endless, **held, max_tokens=most, seed=most)
        if isinstance(form, str): assert re.fullmatch(form, text), text
        else: check(text, form)
        assert last.usage.completion_tokens <= most and last.finish_reason in ("stop", "closed")


def test_the_smallest_object_is_put_together(engine):
    "Of classes as people have them, however deep they lie in each other, it comes from the schema, and fits; a search would give up."
    import datetime
    import uuid
    from typing import Literal, Optional, Union
    from pydantic import Field, TypeAdapter, create_model
    address = create_model("Address", street=(str, ...), zip=(str, Field(pattern=r"^\d{5}$")), country=(Literal["DE", "FR"], ...))
    person = create_model("Person", name=(str, Field(min_length=1)), age=(int, Field(ge=18, le=150)), born=(datetime.date, ...),
        email=(Optional[str], None), addresses=(list[address], Field(min_length=2)))
    order = create_model("Order", id=(uuid.UUID, ...), customer=(person, ...), ship=(address, ...), notes=(list[str], ...))
    shop = create_model("Shop", name=(str, ...), orders=(list[order], Field(min_length=3)), offices=(dict[str, address], ...))
    note = create_model("Note", text=(str, ...), by=(person, ...))
    deep = order
    for n in range(6): deep = create_model(f"Level{n}", inner=(deep, ...), others=(list[deep], ...), of=(str, ...))
    for kind, most in ((person, 200), (order, 400), (shop, 1500), (Union[shop, note], 260), (list[order], 2), (deep, 800)):
        adapter = TypeAdapter(kind)
        grammar = schema_grammar({**_closed(adapter.json_schema()), "x-guidance": {"lenient": True}})
        vocabulary = engine.vocabulary or _vocabulary(engine)
        end = _least_end(vocabulary, vocabulary.new(vocabulary.bytes, grammar), grammar)
        adapter.validate_json(end)
        assert len(end) <= most and Guide(vocabulary, grammar).end == end
    for ends in (Schemas(214), Schemas(264)):   # of which the search finds nothing
        ends.definitions = []
        schema = ends.some(5)
        check(Guide(engine.vocabulary, schema_grammar(schema)).end.decode(), schema)


def _vocabulary(engine):
    engine.vocabulary = Vocabulary(engine.decoder)
    return engine.vocabulary


def test_a_full_window_closes_too(tmp_path):
    engine = opened(tmp_path / "small.gguf", context=256)
    schema = {"type": "array", "items": {"type": "string", "minLength": 5}, "minItems": 3}
    ask = [{"role": "user", "content": "abcd"}]
    while engine.count(ask) < 215: ask[0]["content"] += " efgh"
    text = "".join(delta.text for delta in engine.stream(ask, schema=schema, seed=1, temperature=2.0))
    check(text, schema)
    while engine.count(ask) < 250: ask[0]["content"] += " efgh"
    with pytest.raises(ContextOverflowError, match="an answer that fits takes"): list(engine.stream(ask, schema=schema))


@pytest.mark.parametrize("pattern", [r"\d{4}", "(yes|no)", r"[a-z]{3,9}( [a-z]+){0,3}\.", "", r"[^;]{20};", "(ab|cd)*e", ".*"])
def test_patterns(engine, pattern):
    for most in (40, 60):
        text, _ = answer(engine, pattern=pattern, max_tokens=most, seed=most)
        assert re.fullmatch(pattern, text)


def test_grammars(engine):
    text, _ = answer(engine, grammar='start: "[" item ("," item)* "]"\nitem: /[0-9]+/', max_tokens=20, seed=3)
    assert all(isinstance(item, int) for item in json.loads(re.sub(r"\b0+(?=\d)", "", text)))
    for wrong in ("start: other", "{", "root ::= x"):
        with pytest.raises(ParameterError): answer(engine, grammar=wrong)


OPENED = ("{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}")
OWN = OPENED.replace("<think>\\n", "").replace("<think>\n", "")
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}, "required": ["name", "n"],
    "additionalProperties": False}


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("models") / "thinker.gguf", template=OPENED, controls=["<think>", "</think>", "<|im_start|>"])


@pytest.mark.parametrize("thinking", [0, 1, 5, 30, None])
@pytest.mark.parametrize("held", [{}, {"schema": SCHEMA}])
def test_thoughts_end(thinker, thinking, held):
    "At the limit, or where the object needs the room; the object begins after them."
    if thinking is None and not held: return
    for seed in range(4):
        chat = Chat(thinker, temperature=2.0, top_k=0, top_p=1.0, seed=seed, max_tokens=80)
        reply = chat.prompt("abcd", thinking=thinking, **held)
        thought = thinker.decoder.tokenize(reply.reasoning, begins=False)
        assert bool(reply.reasoning) == (thinking != 0) and reply.written.count("</think>") == 1
        if held: check(reply.text, SCHEMA)
        if thinking == 1: assert len(thought) <= 4
        assert reply.thoughts_cut <= (80 if thinking is None else thinking)


def test_it_is_said_that_thoughts_were_cut(thinker, capsys, monkeypatch):
    "Below the answer, with their number; not where the model has ended them by itself, nor where there were to be none."
    from llama_nbchat.notes import note
    mark = thinker.decoder.tokenize("</think>", special=True, begins=False)[0]
    def said(thinking, **params):
        chat = Chat(thinker, seed=1, max_tokens=60, temperature=2.0, footer=False)
        reply = chat.prompt("abcd", thinking=thinking, **params)
        return note(chat, reply, params)
    assert "thoughts cut at 7 tokens" in said(7) and "thoughts cut at 7 tokens" in said(7, schema=SCHEMA)
    assert "thoughts" not in said(0) and "thoughts" not in said(30, logit_bias={mark: 60.0})
    assert "thoughts cut at" in said(None, schema=SCHEMA)   # by the room that the object needs


@pytest.mark.parametrize("variable", ["enable_thinking", "thinking"])
def test_templates_are_told_whether_to_think(tmp_path, variable):
    "By the variable that they have: then the prompt is another one, and nothing has to be closed."
    template = OWN.replace("assistant\n'", "assistant\n' + ('' if " + variable + " else '<think>\n\n</think>\n\n')")
    engine = opened(tmp_path / "told.gguf", template=template, controls=["<think>", "</think>", "<|im_start|>"])
    def prompt(**given): return engine._prepare(ASK, given).text
    assert prompt(thinking=0).endswith("<think>\n\n</think>\n\n") and prompt(thinking=5).endswith("assistant\n")
    for held in ({}, {"schema": SCHEMA}):
        reply = Chat(engine, temperature=2.0, max_tokens=40, seed=1).prompt("abcd", thinking=0, **held)
        assert not reply.reasoning and "</think>" not in reply.written
        if held: check(reply.text, SCHEMA)


def test_templates_without_such_a_variable(thinker):
    "The prompt is what it was, and the first thing that is written is the closing mark."
    assert not {"enable_thinking", "thinking"} & thinker.template.variables
    assert thinker._prepare(ASK, {"thinking": 0}).text == thinker._prepare(ASK, {}).text
    reply = Chat(thinker, temperature=2.0, max_tokens=20, seed=1).prompt("abcd", thinking=0)
    assert reply.written.startswith("<think></think>") and not reply.reasoning


def test_a_model_that_opens_its_thoughts(tmp_path):
    "The first token may be the mark, although the schema does not allow it; without thinking it may not."
    engine = opened(tmp_path / "own.gguf", template=OWN, controls=["<think>", "</think>", "<|im_start|>"])
    mark = engine.decoder.tokenize("<think>", special=True)[0]
    for thinking in (None, 7, 0):
        chat = Chat(engine, temperature=2.0, max_tokens=60, seed=3, logit_bias={mark: 60.0})
        reply = chat.prompt("abcd", schema=SCHEMA, **({} if thinking is None else {"thinking": thinking}))
        check(reply.text, SCHEMA)
        assert reply.written.startswith("<think>") == (thinking != 0), thinking
        assert bool(reply.reasoning) == (thinking != 0)
    needs = Guide(engine.vocabulary, schema_grammar(SCHEMA)).needs
    for most in range(needs, needs + 5):   # where there is no room for a thought, there is none
        reply = Chat(engine, temperature=2.0, max_tokens=most, seed=3, logit_bias={mark: 60.0}).prompt("abcd", schema=SCHEMA)
        check(reply.text, SCHEMA)
        assert reply.written.startswith("<think>") == (most >= needs + 2), most


CHANNELS = ("{% for m in messages %}{{ '<|start|>' + m.role + '<|message|>' + m.content }}"
    "{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}")


def test_channels(tmp_path):
    "The answer begins in its channel, whatever parts a model opens before."
    controls = ["<|start|>", "<|message|>", "<|end|>", "<|channel|>", "<|call|>", "<|return|>"]
    engine = opened(tmp_path / "channels.gguf", template=CHANNELS, controls=controls)
    start, message, end, channel = (engine.decoder.tokenize(name, special=True)[0] for name in (*controls[:4],))
    for biased in ([channel], [channel, message], [channel, message, end, start], []):
        for thinking in (None, 9, 0):
            for most in (40, 120):
                chat = Chat(engine, temperature=2.0, max_tokens=most, seed=3, logit_bias={token: 8.0 for token in biased})
                reply = chat.prompt("abcd", schema=SCHEMA, **({} if thinking is None else {"thinking": thinking}))
                check(reply.text, SCHEMA)
                if thinking == 0: assert reply.written.startswith("<|channel|>final<|message|>{") and not reply.reasoning


def test_choices(engine):
    "Probabilities are those of the model: of each token, and of the end where one option begins another."
    chat = Chat(engine)
    options = ["abcd", "abcd efgh", "wxyz"]
    choice = chat.choose("abcd", options)
    assert abs(sum(choice.probabilities.values()) - 1) < 1e-9 and choice in options and chat.last.text == choice
    again = engine.weigh([{"role": "user", "content": "abcd"}], options[::-1])
    assert again[::-1] == pytest.approx(list(choice.probabilities.values()), rel=1e-3)


def test_a_thinker_chooses_without_thoughts(thinker):
    chat = Chat(thinker)
    choice = chat.choose("abcd", ["abcd", "wxyz"])
    assert chat.last.text == choice and not chat.last.reasoning and chat.last.written.startswith("<think></think>")


@pytest.mark.parametrize("made", [make_recurrent, make_hybrid, make_sliding])
def test_other_memories(made, tmp_path):
    "What can't be trimmed is put back: options are weighed as when each is read anew, and answers are held to a schema."
    llm = Llama(str(made(tmp_path / "model.gguf")), n_ctx=512, verbose=False, n_threads=1)
    engine, options = Engine(llm), ["abcd", "abcd efgh", "abcd wxyz", "efgh"]
    together = engine.weigh(ASK, options)
    assert together == pytest.approx(_one_by_one(engine, options), rel=0.02)
    check(answer(engine, schema=SCHEMA, max_tokens=40, seed=1)[0], SCHEMA)


def _one_by_one(engine, options):
    "The same from the scores after each beginning, each of them evaluated from the start."
    decoder = engine.decoder
    prompt = engine._prepare(ASK, {}).tokens
    answers = [decoder.tokenize(option, begins=False) for option in options]
    def logs(tokens):
        decoder.trim(0)
        for n in range(0, len(tokens), 64): decoder.evaluate(tokens[n:n + 64])
        scores = decoder._scores().astype(float)
        scores -= scores.max()
        return scores - np.log(np.exp(scores).sum())
    found = []
    decoder.begin()
    for one in answers:
        weight = sum(logs(prompt + one[:n])[token] for n, token in enumerate(one))
        if any(other[:len(one)] == one and other != one for other in answers):
            after = logs(prompt + one)
            weight += np.log(sum(np.exp(after[n]) for n in range(len(after)) if decoder.ends(n)))
        found.append(weight)
    shares = np.exp(np.array(found) - max(found))
    return list(shares / shares.sum())


def test_options_are_weighed_from_one_prefix(engine):
    "The conversation is evaluated once, and the turn after it evaluates nothing of it again."
    chat = Chat(engine)
    chat.prompt("abcd efgh " * 20, max_tokens=3)
    evaluated, evaluate = [], engine.decoder.evaluate
    engine.decoder.evaluate = lambda tokens: (evaluated.extend(tokens), evaluate(tokens))[1]
    try: chat.choose("wxyz", ["abcd", "efgh", "abcd wxyz"])
    finally: del engine.decoder.evaluate
    assert len(evaluated) < 40 and chat.last.usage.evaluated_tokens <= 1


def test_an_object_goes_on(engine):
    "An answer that was broken off is continued by what it is held to."
    chat = Chat(engine, temperature=2.0, seed=5)
    for piece in chat.stream("abcd", schema=SCHEMA, max_tokens=60):
        if len(chat.messages) or len(piece) > 2: break
    begun = chat.last.text if chat.last else ""
    whole = chat.resume(schema=SCHEMA, max_tokens=60).text
    assert begun and whole.startswith(begun) and check(whole, SCHEMA)
    with pytest.raises(ParameterError, match="does not fit"):
        list(engine.stream([*ASK, {"role": "assistant", "content": "nonsense"}], schema=SCHEMA))


def test_without_the_package(engine, monkeypatch):
    "It is named; what needs no mask goes on to work."
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)
    for given in ({"schema": SCHEMA}, {"pattern": "a"}, {"grammar": 'start: "a"'}):
        with pytest.raises(NotInstalledError, match=r"llama_nbchat\[tools\]"): answer(engine, **given)
    assert answer(engine, thinking=3, max_tokens=4)[0]


def test_what_never_fits(engine):
    import pydantic
    class Never(pydantic.BaseModel):
        n: int
        @pydantic.field_validator("n")
        @classmethod
        def never(cls, n): raise ValueError("never right")
    chat = Chat(engine, max_tokens=30, temperature=1.0)
    with pytest.raises(GenerationError, match="never right"): chat.structured("abcd", Never)
    assert len(chat.messages) == 0 and len(chat.tree()) == 3


def test_types(engine):
    import dataclasses
    import enum
    from typing import Literal, NamedTuple, Optional, Union
    class Colour(enum.Enum): RED, BLUE = "red", "blue"
    Point = NamedTuple("Point", [("x", int), ("y", float)])
    @dataclasses.dataclass
    class Node:
        value: Union[int, str]
        next: Optional["Node"] = None
    for kind in (int, float, bool, str, Colour, Literal["a", 1], Point, list[int], dict[str, bool], Optional[int], set[int]):
        value = Chat(engine, max_tokens=40, seed=1).structured("abcd", kind)
        assert value is None or isinstance(value, getattr(kind, "__origin__", kind) if isinstance(getattr(kind, "__origin__", kind), type) else object)
    assert Chat(engine, max_tokens=40, seed=1).structured("abcd", "name, age int: in years").keys() == {"name", "age"}


def _like_pydantic_1():
    import pydantic.v1
    class Old(pydantic.v1.BaseModel): name: str
    return Old


@pytest.mark.parametrize("schema, words", (("name, name", "no new field"), ('"name" str', "no new field"), ('{"type": "obj', "no JSON"), ({"name": "str", "age": "int"}, 'write "name, age int"'), ({"name": str, "age": int}, 'write "name, age int"'),
    (["name", "age"], '"name, age"; for a list, list[str]'), (len, "Chat(model, tools=[...])"), (_like_pydantic_1(), "derive it from pydantic.BaseModel"), (pytest, "dataclass"), (threading.Thread, "^Thread can't be made from JSON. Give a type")))
def test_what_is_no_form_is_told_what_to_write(engine, recwarn, schema, words):
    chat = Chat(engine)
    with pytest.raises(ParameterError, match=words if words[0] == "^" else re.escape(words)) as error: chat.structured("abcd", schema)
    assert not recwarn.list and "arbitrary_types" not in str(error.value) and "core_schema" not in str(error.value)
    assert len(chat.messages) == 0


def test_an_object_in_place_of_its_class(engine, recwarn):
    import dataclasses
    import pydantic
    class Town(pydantic.BaseModel): name: str
    assert isinstance(Chat(engine, max_tokens=40, seed=1).structured("abcd", Town), Town)
    with pytest.raises(ParameterError, match="give its class, Town"): Chat(engine).structured("abcd", Town(name="Rome"))
    made = dataclasses.make_dataclass("City", ["name"])("Paris")
    with pytest.raises(ParameterError, match="give its class, City"): Chat(engine).structured("abcd", made)
    with pytest.raises(ParameterError, match=r'write chat\.structured\("...", City\)'): Chat(engine)("abcd", schema=type(made))
    assert not recwarn.list


def test_a_type_after_the_colon_is_the_type(engine):
    for words in ("name: str, age: int", "name, age int", "name string, age: integer", '{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"], "additionalProperties": false}'):
        found = Chat(engine, max_tokens=40, seed=1).structured("abcd", words)
        assert list(found) == ["name", "age"] and isinstance(found["age"], int)


@pytest.mark.parametrize("options, words", ((["a"], "not ['a']"), ([], r"not []"), ("yes no", "not 'yes no'"), ([1, 2], "Literal[1, 2]"), (5, "not 5"), (["a", " "], "different texts")))
def test_what_are_no_options_is_told(engine, options, words):
    with pytest.raises(ParameterError, match=re.escape(words)): Chat(engine).choose("abcd", options)


def test_options_come_from_anything_that_gives_them(engine):
    for options in (["a", "b", "a"], (sign for sign in "ab"), {"a": 1, "b": 2}, {"a": 1, "b": 2}.keys()): assert Chat(engine).choose("abcd", options) in ("a", "b")
