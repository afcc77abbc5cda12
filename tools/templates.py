"""Goes through a folder of chat templates, and says of each whether a conversation in it is whole and cheap.

`python -m tools.templates FOLDER [WORDS ...]` looks at all `*.jinja` in the folder, or at those whose name has one of the words in
it. Each is put into a tiny model with random weights, whose vocabulary has the names that the template writes as control tokens, and
answers four prompts, with and without a system message. The texts name those control tokens. The tests do the same with the templates
in `tests/templates`.

`python -m tools.templates FOLDER --calls [WORDS ...]` says how each writes calls of functions, how that was found out, and whether calls
survive: written as the template writes them, in a conversation, read from it, letter by letter, and allowed by the grammar. Calls are also
written by chance, as far as the grammar lets it, and have to be read as what their schemas allow. And a model that calls, and thinks before
it, is told a result: how many tokens are evaluated then that had been evaluated before?
"""
import json
import random
import re
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from os.path import commonprefix
from pathlib import Path

import jsonschema
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tools.benchmarks.random_model import STYLES, make
from llama_nbchat import load
from llama_nbchat.local.calls import CallReader, as_call
from llama_nbchat.local.learned import call_format
from llama_nbchat.local.mask import _Bytes, _words, _shortest_end

NAMES = re.compile(r"<[|｜/]?[A-Za-z_][^<>\s'\"]{0,40}>|<[|｜][^<>\n'\"]{1,40}[|｜]>|\[/?[A-Z][A-Z_]{2,20}\]")
END = "<|the_end|>"   # what `eos_token` is called
MARK = "\ufdd0"       # in names that are only text


@dataclass
class Row:
    "What was found out about a template."
    name: str
    note: str = ""                                  # What the user is told
    faults: list[str] = field(default_factory=list)
    evaluated_again: int = 0                        # Tokens of earlier turns, since the template writes them otherwise later

    def __str__(self):
        again = f"{self.evaluated_again} tokens are evaluated again" * (self.evaluated_again > 3)
        told = [*self.faults, self.note, again]
        return f"{'-' if self.faults else '+'} {self.name}: {'; '.join(filter(None, told)) or 'holds'}"


def control_names(template):
    "Names in a template that are control tokens in the vocabulary of its model, or might be."
    return sorted({name for name in NAMES.findall(template) if not re.search(r"[{}()%=]", name)})


def opened(template, folder, controls=None, **settings):
    "A tiny model with a template, and the names of its control tokens."
    names = (control_names(template) if controls is None else controls) + [END]
    STYLES["template"] = ("bpe", names, template)
    path = make(Path(folder)/"template.gguf", "tiny", "template", size=4000, context=16_384)
    return load(path, n_ctx=16_384, **settings), names


