"""What the chat costs beyond llama.cpp itself. All competitors take turns in one run; what counts are the ratios.

`python -m tools.benchmarks [name ...]` runs all benchmarks or those named, prints the table and writes tools/benchmarks/results.json. The models, of random
weights and real shapes, are made into a cache folder on first use (1 GB).
"""
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from IPython.display import Markdown, clear_output, display
from llama_cpp import Llama

from tools.benchmarks.random_model import STYLES, make
from llama_nbchat import Chat, load

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home()/".cache"))/"llama_nbchat"/"benchmarks"
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
WORDS = ("abbe acco adda aeef agga ahhi ajjo akka alle ammo anna appo arra asse atta avvo azza babo caca dede fifi gogo huhu jaja kiki "
    "lolo mumu nana pepe riri soso tutu").split()
median = statistics.median


def model(shape, n_ctx, style="chatml", **settings):
    "A random model, made if it is not there yet."
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE/f"{shape}-{style}.gguf"
    if not path.exists(): make(path, shape, style)
    return Llama(str(path), n_ctx=n_ctx, n_threads=THREADS, n_threads_batch=THREADS, verbose=False, **settings)


def text_of(llm, tokens, salt=""):
    "A text of about so many tokens."
    words, n = [salt], 0
    while len(llm.tokenize(" ".join(words).encode(), add_bos=False)) < tokens: words += WORDS[n % 32:][:8]; n += 5
    return " ".join(words)


def said(text): return [{"role": "user", "content": text}]


# Ways to get the tokens of a reply: each takes a fresh prompt, and calls `tick` after each token.

