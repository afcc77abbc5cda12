"Any model file: it works, or a clear error says why, and nothing dies of it."
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.benchmarks.random_model import STYLES, make, make_hybrid, make_recurrent, make_sliding
from llama_nbchat import ModelFileError, ParameterError, demo_path, load
from llama_nbchat.local.gguf import read_header, why_no_chat
from tests.model_files import Parts, broken, make_encoder, make_encoder_decoder, mutants

root = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def demo(): return Parts(demo_path())


def refusal(path):
    with pytest.raises(ModelFileError) as caught: load(path)
    assert str(path.parent) in str(caught.value) and caught.value.path
    return str(caught.value)


def sampled(parts, seed, each):
    "Some headers of each kind: what is changed, and the file as bytes."
    kinds = {}
    for what, content in mutants(parts):
        drawn = kinds.setdefault(what.split(":")[0], [])
        place = random.Random(f"{seed} {what}").random()
        drawn.append((place, what, content))
        drawn.sort(key=lambda mutant: mutant[0])
        del drawn[each:]
    return [mutant[1:] for drawn in kinds.values() for mutant in drawn]


def run(code, *arguments, seconds=300):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, cwd=root, timeout=seconds)


ALL_OF_THEM = """if True:
    import sys
    from pathlib import Path
    from tests.model_files import answer
    for path in sorted(Path(sys.argv[1]).glob("*.gguf")):
        print(path.stem, flush=True)
        print(answer(path)[:500].replace(chr(10), " "), flush=True)
"""

@pytest.mark.parametrize("name", ["demo", "spm", "gemma3"])
def test_no_header_kills(tmp_path, demo, name):
    "One process loads files whose headers say all sorts of things, and asks each model that comes of it."
    makers = {"spm": lambda path: make(path, style="llama2", size=3000), "gemma3": make_sliding}
    parts = demo if name == "demo" else Parts(makers[name](tmp_path/"whole"))
    chosen = sampled(parts, name, 1)
    for n, (what, content) in enumerate(chosen): (tmp_path/f"{n:04}.gguf").write_bytes(content)
    done = run(ALL_OF_THEM, tmp_path)
    said = done.stdout.splitlines()
    last = chosen[int(said[-1])][0] if said and said[-1].isdigit() else ""
    assert done.returncode == 0, f"dies of {last}: {done.returncode}, {done.stderr[-2000:]}"
    answers = said[1::2]
    assert len(answers) == len(chosen) and "answers" in answers
    for (what, _), answer in zip(chosen, answers):
        assert answer == "answers" or answer.split(":")[0].endswith(("Error",)), (what, answer)


KILLERS = [("llama.block_count", "u32", 0), ("llama.block_count", "u32", 10_000), ("llama.block_count", "u32", 2**32 - 1),
    ("llama.attention.layer_norm_rms_epsilon", "f32", float("nan")), ("llama.attention.layer_norm_rms_epsilon", "f32", -1.0),
    ("llama.context_length", "u32", 2**31 - 1), ("llama.context_length", "u32", 2**32 - 1), ("tokenizer.ggml.model", "str", "llama"),
    ("tokenizer.ggml.model", "str", "no_vocab"), ("llama.expert_count", "u32", 8), ("llama.expert_used_count", "u32", 2),
    ("llama.expert_group_count", "u32", 4), ("llama.nextn_predict_layers", "u32", 64), ("llama.rope.scaling.type", "str", "x"),
    ("tokenizer.ggml.tokens", "arr", ("str", [b"same"] * 1024)), ("general.alignment", "u32", 8)]

STORED = [("token_embd.weight", 26), ("blk.0.attn_q.weight", 9), ("blk.3.ffn_down.weight", 28), ("output_norm.weight", 1)]