def rendered(engine, messages):
    "The conversation as Jinja writes it without any limits and marks, as others who use these templates do."
    import json

    from llama_cpp.llama_chat_format import Jinja2ChatFormatter
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
        extensions=[Jinja2ChatFormatter.IgnoreGenerationTags, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda value, ensure_ascii=False, **options: json.dumps(value, ensure_ascii=ensure_ascii, **options)
    def refuse(message): raise ValueError(message)
    template = environment.from_string(engine.template.source)
    return template.render(messages=messages, bos_token="<s>", eos_token=END, add_generation_prompt=True, raise_exception=refuse,
        strftime_now=lambda form: datetime.now().strftime(form), **{k: v for k, v in engine.template.known.items() if k in ("functions", "datetime")})


def whole_names(common, text, names):
    "The common beginning of two texts, without a name of a control token that was cut in the middle."
    cut = [len(common) - n for name in names for n in range(1, len(name)) if common.endswith(name[:n]) and text.startswith(name, len(common) - n)]
    return common[:min(cut, default=len(common))]


def controls_of(engine, tokens): return [token for token in tokens if not engine.decoder.piece(token) or engine.decoder.ends(token)]


def talk(engine, names, system, row, told, turns=4):
    "Has a conversation of some turns, and notes what is wrong; `told` are the warnings so far."
    from llama_nbchat.local.template import _changed
    messages = [{"role": "system", "content": f"Be brief {names[0]} and kind"}] if system else []
    before, known = "", 0
    for n in range(turns):
        said = f"Question {n} about {names[n % len(names)]} and planets"
        messages.append({"role": "user", "content": said})
        prompt = engine._prepare(messages, {"max_tokens": 12, "temperature": 0})
        text = prompt.text.replace(MARK, "")
        try: expected = rendered(engine, _changed(messages, engine.template.way))
        except Exception as error: expected = row.faults.append(f"plain Jinja fails: {error}")
        if expected is not None and text.removeprefix("<s>") != expected.removeprefix("<s>"): row.faults.append("another text than Jinja's")
        for message in messages:
            if message["content"].strip() not in text and not engine.template.note() and not told:
                row.faults.append(f"a {message['role']} message is missing, and nobody was told")
        plain = [{**m, "content": re.sub("|".join(map(re.escape, names)), "x", m["content"])} for m in messages]
        if controls_of(engine, prompt.tokens) != controls_of(engine, engine._prepare(plain, {}).tokens): row.faults.append("a text became a control token")
        if prompt.tokens.count(1) > 1 and text.count("<s>") < 2: row.faults.append("more than one token begins the text")
        answer = []
        for delta in engine.stream(messages, max_tokens=12, temperature=0):
            answer.append(delta.text)
            last = delta
        shared = whole_names(commonprefix([before, prompt.text]), prompt.text, names)
        row.evaluated_again = max(row.evaluated_again, known - last.usage.cached_tokens)
        known = last.usage.prompt_tokens + last.usage.completion_tokens
        common = len(engine._tokens(shared, prompt.add_bos)) if shared else 0
        if last.usage.cached_tokens < common - 3 and n: row.faults.append(f"turn {n + 1}: {last.usage.cached_tokens} of {common} tokens in common were kept")
        text = "".join(answer).removeprefix(prompt.opened)
        before = prompt.text + text
        messages.append({"role": "assistant", "content": text})


def ends(engine, row):
    "Notes whether what the template writes after an answer ends one."
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "herons"}, {"role": "user", "content": "Thanks"}]
    try: before, _, after = engine.template.prompt(messages, {}).text.rpartition("herons")
    except Exception: return
    asked, after = engine.template.prompt(messages[:1], {}).text, after.lstrip()
    if NAMES.search(before[len(commonprefix([before, asked])):].replace("<think>", "").replace("</think>", "")): return   # an answer in several steps
    found = next((name for name in (*engine.ends, *engine.decoder.control_names()) if name and after.startswith(name)), None) if after else None
    if found is None: return
    token = engine.decoder.tokenize(found, special=True, begins=False)
    if found not in engine.ends and not (len(token) == 1 and engine.decoder.ends(token[0])): row.faults.append(f"{found} does not end an answer")


def look(name, template, folder, controls=None):
    "All that is to be known about a template."
    row = Row(name)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            for system in (False, True):
                engine, names = opened(template, folder, controls)
                row.note = engine.template.note()
                if engine.template.short and system: break
                talk(engine, names, system, row, told, turns=1 if engine.template.short else 4)
            ends(engine, row)
        except Exception as error: row.faults.append(f"{type(error).__name__}: {error}")
    row.note = row.note or next((str(warning.message) for warning in told), "")
    row.faults = [*dict.fromkeys(row.faults)]
    return row


FUNCTIONS = [{"type": "function", "function": {"name": name, "description": f"Finds what {name} has", "parameters": {"type": "object", "properties": {
    "text": {"type": "string"}, "number": {"type": "integer"}, "nested": {"type": "object", "properties": {"inner": {"type": "string"}}}}, "required": ["text"]}}}
    for name in ("find_herons", "find_otters")]
CALLS = [as_call("find_herons", arguments, "aB3dE6gH9") for arguments in ({"text": 'She said "it\'s\n{me}" <b> \\ \u00fc', "number": -47}, {"text": "7"},
    {"text": "", "nested": {"inner": "wade\n"}})] + [as_call("find_otters", {"text": " x ", "number": 8}, "zY9xW6vU3")]


WHERE = {"type": "object", "properties": {"pond": {"type": "string"}, "depth": {"type": ["number", "null"]}, "like": {"anyOf": [{"$ref": "#/$defs/Where"}, {"type": "null"}]}},
    "required": ["pond"], "additionalProperties": False}
ODD_FUNCTIONS = [{"type": "function", "function": {"name": name, "description": "Finds what has been looked for", "parameters": {"type": "object", "properties": properties, "required": required,
    "$defs": {"Where": WHERE}}}} for name, properties, required in (
    ("find_all", {"what": {"type": "string"}, "größe": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]}, "how": {"enum": ["by \"day\"", "it's", "7", 7, "", None, True]},
        "any": {"description": "anything"}, "text_or_more": {"type": ["string", "integer", "boolean"]}, "where": {"$ref": "#/$defs/Where"}}, ["what", "how"]),
    ("find_one", {"when": {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"}, "short": {"type": "string", "minLength": 2, "maxLength": 5}, "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}, "deep": {"type": "object", "properties": {"of": {"type": "array", "items": {"$ref": "#/$defs/Where"}}},
        "required": ["of"]}, "sure": {"type": "boolean"}}, ["deep", "short"]), ("find_nothing", {}, []))]


