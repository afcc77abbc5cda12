"""GGUF models of real shapes with random weights: they say nothing, at the speed and with the tokens of a model that does.

`python -m benchmarks.random_model FILE SHAPE [STYLE]` makes one; the shapes and styles are those below.
"""
import itertools
import os
import string
import sys
from pathlib import Path

import gguf
import numpy as np

SHAPES = {   # layers, width, heads, heads of keys and values, width of the feed-forward network
    "tiny": (2, 64, 2, 2, 128),
    "slow": (4, 1024, 16, 16, 4096),
    "1B": (22, 2048, 32, 4, 5632)}
STYLES = {   # vocabulary, control tokens beyond the first and last of a text, chat template
    "llama2": ("spm", [], "{% for m in messages %}{% if m.role == 'system' %}{{ bos_token + '[INST] <<SYS>>\n' + m.content + '\n<</SYS>>\n\n' }}"
        "{% elif m.role == 'user' %}{{ ('' if loop.index0 == 1 and messages[0].role == 'system' else bos_token + '[INST] ') + m.content + ' [/INST]' }}"
        "{% else %}{{ ' ' + m.content|trim + ' ' + eos_token }}{% endif %}{% endfor %}"),
    "chatml": ("bpe", ["<|im_start|>", "<|im_end|>"], "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content|trim + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"),
    "llama3": ("bpe", ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "{{ bos_token }}{% for m in messages %}"
        "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content|trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")}
FIRST, LAST = "<s>", "</s>"
PAIRS = ["".join(pair) for pair in itertools.product(string.ascii_lowercase, repeat=2)]


def byte_characters():
    "The 256 characters by which byte-level BPE writes the bytes (as in GPT-2)."
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in shown]
    return [chr(byte if byte in shown else 256 + others.index(byte)) for byte in range(256)]


def words(n):
    "Plain words of four letters, and such with a space before them: 1 : 3."
    quads = (a + b for a, b in itertools.product(PAIRS[::7], PAIRS))
    return list(itertools.islice(quads, n))


def add_vocabulary(writer, kind, controls, size):
    "Bytes, pairs of letters, and words; returns the numbers of the tokens that have a plain text."
    normal, unknown, control, byte = gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.BYTE
    space = "▁" if kind == "spm" else "Ġ"
    special = ["<unk>", FIRST, LAST, *controls]
    base = [f"<0x{n:02X}>" for n in range(256)] if kind == "spm" else byte_characters()
    letters = [space, *string.ascii_letters, *string.punctuation, *string.digits] if kind == "spm" else []
    plain = words(size - len(special) - len(base) - len(letters) - len(PAIRS))
    plain = [word if n % 4 == 0 else space + word for n, word in enumerate(plain)]
    tokens = special + base + letters + PAIRS + plain
    types = [unknown] + [control] * (len(special) - 1) + [byte if kind == "spm" else normal] * 256
    writer.add_token_list(tokens)
    writer.add_token_types(types + [normal] * (len(tokens) - len(types)))
    if kind == "spm":
        writer.add_tokenizer_model("llama")
        writer.add_token_scores([0.] * (len(tokens) - len(PAIRS) - len(plain)) + [-1.] * len(PAIRS) + [-2.] * len(plain))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        joined = [(word[:-2], word[-2:]) for word in plain if not word.startswith(space)]
        joined += [pair for word in plain if word.startswith(space) for pair in ((space + word[1:3], word[3:]),)]
        begins = {(space, word[1:3]) for word in plain if word.startswith(space)}
        writer.add_token_merges([f"{a} {b}" for a, b in [(p[0], p[1]) for p in PAIRS] + sorted(begins) + joined])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(special.index("<|im_end|>") if "<|im_end|>" in special else special.index(controls[-1]) if controls else 2)
    writer.add_add_bos_token(kind == "spm")
    return range(len(tokens) - len(PAIRS) - len(plain), len(tokens))


