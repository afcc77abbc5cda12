"Answers that are awaited: hundreds at once, cancelled at any moment, and no thread that stays behind."
import asyncio
import contextvars
import gc
import random
import re
import subprocess
import sys
import threading
import time
import warnings
from contextlib import aclosing, suppress

import pytest

from llama_nbchat import Chat, ChatError, ChatModel, CompletionModel, Delta, GenerationError, ScriptedModel, exclusive, load
from llama_nbchat import awaited
from llama_nbchat.exclusive import Worker, in_turn

from .test_server import GOOD, says, serving, sse, status, send

COUNT = "one two three four five six seven eight"


@pytest.fixture(autouse=True)
def nothing_stays_behind():
    "No thread, no claim, no place in a line; and nothing is said to a server's log."
    gc.collect()   # what other tests have left open is no fault of these
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    latest = time.monotonic() + 30
    while (left := workers()) and time.monotonic() < latest: time.sleep(0.01)
    gc.collect()
    assert (left, awaited._lines, [claim for claim in exclusive._claims if not claim.ended()]) == ([], {}, [])


def workers(): return [thread for thread in threading.enumerate() if isinstance(thread, Worker)]


class Slow(ChatModel):
    "Says the same words again and again, in steps that take their time; one answer at a time, as an engine does."
    def __init__(self, words=None, seconds=0.002):
        self.words, self.seconds, self.asked, self.at_work = words or re.findall(" ?[a-z]+", COUNT), seconds, [], 0

    def stream(self, messages, **params):
        self.asked.append(messages)
        return in_turn(self, self._deltas())

    def _deltas(self):
        self.at_work += 1
        assert self.at_work == 1
        try:
            for word in self.words:
                time.sleep(self.seconds)
                yield Delta(word)
        finally: self.at_work -= 1


def in_order(chat):
    "Whether prompts and answers alternate."
    return [message["role"] for message in chat.messages] == ["user", "assistant"] * len(chat.messages.turns)


def test_hundreds_over_a_few_chats_and_one_model():
    "Each gets its own answer, in the order of each chat, with a few threads, while the loop stays quick."
    model = CompletionModel(ScriptedModel(*[f"answer {n} and more" for n in range(7)]))
    chats = [Chat(model) for _ in range(5)]
    most = [0]
    async def watch():
        while True:
            most[0] = max(most[0], sum(worker.deltas.gi_frame is not None for worker in workers()))
            await asyncio.sleep(0.005)
    async def work():
        watching = asyncio.create_task(watch())
        replies = await asyncio.gather(*(chats[n % 5].aprompt(f"prompt {n}") for n in range(300)))
        watching.cancel()
        return replies
    replies = asyncio.run(work())
    assert [reply.prompt for reply in replies] == [f"prompt {n}" for n in range(300)]
    for k, chat in enumerate(chats):
        assert [turn.prompt for turn in chat.messages.turns] == [f"prompt {n}" for n in range(k, 300, 5)]
        assert in_order(chat) and all(turn.text and not turn.interrupted for turn in chat.messages.turns)
    assert most[0] <= 5   # one for each chat; others are at their last line


def test_a_thousand_wait_without_a_thread():
    "Nor do they take those of the loop's own executor."
    model = Slow(["word"])
    async def work():
        chats = [Chat(model) for _ in range(1000)]
        tasks = [asyncio.create_task(chat.aprompt("Hello")) for chat in chats]
        await asyncio.sleep(0.05)
        threads = sum(worker.deltas.gi_frame is not None for worker in workers())
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 42), 20) == 42
        for task in tasks[20:]: task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        return threads, [chat for chat, reply in zip(chats, done) if isinstance(reply, asyncio.CancelledError)], done
    threads, cancelled, done = asyncio.run(work())
    assert threads <= awaited._AT_ONCE and len(cancelled) >= 900
    assert [reply.text for reply in done[:20]] == ["word"] * 20


