"Threads, processes and closing: who waits is told why, nobody waits for ever, and nothing is torn from under an answer."
import gc
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from contextlib import closing, suppress
from pathlib import Path

import pytest
from llama_cpp import Llama

import llama_nbchat
from llama_nbchat import Chat, ChatError, CompletionModel, ScriptedModel, load
from llama_nbchat import exclusive
from llama_nbchat.local.writer import Writer
from llama_nbchat.exclusive import in_turn

package = Path(llama_nbchat.__file__).parent
HELLO = [{"role": "user", "content": "Hello"}]


def text_of(model): return "".join(delta.text for delta in begun(model))


def begun(model):
    "A short answer, the same each time."
    return model.stream(HELLO, **({"temperature": 0, "max_tokens": 8} if isinstance(model.llm, Llama) else {}))


def run(code, *arguments, seconds=120):
    "What a program prints; it may neither fail nor hang."
    begin = ("import os, signal, sys, threading, time, warnings, random\nfrom llama_nbchat import *\n"
        "HELLO = [{'role': 'user', 'content': 'Hello'}]\nLONG = [{'role': 'user', 'content': 'Name the planets. ' * 60}]\n"
        "def ask(model, messages=HELLO, **params): return ''.join(d.text for d in model.stream(messages, temperature=0, max_tokens=30, **params))\n")
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", begin + code, *map(str, arguments)], cwd=package.parent,
        capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# Waiting

class Numbers:
    "A model of one's own, with neither hash, nor room for weak references, nor an order of its own."
    __slots__ = ("said",)
    __hash__ = None
    def __eq__(self, other): return True
    def create_chat_completion(self, messages, stream=True):
        for n in range(3): yield {"choices": [{"delta": {"content": f"{n} "}}]}


def scripted(): return CompletionModel(ScriptedModel("one two three"))


MODELS = {"engine": lambda: load(n_ctx=512), "scripted": scripted, "own": lambda: CompletionModel(Numbers()),
    "adapter of a Llama": lambda: CompletionModel(load(n_ctx=512).llm)}


@pytest.fixture(params=MODELS)
def model(request): return MODELS[request.param]()


class Left:
    "A thread that has begun an answer, and does not read it on until it is let go."
    def __init__(self, stream):
        self.begun, self.go_on, self.rest = threading.Event(), threading.Event(), None
        self.thread = threading.Thread(target=self.work, args=(stream,), name="background", daemon=True)
        self.thread.start()
        assert self.begun.wait(30)

    def work(self, stream):
        next(stream)
        self.begun.set()
        self.go_on.wait(30)
        self.rest = list(stream)


def test_who_waits_is_told_after_a_second(model):
    alone, left = text_of(model), Left(begun(model))
    threading.Timer(1.8, left.go_on.set).start()
    with warnings.catch_warnings(record=True) as caught:
        begin = time.monotonic()
        assert text_of(model) == alone
        assert time.monotonic() - begin > 1.5
    assert [str(warning.message) for warning in caught if "thread 'background'" in str(warning.message)] == [str(caught[0].message)]
    assert "closed" in str(caught[0].message) and "interrupt" in str(caught[0].message)
    left.thread.join(30)
    assert left.rest


def test_each_prompt_that_waits_is_told(model, monkeypatch):
    "Also the second one of a cell that is run again; who need not wait long hears nothing."
    monkeypatch.setattr(exclusive, "_PATIENCE", 0.1)
    for n in range(2):
        left = Left(begun(model))
        threading.Timer(0.5, left.go_on.set).start()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            text_of(model)
        assert len(caught) == 1
        left.thread.join(30)
    monkeypatch.setattr(exclusive, "_PATIENCE", 20)
    left = Left(begun(model))
    threading.Timer(0.5, left.go_on.set).start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text_of(model)
    left.thread.join(30)


def test_two_chats_over_one_model(monkeypatch):
    monkeypatch.setattr(exclusive, "_PATIENCE", 0.1)
    model = scripted()
    one, other = Chat(model), Chat(model)
    left = Left(one.stream("Hello"))
    threading.Timer(0.5, left.go_on.set).start()
    with pytest.warns(UserWarning, match="in thread 'background'"): assert list(other.stream("Hello"))
    left.thread.join(30)


