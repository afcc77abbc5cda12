"How calls of functions are written: learned from templates of all forms, written, read however they come, and allowed by the grammar."
import json
import random
from pathlib import Path

import pytest

from llama_nbchat.local.calls import CallReader, as_call
from llama_nbchat.local.learned import call_format
from llama_nbchat.local.sandbox import SandboxedTemplate
from llama_nbchat.errors import ParameterError
from tests.schemas import Schemas
from tools.templates import CALLS, FUNCTIONS, ODD_FUNCTIONS, after_a_result, by_chance, letter_by_letter, values

BEGIN = "{% if tools %}<|tools|>{{ tools|tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
END = "<|over|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
EACH = "{% for c in m.tool_calls %}{% set f = c.function %}"
OBJECT = '{"name": "{{ f.name }}", "arguments": {{ f.arguments|tojson }}}'
TAGS = "{% for key, value in f.arguments|items %}"
VALUE = "{{ value if value is string else value|tojson }}"
RAISES = "{{ raise_exception('one alone') if m.tool_calls|length > 1 }}"
FORMS = {   # what stands for the calls, and what is learned of it: form and opening text
    "object": (EACH + f"\n<tool>\n{OBJECT}\n</tool>{{% endfor %}}", "json", "<tool>"),
    "section": ("{% if m.tool_calls %}<calls>[{% for c in m.tool_calls %}{% set f = c.function %}" + OBJECT + "{{ ', ' if not loop.last }}{% endfor %}]</calls>{% endif %}", "json", "<calls>"),
    "lines": ("{% if m.tool_calls %}<calls>\n" + EACH + OBJECT + "\n{% endfor %}</calls>{% endif %}", "json", "<calls>"),
    "key": (EACH + '<tool>{"{{ f.name }}": {{ f.arguments|tojson }}}</tool>{% endfor %}', "json", "<tool>"),
    "within": (EACH + '<tool>{"type": "function", "function": {"called": "{{ f.name }}", "with": {{ f.arguments|tojson }}}}</tool>{% endfor %}', "json", "<tool>"),
    "id": (EACH + '<tool>{"name": "{{ f.name }}", "arguments": {{ f.arguments|tojson }}, "id": "{{ c.id }}"}</tool>{% endfor %}', "json", "<tool>"),
    "narrow": (EACH + '<tool>{"name":"{{ f.name }}","arguments":{{ f.arguments|tojson(separators=(",", ":")) }}}</tool>{% endfor %}', "json", "<tool>"),
    "bare": (RAISES + EACH + OBJECT + "{% endfor %}", "json", "{"),
    "name": (EACH + "[CALLS]{{ f.name }}[WITH]{{ f.arguments|tojson }}{% endfor %}", "json", "[CALLS]"),
    "name and id": (EACH + "[CALLS]{{ c.id }} {{ f.name }}[WITH]{{ f.arguments|tojson }}{% endfor %}", "json", "[CALLS]"),
    "numbered": (EACH + "<|call|>functions.{{ f.name }}:{{ loop.index0 }}<|with|>{{ f.arguments|tojson }}<|done|>{% endfor %}", "json", "<|call|>"),
    "channel": (RAISES + EACH + " to=functions.{{ f.name }}<|channel|>commentary json<|message|>{{ f.arguments|tojson }}<|call|>{% endfor %}", "json", "to=functions."),
    "as text": (EACH + "<|call|>{{ f.name }}<|with|>{{ '' + f.arguments }}<|done|>{% endfor %}", "json", "<|call|>"),
    "tags": (EACH + f"<tool>\n<function={{{{ f.name }}}}>\n{TAGS}<parameter={{{{ key }}}}>\n{VALUE}\n</parameter>\n{{% endfor %}}</function>\n</tool>{{% endfor %}}", "tags", "<tool>"),
    "pairs": (EACH + f"<tool>{{{{ f.name }}}}{TAGS}<key>{{{{ key }}}}</key><value>{VALUE}</value>{{% endfor %}}</tool>{{% endfor %}}", "tags", "<tool>"),
    "named tags": (EACH + f"<tool><do name=\"{{{{ f.name }}}}\">{TAGS}[<{{{{ key }}}}>{VALUE}</{{{{ key }}}}>]{{% endfor %}}</do></tool>{{% endfor %}}", "tags", "<tool>"),
    "typed tags": (EACH + f"<tool>{{{{ f.name }}}}\n{TAGS}<p name=\"{{{{ key }}}}\" string=\"{{{{ 'yes' if value is string else 'no' }}}}\">{VALUE}</p>\n{{% endfor %}}</tool>{{% endfor %}}", "tags", "<tool>"),
    "as Python's str": (EACH + f"<tool><function={{{{ f.name }}}}>\n{TAGS}<parameter={{{{ key }}}}>{{{{ value }}}}</parameter>\n{{% endfor %}}</function></tool>{{% endfor %}}", "tags", "<tool>"),
    "tags in tags": ("{% macro w(v) %}{% if v is mapping %}{% for key, one in v|items %}|<{{ key }}>{{ w(one) }}|</{{ key }}>{% endfor %}{% elif v is string %}{{ v }}{% elif v is iterable %}"
        "{% for one in v %}|<item>{{ w(one) }}|</item>{% endfor %}{% else %}{{ v|tojson }}{% endif %}{% endmacro %}" + EACH + '<tool>|<do name="{{ f.name }}">{{ w(f.arguments) }}|</do></tool>{% endfor %}', "tags", "<tool>"),
    "Python": ("{% if m.tool_calls %}<|begin|>[{% for c in m.tool_calls %}{{ c.function.name }}({% for key, value in c.function.arguments|items %}{{ key }}="
        "{{ \"'\" + value + \"'\" if value is string else value|tojson if value is mapping else value }}{{ ', ' if not loop.last }}{% endfor %}){{ ', ' if not loop.last }}{% endfor %}]<|done|>{% endif %}", "python", "<|begin|>"),
    "marks": ("{% macro w(v) %}{% if v is string %}<|q|>{{ v }}<|q|>{% elif v is mapping %}{{ '{' }}{% for k in v|sort %}{{ k }}:{{ w(v[k]) }}{{ ',' if not loop.last }}{% endfor %}{{ '}' }}"
        "{% elif v is iterable %}[{% for i in v %}{{ w(i) }}{{ ',' if not loop.last }}{% endfor %}]{% else %}{{ v|tojson }}{% endif %}{% endmacro %}" + EACH + "<|call|>call:{{ f.name }}{{ w(f.arguments) }}<|done|>{% endfor %}", "marks", "<|call|>")}