def bare(llm, prompt, tokens, tick):
    "The loop of llama-cpp-python: tokens, no text."
    ids = llm.tokenize(f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n".encode(), add_bos=False, special=True)
    for _, n in zip(llm.generate(ids, temp=0.0), range(tokens)): tick()


class Ticking:
    "A chat model that tells of each delta, and otherwise is the engine."
    def __init__(self, engine, tick): self.engine, self.tick, self.name, self.n_ctx, self.can = engine, tick, engine.name, engine.n_ctx, engine.can
    def count(self, messages): return self.engine.count(messages)

    def stream(self, messages, **params):
        for delta in self.engine.stream(messages, **params):
            if delta.text: self.tick()
            yield delta


def through_chat(llm, prompt, tokens, tick):
    "The whole way, to the screen of a terminal."
    chat = Chat(load(llm), temperature=0, max_tokens=tokens)
    chat.model = Ticking(chat.model, tick)
    with contextlib.redirect_stdout(io.StringIO()): chat(prompt)


def completion(llm, prompt, tokens, tick):
    for chunk in llm.create_chat_completion(said(prompt), stream=True, temperature=0, max_tokens=tokens):
        if chunk["choices"][0]["delta"].get("content"): tick()


def as_in_the_article(llm, prompt, tokens, tick):
    "The whole text is sent to the screen again with each piece."
    text = ""
    with contextlib.redirect_stdout(io.StringIO()):
        for chunk in llm.create_chat_completion(said(prompt), stream=True, temperature=0, max_tokens=tokens):
            if piece := chunk["choices"][0]["delta"].get("content"):
                text += piece
                clear_output(wait=True)
                display(Markdown(text))
                tick()


def token_times(llm, tokens, rounds, ways):
    "Milliseconds per token in each eighth of a reply, for each way, round by round; each round begins with another way."
    found = {way.__name__: [] for way in ways}
    for n in range(rounds):
        for way in ways[n % len(ways):] + ways[:n % len(ways)]:
            ticks, prompt = [], f"{n} {way.__name__} {' '.join(WORDS)}"
            way(llm, prompt, tokens, lambda: ticks.append(time.perf_counter()))
            size = (len(ticks) - 1) / 8
            marks = [ticks[round(eighth * size)] for eighth in range(9)]
            found[way.__name__].append([1000 * (b - a) / size for a, b in zip(marks, marks[1:])])
    return found


def speed(shape, tokens, rounds, n_ctx):
    "Each way beside the bare loop of the same round: a machine that gets slower meanwhile does so for both."
    llm = model(shape, n_ctx)
    near = token_times(llm, tokens, rounds, (bare, through_chat))
    far = token_times(llm, tokens, 2, (bare, completion, as_in_the_article))   # so slow that two rounds tell
    def paired(runs, of): return {name: median(map(lambda way, loop: of(way) / of(loop), runs[name], runs["bare"])) for name in runs}
    return dict(ms={name: median(map(statistics.mean, runs)) for name, runs in (far | near).items()},
        eighths={name: [median(column) for column in zip(*runs)] for name, runs in (far | near).items()},
        ratio=paired(far, statistics.mean) | paired(near, statistics.mean),
        ratio_in_the_last_eighth=paired(near, lambda eighths: eighths[-1]))


def tiny_speed(): return speed("tiny", 2400, 16, 4096)
def big_speed(): return speed("1B", 256, 4, 1024)


# Nothing is evaluated twice.

MARKS = {"llama2": " </s><s>[INST] {} [/INST]", "chatml": "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"}


def evaluated():
    "For each style and way to end: the prompt tokens evaluated in the turns 2 to 10, and the tokens that are new."
    rows = {}
    for style in STYLES:
        engine = load(model("tiny", 4096, style))
        for end, params in (("max_tokens", dict(max_tokens=24)), ("stop", dict(max_tokens=80, stop=["j"]))):
            rows[f"{style}, {end}"] = _turns(engine, MARKS[style], params)
    rows["demo model, llama2"] = _turns(load(n_ctx=2048), "</s><s>[INST] {} [/INST]", dict(max_tokens=200))
    return rows


def _turns(engine, marks, params):
    chat, counted, new, rest, cut = Chat(engine, temperature=0, **params), [], [], "", False
    for n in range(10):
        question = ("Name the planets", "Reverse the list", "How many moons has Mars?")[n % 3] + " please" * (n // 3)
        with contextlib.redirect_stdout(io.StringIO()): reply = chat.prompt(question)
        counted.append(reply.usage.evaluated_tokens)
        unseen = cut                                   # the last token was chosen, but not evaluated
        new.append(len(engine.decoder.tokenize(rest + marks.format(question), special=True, begins=False)) + unseen)
        cut = reply.finish_reason == "length"
        rest = reply.text[list(engine.transcripts.known.values())[-1][0]:].rstrip()   # what a stop string has left of a token
    return dict(evaluated=counted[1:], new=new[1:])


# Time to the first token.

def first_token(chat, text):
    with contextlib.redirect_stdout(io.StringIO()): return chat.prompt(text, max_tokens=4).timings.time_to_first_token


def alternating(rounds=5):
    "Seconds to the first token of a short turn, in a chat of 1,000 tokens: alone, and in turns with another such chat."
    llm, times = model("1B", 2048), {"alone": [], "in turns": []}
    chats = [Chat(load(llm), temperature=0) for _ in range(2)]
    for n, chat in enumerate(chats): first_token(chat, text_of(llm, 1000, f"chat {n}"))
    for n in range(rounds):
        first_token(chats[0], WORDS[n])                           # brings its state back, if need be
        times["alone"].append(first_token(chats[0], WORDS[n]))
        first_token(chats[1], WORDS[n])
        times["in turns"].append(first_token(chats[0], WORDS[n]))
    return dict(seconds=times, ratio=median(times["in turns"]) / median(times["alone"]))


def restarted(rounds=3):
    "The same after the state was saved, the process restarted, and the state loaded."
    llm, folder = model("1B", 2048), Path(tempfile.mkdtemp())
    chat, times = Chat(load(llm), temperature=0), {"alone": [], "restarted": [], "loading": []}
    first_token(chat, text_of(llm, 1000, "restarted"))
    for n in range(rounds):
        times["alone"].append(first_token(chat, WORDS[n]))
        chat.model.save_state(folder/"state")
        (folder/"messages.json").write_text(json.dumps(chat.messages.get_messages()))
        found = subprocess.run([sys.executable, "-m", "tools.benchmarks", "--again", str(folder), WORDS[n]], capture_output=True, check=True, text=True)
        loading, seconds = json.loads(found.stdout.splitlines()[-1])
        times["loading"].append(loading)
        times["restarted"].append(seconds)
    return dict(seconds=times, ratio=median(times["restarted"]) / median(times["alone"]), bytes=(folder/"state").stat().st_size)


def again(folder, text):
    "What the restarted process does: loading the state, and one turn."
    chat = Chat(load(model("1B", 2048)), temperature=0)
    chat.messages = json.loads((Path(folder)/"messages.json").read_text())
    start = time.perf_counter()
    chat.model.load_state(Path(folder)/"state")
    loading = time.perf_counter() - start
    print(json.dumps([loading, first_token(chat, text)]))


# Memory and prefill.

def forks(budget=300_000_000):
    "Bytes held by the states of 20 forks of a chat of 1,000 tokens."
    llm = model("1B", 2048)
    engine = load(llm, cache_bytes=budget)
    begin = said(text_of(llm, 1000, "forks"))
    held = []
    for n in range(20):
        list(engine.stream([*begin, {"role": "assistant", "content": "yes"}, *said(f"fork {n} " + " ".join(WORDS))], max_tokens=2))
        held.append(engine.states.bytes())
    return dict(budget=budget, held=held, one_state=engine.decoder.size())


def prefill(rounds=3):
    "Seconds to evaluate 1,000 tokens: in pieces with progress, and by `Llama.eval` in batches of 512."
    llm, times = model("1B", 2048), {"with progress": [], "eval": []}
    engine, pieces = load(llm), []
    for n in range(rounds):
        tokens = llm.tokenize(text_of(llm, 1000, f"prefill {n}").encode(), add_bos=False)[:1000]
        engine.decoder.begin()
        engine.decoder.trim(0)
        start = time.perf_counter()
        pieces.append(sum(1 for _ in engine._prefill(tokens)))
        times["with progress"].append(time.perf_counter() - start)
        engine.decoder.trim(0)
        llm.reset()
        start = time.perf_counter()
        llm.eval(tokens)
        times["eval"].append(time.perf_counter() - start)
        llm.n_tokens = 0
    return dict(seconds=times, pieces=pieces, ratio=median(times["with progress"]) / median(times["eval"]))


# What a turn costs besides.

class Timed:
    "llama.cpp's library; how long its two expensive functions take is summed up."
    def __init__(self, lib): self.lib, self.seconds = lib, 0.0
    def __getattr__(self, name): return getattr(self.lib, name)
    def llama_decode(self, *args): return self._timed(self.lib.llama_decode, args)
    def llama_sampler_sample(self, *args): return self._timed(self.lib.llama_sampler_sample, args)

    def _timed(self, function, args):
        start = time.perf_counter()
        try: return function(*args)
        finally: self.seconds += time.perf_counter() - start


def age(turns=1000, n_ctx=8192):
    "Milliseconds of a turn outside of llama.cpp's decoding, early and late in a conversation that outgrows its window."
    chat = Chat(load(model("tiny", n_ctx)), temperature=0, max_tokens=2, footer=False)
    lib = chat.model.decoder.lib = Timed(chat.model.decoder.lib)
    cost = []
    for n in range(turns):
        lib.seconds, start = 0.0, time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()): chat.prompt(f"question {n}")
        cost.append(1000 * (time.perf_counter() - start - lib.seconds))
    at = {n: median(cost[n - 10:n]) for n in (20, 100, 300, turns)}
    return dict(ms=at, prompt_tokens=chat.last.usage.prompt_tokens, ratio=at[turns] / at[20])


# What an answer costs that is held to a schema.

OBJECTS = {"type": "array", "minItems": 8, "items": {"type": "object", "required": ["name", "about", "legs"], "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "about": {"type": "string"}, "legs": {"type": "integer"}}}}


def mask(tokens=120, rounds=12):
    "Milliseconds of a token of SmolLM2, free and held to a schema, on the clock and of work: answers of one length, in pairs."
    engine, schema = load("smollm2"), {"schema": OBJECTS}
    found = {"free": [], "held": []}
    for n in range(rounds + 1):
        for way in (("free", "held"), ("held", "free"))[n % 2]:
            marks, params = [], schema if way == "held" else {}
            for delta in engine.stream(said(f"Write a long story about {n + 2} herons."), temperature=0.0, max_tokens=tokens + 60, **params):
                if delta.usage and delta.usage.completion_tokens: marks.append((delta.usage.completion_tokens, time.perf_counter(), time.process_time()))
                if marks and marks[-1][0] >= tokens: break
            (first, *begin), (last, *end) = marks[0], marks[-1]
            assert last == tokens, f"an answer of {last} tokens is no measure"
            if n: found[way].append([1000 * (b - a) / (last - first) for a, b in zip(begin, end)])   # the first round warms up
    clock, work = (median(held[n] / free[n] for held, free in zip(found["held"], found["free"])) for n in (0, 1))
    return dict(ms={way: [median(column) for column in zip(*rows)] for way, rows in found.items()}, ratio=clock, ratio_of_work=work)


BENCHMARKS = tiny_speed, big_speed, evaluated, alternating, restarted, forks, prefill, age, mask


def main(names):
    path = Path(__file__).with_name("results.json")
    results = json.loads(path.read_text()) if path.exists() else {}
    for benchmark in BENCHMARKS:
        if names and benchmark.__name__ not in names: continue
        results[benchmark.__name__] = benchmark()
        print(benchmark.__name__, json.dumps(results[benchmark.__name__], indent=1), flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__": again(*sys.argv[2:]) if sys.argv[1:2] == ["--again"] else main(sys.argv[1:])
