"A real JupyterLab in a real browser: what the reader sees, what the stop button does, and what a hostile reply cannot do."
import json
import os
import re
import time

import nbformat
import pytest

from tools.lab import Notebook, chromium, open_browser, open_lab
from tools.outputs import merged, nbs, outputs
from tests.renderers import LOOK, missing
from tests.test_renderers import KNOWN, TOUCH, texts

if not chromium and not os.environ.get("NEEDS_BROWSER"): pytest.skip("There is no Chromium here.", allow_module_level=True)

INJECTIONS = """
<script>pwned(1)</script>
<img src=x onerror=pwned(1)>
<img src="http://evil.example/pixel.png">
![pixel](http://evil.example/pixel.png)
![pixel](javascript:pwned(1))
![x](x"onerror="pwned(1))
[click](javascript:pwned(1))
[click](JaVaScRiPt:pwned(1))
[click](java&#115;cript:pwned(1))
[click](<javascript:pwned(1)>)
[click](data:text/html,<script>pwned(1)</script>)
[click](vbscript:pwned(1))
[click][bad]
<javascript:pwned(1)>
<a href="javascript:pwned(1)">click</a>
<a href="&#106;avascript:pwned(1)">click</a>
<svg onload=pwned(1)>
<svg><script>pwned(1)</script></svg>
<svg><animate onbegin=pwned(1) attributeName=x dur=1s>
<math><mtext><table><mglyph><style><img src=x onerror=pwned(1)>
<iframe src="javascript:pwned(1)"></iframe>
<iframe srcdoc="<script>parent.pwned(1)</script>"></iframe>
<object data="data:text/html,<script>parent.pwned(1)</script>"></object>
<embed src="javascript:pwned(1)">
<body onload=pwned(1)>
<details open ontoggle=pwned(1)><summary>x</summary></details>
<video><source onerror=pwned(1)></video>
<audio src=x onerror=pwned(1)>
<input autofocus onfocus=pwned(1)>
<form action="javascript:pwned(1)"><button>click</button></form>
<base href="http://evil.example/">
<meta http-equiv="refresh" content="0;url=http://evil.example/">
<link rel=stylesheet href="http://evil.example/x.css">
<style>@import url(http://evil.example/x.css);</style>
<div style="background: url(http://evil.example/x.png)">x</div>
<marquee onstart=pwned(1)>x</marquee>
<select autofocus onfocus=pwned(1)>
<!-- --><script>pwned(1)</script>
<![CDATA[<script>pwned(1)</script>]]>
<?xml ?><script>pwned(1)</script>
`<script>pwned(1)</script>
``` <script>pwned(1)</script> ```
$<script>pwned(1)</script>$
$$<img src=x onerror=pwned(1)>$$
\\(<img src=x onerror=pwned(1)>\\)
\\[\\href{javascript:pwned(1)}{x}\\]
$\\href{javascript:pwned(1)}{x}$
\\(\\def\\x#1{\\hre#1}\\x{f}{javascript:pwned(1)}{x}\\)
| a | <script>pwned(1)</script> |
> <script>pwned(1)</script>
- <script>pwned(1)</script>
1. ```<script>pwned(1)</script>
- ```
~~~x"><script>pwned(1)</script>
```x"><img src=x onerror=pwned(1)>
```mermaid
[bad]: javascript:pwned(1)
# <script>pwned(1)</script>
\\<script>pwned(1)</script>
&lt;script&gt;pwned(1)&lt;/script&gt;
<scr<script>ipt>pwned(1)</scr</script>ipt>
<SCRIPT SRC=//evil.example/x.js></SCRIPT>
<a data-commandlinker-command="notebook:restart-run-all" href="#">click</a>
[click](/api/kernels)
<b onclick=pwned(1)>click</b>
<sub onclick=pwned(1)>x</sub>
<br onclick=pwned(1)>
@@0@@ $x$ @@1@@ <script>pwned(1)</script>
\\begin{x}<script>pwned(1)</script>\\end{x}
[a](http://evil.example "$") onmouseover=pwned(1) [b](http://evil.example "$")
[a](http://evil.example/$) onmouseover=pwned(1) [b](http://evil.example/$)
[a](http://evil.example "\\\\begin{a}") autofocus onfocus=pwned(1) [b](http://evil.example "\\\\end{a}")
[click](http://:/../lab/tree/evil)
""".strip().splitlines()

DANGEROUS = ("script, iframe, object, embed, form, base, meta, link, style, svg, math, video, audio, input, select, marquee, img, "
    "[data-commandlinker-command], a[href^='javascript' i], a[href^='data' i], a[href^='vbscript' i], a[href*='/api/']")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    "A JupyterLab of its own, on the loopback interface; its folder and its address."
    folder = tmp_path_factory.mktemp("lab")
    with open_lab(folder, tmp_path_factory.mktemp("config")) as address: yield folder, address


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser: yield browser