@pytest.mark.parametrize("seed", range(6))
def test_cancelled_at_any_moment(seed):
    "Whatever is cancelled when, by whatever means: what was said is a beginning of what the model says, and the chats go on."
    rng = random.Random(seed)
    model = Slow(seconds=0.001)
    chats = [Chat(model) for _ in range(3)]
    read = []
    async def ask(chat, n):
        how = rng.choice(("task", "timeout", "aclose", "left", "whole"))
        after, most = rng.random() * 0.06, rng.randrange(10)
        if how == "whole": return await chat.aprompt(f"{n}")
        if how in ("aclose", "left"):
            pieces = chat.astream(f"{n}")
            said = []
            async for piece in pieces:
                said.append(piece)
                if len(said) >= most: break
            if how == "aclose": await pieces.aclose()
            return read.append((f"{n}", "".join(said)))
        task = asyncio.ensure_future(chat.aprompt(f"{n}"))
        if how == "timeout":
            with suppress(asyncio.TimeoutError): await asyncio.wait_for(task, after)
        else:
            await asyncio.sleep(after)
            task.cancel()
            with suppress(asyncio.CancelledError): await task
    async def work():
        await asyncio.gather(*(ask(rng.choice(chats), n) for n in range(60)))
        return [await chat.aprompt("and now?") for chat in chats]
    last = asyncio.run(work())
    assert [reply.text for reply in last] == [COUNT] * 3
    for chat in chats:
        assert in_order(chat)
        for turn in chat.messages.turns:
            assert turn.ended and COUNT.startswith(turn.text) and (turn.interrupted or turn.text == COUNT)
    said = {turn.prompt: turn.text for chat in chats for turn in chat.messages.turns}
    assert all(said.get(prompt, "").startswith(text) for prompt, text in read)


def test_what_is_kept_is_what_was_read(monkeypatch):
    "As with stream: a reader who stops reading stops the model where he is."
    monkeypatch.setattr(awaited, "_PATIENCE", 60)
    async def work(most):
        chat = Chat(ScriptedModel(COUNT))
        async with aclosing(chat.astream("Count")) as pieces:
            said = []
            async for piece in pieces:
                said.append(piece)
                if len(said) == most: break
        assert "".join(said) == chat.last.text and chat.last.interrupted == (most < 9)
    for most in range(1, 10): asyncio.run(work(most))


def test_a_reader_who_is_away_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(awaited, "_PATIENCE", 0.05)
    model = Slow()
    async def work():
        one, other = Chat(model), Chat(model)
        pieces = one.astream("Count")
        first = await pieces.__anext__()
        assert (await asyncio.wait_for(other.aprompt("Hello"), 30)).text == COUNT
        assert one.last.text == COUNT and first + "".join([piece async for piece in pieces]) == COUNT
    asyncio.run(work())


def test_stops_within_a_step():
    model = Slow(["tick "] * 100_000, seconds=0.01)
    async def work():
        chat = Chat(model)
        with pytest.raises(asyncio.TimeoutError): await asyncio.wait_for(chat.aprompt("Hello"), 0.2)
        assert chat.last.interrupted and not model.at_work   # when it is raised, and not only later
        assert not workers()
    asyncio.run(work())


def test_cancelled_again_while_it_stops(monkeypatch):
    "A loop that cancels again and again need not wait for the step; the next prompt does."
    monkeypatch.setattr(awaited, "_PATIENCE", 60)
    model = Slow(["a", " b"], seconds=0.5)
    async def work():
        chat = Chat(model)
        task = asyncio.create_task(chat.aprompt("Hello"))
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError): await task
        assert model.at_work   # still in its step
        assert (await chat.aprompt("And now?")).text == "a b"
        assert in_order(chat) and time.monotonic() - begin > 1
    asyncio.run(work())


def test_the_engine_stops_while_it_reads():
    "A long prompt is given up between two batches, and what follows finds the model in order."
    engine = load(n_ctx=4096, n_batch=32)
    async def work():
        chat = Chat(engine, temperature=0)
        alone = (await chat.aprompt("Only the gas giants")).text
        chat.clear()
        for after in (0.0, 0.003, 0.01, 0.03, 0.1):
            with suppress(asyncio.TimeoutError): await asyncio.wait_for(chat.aprompt("Name the planets. " * 300), after)
        chat.clear()
        assert (await chat.aprompt("Only the gas giants")).text == alone
    asyncio.run(work())


def test_errors_are_the_same():
    for script in ([OSError("gone")], ["Once", OSError("gone")], ["Once", ChatError("mine")], ["Once", ValueError("bad")]):
        said = []
        for ask in (lambda chat: "".join(chat.stream("Hello")), lambda chat: asyncio.run(chat.aprompt("Hello")), lambda chat: asyncio.run(joined(chat))):
            chat = Chat(ScriptedModel(script))
            with pytest.raises(ChatError) as error: ask(chat)
            said.append((type(error.value), str(error.value), repr(error.value.__cause__), chat.last and chat.last.text, len(chat.messages)))
        assert said[0] == said[1] == said[2]


async def joined(chat): return "".join([piece async for piece in chat.astream("Hello")])