def random_rows(generator, rows, width, kind, scale=0.02):
    "Random weights; in Q4_0 the blocks of 32 are drawn as they are stored: a scale, and 16 bytes of two numbers each."
    if kind != "Q4_0": return (generator.standard_normal((rows, width), np.float32) * scale).astype(kind), None
    blocks = generator.integers(0, 256, (rows, width // 32, 18), np.uint8)
    blocks[..., :2] = np.frombuffer(np.float16(scale / 4.6).tobytes(), np.uint8)
    return blocks.reshape(rows, -1), gguf.GGMLQuantizationType.Q4_0


def make(path, shape="tiny", style="chatml", size=32_000, context=8192, seed=0):
    "Writes a model file, all or nothing; returns its path."
    layers, width, heads, kv_heads, hidden = SHAPES[shape]
    vocabulary, controls, template = STYLES[style]
    path, generator = Path(path), np.random.default_rng(seed)
    kind = "Q4_0" if shape == "1B" else "float32"
    writer = gguf.GGUFWriter(f"{path}.part", "llama")
    writer.add_name(f"random {shape} {style}")
    writer.add_vocab_size(size)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    plain = add_vocabulary(writer, vocabulary, controls, size)
    writer.add_chat_template(template)
    def add(name, rows, columns, kind=kind):
        weights, quantized = random_rows(generator, rows, columns, kind)
        if name == "output.weight": weights[np.setdiff1d(np.arange(rows), plain)] = 0   # never chosen: no run ends early
        writer.add_tensor(name, weights, raw_dtype=quantized)
    add("token_embd.weight", size, width)
    add("output.weight", size, width, "float32" if kind == "float32" else "float16")
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for n in range(layers):
        for norm in ("attn_norm", "ffn_norm"): writer.add_tensor(f"blk.{n}.{norm}.weight", np.ones(width, np.float32))
        for name, rows in (("attn_q", width), ("attn_k", width // heads * kv_heads), ("attn_v", width // heads * kv_heads),
                ("attn_output", width), ("ffn_gate", hidden), ("ffn_up", hidden)):
            add(f"blk.{n}.{name}.weight", rows, width)
        add(f"blk.{n}.ffn_down.weight", width, hidden)
    return _finish(writer, path)


class Small:
    "A file with small float32 weights for an architecture other than llama: what they do is tested, not how fast."
    def __init__(self, path, architecture, layers, style="chatml", size=4000, width=64, hidden=128, heads=2, seed=0):
        vocabulary, controls, template = STYLES[style]
        self.path, self.width, self.generator = Path(path), width, np.random.default_rng(seed)
        self.writer = writer = gguf.GGUFWriter(f"{path}.part", architecture)
        for add, value in ((writer.add_name, f"random {architecture}"), (writer.add_vocab_size, size),
                (writer.add_context_length, 8192), (writer.add_embedding_length, width), (writer.add_block_count, layers),
                (writer.add_feed_forward_length, hidden), (writer.add_head_count, heads),
                (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_chat_template, template)): add(value)
        output, plain = self.draw(size, width), add_vocabulary(writer, vocabulary, controls, size)
        output[np.setdiff1d(np.arange(size), plain)] = 0   # never chosen
        writer.add_tensor("output.weight", output)
        self.add("token_embd", size, width)

    def draw(self, *shape): return (self.generator.standard_normal(shape) * 0.1).astype(np.float32)

    def add(self, name, *shape): self.writer.add_tensor(f"{name}.weight", self.draw(*shape))

    def add_norms(self, width, *names):
        for name in names: self.writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))

    def add_attention(self, block):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"): self.add(f"{block}.{name}", self.width, self.width)
        self.add_norms(self.width // 2, f"{block}.attn_q_norm", f"{block}.attn_k_norm")

    def add_feed_forward(self, block):
        for name in ("ffn_gate", "ffn_up"): self.add(f"{block}.{name}", 2 * self.width, self.width)
        self.add(f"{block}.ffn_down", self.width, 2 * self.width)
        self.add_norms(self.width, f"{block}.attn_norm", f"{block}.ffn_norm")

    def finish(self): return _finish(self.writer, self.path)


def make_recurrent(path, layers=2, state=8):
    "A Mamba, which has no attention: its memory is a state of fixed size that can't be trimmed."
    made = Small(path, "mamba", layers, hidden=0, heads=0)
    writer, width, inner, rank = made.writer, made.width, 2 * made.width, 4
    for add, value in ((writer.add_ssm_conv_kernel, 4), (writer.add_ssm_inner_size, inner),
            (writer.add_ssm_state_size, state), (writer.add_ssm_time_step_rank, rank)): add(value)
    made.add_norms(width, "output_norm", *(f"blk.{n}.attn_norm" for n in range(layers)))
    for n in range(layers):
        writer.add_tensor(f"blk.{n}.ssm_a", -abs(made.draw(inner, state)) * 10)
        for name, *shape in (("ssm_in.weight", 2 * inner, width), ("ssm_conv1d.weight", inner, 4), ("ssm_conv1d.bias", inner),
                ("ssm_x.weight", rank + 2 * state, inner), ("ssm_dt.weight", inner, rank), ("ssm_dt.bias", inner),
                ("ssm_d", inner), ("ssm_out.weight", width, inner)):
            writer.add_tensor(f"blk.{n}.{name}", made.draw(*shape))
    return made.finish()


def make_hybrid(path, layers=4):
    "An LFM2: every other layer is a short convolution with a state of fixed size, the others have attention."
    made = Small(path, "lfm2", layers)
    made.writer.add_head_count_kv([0 if n%2 == 0 else 2 for n in range(layers)])
    made.writer.add_shortconv_l_cache(3)
    made.add_norms(made.width, "token_embd_norm")
    for block in (f"blk.{n}" for n in range(layers)):
        made.add_feed_forward(block)
        if int(block[4:]) % 2: made.add_attention(block); continue
        for name, *shape in (("conv", made.width, 3), ("in_proj", 3 * made.width, made.width), ("out_proj", made.width, made.width)):
            made.add(f"{block}.shortconv.{name}", *shape)
    return made.finish()


def make_sliding(path, layers=6, window=64):
    "A Gemma 3: most layers look back no further than a window of tokens, and llama.cpp need not keep what lies before."
    made = Small(path, "gemma3", layers)
    writer, head = made.writer, made.width // 2
    for add, value in ((writer.add_head_count_kv, 2), (writer.add_key_length, head), (writer.add_value_length, head),
            (writer.add_sliding_window, window)): add(value)
    made.add_norms(made.width, "output_norm")
    for block in (f"blk.{n}" for n in range(layers)):
        made.add_attention(block)
        made.add_feed_forward(block)
        made.add_norms(made.width, f"{block}.post_attention_norm", f"{block}.post_ffw_norm")
    return made.finish()


def _finish(writer, path):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(f"{path}.part", path)
    return path


if __name__ == "__main__": make(*sys.argv[1:])