@pytest.fixture
def notebook(lab, browser, request):
    opened = []
    def open_notebook(*cells):
        opened.append(Notebook(*lab, browser, request.node.name.replace("[", "_").strip("]"), cells))
        return opened[-1]
    yield open_notebook
    for one in opened: one.close()


WRITES = "from llama_nbchat import *\nimport random, re, time\nimport json, llama_nbchat.display as display_module\n" \
    "def pieces(text, n=3): return [text[k:k+n] for k in range(0, len(text), n)]\n"


def test_this_page_would_be_in_danger(notebook):
    "What is tested below can fail: Markdown as it is runs here."
    page = notebook("from IPython.display import Markdown, display\n"
        "display(Markdown('<img src=x onerror=pwned(1)>'), Markdown('![x](http://evil.example/x.png)'))")
    page.run()
    assert page.page.evaluate("window.pwns") > 0
    assert "evil.example" in page.hosts


def test_a_reply_cannot_run_in_the_page(notebook):
    "Each injection alone, all in one reply, split across pieces, as a question, a title and a system message; growing and at the end."
    assert len(INJECTIONS) >= 40
    some = [f"some = attacks[{n}:{n + 16}]\n" for n in range(0, len(INJECTIONS), 16)]   # a cell shows no more than 50 outputs
    page = notebook(WRITES + f"attacks = json.loads({json.dumps(INJECTIONS)!r})",
        *(cell + "for attack in some: Chat(ScriptedModel(pieces(attack)))('Hello')" for cell in some),
        *(cell + "for text in some:\n    screen = display_module.NotebookScreen()\n    for n in range(1, len(text), 5): screen.show(text[:n], text[:n])\n"
            "    screen.show('Here:\\n' + text)\n    screen.close(text, text, text)" for cell in some),
        "everything = '\\n\\n'.join(attacks)\nchat = Chat(ScriptedModel(pieces(everything), pieces('<think>' + everything + '</think>' + everything, 7)), attacks[0])\nchat(everything)",
        "chat('Again')", "chat", "chat.last, chat.messages", "chat.last", "chat.messages")
    page.run()
    # (In plain text, JupyterLab itself makes links of whatever looks like an address.)
    check = lambda: page.page.evaluate("""dangerous => [...document.querySelectorAll('.jp-OutputArea-output:not(.jp-RenderedText)')].flatMap(output => [
        ...[...output.querySelectorAll(dangerous)].filter(e => !(e.closest('mjx-container') && ['math', 'svg', 'style'].includes(e.tagName.toLowerCase()))).map(e => e.outerHTML),
        ...[...output.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/i.test(a.name))).map(e => e.outerHTML)])""", DANGEROUS)
    assert check() == []
    assert "<script>pwned(1)</script>" in page.text(1) and "Show more outputs" not in page.page.locator("body").inner_text()
    assert any("<b onclick=pwned(1)>" in page.text(n) for n in range(1, len(some) + 1))     # shown as it was written
    for link in page.page.locator(".jp-OutputArea-output:not(.jp-RenderedText) a").all():
        assert link.get_attribute("href").startswith(("http://evil.example", "mailto:", "#")), link.get_attribute("href")
    page.save()
    page.open()
    time.sleep(3)
    assert check() == []
    assert page.page.evaluate("window.pwns") == 0 and not page.dialogs
    assert {host for host in page.hosts if host} <= {page.address.split("/")[2]}
    assert page.page.url.startswith(page.address.split("?")[0])


def test_texts_of_dangerous_parts(notebook):
    "Two hundred texts, each as an answer, as reasoning and as a note: nothing runs, nothing is fetched, nothing is missing."
    attacks = texts(200 - len(KNOWN))
    some = [f"show(attacks[{n}:{n + 40}])" for n in range(0, 200, 40)]   # a cell shows no more than 50 outputs
    page = notebook(WRITES + f"attacks = json.loads({json.dumps(attacks)!r})\n"
        "def show(some):\n    for text in some: display_module.NotebookScreen().close(text, text, text)", *some)
    page.run()
    time.sleep(5)      # for formulas
    page.page.evaluate(TOUCH, ".jp-OutputArea-output")
    shown = page.page.evaluate("""() => [...document.querySelectorAll('.jp-OutputArea-output')].map(output => {
        const copy = output.cloneNode(true)
        for (const formula of copy.querySelectorAll('mjx-container')) formula.remove()
        return [copy.innerHTML, output.textContent, output.scrollWidth, output.scrollHeight] })""")
    assert len(shown) == 200
    for text, (found, seen), (_, content, width, height) in zip(attacks, page.page.evaluate(f"pages => pages.map({LOOK})", [html for html, *_ in shown]), shown):
        assert not [what for what in found if not re.match("target=_|data-j|href=#", what)], (text, found)
        assert missing(text, seen + content) == [], text
        assert width < 3000 and height < 20 * len(text) + 2000, (text, width, height)
    assert page.page.evaluate("window.__x") is None and not page.dialogs
    assert {host for host in page.hosts if host} <= {page.address.split("/")[2]}