def test_waiting_can_be_interrupted(model):
    "And leaves nothing behind: what was waited for goes on, and so does the next prompt."
    left = Left(begun(model))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt): text_of(model)
    assert len(exclusive._claims) == 1
    left.go_on.set()
    left.thread.join(30)
    assert left.rest and text_of(model)
    assert exclusive._claims == []


def test_a_thread_that_has_ended_with_an_answer_unread_is_an_error(model):
    streams = []
    def begin():
        streams.append(begun(model))
        next(streams[0])
    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    with pytest.raises(ChatError, match="still writing another answer"): text_of(model)
    streams.clear()
    assert text_of(model)


def test_an_answer_that_wanders_through_threads():
    "Whoever asked for the last piece is the one who has it: there a second prompt is an error, elsewhere it waits."
    model, stream = object(), None
    stream = in_turn(model, iter_slowly(3))
    next(stream)
    left = Left(stream)
    threading.Timer(0.3, left.go_on.set).start()
    assert list(in_turn(model, iter_slowly(1))) == [0]    # not an error, though it was begun here
    left.thread.join(30)


def iter_slowly(n):
    for number in range(n):
        time.sleep(0.001)
        yield number


# What the reader sees of the queue

class Seen:
    "A screen that notes what it shows; `then` is called with each number of answers that come first."
    interval = 0
    def __init__(self, then=lambda before: None): self.queue, self.notes, self.then = [], [], then
    def wait(self, done=0, total=0): pass
    def show(self, text, reasoning=""): pass
    def close(self, text, reasoning="", note=""): self.notes.append(note)
    def wait_for(self, before):
        self.queue.append(before)
        self.then(before)
        return True


def shown_on(monkeypatch, screen):
    "A screen for all answers."
    monkeypatch.setattr("llama_nbchat.chat.open_screen", lambda font_size, live, images: screen)
    return screen


def test_the_queue_is_shown_as_it_moves(model, monkeypatch):
    "Two answers come first, then one, then none; nobody is warned, and the time is not the model's."
    first, goes_on = Left(begun(model)), threading.Event()
    def wait_and_hold():
        stream = begun(model)
        next(stream)
        goes_on.wait(30)
        list(stream)
    second = threading.Thread(target=wait_and_hold, daemon=True)
    second.start()
    while len(exclusive._claims) < 2: time.sleep(0.001)
    screen = shown_on(monkeypatch, Seen(lambda before: {2: first.go_on, 1: goes_on}.get(before, threading.Event()).set()))
    warned = []
    monkeypatch.setattr(exclusive, "_PATIENCE", 0.2)
    monkeypatch.setattr(exclusive, "_say_who_is_waited_for", lambda thread: warned.append(threading.current_thread()))
    begin = time.perf_counter()
    reply = Chat(model)("Hello")
    assert threading.current_thread() not in warned
    assert [*dict.fromkeys(screen.queue)] == [2, 1, 0] and screen.queue.count(0) == 1
    assert reply.text and reply.timings.total < time.perf_counter() - begin - 0.15   # it was shown twice, each after 0.1 s
    for thread in (first.thread, second): thread.join(30)


class Plain:
    "A screen as they were before there was a queue to be shown."
    interval = 0
    def wait(self, done=0, total=0): pass
    def show(self, text, reasoning=""): pass
    def close(self, text, reasoning="", note=""): pass


def at_the_end():
    screen = Seen()
    screen.interval = float("inf")
    return screen


UNSEEN = {"a screen that can't": (Plain, "prompt_stream"), "a screen of finished texts": (at_the_end, "prompt"), "a stream": (Seen, "stream")}


@pytest.mark.parametrize("how", UNSEEN)
def test_where_nobody_sees_the_queue_there_is_a_warning(how, monkeypatch):
    screen, way = UNSEEN[how]
    shown_on(monkeypatch, screen())
    monkeypatch.setattr(exclusive, "_PATIENCE", 0.1)
    model = scripted()
    left = Left(begun(model))
    threading.Timer(0.5, left.go_on.set).start()
    with pytest.warns(UserWarning, match="in thread 'background'"):
        answer = getattr(Chat(model), way)("Hello")
        if way == "stream": list(answer)
    left.thread.join(30)