def written(source):
    template = SandboxedTemplate(source)
    return lambda messages, **given: template.render(**{"messages": messages, "add_generation_prompt": True, **given})


@pytest.fixture(scope="module")
def formats(): return {name: call_format(written(BEGIN + calls + END)) for name, (calls, *_) in FORMS.items()}


@pytest.mark.parametrize("name", FORMS)
def test_a_template_teaches_its_form(formats, name):
    format, (_, form, opens) = formats[name], FORMS[name]
    assert (format.form, format.opens, format.source, format.listed, format.results) == (form, opens, "learned", True, "tool")
    assert format.single == (name in ("bare", "channel")) and format.as_text == (name == "as text")
    assert format.written == (name not in ("Python", "as Python's str"))   # where texts with quotes, and dicts, can't be read again


def random_value(chance, depth=0):
    pieces = ["a", "ü", '"', "'", "\\", "\n", " ", "{", "}", "]", "</tool>", "</p>", "<", "7", "]<|done", "[CALLS]", "</value>", "</parameter>\n<parameter=x>"]
    kinds = ["text", "number", "flag", "list", "dict"][:3 + 2 * (depth < 2)]
    kind = chance.choice(kinds)
    if kind == "text": return "".join(chance.choices(pieces, k=chance.randrange(6)))
    if kind == "number": return chance.choice([0, -3, 4711, 2.5])
    if kind == "flag": return chance.random() < .5
    if kind == "list": return [random_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {f"key{n}": random_value(chance, depth + 1) for n in range(chance.randrange(3))}


def closes_its_own_tag(format, arguments):
    "A text that holds all that could follow it can't be told from what follows it: only a schema of texts in tags, quotes or marks has this."
    ends = [end for end in (format.quote if format.form == "marks" else "", format.next.partition("\ue004")[0]) if end] if format.form != "json" else []
    return any(end.strip() and end.strip()[:6] in json.dumps(arguments, ensure_ascii=False).replace("\\n", "\n") for end in ends)


@pytest.mark.parametrize("name", FORMS)
def test_calls_are_read_as_they_were_written(formats, name):
    "Whatever the arguments, and into whichever pieces the text is cut; no half of a mark is ever shown."
    format, chance = formats[name], random.Random(name)
    schemas = {"text": "string", "number": "integer", "other": "object"}
    tools = [{"function": {"name": f"find_{n}", "parameters": {"properties": {key: {"type": kind} for key, kind in schemas.items()}}}} for n in range(3)]
    for _ in range(60):
        calls = []
        for n in range(1 if format.single else chance.randrange(1, 4)):
            text = random_value(chance)
            arguments = {"text": text if isinstance(text, str) else "plain", "number": chance.randrange(99), "other": {"within": "a word" if format.nested else random_value(chance, 1)}}
            for key in chance.sample(sorted(arguments), chance.randrange(4)): del arguments[key]
            calls.append(as_call(f"find_{n}", {} if closes_its_own_tag(format, arguments) else arguments, f"abcdefgh{n}"))
        before, text = "" if format.opens == "{" else "I look. ", format.write(calls)
        reader, found, said, at = CallReader(format, tools), [], "", 0
        whole = before + text
        while at < len(whole):
            step = chance.randrange(1, 9)
            more, new = reader.feed(whole[at:at + step])
            said, found, at = said + more, found + new, at + step
            assert before.startswith(said.rstrip()) or not said.strip()
        more, new = reader.close()
        assert values(found + new) == values(calls) and (said + more).strip() == before.strip(), text


@pytest.mark.parametrize("name", FORMS)
def test_a_conversation_holds_calls_as_they_were_written(formats, name):
    format, render = formats[name], written(BEGIN + FORMS[name][0] + END)
    for calls in ([CALLS[1]], CALLS[2:3], CALLS[2:]):
        results = [{"role": "tool", "content": f"{n} wrens", "tool_call_id": call["id"]} for n, call in enumerate(calls)]
        messages, tools = format.prepared([{"role": "user", "content": "Where"}, {"role": "assistant", "content": "", "tool_calls": calls}, *results], FUNCTIONS)
        text = render(messages, tools=tools)
        for part in [calls] if not format.single else [[call] for call in calls]: assert format.write(part).strip() in text
        assert all(result["content"] in text for result in results) and "find_herons" in text.partition("Where")[0]


@pytest.mark.parametrize("name", FORMS)
def test_the_grammar_allows_calls_and_nothing_else(formats, name):
    from llguidance import LLMatcher, LLTokenizer
    format, letters = formats[name], LLTokenizer("byte")
    def allowed(text, **given):
        matcher, tokens = LLMatcher(letters, format.grammar(FUNCTIONS, **given)), letters.tokenize_bytes(text.encode())
        assert not matcher.get_error()
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
    for calls in ([CALLS[0]], [CALLS[1]], CALLS[2:3], [] if format.single else CALLS[2:]):
        if not calls: continue
        text = format.write(calls)
        assert allowed(text), text
        assert allowed(text.lstrip().removeprefix(format.opens), begun=True)
    for wrong in (as_call("find_nobody", {"text": "a"}, "aB3dE6gH9"), as_call("find_herons", {}, "aB3dE6gH9"),
        as_call("find_herons", {"text": "a", "number": "many"}, "aB3dE6gH9"), as_call("find_herons", {"text": "a", "name": 1}, "aB3dE6gH9")):
        assert not allowed(format.write([wrong])), wrong


READABLE = {"a b": "a_b", "emoji🙂": "emoji", 'quo"te': "quote", "back\\slash": "back"}   # no form but JSON can hold the others


def readable(schema):
    "The same schema with names that any form can hold, and without what llguidance refuses."
    if isinstance(schema, list): return [readable(part) for part in schema]
    if not isinstance(schema, dict): return schema
    found = {key: value if key in ("enum", "const") else readable(value) for key, value in schema.items() if key != "uniqueItems"}
    if isinstance(schema.get("properties"), dict): found["properties"] = {READABLE.get(key, key): readable(value) for key, value in schema["properties"].items()}
    if "required" in schema: found["required"] = [READABLE.get(key, key) for key in schema["required"]]
    return found


def random_tools(seed, any_name=False):
    chance, tools = Schemas(seed), []
    for n in range(2):
        chance.definitions = chance.names = ["A", "B"][:chance.random.randint(0, 2)]
        schema = chance.object(2)
        while "properties" not in schema: schema = chance.object(2)
        schema = {**schema, "$defs": {name: chance.definition(name) for name in chance.definitions}}
        tools.append({"type": "function", "function": {"name": f"find_{n}", "description": "Finds", "parameters": schema if any_name else readable(schema)}})
    return tools


@pytest.mark.parametrize("name", FORMS)
def test_what_chance_writes_within_the_grammar_is_read_as_its_schema_allows(formats, name):
    "Unions, values that are listed, patterns, lengths, formats, what holds itself; texts, tags and control tokens in texts."
    format = formats[name]
    for seed in range(16):
        tools, controls = (ODD_FUNCTIONS if seed < 4 else random_tools(seed)), format.marks if seed % 2 else ()
        assert not (wrong := by_chance(format, tools, seed, controls)), wrong


def test_chance_would_find_something(formats, monkeypatch):
    "If a text could be anything where it is listed what it may be, or ended where it does not end."
    from llama_nbchat.local.calls import _SIGN, CallFormat
    monkeypatch.setattr(CallFormat, "_text_of", lambda self, option: f"/{_SIGN}*/")
    assert any(by_chance(formats["pairs"], ODD_FUNCTIONS, seed) for seed in range(8))


def test_what_a_form_cannot_hold_is_refused_by_name(formats):
    def tool(key, schema=None): return [{"function": {"name": "find", "parameters": {"type": "object", "properties": {key: schema or {"type": "string"}}, "required": [key]}}}]
    for name in ("tags", "Python", "marks"):
        with pytest.raises(ParameterError, match="can't hold an argument called 'a b'"): formats[name].grammar(tool("a b"))
    with pytest.raises(ParameterError, match="'from'"): formats["Python"].grammar(tool("from"))
    for name, format in formats.items():
        if format.form == "json": assert not by_chance(format, random_tools(2, any_name=True), 2), name


@pytest.mark.parametrize("name", FORMS)
def test_after_a_result_only_what_is_new_is_evaluated(name, tmp_path):
    "Also where the template drops the empty thought that it has ended the prompt with, or writes one before the call that the model has not."
    thought = "{% if m.role == 'assistant' and not loop.last %}<think></think>{% endif %}"
    for begin, end in ((BEGIN, END), (BEGIN + thought, END), (BEGIN, END.replace("<|assistant|>{% endif", "<|assistant|><think></think>{% endif"))):
        again = after_a_result((begin + FORMS[name][0] + end).replace("<|call|>", "<|invoke|>"), tmp_path, False)
        assert again in (0, 1), again   # the last token of the call is evaluated together with its result


def test_what_a_template_needs_in_a_tool_it_gets():
    for needs, body in ((("description",), "{{ '' + t.function.description }}"), (("descriptions",), "{% for key, value in t.function.parameters.properties|items %}{{ '' + value.description }}{% endfor %}"),
        (("objects",), "{% for key, value in t.function.parameters.properties|items %}{% if value.type == 'object' %}{{ value.additionalProperties.type }}{% endif %}{% endfor %}")):
        listed = BEGIN.replace("<|tools|>{{ tools|tojson }}", "<|tools|>{% for t in tools %}{{ t.function.name }}" + body + "{% endfor %}")
        write = written(listed + FORMS["object"][0] + END)
        format = call_format(write)
        assert format.listed and {*needs} <= {*format.needs}
        bare = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {"where": {"type": "object", "properties": {"pond": {"type": "string"}}}}}}}]
        messages, tools = format.prepared([{"role": "user", "content": "Where"}], bare)
        assert "<|tools|>find" in write(messages, tools=tools) and bare[0]["function"].keys() == {"name", "parameters"}