def test_code_and_formulas_look_as_written(notebook):
    reply = "Use `<b>`:\n\n```html\n<b>bold</b> costs $5 & more\n```\n\nIt costs $5 or $10. \\(E = mc^2\\)\n\n1. one\n2. two\n   ```\n   a < b\n\n   c\n   ```\n3. three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    page = notebook(WRITES + f"chat = Chat(ScriptedModel(pieces(json.loads({json.dumps(json.dumps(reply))}))), footer=False)", "chat('Go')")
    page.run()
    page.page.wait_for_selector("mjx-container", timeout=30_000)
    text = page.text(1)
    assert "<b>bold</b> costs $5 & more" in text and "It costs $5 or $10." in text and "a < b\n\nc" in text
    assert page.page.locator("mjx-container").count() == 1
    outputs = page.outputs(1)
    assert outputs.locator("pre").count() == 2 and outputs.locator("table").count() == 1 and outputs.locator("ol > li").count() == 3
    assert outputs.locator("pre span").count() > 2      # the code has colours


SLOWLY = """
class Slowly:
    def create_chat_completion(self, messages, stream, words, seconds):
        parts = pieces(words, 4)
        for part in parts:
            time.sleep(seconds / len(parts))
            yield {"choices": [{"delta": {"content": part}}]}
chat = Chat(Slowly())
long = "".join(f"## Part {n}\\n\\n" + "Some words to read. " * 12 + "\\n\\n```python\\n" + "x = 1\\n" * 6 + "```\\n\\n1. one\\n2. two\\n\\n" for n in range(8))
"""


def test_the_index_runs_as_stored(notebook):
    "The first notebook that a reader opens, top to bottom in a new kernel."
    stored = nbformat.read(nbs/"index.ipynb", as_version=4)
    page = notebook(*(cell.source for cell in stored.cells if cell.cell_type == "code"))
    page.run()
    ran = page.save()
    for cell in ran.cells: cell.outputs = merged(cell.outputs)
    assert outputs(ran) == outputs(stored)


def test_streaming_is_seen_growing(notebook):
    "Text only ever grows, the page does not jump, and at the end one output holds the reply; so does the saved file."
    page = notebook(WRITES + SLOWLY, "print('before')\nchat('Go', words=long, seconds=8)\nprint('after')")
    page.page.evaluate("""() => { window.seen = []; setInterval(() => {
        const cell = document.querySelectorAll('.jp-Notebook .jp-Cell')[1], area = cell && cell.querySelector('.jp-OutputArea');
        if (area) window.seen.push([area.innerText.replace(/\\s/g, '').length, area.getBoundingClientRect().height]) }, 50) }""")
    page.run()
    seen = [tuple(pair) for pair in page.page.evaluate("window.seen")]
    lengths = [length for length, _ in seen]
    assert len(set(lengths)) > 15
    lost = sum(max(0, a - b) for a, b in zip(lengths, lengths[1:]))
    heights = [height for _, height in seen]
    jumps = [a - b for a, b in zip(heights, heights[1:]) if a - b > 60]
    print("updates seen:", len(set(lengths)), "characters lost on the way:", lost, "jumps:", jumps)
    assert len(jumps) <= 3, jumps
    text = page.text(1)
    assert text.startswith("before") and text.count("Part 7") == 1 and text.rstrip().endswith("after")
    cell = page.save().cells[1]
    kinds = [output.output_type for output in cell.outputs]
    assert kinds[0] == kinds[-1] == "stream" and cell.outputs[1].data["text/plain"].startswith("## Part 0")
    assert all(output.data["text/markdown"] == "" for output in cell.outputs[2:-1])
    page.open()
    time.sleep(2)
    assert page.text(1).split() == text.split()


def stop(page):
    page.page.locator('[data-jp-item-name="interrupt"]').first.click()


