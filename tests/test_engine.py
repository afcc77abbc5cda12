"The engine on models of random weights: each vocabulary, each style of template, and models that can't forget."
import contextlib
import ctypes
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from types import SimpleNamespace

import llama_cpp
import numpy as np
import pytest
from llama_cpp import Llama, LlamaGrammar

from tools.benchmarks.random_model import STYLES, make, make_hybrid, make_recurrent, make_sliding
from llama_nbchat import Chat, ChatError, Engine, GenerationError, MessageError, ModelTypeError, ParameterError, StateError, load
from llama_nbchat.local import decoder as engine_module
from tests.conftest import EVERY_MOMENT, moments
from tests.test_package import package

QUESTIONS = ["What is Mars?", "and  Venus ?", "is 1 <", "or [", "Tell me more;\nmuch more", "é and 漢字 🙂", "x" * 40, "(no)", "1 2 3", "Why?", "how", "end"]


@pytest.fixture(scope="module", params=STYLES)
def model(request, tmp_path_factory):
    path = make(tmp_path_factory.mktemp("models")/f"{request.param}.gguf", "tiny", request.param, size=4000)
    return Llama(str(path), n_ctx=2048, n_threads=1, n_threads_batch=1, verbose=False)


def said(text, role="user"): return {"role": role, "content": text}


def ask(engine, messages, **params):
    deltas = list(engine.stream(messages, **{"temperature": 0, "max_tokens": 12, **params}))
    return "".join(delta.text for delta in deltas), deltas[-1]


def scores(engine, messages):
    "What the engine makes of a conversation: the scores of the first token of its answer."
    ask(engine, messages, max_tokens=1)
    return engine.decoder._scores().copy()


def prompt_of(model, messages):
    "The tokens that llama-cpp-python makes of a conversation."
    found, usual = [], model.generate
    model.generate = lambda tokens, **settings: found.extend(tokens) or usual(tokens, **settings)
    try: model.create_chat_completion(messages, temperature=0, max_tokens=1)
    finally: del model.generate
    return found


@pytest.mark.parametrize("first", ([], [said("Be brief.", "system")]), ids=("plain", "with system message"))
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_first_prompt_is_llama_cpp_pythons(model, first, question):
    messages = [*first, said(question)]
    assert Engine(model)._prepare(messages, {}).tokens == prompt_of(model, messages)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_is_llama_cpp_pythons(model, question):
    plain = model.create_chat_completion([said(question)], temperature=0, max_tokens=40)
    text, last = ask(Engine(model), [said(question)], max_tokens=40)
    assert text == plain["choices"][0]["message"]["content"]
    assert last.usage.completion_tokens == plain["usage"]["completion_tokens"]


@pytest.mark.parametrize("params", ({}, {"stop": ["a"]}, {"stop": [" "]}), ids=("cut", "stopped", "stopped at a space"))
def test_ten_turns_evaluate_what_is_new(model, params):
    engine, messages, known, unseen = Engine(model), [], 0, 0
    for question in QUESTIONS:
        messages.append(said(question))
        text, last = ask(engine, messages, **params)
        if known: assert last.usage.evaluated_tokens == last.usage.prompt_tokens - known + unseen, question
        known = len(list(engine.transcripts.known.values())[-1][1])
        if not params: assert known == last.usage.prompt_tokens + last.usage.completion_tokens
        unseen = 1 if last.finish_reason == "length" else 0     # the last token was chosen, but not evaluated
        messages.append(said(text, "assistant"))


def test_text_is_data(model):
    engine = Engine(model)
    names = engine.decoder.control_names()
    plain = [token for token in engine._prepare([said("x")], {}).tokens if not engine.decoder.piece(token)]
    for name in names:
        for text in (name, f"a{name}b", f" {name}\n{name}", f"\ufdd0{name}", f"{name[0]}\ufdd0{name[1:]}"):
            tokens = engine._prepare([said(text)], {}).tokens
            assert [token for token in tokens if not engine.decoder.piece(token)] == plain, text
            assert name[1:] in b"".join(map(engine.decoder.piece, tokens)).decode()


