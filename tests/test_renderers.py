"What is shown runs nothing, fetches nothing and is whole, whichever program reads the notebook."
import os
import random
import re
import shutil
import time

import nbformat
import pytest
from nbconvert import HTMLExporter

from llama_nbchat.display import _FRAME, _folded, _named, _sized, _small, conversation
from llama_nbchat.markdown import safe_html, safe_markdown
from llama_nbchat.rewritten import rewritten
from llama_nbchat import ChatMessages
from tests.renderers import Reader, chromium, missing, node_packages, text

if not chromium and not os.environ.get("NEEDS_BROWSER"): pytest.skip("There is no Chromium here.", allow_module_level=True)

KNOWN = [   # each of them ran, fetched, led astray or was lost once
    '[x](http://a "t&#13;&#13;!&#91;a](autofocus/onfocus=window.__x=1//)")', '[x](http://a "t&#10;&#13;!&#91;a](onmouseover=window.__x=1//)")',
    "$&#13;&#13;!&#91;x](http://127.0.0.1:9/leak.png)", "$&#13;&#13;&#91;click](javascript:window.__x=2)",
    "| $&#10;&#13;!&#91;x](http://127.0.0.1:9/leak.png) | Mars |\n|---|---|\n| $&#13;&#13;&#91;x](javascript:window.__x=1) | Venus |",
    "```mermaid-js\n<img src=x onerror=window.__x=1>\n```", "```mermaid8\n<img src=x onerror=window.__x=1>\n```", "```mermaid.\n<img src=x onerror=window.__x=1>\n```",
    '[hover]{onmouseover="window.__x=1"}', "::: {onmouseover=window.__x=1}\nMars\n:::", "# Mars {style=position:fixed}", 'Mars\n{: onmouseover="window.__x=1" }',
    "\n".join(f"{'  ' * n}- Mars {n}" for n in range(14)) + "\n$", "> " * 21 + "Mars $", "> " * 300 + "Venus",
    r"$\raise9999em{x}$ Mars", r"$\$0.60$ Mars", "Mars\x1b[31m\x9b31m", "\ud83d Mars \ude00", "|a|\n|-|\n|1|Mars|Venus|", "[](http://Mars.example)", "[Mars]: http://a",
]
TOUCH = r"""area => { for (const element of document.querySelectorAll(area + ' *'))
    for (const event of ['mouseover', 'mouseenter', 'mousemove', 'focus', 'toggle', 'pointerover', 'animationstart', 'load', 'error'])
        element.dispatchEvent(new Event(event, {bubbles: true})) }"""


def texts(count, seed=7):
    chance = random.Random(seed)
    return KNOWN + [text(chance) for _ in range(count)]


@pytest.fixture(scope="module")
def page():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield browser.new_page()
        browser.close()


@pytest.fixture(scope="module")
def reader(page, tmp_path_factory):
    return Reader(page, node_packages(tmp_path_factory.mktemp("node")) if shutil.which("npm") else ())


def test_the_programs_would_find_something(reader):
    "What is tested below can fail: each finds something in the texts as they are."
    raw = [text.encode("utf-8", "replace").decode() for text in texts(40)]
    for name, program in reader.programs.items(): assert any(found for found, _ in reader.look([program(text) for text in raw])), name


@pytest.mark.parametrize("show", (safe_markdown, safe_html, lambda text: _sized("\n\n".join(filter(None, (_named(text), _folded(text), safe_markdown(text), _small(text)))), 16, _FRAME),
    lambda text: conversation(ChatMessages.from_messages([{"role": role, "content": text} for role in ("system", "user", "assistant")]))),
    ids=("Markdown", "HTML", "an answer", "a conversation"))
def test_no_program_finds_anything(reader, show):
    assert list(reader.complaints(texts(120), show)) == []


# Programs that know no fences run what is in a block of code, whoever has written it. A box of a list, a link within the page, and an
# address that becomes a link by itself are no danger.
FENCES = ("nbconvert", "mistune", "markdown-it-py", "CommonMark", "marked", "marked, with breaks", "markdown-it")
HARMLESS = re.compile(r"href=#|href=//|disabled=|<input [^>]*checkbox")


def test_rewritten_markdown_is_harmless_where_fences_are_known(reader):
    programs = {name: program for name, program in reader.programs.items() if name in FENCES}
    shown = [(one, rewritten(one)) for one in texts(120)]
    for name, program in programs.items():
        for (one, markdown), (found, seen) in zip(shown, reader.look([program(markdown) for _, markdown in shown])):
            assert [what for what in found if not HARMLESS.match(what)] == [], (name, one, markdown)
            assert missing(one, seen) == [], (name, one, markdown)


@pytest.mark.parametrize("template", ("lab", "classic", "basic"))
def test_a_page_made_of_the_notebook(page, tmp_path, template):
    shown = [_sized(safe_markdown(text), 16, _FRAME) for text in texts(60)]
    outputs = [nbformat.v4.new_output("display_data", {"text/markdown": markdown, "text/plain": ""}) for markdown in shown]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)])
    body, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
    (tmp_path/"page.html").write_text(body, encoding="utf-8")
    asked = []
    def refuse(route):
        asked.append(route.request.url)
        route.abort()
    page.route(re.compile("^(?!file:)"), refuse)
    page.on("dialog", lambda dialog: asked.append("a dialog"))
    page.goto(f"file://{tmp_path}/page.html", wait_until="domcontentloaded")
    page.wait_for_timeout(300)
    page.evaluate(TOUCH, "body")
    assert page.evaluate("window.__x") is None
    assert not [url for url in asked if "127.0.0.1" in url or not re.search(r"\.m?js(\?|$)|^data:", url)], asked   # of the template
    page.unroute(re.compile("^(?!file:)"))


def test_the_size_is_a_small_multiple():
    many = "[a]: http://x/" + "a" * 20_000 + "\n\n" + "[a] " * 5000
    sparse = "|" + "x|" * 300 + "\n|" + "-|" * 300 + "\n" + "x $\n" * 300
    for one in (many, sparse, *texts(300), *("".join(part * 3000) for part in ("$", "\\", "|a", "- $\n", "> $\n\n", "*a*", "```py\n1\n```\n", "![](http://a)", "$x$ ", "# \n"))):
        size = len(one.encode("utf-8", "replace"))
        for show in (safe_markdown, safe_html): assert len(show(one).encode()) <= 14 * size + 4000, one[:100]


def test_parsing_is_bounded():
    "No text costs much more for its length than others."
    for part in ("$$a\n", "![", "|a|b|\n|-|-|\n", "|x\n", "[", "](", "`", "*a", "**a_", "> ", "- ", "1. a\n", "\\(", "\\[", "$x", "<a", "&#13;", "[a](", "[a]: b\n",
            "~~a", "***", "a\n\n", "    a\n", "```\n", "<b>", "\\", "$$", "$a$", "|", "||\n", ":-:|", "é", "a' ", "**a** "):
        start = time.process_time()
        safe_markdown((part * 40_000)[:40_000])
        assert time.process_time() - start < 8, part
