"Chat templates: those with odd traits, those that never end, and what is learned from each."
import gc
import threading
import time
import warnings
from pathlib import Path

import pytest

from tools.benchmarks.random_model import STYLES, make, make_hybrid, make_recurrent, make_sliding
from llama_nbchat import Chat, ChatError, ModelFileError, load
from tools.templates import MARK, look, opened

TEMPLATES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent/"templates").glob("*.jinja"))}
TALK = [{"role": role, "content": text} for role, text in (("system", "Be brief"), ("user", "Hello"), ("assistant", "Hi!"), ("user", "And now?"))]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def written(engine, messages=TALK, **params): return engine._prepare(messages, params).text.replace(MARK, "")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_conversation_is_whole_and_cheap(name, tmp_path):
    "Four turns, with and without a system message: nothing is missing or forged, and what is known is not evaluated again."
    row = look(name, TEMPLATES[name], tmp_path, ["<|nobody|>"] if name == "plain_end" else None)
    assert row.faults == [] and (row.evaluated_again < 4 or name in ("drops_earlier", "thinks")), str(row)


def test_the_look_would_find_something(tmp_path, monkeypatch):
    monkeypatch.setattr("llama_nbchat.local.template.mark", lambda value, names: value)
    assert "a text became a control token" in look("begins_itself", TEMPLATES["begins_itself"], tmp_path).faults
    monkeypatch.undo()
    monkeypatch.setattr("llama_nbchat.local.engine.useful", lambda *args: 0)
    assert any("in common" in fault for fault in look("dated", TEMPLATES["dated"], tmp_path).faults)


def test_a_system_message_without_a_place(tmp_path):
    for name, head in (("alternates", "<|from|>user<|says|>Be brief\nHello<|over|>"), ("drops_system", "<|user|>Be brief\nHello<|over|>")):
        engine, _ = opened(TEMPLATES[name], tmp_path)
        assert written(engine).removeprefix("<s>").startswith(head)
        assert "no place for a system message" in repr(engine)
        chat = Chat(engine, "Be brief", max_tokens=3)
        assert int(chat.context) > 0 and chat.prompt("Hello").text and int(chat.context) > engine.count(TALK[:2])


def test_two_prompts_in_a_row_where_roles_take_turns(tmp_path):
    engine, _ = opened(TEMPLATES["alternates"], tmp_path)
    assert "Hello\n\nAre you there?" in written(engine, [TALK[1], {"role": "user", "content": "Are you there?"}])


def test_what_is_dropped_is_said(tmp_path):
    with pytest.warns(UserWarning, match="earlier"): engine, _ = opened(TEMPLATES["drops_earlier"], tmp_path)
    assert "earlier" in repr(engine)


def test_what_nobody_gives_is_undefined(tmp_path):
    engine, _ = opened(TEMPLATES["for_tools"], tmp_path)
    assert "<|tools|>" not in written(engine) and "<|documents|>" not in written(engine)
    assert '<|tools|>{"type": "x"}<|over|>' in written(engine, tools=[{"type": "x"}])
    assert "<|documents|>2<|over|>" in written(engine, documents=["a", "b"])


@pytest.mark.parametrize("cut", range(1, 21))
def test_an_end_that_is_no_token_ends_an_answer(tmp_path, cut, monkeypatch):
    "Wherever its pieces are cut: it is never shown, and no part of the answer."
    engine, _ = opened(TEMPLATES["plain_end"], tmp_path, ["<|nobody|>"])
    assert engine.ends == ["[end of assistant]"]
    answer = "Hi there.\n[end of assistant]\n[user]\nMore"
    tokens = engine.decoder.tokenize(answer[:9 + cut], begins=False) + engine.decoder.tokenize(answer[9 + cut:], begins=False)
    chosen = iter(tokens)
    monkeypatch.setattr(engine.decoder, "sampler", lambda *args: lambda: next(chosen))
    reply = Chat(engine).prompt("Hello")
    assert reply.text.rstrip() == "Hi there." and reply.finish_reason == "stop"