PRINTS = "{% for m in messages %}{{ m.content }}{{ m.tool_calls }}<|im_end|>{% endfor %}"


@pytest.mark.parametrize("template", (PRINTS + "{{ documents }}", PRINTS + "{{ documents|tojson(ensure_ascii=true) }}",
    PRINTS + "{{ documents|tojson }}{{ tools }}"), ids=("printed", "escaped", "as JSON"))
def test_what_a_template_prints_is_data(tmp_path, monkeypatch, template):
    monkeypatch.setitem(STYLES, "printing", ("bpe", ["<|im_end|>"], template))
    engine = load(make(tmp_path/"model.gguf", "tiny", "printing", size=4000), n_ctx=512)
    end = "<|im_end|>"
    message = dict(said(f"a {end}"), tool_calls=[{"function": {"arguments": end}}])
    tokens = engine._prepare([message], {"documents": [{"text": end, end: "x"}], "tools": [{"type": end}]}).tokens
    assert tokens.count(engine.decoder.tokenize(end, special=True)[0]) == 1


@pytest.mark.parametrize("cut", range(1, 10))
@pytest.mark.parametrize("space", ("", " "))
def test_a_name_in_pieces_is_data(tmp_path, monkeypatch, cut, space):
    "A template writes two texts one after the other, which together are the name of a control token."
    end = "<|im_end|>"
    monkeypatch.setitem(STYLES, "joining", ("bpe", [end], PRINTS + "{{ documents[0] | trim }}{{ documents[1] }}"))
    engine = load(make(tmp_path/"model.gguf", "tiny", "joining", size=4000), n_ctx=512)
    number = engine.decoder.tokenize(end, special=True)[0]
    def tokens(*documents): return engine._prepare([said("a")], {"documents": documents}).tokens
    assert tokens(end[:cut] + space, end[cut:]).count(number) == tokens("x", "y").count(number)
    assert tokens(end[:cut] + space, "") == tokens("", end[:cut])
    assert "\ufffd" not in b"".join(map(engine.decoder.piece, tokens("", end[:cut]))).decode()    # the mark leaves no trace


def test_marks_of_the_template_that_the_file_calls_text(tmp_path, monkeypatch):
    import gguf
    usual, ordinary = gguf.GGUFWriter.add_token_types, gguf.TokenType.USER_DEFINED
    monkeypatch.setattr(gguf.GGUFWriter, "add_token_types", lambda self, types: usual(self, types[:3] + [ordinary] + types[4:]))
    engine = load(make(tmp_path/"model.gguf", "tiny", "chatml", size=4000), n_ctx=512)
    assert 3 in engine.decoder.tokenize("<|im_start|>")
    assert engine._prepare([said("hi <|im_start|>system")], {}).tokens.count(3) == 2


def test_a_stop_within_a_name(model):
    "What is cut off completes the name of a control token: it must not be one in the next turn."
    engine = Engine(model)
    name = engine.decoder.control_names()[0]
    for texts, known in ((["see ", name], f"see {name}"), (["see ", name], f"see {name[:-1]}")):
        prompt = SimpleNamespace(text="", begun="", tokens=[], tools=())
        engine._remember(prompt, SimpleNamespace(texts=texts, written=lambda: (known, [7])))
    (_, answer), (whole, tokens) = list(engine.transcripts.known.items())[-1]
    assert (answer, whole, tokens) == (f"see {name[0]}\ufdd0{name[1:]}", len(answer) - 1, [7])
    text = f"{answer} and"
    assert engine.transcripts.longest(text) == (whole, [7])
    assert engine.decoder.tokenize(name, special=True)[0] not in engine.decoder.tokenize_marked(text[whole:], engine.marked)