def values(calls): return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def letter_by_letter(format, text):
    "What a reader makes of a text that comes so."
    reader = CallReader(format, FUNCTIONS)
    pieces = [*(reader.feed(letter) for letter in text), reader.close()]
    return [call for _, calls in pieces for call in calls], "".join(said for said, _ in pieces)


class Walk:
    "Writes by chance what a grammar allows; some marks are control tokens, for which a letter stands that nobody writes."
    signs = re.compile(r'"(?:[^"\\\n]|\\.)*"|<\[(?P<token>\d+)\]>')

    def __init__(self, controls=()):
        from llguidance import LLTokenizer, TokenizerWrapper
        self.controls = list(controls)[:8]
        self.letters = LLTokenizer(TokenizerWrapper(_Bytes()), slices=[])

    def token(self, name): return 1 + self.controls.index(name) if name in self.controls else None

    def text(self, grammar, seed, most=150):
        "A text after a grammar, of so many bytes at most and its shortest end. Raises `ValueError` if llguidance refuses the grammar."
        from llguidance import LLMatcher
        grammar = self.signs.sub(lambda found: found[0] if found["token"] is None else json.dumps(chr(int(found["token"]))), grammar)
        matcher, chance, text = LLMatcher(self.letters, grammar, log_level=0), random.Random(seed), b""
        if matcher.get_error(): raise ValueError(matcher.get_error().splitlines()[0])
        while not matcher.is_stopped():
            mask = matcher.compute_bitmask()
            allowed = [byte for byte in range(256) if mask[byte//8] >> byte % 8 & 1]
            if matcher.is_accepting() and (not allowed or chance.random() < .3 or len(text) >= most): break
            assert allowed, f"nothing may follow {text!r}"
            if len(text) >= most:
                end = _shortest_end(matcher, words=_words(grammar))
                if end is None: return self.text(grammar, seed + 1, most//2)   # too deep in a schema that holds itself
                text += end
                break
            letters = [byte for byte in allowed if byte < 128]
            byte = chance.choice(letters if letters and chance.random() < .9 else allowed)
            assert matcher.consume_token(byte)
            text += bytes([byte])
        return text.decode().translate(dict(enumerate(self.controls, 1)))


def by_chance(format, tools, seed, controls=()):
    "What is wrong with calls that are written by chance; `ValueError` or `ParameterError`, if they can't be held to the schemas."
    walk, begun, several = Walk(controls), seed % 3 == 0, seed % 2 == 0
    text = format.opens * begun + walk.text(format.grammar(tools, walk.token, begun=begun, several=several), seed)
    calls, rest = format.read(text, tools)
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    if not calls or rest.strip(): return f"{text!r} is no call"
    if not several and len(calls) > 1: return f"{text!r} is more than one call"
    for call in calls:
        try: jsonschema.validate(json.loads(call["function"]["arguments"]), {"additionalProperties": False, **schemas[call["function"]["name"]]})
        except (KeyError, ValueError, jsonschema.ValidationError) as error: return f"{text!r} is read as {call['function']}: {error}"
    return ""


def after_a_result(template, folder, thought):
    "How many tokens are evaluated again when a model has called functions, and their results come."
    engine, _ = opened(template, folder)
    format, decoder = engine.calls, engine.decoder
    end = next(token for token in range(engine.llm.n_vocab()) if decoder.ends(token))
    talk = [{"role": "user", "content": "Where to"}]
    calls = CALLS[1:2] if format.single else CALLS[1:4:2]
    before = engine._prepare(talk, {"tools": FUNCTIONS})
    answer = {"role": "assistant", "content": "", "tool_calls": calls, **({"reasoning": "I look."} if thought else {})}
    messages, settings, _ = engine._with_calls([*talk, answer], {"tools": FUNCTIONS})
    whole = engine.template._written(messages, {**engine.template.defaults, **settings, "add_generation_prompt": False}).text.replace(MARK, "")
    if thought and "I look." not in whole: return None
    written = format.write(calls).strip()
    if whole.startswith(before.text): text = whole[len(before.text):whole.rindex(written[-6:]) + 6]   # as the template has taught it
    elif thought: return None
    else: text = engine.marks.get(before.opened, "") + written
    chosen = iter(decoder.tokenize(text, special=True, begins=False))
    decoder.sampler = lambda *_: lambda: next(chosen, end)
    deltas = list(engine.stream(talk, tools=FUNCTIONS))
    called = [call for delta in deltas for call in delta.tool_calls]
    if values(called) != values(calls): raise ValueError(f"{text!r} has no call")
    called = [{**call, "id": call["id"] or f"aB3dE6gH{n}"} for n, call in enumerate(called)]
    talk += [{**answer, "tool_calls": called}, *({"role": "tool", "content": f"Wrens {n} in the reeds", "tool_call_id": call["id"]} for n, call in enumerate(called))]
    after = engine._prepare(talk, {"tools": FUNCTIONS})
    *_, last = engine.stream(talk, tools=FUNCTIONS)
    new = after.text[after.text.rindex(text[-6:], 0, after.text.index("Wrens 0")) + 6:]
    return last.usage.prompt_tokens - last.usage.cached_tokens - len(decoder.tokenize(new, special=True, begins=False))


def calls_row(name, template, folder):
    "How calls are written in a template, and what is wrong with that."
    from llguidance import LLMatcher, LLTokenizer
    letters = LLTokenizer("byte")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine, _ = opened(template, folder)
    def write(messages, **given): return engine.template._listen(messages, given).text
    format, faults = call_format(write, template), []
    for calls in ([CALLS[0]], [CALLS[1]], [CALLS[2]], CALLS[2:]):
        if format.single: calls = calls[:1]
        text, before = format.write(calls), "" if format.opens == "{" else "Well. "
        for found, said in (format.read(before + text, FUNCTIONS), letter_by_letter(format, before + text)):
            if values(found) != values(calls) or said.strip() != before.strip(): faults.append("is read otherwise")
        results = [{"role": "tool", "content": f"Wrens {n} in the reeds", "tool_call_id": call["id"]} for n, call in enumerate(calls)]
        talk = [{"role": "user", "content": "Where to"}, {"role": "assistant", "content": "", "tool_calls": calls}, *results]
        messages, tools = format.prepared(talk, FUNCTIONS)
        try: whole = engine.template._heard(messages, {"tools": tools} if tools else {}).text
        except Exception as error: faults.append(f"can't be in a conversation: {error}")
        else:
            answer = whole[whole.index(text.strip()) if format.opens == "{" else whole.rindex("Where to") + 8:]
            if values(format.read(answer, FUNCTIONS)[0]) != values(calls): faults.append("is not read from the conversation")
            elif text.strip() not in whole: faults.append("is written with more in a conversation")
            if any(result["content"] not in whole for result in results): faults.append("a result is missing")
        matcher, tokens = LLMatcher(letters, format.grammar(FUNCTIONS)), letters.tokenize_bytes(text.encode())
        if matcher.try_consume_tokens(tokens) < len(tokens) or not matcher.is_accepting():
            if dict(format.spelling).get("ensure_ascii") and not text.isascii() or "\\u" in text: continue   # llguidance writes letters themselves
            faults.append(f"is not allowed {matcher.get_error()}")
    for seed in range(12):
        if wrong := by_chance(format, ODD_FUNCTIONS, seed, format.marks if seed % 2 else ()): faults.append(wrong)
    again = []
    for thought in (False, True):
        try: again.append(after_a_result(template, folder, thought))
        except Exception as error:
            again.append(None)
            faults.append(f"{'a thought, ' * thought}a call and its result: {type(error).__name__}: {error}")
    told = [format.source, format.form, *(["one call a message"] * format.single), *(["calls in the content"] * (not format.written and format.source != "own prompt")),
        *(["own list of tools"] * (not format.listed and format.source != "own prompt")), repr(format.opens), f"{again[0]} tokens again" + f", {again[1]} after a thought" * (again[1] is not None)]
    return Row(name, " | ".join(told), [*dict.fromkeys(faults)])


def main(folder, *words):
    rows, look_at = [], calls_row if "--calls" in words else look
    words = [word for word in words if word != "--calls"]
    with tempfile.TemporaryDirectory() as made:
        for path in sorted(Path(folder).glob("*.jinja")):
            if words and not any(word.lower() in path.name.lower() for word in words): continue
            rows.append(look_at(path.stem, path.read_text(encoding="utf-8"), made))
            print(rows[-1], flush=True)
    hold = sum(not row.faults for row in rows)
    print(f"{hold} of {len(rows)} templates hold")
    return hold < len(rows)


if __name__ == "__main__": sys.exit(main(*sys.argv[1:]))