def test_one_token_begins_a_text(tmp_path):
    for name in ("begins_itself", "dated"):
        for adds in (True, False):
            engine, _ = opened(TEMPLATES[name], tmp_path)
            assert engine._prepare(TALK, {}).tokens.count(1) == (name == "begins_itself")
    spm = make(tmp_path/"spm.gguf", "tiny", "llama2", size=4000)
    for chat_format in (None, "saiga", "llama-2", "alpaca", "vicuna", "mistrallite", "zephyr"):
        engine = load(spm, chat_format=chat_format) if chat_format else load(spm)
        tokens = engine._prepare(TALK[1:2], {}).tokens
        assert tokens[0] == 1 and tokens[1] != 1, chat_format


def test_ids_that_the_header_does_not_name_are_no_facts(tmp_path, monkeypatch):
    "What llama.cpp fills in for them may be any token: it ends no answer, and begins no text."
    import gguf
    monkeypatch.setattr(gguf.GGUFWriter, "add_eos_token_id", lambda self, id: None)
    monkeypatch.setattr(gguf.GGUFWriter, "add_bos_token_id", lambda self, id: None)
    engine, _ = opened(TEMPLATES["for_tools"], tmp_path)
    filled = engine.decoder.lib.llama_vocab_eos(engine.decoder.vocabulary)
    assert filled != -1 and not engine.decoder.ends(filled)
    engine = load(make(tmp_path/"spm.gguf", "tiny", "llama2", size=4000))
    assert "\ufffd" not in written(engine) and engine._prepare(TALK[1:2], {}).tokens.count(1) == 0


def test_what_the_header_advises_is_how_it_is_sampled(tmp_path, monkeypatch):
    "What somebody writes goes first, and what is no number is passed over."
    import gguf
    add = gguf.GGUFWriter.add_bos_token_id
    def advise(self, id):
        add(self, id)
        for name, value in (("temp", 0.7), ("top_p", float("nan")), ("min_p", float("inf"))): self.add_float32(f"general.sampling.{name}", value)
        self.add_int32("general.sampling.top_k", 1)
        self.add_string("general.sampling.penalty_repeat", "much")
    monkeypatch.setattr(gguf.GGUFWriter, "add_bos_token_id", advise)
    engine, _ = opened(TEMPLATES["for_tools"], tmp_path)
    usual = load().defaults
    assert {name: value for name, value in engine.defaults.items() if value != usual[name]} == {"temperature": pytest.approx(0.7), "top_k": 1}
    assert engine._prepare(TALK, {}).settings["top_k"] == 1 and engine._prepare(TALK, {"top_k": 5}).settings["top_k"] == 5
    greedy, free = ({Chat(engine, max_tokens=6, **params).prompt("Hello", seed=seed).text for seed in range(5)} for params in ({}, {"top_k": 0, "temperature": 2.0}))
    assert len(greedy) == 1 and len(free) > 1


@pytest.mark.parametrize("named, system", (("mistral-instruct", "Be brief"), ("llama-2", "Be brief"), ("vicuna", "Be brief"), ("oasst_llama", "Be brief"),
    ("openbuddy", "Be brief"), ("phind", "Be brief"), ("open-orca", "Be brief"), ("gemma", "Be brief"), ("snoozy", "Be brief"), ("saiga", "Be brief")))
def test_formats_of_llama_cpp_python(tmp_path, named, system):
    "Their system message is written down, and no name of a place for one is."
    engine = load(make(tmp_path/"spm.gguf", "tiny", "llama2", size=4000), chat_format=named)
    text = written(engine)
    assert "{system_message}" not in text and "Hello" in text and "And now?" in text
    assert system in text or "does not write down" in repr(engine)