def test_without_a_template(tmp_path, monkeypatch):
    import gguf
    monkeypatch.setattr(gguf.GGUFWriter, "add_chat_template", lambda self, template: None)
    path = make(tmp_path/"bare.gguf", "tiny", "chatml", size=4000)
    with pytest.raises(ParameterError, match="chat_format"): load(path)
    assert ask(load(path, chat_format="chatml"), [said("Hello")])[0]


def test_two_chats_take_turns():
    engine, conversations = Engine(load().llm), [[], []]
    for question in ("Name the planets", "Reverse the list", "Sort it by mass"):
        for n, messages in enumerate(conversations):
            messages.append(said(question + " please" * n))
            text, last = ask(engine, messages, max_tokens=200)
            marks = f"</s><s>[INST] {messages[-1]['content']} [/INST]"
            if len(messages) > 1: assert last.usage.evaluated_tokens == len(engine.decoder.tokenize(marks, special=True))
            messages.append(said(text, "assistant"))


def held_by_forks(cache_bytes):
    engine, held = Engine(load().llm, cache_bytes=cache_bytes), []
    begin = [said("Name the planets. " * 40)]
    text, _ = ask(engine, begin)
    for n in range(20):
        ask(engine, [*begin, said(text, "assistant"), said(f"And number {n}? " * 5)], max_tokens=20)
        held.append(engine.states.bytes())
    return held


def test_forks_stay_within_their_budget():
    budget = max(held_by_forks(10**9)) // 3
    assert 0 < max(held_by_forks(budget)) <= budget


def test_a_model_that_cannot_forget(monkeypatch):
    "As recurrent ones: its cache goes on, or is emptied, or is brought back as a whole."
    plain, stiff = Engine(load().llm), Engine(load().llm)
    decoder, trim = stiff.decoder, stiff.decoder.trim
    decoder.trimmable = False
    monkeypatch.setattr(decoder, "trim", lambda n: trim(n if n == len(decoder.tokens) else 0))
    first = [said("Name the planets")]
    second = [*first, said(ask(plain, first)[0], "assistant"), said("Reverse the list")]
    for messages, evaluated in ((first, None), (second, None), (second, 1), (first, 1), (second, 1)):
        text, last = ask(stiff, messages, max_tokens=200)
        assert text == ask(plain, messages, max_tokens=200)[0]
        assert evaluated in (None, last.usage.evaluated_tokens)


@pytest.mark.parametrize("make, settings", ((make_recurrent, {}), (make_hybrid, {}), (make_sliding, {"swa_full": False})),
    ids=("recurrent", "hybrid", "sliding window"))
def test_states_that_cannot_be_trimmed(tmp_path, make, settings):
    "A turn that goes on costs what is new, one that is tried again costs one token, and all answers are right."
    path = make(tmp_path/"model.gguf")
    def opened(transcripts=None):
        engine = load(path, n_ctx=2048, n_threads=1, n_threads_batch=1, n_batch=64, **settings)
        engine.transcripts = transcripts or engine.transcripts
        return engine
    engine, first = opened(), [said("Name the planets, please. " * 20)]   # longer than the window
    assert not engine.decoder.trimmable
    fresh = lambda messages: ask(opened(engine.transcripts), messages)[0]   # the same tokens, all evaluated
    text, _ = ask(engine, first)
    second = [*first, said(text, "assistant"), said("Reverse the list")]
    other = [*first, said(text, "assistant"), said("Sort the list")]
    for messages, most in ((first, 1), (second, None), (second, 1), (other, None), (first, 1), (second, 1)):
        answer, last = ask(engine, messages)
        assert answer == fresh(messages)
        if most: assert last.usage.evaluated_tokens == most
    engine.save_state(tmp_path/"state")
    held, later = len(engine.decoder.tokens), opened()
    later.load_state(tmp_path/"state")
    third = [*second, said(answer, "assistant"), said("Thanks")]
    answer, last = ask(later, third)
    assert answer == fresh(third) and last.usage.cached_tokens == held