def test_a_screen_that_fails_while_it_waits(monkeypatch):
    "The answer comes all the same, and who waits is warned."
    def fail(before): raise OSError("the connection is lost")
    shown_on(monkeypatch, Seen(fail))
    monkeypatch.setattr(exclusive, "_PATIENCE", 0.2)
    model = scripted()
    left, chat = Left(begun(model)), Chat(model)
    threading.Timer(0.6, left.go_on.set).start()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chat("Hello")
    assert chat.last.text == "one two three"
    assert [text for text in ("in thread 'background'", "could not be shown") if text not in str([str(w.message) for w in caught])] == []
    left.thread.join(30)


@pytest.mark.parametrize("when", ("while it is shown", "between"))
def test_a_shown_wait_can_be_stopped(model, when, monkeypatch):
    "What was waited for goes on, the chat is as it was, and the interrupt is no error."
    def press(before):
        if when == "between": threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        else: os.kill(os.getpid(), signal.SIGINT)
        screen.then = lambda before: None
    left, chat = Left(begun(model)), Chat(model)
    screen = shown_on(monkeypatch, Seen(press))
    reply = chat("Hello")
    assert reply.interrupted and not reply.text and "stopped" in screen.notes[0] and len(chat.messages) == 0
    assert len(exclusive._claims) == 1 and exclusive._here_waits.show is None
    left.go_on.set()
    left.thread.join(30)
    assert left.rest and chat("Hello").text


# The table of turns

def test_never_two_at_once_and_nobody_is_forgotten():
    models, at_work, seen = [Numbers(), Numbers(), object()], {}, []
    def work(model, number):
        assert at_work.setdefault(id(model), number) == number
        for n in range(3):
            time.sleep(0.0005)
            yield n
        assert at_work.pop(id(model)) == number
    def ask(seed):
        rng = random.Random(seed)
        for n in range(25):
            model, number = rng.choice(models), (seed, n)
            stream = in_turn(model, work(model, number))
            if rng.random() < 0.8: seen.append(len(list(stream)))
            else:
                next(stream)
                at_work.pop(id(model))
                stream.close()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join(120)
    finally: sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads)
    assert len(seen) > 100 and set(seen) == {3} and not at_work
    assert exclusive._claims == []


def test_first_come_first_served():
    model, order, threads = object(), [], []
    first = in_turn(model, iter_slowly(2))
    next(first)
    for n in range(6):
        threads.append(threading.Thread(target=lambda n=n: order.extend(n for _ in in_turn(model, iter_slowly(1)))))
        threads[-1].start()
        while len(exclusive._claims) < n + 2: time.sleep(0.001)
    list(first)
    for thread in threads: thread.join(30)
    assert order == [*range(6)]


@pytest.mark.parametrize("leave", ("read", "closed", "dropped", "failed", "never begun", "in a circle"))
def test_nothing_is_left_in_the_table(leave):
    "Whatever becomes of answers and models; a model goes with them, and its number may come back."
    gone, numbers = [], set()
    class Model:
        def __del__(self): gone.append(1)
    def broken():
        yield 1
        raise ValueError("broken")
    for _ in range(100):
        model = Model()
        numbers.add(id(model))
        stream = in_turn(model, broken() if leave == "failed" else iter_slowly(2))
        if leave == "read": list(stream)
        elif leave == "failed":
            with pytest.raises(ValueError): list(stream)
        elif leave != "never begun": next(stream)
        if leave == "closed": stream.close()
        if leave == "in a circle": model.stream = stream
        del stream, model
    gc.collect()
    assert exclusive._claims == [] and len(gone) == 100
    assert leave == "in a circle" or len(numbers) < 100    # the test is about numbers that come back


def test_loading_leaves_nothing_behind():
    "Each of 12 models is gone when nobody holds it."
    living = []
    for _ in range(12):
        engine = load(n_ctx=64)
        text_of(engine)
        living.append(weakref.ref(engine.llm))
        del engine
    gc.collect()
    assert exclusive._claims == [] and not any(reference() for reference in living)