def test_the_files_template_comes_before_a_guess(tmp_path):
    "llama-cpp-python recognises this template, and would write down its own mistral-instruct, without the system message."
    from llama_cpp.llama_chat_format import MISTRAL_INSTRUCT_CHAT_TEMPLATE
    STYLES["mistral"] = ("spm", [], MISTRAL_INSTRUCT_CHAT_TEMPLATE)
    engine = load(make(tmp_path/"mistral.gguf", "tiny", "mistral", size=4000))
    assert "Be brief" in written(engine) and "[INST]" in written(engine)


BOMBS = ["{{ 9**(9**9) }}", "{{ 'x'*(2*10**9) }}", "{{ 9**(9**(9**9)) }}", "{{ (10**5)**(10**5) }}", "{% set a = 7 ** 10000000 %}", "{{ [0]*(10**10) }}", "{{ 'x' * 10**5 * 10**5 }}",
    "{% for a in range(10**9) %}{% endfor %}", "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "{{ range(10**8)|list|length }}",
    "{{ 'x'|center(10**10) }}", "{{ 'x'|indent(10**10) }}", "{{ '%1000000000d' % 1 }}", "{{ '{:1000000000}'.format(1) }}", "{{ 'x'.ljust(10**10) }}", "{{ 'x'.zfill(10**10) }}",
    "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}", "{% macro a(n) %}{{ a(n + 1) }}{% endmacro %}{{ a(0) }}",
    "{% set x = namespace(s='x') %}{% for i in range(60) %}{% set x.s = x.s + x.s %}{% endfor %}", "{{ ('a' * 5000).replace('a', 'a' * 5000).replace('a', 'a' * 5000) }}",
    "{{ ['x' * 1000] | join('x' * 10**9) }}", "{{ 1 if 9**(9**9) else 2 }}", "{{ ('x' * 10**6) | wordwrap(1) | replace('x', 'y' * 10**6) }}",
    "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}", "{{ '(' * 100 }}" + "{{ " + "(" * 300 + "1" + ")" * 300 + " }}", "{{ -" + "-" * 3000 + "1 }}"]
BROKEN = ["{% if %}", "{{ x|unknown_filter }}", "{{ x is unknown_test }}", "{% unknown %}", "{{ unknown_function() }}", "{% for %}", "{{ 1 + }}", "{% include 'x' %}", "{{ messages.x.y.z }}",
    "{% import 'os' as os %}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ raise_exception('\x1b[2J no') }}", "{% extends 'x' %}", "{{ 1/0 }}"]


@pytest.mark.parametrize("template", [*BOMBS, *BROKEN])
def test_templates_that_never_end_or_are_broken(tmp_path, template):
    "An error of the package names the template and the way round, soon; with a format named, the file works."
    path = made(tmp_path, template)
    start = time.process_time()
    gc.collect()
    gc.disable()   # what other tests have left behind would be found in the depth of a recursion, and can't be told there
    try:
        with pytest.raises(ModelFileError) as refused: load(path)
    finally: gc.enable()
    assert time.process_time() - start < 10
    said = str(refused.value)
    assert path.name in said and "chat_format=" in said and "\x1b" not in said and len(said) < 2000, said
    assert load(path, chat_format="chatml").count(TALK[1:2]) > 0


def made(folder, template):
    STYLES["hostile"] = ("bpe", ["<|im_start|>", "<|im_end|>"], template)
    return make(folder/"hostile.gguf", "tiny", "hostile", size=2000)


def test_a_limit_holds_in_a_thread_and_later(tmp_path):
    "Also for a template that is sane until a conversation makes it grow."
    engine = load(made(tmp_path, "{% for m in messages %}{{ m.content * (1 if messages|length < 8 else 10**9) }}<|im_end|>{% endfor %}"))
    errors = []
    def ask():
        try: engine._prepare([{"role": role, "content": "Hello"} for role in ("user", "assistant") * 5][:9], {})
        except ChatError as error: errors.append(error)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and len(errors) == 1