def test_watchers_see_the_context_of_who_asked():
    name, seen = contextvars.ContextVar("name"), set()
    async def ask(chat, who):
        name.set(who)
        return await chat.aprompt("Hello")
    async def work():
        chats = [Chat(ScriptedModel("one two")) for _ in range(3)]
        for n, chat in enumerate(chats): chat.watchers.append(lambda reply, delta, n=n: seen.add((n, name.get())))
        await asyncio.gather(*(ask(chat, n) for n, chat in enumerate(chats)))
    asyncio.run(work())
    assert seen == {(0, 0), (1, 1), (2, 2)}


def test_two_loops_and_a_thread():
    "They share a model and a chat; the chat refuses, or lets wait, and loses nothing."
    model = Slow(seconds=0.001)
    shared = Chat(model)
    async def work(): return await asyncio.gather(*(shared.aprompt("Hello") for _ in range(10)), *(Chat(model).aprompt("Hello") for _ in range(5)))
    results = []
    threads = [threading.Thread(target=lambda: results.extend(asyncio.run(work()))) for _ in range(2)]
    for thread in threads: thread.start()
    own = [Chat(model) for _ in range(5)]
    texts = ["".join(chat.stream("Hello")) for chat in own]
    for thread in threads: thread.join(60)
    assert [reply.text for reply in results] == [COUNT] * 30 and texts == [COUNT] * 5
    assert len(shared.messages.turns) == 20 and in_order(shared)


def test_a_loop_that_is_closed_under_it(monkeypatch):
    monkeypatch.setattr(awaited, "_PATIENCE", 0.05)
    model = Slow(["tick "] * 100_000)
    chat = Chat(model)
    loop = asyncio.new_event_loop()
    pieces = chat.astream("Hello")
    assert loop.run_until_complete(pieces.__anext__()) == "tick "
    waiting = loop.create_task(chat.aprompt("And?"))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    latest = time.monotonic() + 30
    while workers() and time.monotonic() < latest: time.sleep(0.01)
    waiting._log_destroy_pending = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del waiting, pieces
        gc.collect()
    assert not model.at_work and chat.last.interrupted
    model.words = ["fine"]
    assert asyncio.run(chat.aprompt("How are you?")).text == "fine"


def test_what_is_being_answered_is_not_taken_away(monkeypatch):
    "A later cell may not close what a thread is reading, although the generator rests between two of its steps."
    monkeypatch.setattr(awaited, "_PATIENCE", 60)
    async def work():
        chat = Chat(Slow())
        pieces = chat.astream("Hello")
        first = await pieces.__anext__()
        chat._claim.cell = -1   # as if it had been asked in another cell
        assert not chat._claim.running()
        for change in (chat.undo, chat.clear, lambda: chat.prompt("And?")):
            with pytest.raises(ChatError, match="still answering an earlier prompt: await that answer"): change()
        assert first + "".join([piece async for piece in pieces]) == COUNT
    asyncio.run(work())


def test_who_waits_for_somebody_elses_stream_can_be_cancelled(monkeypatch):
    "And no thread waits on in his place, although the stream is never read on."
    monkeypatch.setattr(exclusive, "_PATIENCE", 60)   # of the warning
    model = Slow()
    stream = Chat(model).stream("Hello")
    next(stream)
    async def work():
        chat = Chat(model)
        with pytest.raises(asyncio.TimeoutError): await asyncio.wait_for(chat.aprompt("Hello"), 0.2)
        latest = time.monotonic() + 30
        while workers() and time.monotonic() < latest: await asyncio.sleep(0.01)
        assert not workers() and len(exclusive._claims) == 1 and not chat.messages
    asyncio.run(work())
    stream.close()


# A server

def drip(handler, request):
    "Words without end, until nobody listens."
    handler.begin("")
    try:
        for n in range(100_000):
            handler.wfile.write(sse(says(f"{n} "), end=False).encode())
            handler.wfile.flush()
            time.sleep(0.005)
    except OSError: handler.server.closed.set()
    return ...


def test_a_server_answers_many_at_once():
    def answer(handler, request):
        time.sleep(0.2)
        handler.begin(GOOD)
        return ...
    with serving(answer) as server:
        model = load(server.address)
        async def work():
            begin = time.monotonic()
            replies = await asyncio.gather(*(Chat(model).aprompt("Hello") for _ in range(12)))
            return replies, time.monotonic() - begin
        replies, seconds = asyncio.run(work())
    assert [reply.text for reply in replies] == ["Hello there"] * 12 and seconds < 12 * 0.2