def test_interrupts_at_every_line_of_a_turn():
    "Afterwards the model is free, whatever was left undone."
    def turn(line):
        lines = 0
        def trace(frame, event, arg):
            nonlocal lines
            if frame.f_code.co_filename != exclusive.__file__: return None
            lines += event == "line"
            if event == "line" and lines == line: raise KeyboardInterrupt
            return trace
        try:
            sys.settrace(trace)
            with suppress(KeyboardInterrupt): list(in_turn(engine.llm, iter_slowly(2)))
        finally: sys.settrace(None)
        return lines
    engine = load(n_ctx=64)
    for line in range(1, turn(0) + 1):
        turn(line)
        assert list(in_turn(engine.llm, iter_slowly(1))) == [0], line
        assert exclusive._claims == []
    assert turn(0) > 20


# Closing

CLOSE = """
kind, moments = sys.argv[1], random.Random(int(sys.argv[2]))
for n in range(8):
    engine = load(n_ctx=2048, n_threads=2, n_threads_batch=2)
    llm, ends = engine.llm, []
    model = CompletionModel(llm) if kind == "adapter" else engine
    def work():
        try:
            while True:
                if kind == "count": model.count(LONG)
                else: ask(model, LONG + [{"role": "assistant", "content": "x"}, {"role": "user", "content": str(moments.random())}])
        except Exception as error: ends.append(error)
    threads = [threading.Thread(target=work) for _ in range(1 if n % 2 else 3)]
    for thread in threads: thread.start()
    time.sleep(0.05 + moments.random() * 0.3)
    closers = [threading.Thread(target=llm.close) for _ in range(2)]
    for thread in closers: thread.start()
    for thread in [*closers, *threads]: thread.join(60)
    print([type(error).__name__ for error in ends] == ["ModelTypeError"] * len(threads), all("load it again" in str(error) for error in ends),
        llm._ctx.ctx is None, any(thread.is_alive() for thread in threads))
"""


@pytest.mark.parametrize("kind", ("engine", "adapter", "count"))
def test_closing_in_another_thread(kind):
    assert run(CLOSE, kind, 1).splitlines() == ["True True True False"] * 8


def test_closing_within_a_step():
    "By a processor, and by a signal handler while a prompt is evaluated: the answer ends, and the memory is freed."
    code = """
for by in ("processor", "signal"):
    engine = load(n_ctx=2048, n_threads=1)
    llm = engine.llm
    def close(*what):
        llm.close()
        return what[-1]
    if by == "signal":
        signal.signal(signal.SIGALRM, lambda *what: llm.close())
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        while True: ask(engine, LONG + [{"role": "user", "content": str(random.random())}], **(dict(logits_processor=[close]) if by == "processor" else {}))
    except ModelTypeError as error: print(by, "load it again" in str(error), llm._ctx.ctx is None)
"""
    assert run(code).splitlines() == ["processor True True", "signal True True"]


@pytest.mark.parametrize("steps", range(6))
def test_closing_between_two_steps(steps):
    "Before the first step, while the prompt is evaluated, before the first word, and later."
    code = """
engine = load(n_ctx=2048)
stream = engine.stream(LONG, temperature=0)
for _ in range(int(sys.argv[1])): next(stream)
engine.llm.close()
print(engine.llm._ctx.ctx is None)
for attempt in (lambda: next(stream), lambda: ask(engine), lambda: engine.count(HELLO), lambda: engine.save_state("x"), lambda: engine.load_state("x"),
        lambda: Engine(engine.llm), lambda: ask(load(engine.llm)), lambda: CompletionModel(engine.llm), lambda: ask(CompletionModel(engine.llm))):
    try: attempt()
    except ModelTypeError as error: print("load it again" in str(error))
engine.llm.close()
"""
    assert run(code, steps).split() == ["True"] * 10


def test_a_closed_adapter():
    code = """
model = CompletionModel(load(n_ctx=512).llm)
stream = model.stream(HELLO)
next(stream)
model.llm.close()
for attempt in (lambda: next(stream), lambda: ask(model), lambda: model.count(HELLO)):
    try: attempt()
    except ModelTypeError as error: print("load it again" in str(error))
"""
    assert run(code).split() == ["True"] * 3


