"""The live chat of the front page: llama.cpp in WebAssembly and the demo model, as files of the site, and a box that talks to them.

    add(site)   # to a site that is built; without npm the page stays as it is

`box.html` is what the page holds, `live.js` makes it work, `model.js` loads the model and keeps the conversation within its window, and
`text.js` shows what it writes. Everything comes from the site itself, and nothing before the reader asks for it.
"""
import gzip
import json
import shutil
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from string import Template

from llama_nbchat.errors import in_bytes
from llama_nbchat.found import demo_path
from llama_nbchat.local.gguf import read_header

from tools import npm

here = Path(__file__).parent

ENGINE = "@wllama/wllama"
SYSTEM = "Answer in a very concise and accurate way"    # The system message and the prompts of README.md
PROMPTS = ("Name the planets in the solar system", "Please reverse the list", "Please sort the list by the mass of the planet")
CONTROL = 3    # How a GGUF file marks a token that no text may become

LLAMA_CPP = "wllama.wasm contains llama.cpp, Copyright (c) 2023-2026 The ggml authors, under the same license."


def control_marks(path):
    "How the control tokens of a model are written, such as `</s>`."
    header = read_header(path)
    tokens, kinds = (header.items(header.values[f"tokenizer.ggml.{key}"]) for key in ("tokens", "token_type"))
    return [token.decode() for token, kind in zip(tokens, kinds) if kind == CONTROL]


def copy(package, folder):
    "Writes all that the box needs into a folder of the site. Gives the sizes in bytes: of the model, of its program, of all that is loaded."
    engine, program = folder/"wllama", (package/"esm"/"wasm"/"wllama.wasm").read_bytes()
    engine.mkdir(parents=True)
    for path in (*here.glob("*.js"), *here.glob("*.css")): shutil.copy(path, folder)
    shutil.copy(demo_path(), folder)
    shutil.copy(package/"esm"/"index.min.js", engine)
    (engine/"wllama.wasm.gz").write_bytes(gzip.compress(program, 9, mtime=0))    # Not every server compresses; the browser unpacks it
    (engine/"LICENSE.txt").write_text((package/"LICENCE").read_text(encoding="utf-8").rstrip() + f"\n\n{LLAMA_CPP}\n", encoding="utf-8")
    loaded = (folder/demo_path().name, engine/"index.min.js", engine/"wllama.wasm.gz")
    return {"model": demo_path().stat().st_size, "program": len(program), "loads": sum(path.stat().st_size for path in loaded)}


def box(sizes):
    "The element of the page, for files of these sizes."
    settings = {"model": demo_path().name, "sizes": sizes, "system": SYSTEM, "n_ctx": read_header(demo_path()).own("context_length"),
        "marks": control_marks(demo_path())}
    prompts = "\n".join(f'<button type="button" class="live-suggestion">{escape(prompt)}</button>' for prompt in PROMPTS)
    return Template((here/"box.html").read_text(encoding="utf-8")).substitute(settings=escape(json.dumps(settings)), prompts=prompts,
        size=in_bytes(sizes["model"]), loads=in_bytes(sizes["loads"]))


class _Blocks(HTMLParser):
    "The blocks of an article: the tag, and the place behind it."
    VOID = ("area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.blocks,self._open,self._subtitle = [],[],False
        self._lines = [0]    # Where each begins
        for line in html.split("\n"): self._lines.append(self._lines[-1] + len(line) + 1)
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if not self._open and tag != "article": return
        if len(self._open) == 1: self._subtitle = False
        self._subtitle |= ("class", "subtitle") in attributes
        if tag not in self.VOID: self._open.append(tag)
        elif len(self._open) == 1: self._close(tag, len(self.get_starttag_text()))

    def handle_endtag(self, tag):
        if tag not in self._open: return
        while self._open.pop() != tag: pass
        if len(self._open) == 1: self._close(tag, len(f"</{tag}>"))

    def _close(self, tag, length):
        line, column = self.getpos()
        self.blocks.append(("subtitle" if self._subtitle else tag, self._lines[line - 1] + column + length))


def place(html):
    "Where the box belongs: before the first section, behind all that opens the page, which shows what to type."
    blocks = _Blocks(html).blocks
    tags = [tag for tag, _ in blocks]
    opening = [end for tag, end in blocks[:tags.index("h2") if "h2" in tags else None] if tag not in ("h1", "subtitle")]
    if not opening: raise ValueError("The front page has nothing before its first section.")
    return opening[-1]


def add(site):
    "Adds the chat to the front page of a site. Where npm is missing, or reaches nothing, the page stays as it is; tells which."
    package = npm.package(ENGINE)
    if not package:
        print("The front page has its example, and no live chat: that takes npm (https://nodejs.org), which is missing or reaches nothing.")
        return
    page = site/"index.html"
    html = page.read_text(encoding="utf-8")
    end = place(html)
    page.write_text(f"{html[:end]}\n{box(copy(package, site/'live'))}{html[end:]}", encoding="utf-8")
    print("The front page has a live chat. It answers where the site is served: python -m http.server -b 127.0.0.1 -d _docs")