def test_what_killed(tmp_path, demo):
    "Headers and tensors of which llama.cpp dies: all are told, in one process."
    names = [tensor[0].decode() for tensor in demo.tensors]
    contents = [demo.with_key(*killer) for killer in KILLERS]
    contents += [demo.stored_as(names.index(name), kind) for name, kind in STORED]
    for n, content in enumerate(contents): (tmp_path/f"{n:02}.gguf").write_bytes(content)
    done = run(ALL_OF_THEM, tmp_path)
    assert done.returncode == 0, (done.stdout, done.stderr)
    for said in done.stdout.splitlines()[1::2]:
        assert "is damaged" in said or "no vocabulary" in said, said
        assert "download it again, update" not in said
    assert done.stdout.count("ModelFileError") == len(contents)
    for name, _ in STORED: assert repr(name) in done.stdout


def test_reading_is_bounded(tmp_path, demo):
    "Whatever stands in a header: it is read, or refused, within a second and without much memory."
    path, most = tmp_path/"model.gguf", 0
    for what, content in [*broken(demo), *sampled(demo, "reading", 1)]:
        path.write_bytes(content)
        start = time.process_time()
        try: why_no_chat(read_header(path))
        except ModelFileError as error: assert len(str(error)) < 500 + len(str(path)), what
        most = max(most, time.process_time() - start)
    assert most < 1


HUGE = """if True:
    import resource, sys
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    from llama_nbchat.local.gguf import read_header
    try: read_header(sys.argv[1])
    except ValueError as error: print(error)
"""

@pytest.mark.parametrize("what", ["keys", "texts", "tensors", "numbers", "one text", "long texts"])
def test_headers_that_never_end(tmp_path, what):
    "Files of many gigabytes (which take no room), all of them header, as far as they say."
    key = struct.pack("<Q1s", 1, b"k")
    start = {"keys": (0, 2**62, b""), "tensors": (2**62, 0, b""), "one text": (0, 1, key + struct.pack("<IQ", 8, 2**35)),
        "texts": (0, 1, key + struct.pack("<IIQ", 9, 8, 2**32)), "numbers": (0, 1, key + struct.pack("<IIQ", 9, 0, 2**34)),
        "long texts": (0, 2**20, key + struct.pack("<IQ", 8, 2**27))}[what]
    with (tmp_path/"model.gguf").open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, *start[:2]) + start[2])
        file.truncate(2**36)
    begun = time.monotonic()
    done = run(HUGE, tmp_path/"model.gguf", seconds=60)
    assert "is damaged" in done.stdout and done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 30


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO here")
def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path/"model.gguf")
    assert "no file with a content" in refusal(tmp_path/"model.gguf")
    with pytest.raises(ModelFileError): read_header(tmp_path/"model.gguf")


def test_real_models_are_not_refused(tmp_path):
    "Models of all the shapes and vocabularies that are at hand."
    made = [make(tmp_path/f"{style}.gguf", style=style, size=3000) for style in STYLES]
    made += [make_model(tmp_path/f"{make_model.__name__}.gguf") for make_model in (make_recurrent, make_hybrid, make_sliding)]
    for path in (demo_path(), *made):
        header = read_header(path)
        assert why_no_chat(header) == "" and header.end <= header.size, path


@pytest.mark.parametrize("maker", [make_encoder, make_encoder_decoder])
def test_what_llama_cpp_opens_but_cannot_chat(tmp_path, monkeypatch, maker):
    "Refused by the header, and where that does not tell, when it is loaded."
    path = maker(tmp_path/"model.gguf")
    wanted = "vectors" if maker is make_encoder else "encoder-decoder"
    assert wanted in refusal(path)
    monkeypatch.setattr(sys.modules["llama_nbchat.local.opening"], "why_no_chat", lambda header: "")
    assert "can't chat" in refusal(path)


@pytest.mark.parametrize("key, kind, value, wanted", [("general.type", "str", "adapter", "adapter"), ("general.type", "str", "mmproj", "pictures"),
    ("general.type", "str", "imatrix", "matter"), ("general.architecture", "str", "clip", "pictures"), ("general.architecture", "str", "llada", "diffusion"),
    ("general.architecture", "str", "nomic-bert-moe", "vectors"), ("general.architecture", "str", "modern-bert", "vectors"),
    ("llama.pooling_type", "u32", 3, "vectors"), ("llama.pooling_type", "u32", 4, "vectors"), ("llama.attention.causal", "bool", 0, "vectors")])