def test_closing_frees_at_once_what_nobody_uses():
    engine = load(n_ctx=64)
    with closing(engine.llm): text_of(engine)
    assert engine.llm._ctx.ctx is None and engine.llm._model.model is None


@pytest.mark.parametrize("threads", (1, 2))
def test_the_end_of_the_program_during_an_answer(threads):
    "A daemon's answer is cut off without a word, and without a crash."
    code = """
engine = load(n_ctx=2048, n_threads=int(sys.argv[1]), n_threads_batch=int(sys.argv[1]))
def work():
    while True: list(engine.stream(LONG, temperature=1.0))
threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
unread = load(n_ctx=512).stream(HELLO)
next(unread)
"""
    for _ in range(3): assert run(code, threads) == ""


def test_the_end_of_the_program_says_nothing():
    code = "engine = load(n_ctx=512)\nask(engine)\nstream = engine.stream(HELLO)\nnext(stream)\nother = load(n_ctx=512)\nother.llm.close()"
    done = subprocess.run([sys.executable, "-c", "from llama_nbchat import *\nHELLO = [{'role': 'user', 'content': 'Hello'}]\n"
        "def ask(model): return list(model.stream(HELLO, max_tokens=3))\n" + code], capture_output=True, text=True, cwd=package.parent, check=True)
    assert (done.stdout, done.stderr) == ("", "")


# Forking

FORK = """
import json
engine = load(n_ctx=1024, n_threads=2, n_threads_batch=2)
adapter, folder = CompletionModel(engine.llm), sys.argv[1]
alone = ask(engine)
engine.save_state(folder + "/state")
chat, unread = Chat(engine, temperature=0), engine.stream(HELLO)
if sys.argv[2] == "unread": next(unread)
child = os.fork()
if not child:
    signal.alarm(60)
    attempts = [lambda: ask(engine), lambda: engine.count(HELLO), lambda: engine.save_state(folder + "/other"), lambda: engine.load_state(folder + "/state"),
        lambda: next(unread), lambda: list(chat.stream("Hello")), lambda: ask(adapter), lambda: adapter.count(HELLO), lambda: ask(Engine(engine.llm)), lambda: ask(load(engine.llm)),
        lambda: ask(CompletionModel(engine.llm)), lambda: chat.prompt("Hello")]
    results = []
    for attempt in attempts:
        try: results.append(repr(attempt()))
        except ModelTypeError as error: results.append("load it again" in str(error))
    with warnings.catch_warnings(record=True) as caught: results += [ask(load(n_ctx=1024, n_threads=2, n_threads_batch=2)) == alone]
    results += [len(caught) == 1 and "spawn" in str(caught[0].message), ask(CompletionModel(load(n_ctx=1024).llm)) == alone]
    print(json.dumps(results), flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
unread.close()
print(status, ask(engine) == alone, list(chat.stream("Hello")) != [], flush=True)
"""


@pytest.mark.parametrize("unread", ("unread", "not begun"))
def test_the_child_of_a_fork_says_to_load_again(tmp_path, unread):
    "By each way to the model; what is loaded there works, and the parent goes on."
    child, parent = run(FORK, tmp_path, unread).splitlines()
    assert json.loads(child) == [True] * 15
    assert parent == "0 True True"
    assert not (tmp_path/"other").exists()


def test_a_llama_that_was_only_used_directly_before_the_fork():
    "The child hears of it, and it works there with one thread; a child of a parent that has not met llama.cpp has all its threads."
    code = """
from llama_nbchat.load import demo_path
used = sys.argv[1] == "used"
if used:
    import llama_cpp
    llm = llama_cpp.Llama(str(demo_path()), n_ctx=512, n_threads=2, n_threads_batch=2, verbose=False)
    llm.create_completion("Hello", max_tokens=3)
child = os.fork()
if not child:
    signal.alarm(30)
    with warnings.catch_warnings(record=True) as caught: answer = ask(Engine(llm) if used else load(n_ctx=512, n_threads=2))
    print(len(caught), answer != "", flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    assert run(code, "used").splitlines() == ["1 True", "0"]
    assert run(code, "not used").splitlines() == ["0 True", "0"]


def test_a_child_with_a_model_of_its_own_is_free():
    "A server's client, for instance, has no threads to lose; what the parent's threads were doing is not the child's."
    code = """
