"""Model files taken apart and put together again with anything in them: what a header may say, and must not break.

`python -m tests.model_files FOLDER` loads thousands of them, each in a process of its own, and tells which one dies.
"""
import math
import os
import random
import resource
import signal
import struct
import sys
import time
from itertools import chain
from pathlib import Path

TYPES = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64"]
CODES = dict(u8="B", i8="b", u16="H", i16="h", u32="I", i32="i", f32="f", bool="B", u64="Q", i64="q", f64="d")
SIZES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 20: (32, 18),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2), 39: (32, 17)}   # values and bytes of a block, by type


def text(value):
    "A string as it stands in a file."
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def plain(kind, value):
    "A value as it stands in a file, without its type."
    if kind == "str": return text(value)
    if kind != "arr": return struct.pack("<" + CODES[kind], value)
    inner, items = value
    start = struct.pack("<IQ", TYPES.index(inner), len(items))
    if inner in CODES: return start + struct.pack(f"<{len(items)}{CODES[inner]}", *items)
    return start + b"".join(plain(inner, item) for item in items)


class Parts:
    "A model file: `keys` (name: (type, value), or bytes as they are), `tensors` ([name, shape, type, offset]), `data`."
    def __init__(self, path):
        self.content, self.at = Path(path).read_bytes(), 4
        self.version, n_tensors, n_keys = (self._take(code) for code in "IQQ")
        self.keys = {self._text().decode(): self._value(TYPES[self._take("I")]) for _ in range(n_keys)}
        self.tensors = [self._tensor() for _ in range(n_tensors)]
        self.alignment = self.keys.get("general.alignment", (0, 32))[1]
        self.data = self.content[-(-self.at // self.alignment) * self.alignment:]
        self.counts = None   # of tensors and keys, if they are to be told otherwise

    def _take(self, code):
        value, = struct.unpack_from("<" + code, self.content, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def _text(self):
        size = self._take("Q")
        self.at += size
        return self.content[self.at - size:self.at]

    def _value(self, kind):
        if kind == "str": return kind, self._text()
        if kind != "arr": return kind, self._take(CODES[kind])
        inner, count = TYPES[self._take("I")], self._take("Q")
        return kind, (inner, [self._value(inner)[1] for _ in range(count)])

    def _tensor(self):
        name = self._text()
        shape = [self._take("Q") for _ in range(self._take("I"))]
        return [name, shape, self._take("I"), self._take("Q")]

    def keys_as_bytes(self):
        for name, value in self.keys.items():
            if isinstance(value, bytes): yield value
            else: yield text(name) + struct.pack("<I", TYPES.index(value[0])) + plain(*value)

    def as_bytes(self):
        counts = self.counts or (len(self.tensors), len(self.keys))
        head = b"GGUF" + struct.pack("<IQQ", self.version, *counts) + b"".join(self.keys_as_bytes())
        for name, shape, kind, offset in self.tensors:
            head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        return head + bytes(-len(head) % (self.alignment or 1)) + self.data

    def tensor_data(self, tensor):
        "The bytes of one tensor."
        (values, size), count = SIZES[tensor[2]], math.prod(tensor[1])
        return self.data[tensor[3]:tensor[3] + count // values * size]

    def changed(self, **changes):
        "The file as bytes with other attributes; keys that are set to None are left out."
        before = dict(self.__dict__)
        try:
            self.__dict__.update(changes)
            self.keys = {name: value for name, value in self.keys.items() if value is not None}
            return self.as_bytes()
        finally: self.__dict__ = before

    def laid_out(self, tensors):
        "The attributes for tensors that lie one behind the other: [name, shape, type, bytes] each."
        placed, data = [], b""
        for name, shape, kind, content in tensors:
            placed.append([name, shape, kind, len(data)])
            data += content + bytes(-len(content) % self.alignment)
        return dict(tensors=placed, data=data)

    def with_data(self): return [[*tensor[:3], self.tensor_data(tensor)] for tensor in self.tensors]

    def stored_as(self, n, kind):
        "The file as bytes with one tensor of another type, all its values zero or nearly so."
        tensors, (values, size) = self.with_data(), SIZES[kind]
        tensors[n][2:] = kind, bytes(math.prod(tensors[n][1]) // values * size)
        return self.changed(**self.laid_out(tensors))

    def without(self, name):
        "The file as bytes without one tensor."
        return self.changed(**self.laid_out([tensor for tensor in self.with_data() if tensor[0] != name]))

    def with_key(self, name, kind, value): return self.changed(keys={**self.keys, name: (kind, value)})

    def split(self, folder, name, parts):
        "Writes the tensors into so many files, the keys into the first; returns their paths."
        step, paths = -(-len(self.tensors) // parts), []
        for part in range(parts):
            tensors = self.laid_out(self.with_data()[part * step:(part + 1) * step])
            keys = {**(self.keys if part == 0 else {}), "split.no": ("u16", part), "split.count": ("u16", parts),
                "split.tensors.count": ("i32", len(self.tensors))}
            paths.append(Path(folder) / f"{name}-{part + 1:05}-of-{parts:05}.gguf")
            paths[-1].write_bytes(self.changed(keys=keys, **tensors))
        return paths


INTEGERS = [0, 1, 2, 3, 5, 7, 64, 255, 256, 512, 513, 1023, 1025, 10_000, 2**20, 2**31 - 1, 2**31, 2**32 - 1]
FLOATS = [math.nan, 0.0, -0.0, -1.0, math.inf, -math.inf, 1e38, 1e-45, 1.0, 3e-39]
TEXTS = ["", "x", "llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "test", "none", "no_vocab", "gemma4", "\x00", b"\xff",
    "x" * 100_000, "whitespace", "hybriddna", "yarn", "unspecified"]
WIDTHS = dict(u8=8, u16=16, u32=32, u64=64, i8=7, i16=15, i32=31, i64=63)


def values(kind, value):
    "What a header may say in the place of a value: (what it is called, type, value)."
    if kind in WIDTHS:
        near = [value + 1, value - 1, value * 2, value // 2, value * 3]
        for other in dict.fromkeys([*INTEGERS, *near]):
            if other != value and 0 <= other < 2**WIDTHS[kind]: yield f"{other}", kind, other
        for other in ("u8", "u16", "u64", "i32", "i64"):
            if other != kind and value < 2**WIDTHS[other]: yield f"{value} as {other}", other, value
        yield "as f32", "f32", float(value)
        yield "as str", "str", str(value)
        for count in (0, 1, 2, 8, 600): yield f"array of {count}", "arr", (kind, [value] * count)
        yield "array of zeros", "arr", (kind, [0] * 8)
    elif kind in ("f32", "f64"):
        for other in FLOATS: yield f"{other}", kind, other
        yield "as i32", "i32", int(value)
        yield "as f64", "f64", value
        yield "as array", "arr", (kind, [value])
    elif kind == "bool":
        for other in (0, 1, 2, 255): yield f"{other}", kind, other
        yield "as u32", "u32", value
    elif kind == "str":
        for other in TEXTS: yield f"{other[:9]!r}", kind, other
        yield "as u32", "u32", 1
        yield "as array", "arr", ("str", [value])
    else:
        yield from arrays(*value)


def arrays(inner, items):
    "The same for an array."
    yield "empty", "arr", (inner, [])
    yield "short", "arr", (inner, items[:-1])
    yield "half", "arr", (inner, items[:len(items) // 2])
    yield "long", "arr", (inner, items + items[-1:])
    yield "much longer", "arr", (inner, items * 2)
    yield "reversed", "arr", (inner, items[::-1])
    yield "all the same", "arr", (inner, items[:1] * len(items))
    yield "as u32", "u32", len(items)
    if inner == "str":
        yield "numbers", "arr", ("i32", list(range(len(items))))
        yield "all empty", "arr", (inner, [b""] * len(items))
        yield "numbered", "arr", (inner, [b"<%d>" % n for n in range(len(items))])
        for kind, start in (("bytes", b"<0x"), ("spaces", "\u2581".encode()), ("markers", b"<"), ("G", "\u0120".encode())):
            yield f"without {kind}", "arr", (inner, [b"<%d>" % n if item.startswith(start) else item for n, item in enumerate(items)])
        for bad in (b"\xff\xfe", b"\xc3", b"\x00", b" ", b"a b c", b"\xed\xa0\xbd", b"\xf8\x88\x80\x80\x80"):
            yield f"one {bad}", "arr", (inner, [*items[:-1], bad])
        yield "not utf-8", "arr", (inner, [b"\xff\xfe%d" % n for n in range(len(items))])
        yield "long ones", "arr", (inner, [b"%06d" % n * 50 for n in range(len(items))])
    elif inner == "i32":
        for other in (0, 2, 3, 4, 5, 6, 7, -1, 2**31 - 1): yield f"all {other}", "arr", (inner, [other] * len(items))
    elif inner == "f32":
        for other in (0., -1., math.nan, math.inf, -math.inf): yield f"all {other}", "arr", (inner, [other] * len(items))
        yield "as i32", "arr", ("i32", [0] * len(items))


EXTRA = [("attention.key_length", "u32", 32), ("attention.value_length", "u32", 32), ("expert_count", "u32", 8),
    ("expert_used_count", "u32", 2), ("expert_group_count", "u32", 2), ("expert_group_used_count", "u32", 1),
    ("attention.sliding_window", "u32", 64), ("attention.sliding_window_pattern", "u32", 2), ("pooling_type", "u32", 1),
    ("attention.causal", "bool", 0), ("rope.scaling.type", "str", "yarn"), ("rope.scaling.factor", "f32", 2.0),
    ("rope.scaling.original_context_length", "u32", 512), ("rope.scaling.attn_factor", "f32", 1.0),
    ("rope.freq_base", "f32", 10000.0), ("rope.scale_linear", "f32", 1.0), ("attention.layer_norm_epsilon", "f32", 1e-5),
    ("rope.dimension_count", "u32", 32), ("attention.scale", "f32", 1.0), ("nextn_predict_layers", "u32", 1),
    ("embedding_length_out", "u32", 160), ("logit_scale", "f32", 1.0), ("attention.max_alibi_bias", "f32", 8.0),
    ("rope.scaling.alpha", "f32", 1.0), ("attn_logit_softcapping", "f32", 50.0), ("attention.clamp_kqv", "f32", 1.0),
    ("rope.scaling.yarn_log_multiplier", "f32", 0.1), ("attention.key_length_swa", "u32", 32), ("embedding_scale", "f32", 1.0),
    ("residual_scale", "f32", 1.0), ("vocab_size", "u32", 1024), ("decoder_start_token_id", "u32", 0),
    ("classifier.output_labels", "arr", ("str", [b"a", b"b"]))]
TOKENIZER = [("bos_token_id", "u32", 0), ("eos_token_id", "u32", 1), ("unknown_token_id", "u32", 0), ("padding_token_id", "u32", 0),
    ("eot_token_id", "u32", 1), ("add_bos_token", "bool", 1), ("add_eos_token", "bool", 1), ("add_space_prefix", "bool", 1),
    ("pre", "str", "llama-bpe"), ("remove_extra_whitespaces", "bool", 1), ("token_type_count", "u32", 2),
    ("precompiled_charsmap", "arr", ("i8", [0] * 8)), ("scores", "arr", ("f32", [0.0] * 1024))]


def mutants(parts):
    "All the headers that say something else: (what is changed, the file as bytes)."
    architecture = parts.keys["general.architecture"][1].decode()
    extra = [(f"{architecture}.{name}", kind, value) for name, kind, value in EXTRA]
    extra += [(f"tokenizer.ggml.{name}", kind, value) for name, kind, value in TOKENIZER]
    known = [(name, *value) for name, value in parts.keys.items()]
    for name, kind, value in [*known, *(key for key in extra if key[0] not in parts.keys)]:
        if name in parts.keys: yield f"{name}: none", parts.changed(keys={**parts.keys, name: None})
        else: yield f"{name}: new", parts.with_key(name, kind, value)
        for what, other, content in values(kind, value): yield f"{name}: {what}", parts.with_key(name, other, content)
    yield from tensor_mutants(parts)


def tensor_mutants(parts):
    "Tensors that are something else than they say."
    by_kind = {}
    for n, tensor in enumerate(parts.tensors): by_kind.setdefault(b".".join(tensor[0].split(b".")[-2:]), n)
    for n in by_kind.values():
        name, shape, kind, offset = parts.tensors[n]
        def changed(what, *tensor):
            return f"{name.decode()}: {what}", parts.changed(tensors=[*parts.tensors[:n], list(tensor), *parts.tensors[n + 1:]])
        yield changed("other name", b"other.weight", shape, kind, offset)
        yield changed("name of another", parts.tensors[n - 1][0], shape, kind, offset)
        yield changed("no name", b"", shape, kind, offset)
        yield changed("long name", b"x" * 64, shape, kind, offset)
        for other in ([], [0], [0, 0], shape[::-1], [*shape, 1], [*shape, 1, 1, 1, 1], [shape[0] * 2, *shape[1:]], [2**63], [2**62] * 3,
                [shape[0], 2**40], [1]):
            yield changed(f"shape {other}", name, other, kind, offset)
        for other in (0, 1, 2, 4, 8, 12, 24, 30, 39, 99, 2**31, 2**32 - 1): yield changed(f"type {other}", name, shape, other, offset)
        for other in SIZES:
            if shape[0] % SIZES[other][0] == 0 and other != kind: yield f"{name.decode()}: stored as {other}", parts.stored_as(n, other)
        for other in (offset + 32, 1, 2**40, 2**64 - 32): yield changed(f"offset {other}", name, shape, kind, other)
    yield "no tensors", parts.changed(tensors=[], data=b"")
    yield "last tensor missing", parts.changed(tensors=parts.tensors[:-1])
    yield "one tensor more", parts.changed(tensors=[*parts.tensors, [b"more", [32], 0, len(parts.data)]], data=parts.data + bytes(128))


def broken(parts):
    "Files whose very form is wrong: (what is changed, the file as bytes)."
    whole = parts.as_bytes()
    for version in (0, 1, 2, 4, 99, 3 << 24, 2**32 - 1): yield f"version {version}", parts.changed(version=version)
    for count in (2**16, 2**31, 2**32, 2**62, 2**63, 2**64 - 1):
        yield f"{count} tensors", parts.changed(counts=(count, len(parts.keys)))
        yield f"{count} keys", parts.changed(counts=(len(parts.tensors), count))
        yield f"{count} of both", parts.changed(counts=(count, count))
        def raw(data): return parts.changed(keys={**parts.keys, "raw": data})
        yield f"key of {count} bytes", raw(struct.pack("<Q", count))
        yield f"text of {count} bytes", raw(text("raw") + struct.pack("<IQ", 8, count))
        for kind in range(15): yield f"array of {count} of type {kind}", raw(text("raw") + struct.pack("<IIQ", 9, kind, count))
    yield "no keys", parts.changed(counts=(len(parts.tensors), 0))
    yield "one key fewer", parts.changed(counts=(len(parts.tensors), len(parts.keys) - 1))
    yield "empty key", raw(text("") + struct.pack("<II", 4, 0))
    yield "double key", raw(text("general.name") + struct.pack("<I", 8) + text("other"))
    yield "key that is no text", raw(text(b"\xff\xfe") + struct.pack("<II", 4, 0))
    yield "type 13", raw(text("raw") + struct.pack("<II", 13, 0))
    nested = struct.pack("<IQ", 9, 1) * 1000 + struct.pack("<IQ", 4, 0)
    yield "deep array", raw(text("raw") + struct.pack("<I", 9) + nested)
    yield "array of arrays", raw(text("raw") + struct.pack("<I", 9) + plain("arr", ("arr", [("u8", [1])])))
    for kind, other in (("u32", 0), ("u32", 1), ("u32", 3), ("u32", 8), ("u32", 2**31), ("u32", 2**32 - 1), ("u64", 32), ("str", "32")):
        yield f"alignment {other!r} as {kind}", parts.with_key("general.alignment", kind, other)
    for n in (4, 5, 8, 12, 24, 30, 100, len(whole) // 100, len(whole) // 2, len(whole) - len(parts.data), len(whole) - 1):
        yield f"first {n} bytes", whole[:n]
    yield "big-endian", b"GGUF" + struct.pack(">IQQ", 3, len(parts.tensors), len(parts.keys)) + whole[24:]
    generator = random.Random(0)
    head = len(whole) - len(parts.data)
    for n in range(300):
        content = bytearray(whole)
        for _ in range(generator.choice((1, 1, 2, 8))): content[generator.randrange(4, head)] = generator.randrange(256)
        yield f"random bytes {n}", bytes(content)


def make_encoder_decoder(path, layers=2):
    "A T5, which turns one text into another."
    from tools.benchmarks.random_model import Small
    made = Small(path, "t5", layers)
    made.writer.add_relative_attn_buckets_count(32)
    made.writer.add_decoder_start_token_id(0)
    width = made.width
    made.add_norms(width, "enc.output_norm", "dec.output_norm")
    for side, attentions in (("enc", ["attn"]), ("dec", ["attn", "cross_attn"])):
        for block in (f"{side}.blk.{n}" for n in range(layers)):
            made.add_norms(width, f"{block}.ffn_norm", *(f"{block}.{name}_norm" for name in attentions))
            for name in attentions:
                for part in "qkvo": made.add(f"{block}.{name}_{part}", width, width)
            made.add(f"{block}.attn_rel_b", 32, 2)
            made.add(f"{block}.ffn_up", 2 * width, width)
            made.add(f"{block}.ffn_down", width, 2 * width)
    return made.finish()


def make_encoder(path, layers=2):
    "A BERT, which makes a vector of a text."
    import numpy as np
    from tools.benchmarks.random_model import Small
    made = Small(path, "bert", layers)
    width = made.width
    for add, value in ((made.writer.add_layer_norm_eps, 1e-6), (made.writer.add_token_type_count, 2),
            (made.writer.add_causal_attention, False)): add(value)
    made.add("token_types", 2, width)
    made.add("position_embd", 8192, width)
    made.add_norms(width, "token_embd_norm")
    made.writer.add_tensor("token_embd_norm.bias", np.zeros(width, np.float32))
    for block in (f"blk.{n}" for n in range(layers)):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"): made.add(f"{block}.{name}", width, width)
        made.add(f"{block}.ffn_up", 2 * width, width)
        made.add(f"{block}.ffn_down", width, 2 * width)
        for name in ("attn_output_norm", "layer_output_norm"):
            made.add_norms(width, f"{block}.{name}")
            made.writer.add_tensor(f"{block}.{name}.bias", np.zeros(width, np.float32))
    made.finish().write_bytes(Parts(path).without(b"output.weight"))
    return path


def outcome(run, seconds=20, memory=4 * 2**30):
    "What becomes of a function in a process of its own: what it returns, or how it died."
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            os.environ["GGML_NO_BACKTRACE"] = "1"   # it takes longer than all the rest
            signal.alarm(seconds)
            quiet = os.open(os.devnull, os.O_RDWR)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            said = run()
        except BaseException as error: said = f"raw {type(error).__name__}: {error}"
        os.write(write, said.encode("utf-8", "replace")[:60_000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe: said = pipe.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0: return said
    return "hangs" if status == -signal.SIGALRM else f"dies of {signal.Signals(-status).name}"


def answer(path):
    "Loads a file and asks something: \"answers\", or the package's error."
    from llama_nbchat import ChatError, load
    try:
        model = load(path, n_threads=1, n_threads_batch=1)
        for _ in model.stream([{"role": "user", "content": "Hällo 🐘"}], max_tokens=3, temperature=0): pass
        for _ in model.stream([{"role": "user", "content": "Hi"}], max_tokens=3, temperature=0.8, seed=1): pass
        return "answers"
    except ChatError as error: return f"{type(error).__name__}: {error}"


def main(folder):
    "Goes through all mutants of several models; prints those that die, hang or raise what is no error of the package."
    from tools.benchmarks.random_model import make, make_hybrid, make_recurrent, make_sliding
    import jinja2, llama_cpp  # noqa: E401, F401, not once for each process
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    from llama_nbchat import demo_path
    makers = {"demo": lambda path: path.write_bytes(demo_path().read_bytes()), "spm": lambda path: make(path, style="llama2", size=3000),
        "bpe": lambda path: make(path, size=3000), "mamba": make_recurrent, "lfm2": make_hybrid, "gemma3": make_sliding}
    wanted = sys.argv[2:] or makers
    for name in wanted:
        makers[name](folder / f"{name}.gguf")
        parts, path, counts = Parts(folder / f"{name}.gguf"), folder / f"{name}.mutant.gguf", {}
        print(f"== {name}:", outcome(lambda: answer(folder / f"{name}.gguf")), flush=True)
        for what, content in chain(mutants(parts), broken(parts) if name == "demo" else ()):
            path.write_bytes(content)
            start = time.perf_counter()
            said = outcome(lambda: answer(path))
            kind = said.split(":")[0] if said.startswith(("Model", "Param", "Gener", "answers")) else said
            counts[kind] = counts.get(kind, 0) + 1
            slow = time.perf_counter() - start
            print(f"{name} | {what} | {said[:300]!r} | {slow:.1f}", flush=True)
        print(f"== {name}:", counts, flush=True)


if __name__ == "__main__": main(sys.argv[1])