@pytest.mark.parametrize("settings", ({"n_batch": 8}, {"n_batch": 32, "n_ubatch": 8}))
def test_small_batches(settings):
    messages = [said("Name the planets, please, " * 20)]
    assert ask(load(**settings), messages)[0] == ask(load(), messages)[0]


def test_what_is_asked_past_the_engine_does_no_harm():
    engine, messages = load(), [said("Name the planets")]
    text = ask(engine, messages)[0]
    for disturb in (lambda llm: llm.create_completion("Hello", max_tokens=3), lambda llm: llm.reset(),
            lambda llm: llm.create_completion("Hello " * 200, max_tokens=3),     # more tokens than the engine has there
            lambda llm: (llm.create_completion("Hello " * 200, max_tokens=3), llm.reset()),
            lambda llm: llm._ctx.kv_cache_clear(), lambda llm: ask(Engine(llm), [said("Hello")])):
        disturb(engine.llm)
        assert ask(engine, messages)[0] == text
        assert ask(engine, messages)[1].usage.evaluated_tokens == 1


def test_a_closed_model_says_so():
    engine = load(n_ctx=256)
    stream = engine.stream([said("Name the planets")], temperature=0)
    while not next(stream).text: pass
    engine.llm.close()
    for use in (lambda: list(stream), lambda: ask(engine, [said("Hello")]), lambda: engine.count([said("Hello")]),
            lambda: engine.save_state("state")):
        with pytest.raises(ModelTypeError, match="closed"): use()


def test_a_stopped_reply_knows_what_it_cost():
    chat = Chat(load(), temperature=0)
    pieces = chat.stream("Name the planets")
    for _ in range(5): next(pieces)
    pieces.close()
    usage, timings = chat.last.usage, chat.last.timings
    assert chat.last.interrupted and usage.completion_tokens == 5 and usage.prompt_tokens == usage.evaluated_tokens > 5
    assert 0 < timings.prefill < timings.time_to_first_token < timings.total and timings.tokens_per_second > 0


def test_templates_that_drop_parts_of_earlier_turns(tmp_path, monkeypatch):
    "Their prompts are evaluated from where they differ, and the answer is that of a model that knows nothing yet."
    monkeypatch.setitem(STYLES, "dropping", ("bpe", ["<|end|>"], "{% for m in messages %}{{ m.content[-12:] if m.role == 'assistant' "
        "else m.content }}<|end|>{% endfor %}"))
    path = make(tmp_path/"dropping.gguf", "tiny", "dropping", size=4000)
    engine, messages = load(path), []
    for question in QUESTIONS[:4]:
        messages.append(said(question))
        text, last = ask(engine, messages)
        assert text == ask(load(path), messages)[0]
        if len(messages) > 1: assert 0 < last.usage.cached_tokens < last.usage.prompt_tokens
        messages.append(said(text, "assistant"))


def test_tokens_of_any_length():
    decoder = load().decoder
    pieces = [decoder.piece(token) for token in range(1000)]
    decoder._buffer, decoder._pieces = type(decoder._buffer)._type_.__mul__(1)(), {}
    assert [decoder.piece(token) for token in range(1000)] == pieces and max(map(len, pieces)) > 8


def test_nothing_to_answer():
    with pytest.raises(MessageError): ask(load(), [])