def test_a_server_hears_that_nobody_listens():
    with serving(drip) as server:
        async def work():
            chat = Chat(server.address)
            with pytest.raises(asyncio.TimeoutError): await asyncio.wait_for(chat.aprompt("Count"), 0.5)
            assert chat.last.interrupted and chat.last.text.startswith("0 1 2")
        asyncio.run(work())
        assert server.closed.wait(10)


def test_a_busy_server_is_not_waited_for():
    with serving(send(*status(429, Retry_After="30"))) as server:
        async def work():
            chat = Chat(server.address)
            begin = time.monotonic()
            with pytest.raises(asyncio.TimeoutError): await asyncio.wait_for(chat.aprompt("Count"), 0.5)
            assert all(worker.ended for worker in workers()) and time.monotonic() - begin < 20   # they are at their last line
        asyncio.run(work())


@pytest.mark.parametrize("way", (send(*status(401)), send(*status(500, "out of memory"))))
def test_errors_of_a_server(way):
    with serving(way) as server:
        chat = Chat(server.address)
        with pytest.raises(GenerationError) as error: list(chat.stream("Hello"))
        with pytest.raises(GenerationError) as same: asyncio.run(chat.aprompt("Hello"))
    assert str(error.value) == str(same.value)


# Programs

def run(code, seconds=60):
    "What a program prints; it may neither fail nor hang."
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error::RuntimeWarning", "-c", "import asyncio, os, signal, threading, time\nfrom llama_nbchat import *\n" + code],
        capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr


def test_nothing_is_shown():
    assert run("asyncio.run(Chat(ScriptedModel('Hello there')).aprompt('Hello?'))") == ("", "")


def test_control_c_ends_a_program():
    out, err = run("""
chat = Chat(load(n_ctx=2048), temperature=0, max_tokens=100_000, stop=[])
signal.signal(signal.SIGINT, signal.default_int_handler)
async def work():
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True: await chat.aprompt("Name the planets")
try: asyncio.run(work())
except KeyboardInterrupt: print("stopped", len(chat.messages) % 2, chat.last is None or chat.last.ended)
""")
    assert out == "stopped 0 True\n"


def test_a_program_ends_in_the_middle():
    "By an error beside the answer, or because nobody waits for it."
    out, err = run("""
chat = Chat(load(n_ctx=2048), temperature=0)
async def work():
    task = asyncio.create_task(chat.aprompt("Name the planets"))
    async for piece in chat.fork().astream("Sort them"): break
    await asyncio.sleep(0.05)
asyncio.run(work())
print("ended")
""")
    assert out == "ended\n"


def test_what_is_asked_in_a_thread_replaces_nothing(monkeypatch):
    "Not even if the same cell, or another one, runs again meanwhile. Tasks are tried in a kernel."
    runs = iter(range(1000))
    monkeypatch.setattr("llama_nbchat.chat.cell_run", lambda in_task: ("cell", next(runs)))
    chat = Chat(ScriptedModel("Hello"))
    list(chat.stream("0"))
    async def work(): await chat.aprompt("2")
    for ask in (lambda: list(chat.stream("1")), lambda: asyncio.run(work())):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert [turn.prompt for turn in chat.messages.turns] == list("012")
    list(chat.stream("3"))   # this one is of a cell, in the place of the first
    assert [turn.prompt for turn in chat.messages.turns] == list("3")


def test_advice():
    chat = Chat(ScriptedModel("Hello"))
    for name, line in {"ask_async": 'await chat.aprompt("...")', "ainvoke": 'await chat.aprompt("...")', "stream_async": 'async for piece in chat.astream("...")'}.items():
        with pytest.raises(ChatError) as error: getattr(chat, name)
        assert line in str(error.value)
    async def misused(kind):
        if kind == "await chat": await chat
        if kind == "await reply": await chat("Hello")
        if kind == "await stream": await chat.astream("Hello")
        if kind == "async for reply": [piece async for piece in chat("Hello")]
        if kind == "async for stream": [piece async for piece in chat.stream("Hello")]
        if kind == "for": list(chat.astream("Hello"))
        if kind == "close": chat.astream("Hello").close()
    for kind, line in {"await chat": "await chat.aprompt(", "await reply": "await chat.aprompt(", "await stream": "await chat.aprompt(", "async for reply": "async for piece in chat.astream(",
            "async for stream": "async for piece in chat.astream(", "for": "async for piece in chat.astream(", "close": "await stream.aclose()"}.items():
        with pytest.raises(ChatError) as error: asyncio.run(misused(kind))
        assert line in str(error.value)