def test_what_the_header_says_it_is(tmp_path, demo, key, kind, value, wanted):
    (tmp_path/"model.gguf").write_bytes(demo.with_key(key, kind, value))
    assert wanted in refusal(tmp_path/"model.gguf")


def test_a_vocabulary_alone(tmp_path, demo):
    (tmp_path/"model.gguf").write_bytes(demo.changed(tensors=[], data=b""))
    assert "holds a vocabulary, and no weights" in refusal(tmp_path/"model.gguf")


def test_a_key_may_be_overridden(tmp_path, demo):
    (tmp_path/"model.gguf").write_bytes(demo.with_key("llama.attention.layer_norm_rms_epsilon", "f32", -1.0))
    refusal(tmp_path/"model.gguf")
    mended = {"llama.attention.layer_norm_rms_epsilon": 1e-5}
    answer = load(tmp_path/"model.gguf", kv_overrides=mended, n_threads=1).stream([{"role": "user", "content": "Hello"}], temperature=0)
    assert "".join(delta.text for delta in answer).startswith("Hello")
    with pytest.raises(ModelFileError, match="block_count"): load(kv_overrides={"llama.block_count": 10_000})
    (tmp_path/"model.gguf").write_bytes(demo.with_key("llama.block_count", "u32", 0))
    for other in ({"llama.block_count": "8"}, {"llama.block_count": 8.0}):   # llama.cpp does not take these
        with pytest.raises(ModelFileError, match="block_count"): load(tmp_path/"model.gguf", kv_overrides=other)
    for other in (5, {3: 4}):
        with pytest.raises(ParameterError): load(kv_overrides=other)


def test_incomplete(tmp_path, demo):
    whole = demo.as_bytes()
    for missing in (1, 1000, len(whole) // 2):
        (tmp_path/"model.gguf").write_bytes(whole[:-missing])
        with pytest.raises(ModelFileError, match=f"{missing:,} of its {len(whole):,} bytes are missing") as caught: load(tmp_path/"model.gguf")
        assert caught.value.missing == missing
    (tmp_path/"model.gguf-split-a").write_bytes(whole[:10**6])
    (tmp_path/"model.gguf-split-b").write_bytes(whole[10**6:])
    for name in "ab": assert "`cat model.gguf-split-* > " in refusal(tmp_path/f"model.gguf-split-{name}").replace(f"{tmp_path}/", "")


def test_parts(tmp_path, demo):
    first, second, third = demo.split(tmp_path, "x", 3)
    assert load(first).n_ctx == 2048
    for part in (second, third):
        assert f"Give the first part, {str(first)!r}" in refusal(part)
    joined = tmp_path/"joined.gguf"
    for parts in ((first, second, third), (second, first)):
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        assert "llama-gguf-split --merge" in (said := refusal(joined)) and "-00001-of-00003.gguf" in said
    renamed = tmp_path/"renamed.gguf"
    renamed.write_bytes(first.read_bytes())
    assert f"call it '{first.name}'" in refusal(renamed)
    renamed.write_bytes(second.read_bytes())
    assert f"Give the first part, {str(first)!r}" in refusal(renamed)
    second_content = second.read_bytes()
    second.write_bytes(third.read_bytes())
    assert "is not part 2" in refusal(first)
    second.write_bytes(second_content[:-1000])
    assert "1,000 of its" in refusal(first) and "x-00002" in refusal(first)
    second.unlink()
    assert f"{second.name!r}" in refusal(first) and "missing" in refusal(first)
    second.write_bytes(second_content)
    first.unlink()
    assert f"{first.name!r}, which is not in the same folder" in refusal(third)


def test_a_list_of_many_is_quick():
    start = time.process_time()
    for _ in range(500): read_header(demo_path(), brief=True)
    assert time.process_time() - start < 1