def test_what_is_cut_or_broken_is_told_and_not_lost(formats):
    cut = {"object": ('<tool>\n{"name": "find_herons", "arguments": {"text": "wa', '{"text": "wa'), "name": ('[CALLS]find_herons[WITH]{"text": "wa', '{"text": "wa'),
        "Python": ("<|begin|>[find_herons(text='wa", "text='wa"), "marks": ("<|call|>call:find_herons{text:<|q|>wa", "{text:<|q|>wa")}
    for name, (text, arguments) in cut.items():
        assert formats[name].read(text) == ([as_call("find_herons", arguments)], "")
        assert letter_by_letter(formats[name], text) == ([as_call("find_herons", arguments)], "")
    for name, format in formats.items():
        for text in ("Nothing.", f"One writes {format.opens}", "{}", "{'a': 1}", "[1]", "<|begin|>[]", "<", format.opens):
            for found, said in (format.read(text), letter_by_letter(format, text)): assert (found, said) == ([], text), (name, text)


def test_nothing_that_a_model_writes_is_run(formats, tmp_path):
    for text in (f"<|begin|>[f(a=open({str(tmp_path/'made')!r}, 'w'))]<|done|>", "<|begin|>[f(a=__import__('os').getcwd())]<|done|>", "<|begin|>[f(a=" + "(" * 3000 + ")" * 3000 + ")]<|done|>"):
        found, _ = formats["Python"].read(text)
        assert [call["function"]["name"] for call in found] == ["f"] and json.dumps(found)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [path.stem for path in (Path(__file__).parent/"templates").glob("*.jinja")])
def test_a_template_that_knows_no_calls_gets_an_own_prompt(name):
    format = call_format(written((Path(__file__).parent/"templates"/f"{name}.jinja").read_text(encoding="utf-8")))
    assert format.source == "own prompt" and not format.listed and "own prompt" in repr(format)
    messages, tools = format.prepared([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Where"}], FUNCTIONS)
    assert tools == [] and messages[0]["content"].startswith("Be brief\n\n") and "find_otters" in messages[0]["content"]


def test_a_table_says_what_a_template_only_lists():
    for source, form in (("<|tool_list_start|>", "python"), ("<|tool_call|>", "json")):
        format = call_format(written(BEGIN + END), source)
        assert (format.source, format.form, format.written, format.results) == ("table", form, False, "tool")
        assert values(format.read(format.write(CALLS), FUNCTIONS)[0]) == values(CALLS)