def test_grammars_and_biases():
    engine, messages = load(), [said("Name the planets")]
    assert ask(engine, messages, grammar=LlamaGrammar.from_string('root ::= "Mars" | "moon"', verbose=False))[0] in ("Mars", "moon")
    params = dict(temperature=0, max_tokens=60, response_format={"type": "json_object"})
    assert isinstance(json.loads(ask(engine, messages, **params)[0]), dict)
    planet = {"type": "object", "properties": {"name": {"enum": ["Mars", "Venus"]}}, "required": ["name"]}
    found = json.loads(ask(engine, messages, response_format={"type": "json_object", "schema": planet}, max_tokens=60)[0])
    assert found["name"] in ("Mars", "Venus")
    for wrong in ("root ::= x", LlamaGrammar.from_string("root ::= (", verbose=False)):
        with pytest.raises(ParameterError): ask(engine, messages, grammar=wrong)
    first = engine.decoder.tokenize("Mars", begins=False)[0]
    biased, plain = ({"temperature": 0, "max_tokens": 4, "logit_bias": {first: 1000.0}}, engine.llm.create_chat_completion)
    assert ask(engine, messages, **biased)[0] == plain(messages, **biased)["choices"][0]["message"]["content"]
    assert ask(engine, messages, **{**biased, "logit_bias": {first: np.float32(1000)}})[0] == ask(engine, messages, **biased)[0]
    with pytest.raises(ParameterError): ask(engine, messages, temperature="hot")


def test_variables_of_the_template(tmp_path, monkeypatch):
    monkeypatch.setitem(STYLES, "thinking", ("bpe", ["<|end|>"], "{% for m in messages %}{{ m.content }}{% if loop.last %}{% break %}"
        "{% endif %}{% endfor %}<|end|>{% if enable_thinking %}think {{ how }}{% endif %}"))
    engine = load(make(tmp_path/"thinking.gguf", "tiny", "thinking", size=4000))
    render = lambda **params: engine._prepare([said("x")], params)
    assert render(enable_thinking=True, how="hard").text == "x<|end|>think hard"
    assert render().text == "x<|end|>"
    assert len([token for token in render(enable_thinking=True, how="<|end|>").tokens if not engine.decoder.piece(token)]) == 1


def test_a_full_context_ends_the_answer(model):
    path = model.model_path
    text, last = ask(load(path, n_ctx=256, n_threads=1), [said("Hello")], max_tokens=None)
    assert last.finish_reason == "length"
    assert last.usage.prompt_tokens + last.usage.completion_tokens == 256


def test_threads_wait_for_their_turn():
    engine, answers = load(), []
    questions = ["Name the planets", "Hello", "Which planet is the heaviest?", "thanks"]
    alone = {question: ask(engine, [said(question)], max_tokens=60)[0] for question in questions}
    def work(question): answers.append((question, ask(engine, [said(question)], max_tokens=60)[0]))
    threads = [threading.Thread(target=work, args=(question,)) for question in questions * 3]
    for thread in threads: thread.start()
    for thread in threads: thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(answers) == sorted([*alone.items()] * 3)


def test_an_answer_within_an_answer_is_an_error():
    engine = load()
    stream = engine.stream([said("Name the planets")], temperature=0)
    next(stream)
    with pytest.raises(ChatError, match="still writing"): ask(engine, [said("Hello")])
    del stream
    assert ask(engine, [said("Hello")])[0]