@pytest.mark.parametrize("make, settings", ((make_recurrent, {}), (make_hybrid, {}), (make_sliding, {"swa_full": False})),
    ids=("recurrent", "hybrid", "sliding window"))
def test_a_cache_that_cannot_be_trimmed_keeps_what_is_in_common(tmp_path, monkeypatch, make, settings):
    "The prompt ends with what later ones lack; only this, the answer and the new prompt are evaluated."
    monkeypatch.setitem(STYLES, "chatml", ("bpe", ["<|from|>", "<|says|>", "<|over|>"], TEMPLATES["thinks"]))
    engine = load(make(tmp_path/"model.gguf"), n_ctx=2048, n_batch=64, **settings)
    assert not engine.decoder.trimmable
    chat = Chat(engine, "Be brief. " * 20, max_tokens=8, temperature=0, enable_thinking=False)
    first = chat.prompt("Name the planets, please. " * 10)
    for question in ("Reverse the list", "Sort the list"):
        before, reply = chat.last.usage, chat.prompt(question)
        again = before.prompt_tokens - reply.usage.cached_tokens
        assert 0 <= again < 30, (before, reply.usage)
    assert first.usage.prompt_tokens > 100


# What was written is not written again

def many_turns(n, reasoning):
    thought = {"reasoning": "Hm."} if reasoning else {}
    said = [message for k in range(n) for message in ({"role": "user", "content": f" user {k}\n"}, {"role": "assistant", "content": f"assistant {k}", **thought})]
    return [{"role": "system", "content": "Be brief"}, *said, {"role": "user", "content": f" user {n}\n"}]


def as_a_whole(template, messages):
    template._local, kept = False, list(template._recent)
    text = template.prompt(messages, {}).text
    template._local = True
    template._recent.clear()
    template._recent.extend(kept)
    return text


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("reasoning", [False, True])
def test_a_prompt_that_is_made_of_the_one_before_is_the_same(tmp_path, monkeypatch, name, reasoning):
    engine, _ = opened(TEMPLATES[name], tmp_path)
    composed, compose = [], type(engine.template)._composed
    monkeypatch.setattr(type(engine.template), "_composed", lambda *what: composed.append(compose(*what)) or composed[-1])
    for turns in (*range(12), 9, 10, 5, 6):    # and after turns were taken back
        messages = many_turns(turns, reasoning)
        assert engine.template.prompt(messages, {}).text == as_a_whole(engine.template, messages), turns
    assert len([found for found in composed if found]) > 5 or name == "drops_earlier"


def test_a_template_that_is_not_the_same_everywhere_is_noticed(tmp_path):
    "It numbers the turns, or writes the last ones alone."
    begin, end = "{% for m in messages %}", "{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}"
    for name, body in (("numbers", "<|{{ m.role }}|>{{ loop.index }}. {{ m.content }}"), ("forgets", "{% if loop.revindex < 12 %}<|{{ m.role }}|>{{ m.content }}{% endif %}")):
        engine, _ = opened(begin + body + end, tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            texts = [engine.template.prompt(many_turns(turns, False), {}).text for turns in range(18)]
            assert not engine.template._local, name
            for turns in (16, 17): assert texts[turns] == as_a_whole(engine.template, many_turns(turns, False))


def test_rendering_does_not_grow_with_the_conversation(tmp_path, monkeypatch):
    "Counted in messages that the template is given."
    engine, _ = opened(TEMPLATES["dated"], tmp_path)
    given = []
    listen = type(engine.template)._listen
    monkeypatch.setattr(type(engine.template), "_listen", lambda self, messages, *more: given.append(len(messages)) or listen(self, messages, *more))
    counts = []
    for turns in range(40):
        given.clear()
        engine.template.prompt(many_turns(turns, False), {})
        counts.append(sum(given))
    assert max(counts[32:]) <= counts[6] <= 30 < counts[31]   # 31 turns and a prompt: as a whole, to see that it is the same