model = CompletionModel(ScriptedModel("one two three"))
def leave():
    global stream
    stream = model.stream(HELLO)
    next(stream)
    time.sleep(60)
threading.Thread(target=leave, daemon=True).start()
while "stream" not in globals() or stream.gi_running: time.sleep(0.01)
child = os.fork()
if not child:
    signal.alarm(30)
    print(ask(model), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
os._exit(0)
"""
    assert run(code.replace("print(os", "print(flush=True, *[os").replace("[1])\nos", "[1]])\nos")).splitlines() == ["one two three", "0"]


# Stop strings

class Naive:
    "The same by searching everything that is held with each piece."
    def __init__(self, stops): self.stops, self.held, self.stopped = [stop for stop in stops if stop], "", False

    def write(self, text):
        self.held += text
        found = [at for stop in self.stops if (at := self.held.find(stop)) >= 0]
        if found: self.held, self.stopped = self.held[:min(found)], True
        begun = [n for stop in self.stops for n in range(1, len(stop)) if self.held.endswith(stop[:n])]
        free = len(self.held) - (0 if found else max(begun, default=0))
        text, self.held = self.held[:free], self.held[free:]
        return text


def test_stop_strings_are_found_as_by_searching():
    rng, stopped = random.Random(0), 0
    for _ in range(4000):
        letters = "ab" if rng.random() < 0.6 else "abcé\n"
        some = lambda longest: "".join(rng.choices(letters, k=rng.randrange(longest + 1)))
        stops, pieces = [some(rng.choice((3, 8))) for _ in range(rng.randrange(5))], []
        for _ in range(rng.randrange(1, 25)): pieces.append(some(rng.choice((1, 4))))
        if stops and rng.random() < 0.5: pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(stops)[:rng.randrange(9)])
        naive, writer = Naive(stops), Writer(lambda token: pieces[token].encode(), stops)
        for n, piece in enumerate(pieces):
            assert writer.write(n) == naive.write(piece), (stops, pieces, n)
            assert writer.stopped == naive.stopped
            if naive.stopped: break
        stopped += naive.stopped
        assert writer.close() == naive.held
    assert 1000 < stopped < 3500


def steps(stops, pieces):
    "How many lines of the package run until these pieces are written, and what they give."
    count, usual = 0, inspect.getfile(Writer)
    def trace(frame, event, arg):
        nonlocal count
        if frame.f_code.co_filename != usual: return None
        count += event == "line"
        return trace
    try:
        sys.settrace(trace)
        writer = Writer(lambda token: pieces[token].encode(), stops)
        texts = [writer.write(token) for token in range(len(pieces))]
    finally: sys.settrace(None)
    return count, "".join(texts) + writer.close()


COSTLY = {"a long one": lambda n: (["x" * n], ["x" * 4] * (n // 8)), "one that almost comes, again and again": lambda n: (["x" * n + "y"], ["x" * 4] * (n // 2)),
    "many": lambda n: ([f"{k:06}" for k in range(n // 6)], ["0000"] * (n // 8)), "many that begin alike": lambda n: (["x" * 50 + f"{k:06}" for k in range(n // 50)], ["x" * 4] * (n // 8)),
    "periods": lambda n: (["xy" * (n // 2) + "z"], ["xyxy"] * (n // 2)), "nothing to hold back": lambda n: (["q" * n], ["xyzw"] * (n // 8))}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_stop_string_costs_its_length(kind):
    "Twice as long in all is at most about twice the work; searching anew made it four times."
    small, large = (steps(*COSTLY[kind](n)) for n in (1000, 2000))
    assert large[0] < 2.3 * small[0]
    stops, pieces = COSTLY[kind](1000)
    naive = Naive(stops)
    assert small[1] == "".join(naive.write(piece) for piece in pieces if not naive.stopped) + naive.held