def test_prefill_can_be_given_up(tmp_path, monkeypatch):
    "In the middle of a batch that takes seconds, within half a second of the signal; on a busy machine, in one of three tries."
    monkeypatch.setattr("llama_nbchat.local.engine._FIRST_PIECE", 2048)
    path, seconds = make(tmp_path/"slow.gguf", "slow", "chatml", size=4000), []
    engine = load(path, n_ctx=4096, n_batch=2048, n_ubatch=2048, n_threads=1, n_threads_batch=1)
    def press():
        seconds.append(-time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    while len(seconds) < 3 and not (seconds and seconds[-1] < 0.5):
        threading.Timer(0.5, press).start()
        with pytest.raises(KeyboardInterrupt): list(engine.stream([said("abcd " * 1200)], max_tokens=1))
        seconds[-1] += time.perf_counter()
        assert engine.decoder.tokens == []     # it was the first batch
    assert seconds[-1] < 0.5, seconds


def test_any_signal_may_end_a_prefill(tmp_path, monkeypatch):
    "Not only the interrupt: whatever a handler raises gets through, and nothing stays behind."
    monkeypatch.setattr("llama_nbchat.local.engine._FIRST_PIECE", 2048)
    path, lines = make(tmp_path/"slow.gguf", "slow", "chatml", size=4000), []
    engine = load(path, n_ctx=4096, n_batch=2048, n_ubatch=2048, n_threads=1, n_threads_batch=1)
    log = llama_cpp.llama_log_callback(lambda level, text, data: lines.append(text) if level > 2 else None)   # warnings, errors
    def alarm(*what): raise TimeoutError("enough")
    usual, interrupt = signal.signal(signal.SIGALRM, alarm), signal.getsignal(signal.SIGINT)
    llama_cpp.llama_log_set(log, None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(TimeoutError, match="enough"): list(engine.stream([said("abcd " * 1200)], max_tokens=1))
        assert not lines    # giving up is no news
        llama_cpp.llama_model_load_from_file(b"/nowhere", llama_cpp.llama_model_default_params())
        assert lines        # the log is the same as before
    finally:
        llama_cpp.llama_log_set(llama_cpp._logger.llama_log_callback, None)
        signal.signal(signal.SIGALRM, usual)
    assert signal.getsignal(signal.SIGINT) is interrupt and engine.decoder.tokens == []


def test_a_slow_step_can_be_given_up(monkeypatch):
    monkeypatch.setattr("llama_nbchat.local.engine._SLOW", 0)
    engine, watched = load(), []
    usual = engine.decoder.lib.llama_set_abort_callback
    stream = engine.stream([said("Name the planets")], temperature=0)
    while not next(stream).text: pass
    monkeypatch.setattr(engine.decoder.lib, "llama_set_abort_callback", lambda *what: watched.append(what) or usual(*what))
    next(stream), next(stream)
    assert len(watched) >= 2
    stream.close()


@pytest.mark.parametrize("make, settings", ((make_hybrid, {}), (make_sliding, {"swa_full": False})), ids=("hybrid", "sliding window"))
def test_giving_up_where_nothing_can_be_trimmed(tmp_path, monkeypatch, make, settings):
    "A prompt given up at any moment of a batch: the next answer is right."
    monkeypatch.setattr("llama_nbchat.local.engine._FIRST_PIECE", 2048)
    path = make(tmp_path/"model.gguf")
    def opened(): return load(path, n_ctx=4096, n_batch=2048, n_ubatch=8, n_threads=1, n_threads_batch=1, **settings)
    first = [said("Name the planets, please. " * 7)]
    for moment in (2000, 4000, 5500, 5800):
        engine, asked = opened(), []
        second = [*first, said(ask(engine, first)[0], "assistant"), said("Reverse the list, please. " * 60)]
        def caught(raised):
            while True:
                asked.append((yield bool(raised)))
                if len(asked) == moment: raised.append(KeyboardInterrupt())
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("llama_nbchat.local.decoder._caught", caught)
            ask(engine, second)
        fresh = opened()
        fresh.transcripts = engine.transcripts
        right = scores(fresh, second)
        assert abs(scores(engine, second) - right).max() < 0.01, moment   # not the same to the last bit: in other batches
    assert abs(scores(opened(), [said("Name the moons."), *second[1:]]) - right).max() > 0.05   # a cache of something else


@pytest.mark.parametrize("make", (make_recurrent, make_hybrid))
def test_a_stop_while_writing_keeps_the_cache(tmp_path, make):
    "Signals at random moments: a token that was evaluated counts, and the next turn evaluates what is new."
    engine, rng, stops = load(make(tmp_path/"model.gguf"), n_ctx=2048, n_threads=1, n_threads_batch=1), random.Random(0), 0
    decoder, kept = engine.decoder, 0
    for n in range(12):
        first, text = [said(f"{n} " + "Name the planets, please. " * 10)], ""
        stream = engine.stream(first, temperature=0, max_tokens=400)
        while not text: text += next(stream).text
        timer = threading.Timer(0.003 + rng.random() * 0.03, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            for delta in stream: text += delta.text
            timer.join()
            time.sleep(1)    # the signal may come here
        except KeyboardInterrupt: stops += 1
        stream.close()
        assert decoder.lib.llama_memory_seq_pos_max(decoder.memory, 0) + 1 == len(decoder.tokens)
        usage = ask(engine, [*first, said(text, "assistant"), said("Go on")], max_tokens=1)[1].usage
        assert usage.cached_tokens > 150    # at least the first prompt, which was put aside
        kept += usage.evaluated_tokens < 40 # the answer as well, but where this loop itself has lost its last piece
    assert stops > 8 and kept > 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")   # of a sampler that an earlier test has left
def test_a_storm_of_signals_leaves_nothing_behind():
    "Wherever a signal comes, afterwards nobody is asked whether to give up, and the log is the usual one."
    decoder, rng, came = load(n_ctx=256).decoder, random.Random(0), 0
    decoder.begin()
    usual_log = engine_module._usual_log(decoder.lib)[0]
    def alarm(*_): raise TimeoutError
    before = signal.signal(signal.SIGALRM, alarm)
    try:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            error = None
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + rng.random() * 2e-4)
                for _ in range(50): decoder.evaluate_watched([1]), decoder.trim(0)
                time.sleep(.01)
            except TimeoutError as caught: error = caught    # kept, with its frames, as a notebook keeps the last one
            log = llama_cpp.llama_log_callback()
            llama_cpp.llama_log_get(ctypes.byref(log), ctypes.byref(ctypes.c_void_p()))
            assert ctypes.cast(log, ctypes.c_void_p).value == ctypes.cast(usual_log, ctypes.c_void_p).value
            came += error is not None
            held = decoder.lib.llama_memory_seq_pos_max(decoder.memory, 0) + 1
            assert held == len(decoder.tokens) or not decoder.tokens
            decoder.trim(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came > 50


def test_what_a_processor_raises_gets_out():
    engine = load()
    def broken(tokens, scores): raise ZeroDivisionError("broken")
    with pytest.raises(ZeroDivisionError): ask(engine, [said("Hello")], logits_processor=[broken])
    assert ask(engine, [said("Hello")])[0] == ask(load(), [said("Hello")])[0]


def test_an_answer_that_somebody_else_disturbs_ends():
    engine = load()
    stream = engine.stream([said("Name the planets")], temperature=0)
    while not next(stream).text: pass
    engine.llm.create_completion("Something else", max_tokens=2)
    with pytest.raises(GenerationError, match="in the middle of the answer"): list(stream)
    assert ask(engine, [said("Hello")])[0] == ask(load(), [said("Hello")])[0]


@pytest.mark.parametrize("messages", (None, "Hello", ["Hello"], [None], [{"content": "x"}]))
def test_what_are_no_messages(messages):
    with pytest.raises(MessageError, match="list of dicts"): ask(load(), messages)
    with pytest.raises(MessageError, match="list of dicts"): load().count(messages)


def test_a_state_that_cannot_be_written(tmp_path):
    "Says so, and leaves nothing behind."
    engine = load()
    ask(engine, [said("Hello")])
    (tmp_path/"folder").mkdir()
    for path in (tmp_path/"folder", tmp_path/"none"/"state", "", "a\0b"):
        with pytest.raises(StateError, match="can't be written"): engine.save_state(path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_answer_that_was_cut_goes_on(model):
    "At the price of one token, wherever it was cut; also twice, and the next turn evaluates what is new."
    engine, first = Engine(model), [said("What is Mars?")]
    whole = ask(engine, first, max_tokens=30)[0]
    engine, text = Engine(model), ""
    for n, tokens in enumerate((7, 11, 12)):
        more, last = ask(engine, [*first, said(text, "assistant")] if n else first, max_tokens=tokens)
        text += more
        if n: assert last.usage.evaluated_tokens == 1
    assert text == whole
    held = len(engine.decoder.tokens)
    _, last = ask(engine, [*first, said(text, "assistant"), said("Why?")])
    assert last.usage.cached_tokens == held


@pytest.mark.parametrize("kind", ("text", "control"))
def test_marks_of_reasoning(tmp_path, monkeypatch, kind):
    "The mark that a template opens with is part of the text; one that is a control token is seen."
    template = STYLES["chatml"][2].replace("assistant\n", "assistant\n<think>\n")
    monkeypatch.setitem(STYLES, "thinking", ("bpe", ["<|im_start|>", "<|im_end|>"] + ["<think>"] * (kind == "control"), template))
    engine = load(make(tmp_path/"model.gguf", "tiny", "thinking", size=4000), n_ctx=512)
    text, _ = ask(engine, [said("Why?")])
    assert text.startswith("<think>")
    more, last = ask(engine, [said("Why?"), said(text, "assistant")])
    assert "<think>" not in more and last.usage.evaluated_tokens == 1
    if kind == "control": assert engine.decoder.piece(engine.decoder.tokenize("<think>", special=True)[0]) == b"<think>"


def test_draws_differ_after_a_restart():
    code = ("from llama_nbchat import *\nengine = load()\nask = lambda: list(engine.stream([dict(role='user', content='Hi')]))\n"
            "ask(); engine.llm.create_completion('x', max_tokens=1); ask()\nprint(Engine(engine.llm).seeds.random())")
    drawn = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=package.parent).stdout for _ in range(2)}
    assert len(drawn) == 2


def interrupted_at(line, chat, text):
    "A turn with an interrupt at the `line`-th line that runs in the package; how many lines there were."
    lines = 0
    def trace(frame, event, arg):
        nonlocal lines
        if not frame.f_code.co_filename.startswith(str(package)): return None
        lines += event == "line"
        if event == "line" and lines == line: signal.raise_signal(signal.SIGINT)
        return trace
    with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(io.StringIO()):
        try:
            sys.settrace(trace)
            chat.prompt(text, temperature=0, max_tokens=6)
        finally: sys.settrace(None)
    return lines


def test_interrupts_at_every_line():
    "Two chats on one model, so that states go and come: the history stays valid, and the next answer is right."
    engine, stopped = load(), 0
    def chat(): return Chat(engine, temperature=0, max_tokens=6)
    def answers(chat, *texts):
        with contextlib.redirect_stdout(io.StringIO()): return [chat.prompt(text).text for text in texts]
    expected = answers(chat(), "Name the planets", "And Mars?")
    lines = interrupted_at(0, chat(), "Name the planets")
    for line in moments(lines, 10):
        answers(chat(), "Hello there")
        interrupted = chat()
        interrupted_at(line, interrupted, "Name the planets")
        assert [message["role"] for message in interrupted.messages] in ([], ["user", "assistant"]), line
        stopped += interrupted.last is not None and interrupted.last.interrupted
        assert answers(chat(), "Name the planets", "And Mars?") == expected, line
    assert stopped > 10


def test_interrupts_at_random_moments():
    "In prefill, while decoding and in between; each time the next answer is that of an undisturbed run."
    long, rng, stopped, tries = "Name the planets. " * 100, random.Random(date.today().toordinal()), 0, 200 if EVERY_MOMENT else 40
    engine, params = load(), dict(temperature=0, max_tokens=40)
    expected = ask(engine, [said("Name the planets")], **params)[0]
    begin = time.perf_counter()
    ask(engine, [said(long)], **params)
    whole = time.perf_counter() - begin
    for n in range(tries):
        chat = Chat(engine, **params)
        timer = threading.Timer(rng.random() * whole, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            with contextlib.redirect_stdout(io.StringIO()): stopped += chat.prompt(f"{n} {long}").interrupted
            timer.join()
        except KeyboardInterrupt: pass   # before the turn, or after it
        finally: timer.join()
        assert [message["role"] for message in chat.messages] in ([], ["user", "assistant"])
        assert ask(engine, [said("Name the planets")], **params)[0] == expected, n
    assert stopped > tries // 4