def test_the_stop_button_while_the_model_writes(notebook):
    page = notebook(WRITES + SLOWLY, "chat('Go', words=long, seconds=60)", "chat('And now?', words='Still here.', seconds=0.1)\nlen(chat.messages)")
    page.run(wait=False)
    page.page.wait_for_function("document.body.innerText.includes('Part 0')", timeout=60_000)
    stop(page)
    page.page.wait_for_function("document.body.innerText.includes('stopped')", timeout=5_000)
    time.sleep(1)
    assert "Traceback" not in page.text(1) and "Part 0" in page.text(1)
    page.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 2")
    page.command("notebook:run-cell")
    page.page.wait_for_function("document.body.innerText.includes('Still here.')", timeout=20_000)


def test_the_stop_button_while_the_model_reads(notebook, tmp_path):
    from tools.benchmarks.random_model import make
    path = make(tmp_path/"slow.gguf", "slow", "chatml", size=4000)
    page = notebook(f"from llama_nbchat import *\nchat = Chat(load({str(path)!r}, n_ctx=8192, n_threads=1, n_threads_batch=1))\nlong = 'abcd ' * 2500",
        "chat(long, max_tokens=5)", "chat('And now?', max_tokens=5)\nlen(chat.messages)")
    page.run(wait=False)
    page.page.wait_for_selector(".jp-OutputArea progress", timeout=60_000)
    assert "tokens read" in page.text(1)
    stop(page)
    page.page.wait_for_function("document.body.innerText.includes('stopped')", timeout=5_000)
    time.sleep(1)
    assert "Traceback" not in page.text(1) and page.page.locator(".jp-OutputArea progress").count() == 0
    page.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 2")
    page.command("notebook:run-cell")
    page.page.wait_for_function("document.querySelectorAll('.jp-Cell')[2].innerText.includes('2')", timeout=60_000)


@pytest.mark.parametrize("theme", ("JupyterLab Light", "JupyterLab Dark"))
def test_looks(notebook, theme, request):
    "A conversation in both themes; the pictures are for people, the test sees to it that text can be told from its background."
    page = notebook("from llama_nbchat import *\nchat = Chat(system_message='Answer briefly', temperature=0)\nchat('Name the planets in the solar system')",
        "chat('Which one has the most moons?')\nchat.context", "chat")
    page.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.run()
    time.sleep(1)
    colours = page.page.evaluate("""() => { const e = document.querySelectorAll('.jp-Cell')[2].querySelector('.jp-RenderedHTML div div');
        let back = e; while (back && ['rgba(0, 0, 0, 0)', ''].includes(getComputedStyle(back).backgroundColor) || /0\\.\\d/.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
        return [getComputedStyle(e).color, getComputedStyle(back).backgroundColor] }""")
    brightness = [sum(map(float, colour.split("(")[1].rstrip(")").split(",")[:3])) / 3 for colour in colours]
    assert abs(brightness[0] - brightness[1]) > 100, colours
    assert "Which one has the most moons?" in page.text(2)
    if folder := os.environ.get("SCREENSHOTS"): page.page.screenshot(path=f"{folder}/{theme.split()[-1].lower()}.png")


def test_models_loading_and_a_server(notebook):
    "The table of models; a bar that is there while a model loads, and gone afterwards; a chat with a server, and its stop button."
    from tests.test_server import says, serving, sse
    answers = []
    def answer(handler, request):
        "The second answer goes on until nobody reads it any more."
        answers.append(request)
        if len(answers) == 1: return sse(says("A **server** says this.", "stop"))
        handler.begin("")
        try:
            for n in range(2_000):
                handler.wfile.write(sse(says(f"{n} "), end=False).encode())
                time.sleep(0.02)
        except OSError: answers.append("closed")
        return ...
    with serving(answer) as server:
        page = notebook("from llama_nbchat import *\nmodels()",
            "import time\nfrom llama_nbchat.display import loading\nwith loading('a-model.gguf') as progress:\n"
            "    for n in range(30): time.sleep(0.05); progress(n / 30)\n    time.sleep(1)",
            f"chat = Chat({server.address!r}, footer=True)\nchat('Hi')", "chat('Count')", "print(chat.last.interrupted, len(chat.messages))")
        page.run(wait=False)
        page.page.wait_for_selector("progress", timeout=60_000)
        assert "Loading a-model.gguf" in page.text(1)
        page.page.wait_for_function("() => document.body.innerText.includes('5 6 7')", timeout=60_000)
        if folder := os.environ.get("SCREENSHOTS"): page.page.screenshot(path=f"{folder}/models.png")
        page.command("notebook:interrupt-kernel")
        for _ in range(100):
            if "closed" in answers: break
            time.sleep(0.1)
        assert "demo" in page.text(0) and page.outputs(0).locator("table").count() == 1
        assert "Loading" not in page.text(1) and page.page.locator("progress").count() == 0
        assert "A server says this." in page.text(2) and page.outputs(2).locator("strong").count() == 1
        assert "stopped" in page.text(3) and answers[-1] == "closed"
