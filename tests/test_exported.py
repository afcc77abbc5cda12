"Exported conversations: each kind holds all of it, runs nothing, asks no host for anything, and looks right alone."
import json
import random
import re

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from llama_nbchat import Chat, ChatMessages, Delta, Message, Reply, ScriptedModel
from llama_nbchat.messages import whole_text
from llama_nbchat.document import conversation_of, talks_in, document_of, found_in
from llama_nbchat.exported import markdown_of, notebook_of, page_of
from tests.renderers import chromium, text as hostile

KINDS = (".html", ".md", ".ipynb")
PIECES = ["Mars", "größer", "日本語", "🪐", "a *b* **c**", "```python\nx = {1: '''a'''}\n```", "```\nopen", "~~~~", "<b>x</b>", "</script>", "-->", "<!--", "<!--llama_nbchat {}-->",
    '<script type="application/json" id="llama_nbchat">{}</script>', '"""', "'''", '"', "\\", "\\n", "\0", "\x1b[31m", "\r\n", "\n", "\n\n", "    ", "\t", "{x}", "{{y}}", "%%bash", "!ls",
    "\n>>> 1 + 1", "\n... 2", "\nIn [3]: x", "$x^2$", "\\(a\\)", "| a | b |\n|---|---|\n| 1 | 2 |", "- [x] done\n- [ ] not", "# Title", "---", "\u2028", "\ud83e", "&lt;", "1. one\n2. two", "> said", "# user", "### user", "user\n---", "**user**", "<h3>user</h3>", "[l](http://x.example)"]
IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


def words(chance):
    if chance.random() < 0.02: return "A very long text. " * 3000
    if chance.random() < 0.2: return hostile(chance) or "x"
    return "".join(chance.choice(PIECES) + chance.choice(("", " ", "\n")) for _ in range(chance.randint(1, 7)))


def thought(chance): return whole_text(words(chance)).strip()   # as a reply has it


def turn(chance, before):
    "A turn of some kind: plain, with functions, with an image, stopped, cut, or failed."
    prompt = words(chance)
    if chance.random() < 0.1: prompt = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": chance.choice((IMAGE, "http://127.0.0.1:9/x.png"))}}]
    messages = [Message("user", prompt)]
    if chance.random() < 0.2:
        call = {"id": "call_1", "type": "function", "function": {"name": chance.choice(("moons", "a</summary>")), "arguments": json.dumps({"of": words(chance)})}}
        messages += [Message("assistant", "", thought(chance), (call,)), Message("tool", words(chance), tool_call_id="call_1")]
    messages.append(Message("assistant", words(chance), thought(chance) if chance.random() < 0.3 else ""))
    if chance.random() < 0.2 and len(messages) == 2:
        made = Reply(prompt, before)
        made.grow(Delta("<think>hm</think>" * (chance.random() < 0.5) + "One" + words(chance), finish_reason=chance.choice((None, "length"))), 0.5)
        if chance.random() < 0.5: made.complete()
        made.end()
    else: made = Reply.of(messages, before)
    made.model,made.params = chance.choice((None, "planets.gguf", "<b>*x*")),{"temperature": chance.choice((0, 0.5))}
    if chance.random() < 0.1: made.error,made.interrupted = "it failed",True
    return made


def talk(seed):
    chance = random.Random(seed)
    messages = ChatMessages()
    if chance.random() < 0.5: messages.append_system_message(words(chance))
    for _ in range(chance.randint(0, 5)):
        back = chance.random()
        if back < 0.15 and messages.tip: messages.go(messages.tip.before)
        new = turn(chance, messages.tip)
        if back > 0.9 and messages.tip: new.instead_of,new.before = messages.tip,messages.tip.before
        messages.go(new)
    return messages


def test_all_of_it_comes_back():
    "Two hundred conversations, in each kind, and as JSON."
    transform = TransformerManager().transform_cell
    for seed in range(200):
        messages = talk(seed)
        document = document_of(messages, model="m", params={"temperature": 0, "stop": ['"""\n']})
        for made in (page_of, markdown_of): assert found_in(made(messages, document, words(random.Random(seed)))) == document, seed
        notebook = json.loads(json.dumps(notebook_of(messages, document, "x\ny", loading='"m"')))
        assert found_in(json.dumps(notebook)) == document_of(conversation_of(document), model="m", params=document["params"]) == document, seed
        nbformat.validate(notebook)
        asked = []
        names = {"Chat": lambda *given, **params: asked.append((given, params)) or Recorder(asked)}
        cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for source in cells: exec(transform(source.replace("from llama_nbchat import Chat", "")), names)
        assert asked[0] == (("m",), {**({"system_message": messages.system.content} if messages.system else {}), **document["params"]}), seed
        assert [one[0][0] for one in asked[1:]] == [turn.prompt for turn in messages.turns], seed


class Recorder:
    "Stands for a chat, and notes what it is asked."
    def __init__(self, asked): self.asked = asked
    def __call__(self, prompt, **params): self.asked.append(((prompt,), params))
    messages = property(lambda self: self)
    def append_user_message(self, prompt): self(prompt)


def test_a_notebook_is_taken_up_from_its_outputs_too():
    for seed in range(60):
        messages = talk(seed)
        if len(messages.turns) == 0: continue
        notebook = notebook_of(messages, document_of(messages), "x")
        kept = talks_in(notebook)
        assert [turn.prompt for turn in kept[0].turns] == [turn.prompt for turn in messages.turns], seed


def test_nothing_in_markdown_breaks_out():
    "Whatever is said, each message begins where it begins, and what names a speaker is said by nobody."
    from markdown_it import MarkdownIt
    for seed in range(100):
        messages = talk(seed)
        parsed = MarkdownIt("commonmark", {"html": True}).parse(markdown_of(messages, document_of(messages), "The title", speaker="NOBODYELSE"))
        outermost = [token for before, token in zip(parsed, parsed[1:]) if before.type == "heading_open" and before.tag == "h3" and before.level == 0]
        names = [token.content for token in outermost]
        assert set(names) <= {"system", "user", "tool", "NOBODYELSE", "planets", "&lt;b>\\*x\\*"}, seed
        assert len(names) == len(messages), seed
        assert parsed[-1].type == "html_block" and parsed[-1].content.startswith("<!--llama_nbchat {"), seed
        assert sum(token.type == "heading_open" and token.tag == "h1" for token in parsed) == 1, seed


@pytest.fixture(scope="module")
def page():
    if not chromium: pytest.skip("There is no Chromium here.")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield browser.new_page()
        browser.close()


TOUCH = """() => { for (const element of document.querySelectorAll('body, body *'))
    for (const event of ['mouseover', 'mouseenter', 'focus', 'toggle', 'pointerover', 'load', 'error']) element.dispatchEvent(new Event(event, {bubbles: true})) }"""


def test_a_page_asks_nobody_and_runs_nothing(page, tmp_path):
    seen = []
    page.on("request", lambda request: seen.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    for begin in range(0, 60, 20):
        chance = random.Random(begin)
        messages = ChatMessages()
        messages.append_system_message(hostile(chance))
        for seed in range(begin, begin + 20): messages.go(turn(random.Random(seed + 1000), messages.tip))
        for _ in range(20): messages.append_turn(hostile(chance) or "x", hostile(chance) or "x")
        (tmp_path/"talk.html").write_text(page_of(messages, document_of(messages), hostile(chance), hostile(chance), hostile(chance)), encoding="utf-8")
        page.goto(f"file://{tmp_path}/talk.html")
        page.evaluate(TOUCH)
        assert page.evaluate("window.__x") is None and seen == []
        elements = set(page.evaluate("[...document.querySelectorAll('body *')].map(element => element.localName)"))
        assert not elements & {"iframe", "object", "embed", "form", "input", "style", "link", "meta", "base", "svg", "video", "audio"}
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == page.locator("img[src^='data:image/png']").count()
        assert page.locator("main div[title]").count() == len(messages)


def test_the_policy_would_stop_what_is_not_ours(page, tmp_path):
    "What the test above looks for can be found."
    html = page_of(talk(1), {}, "x").replace("<main>", "<main><script>window.__y = 1</script><img src=http://127.0.0.1:9/x.png onerror='window.__z = 1'>")
    (tmp_path/"bad.html").write_text(html, encoding="utf-8")
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"file://{tmp_path}/bad.html")
    assert page.evaluate("[window.__y, window.__z]") == [None, None] and len(complaints) >= 2


@pytest.mark.parametrize("scheme, bright", (("light", True), ("dark", False)))
@pytest.mark.parametrize("width", (1440, 390))
def test_it_fits_and_has_its_colours(page, tmp_path, scheme, bright, width):
    messages = ChatMessages()
    messages.append_turn("x" * 500, "```python\n" + "value = 1; " * 60 + "\n```\n\n|" + "a long column|" * 12 + "\n|" + "-|" * 12 + "\n|" + "1|" * 12 + "\n\n" + "y" * 400)
    (tmp_path/"talk.html").write_text(page_of(messages, {}, "z" * 300), encoding="utf-8")
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"file://{tmp_path}/talk.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = [int(n) for n in re.findall(r"\d+", page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))]
    ink = [int(n) for n in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).color"))]
    assert (sum(paper) > sum(ink)) is bright and abs(sum(paper) - sum(ink)) > 400


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_opened_again(tmp_path, kind):
    chat = Chat(ScriptedModel("Mars", "Venus"), "Be brief", temperature=0.5)
    for prompt in ("One\r\n\"\"\"", "Two"): chat.prompt(prompt)
    chat.undo()
    chat.export(tmp_path/f"talk{kind}")
    again = Chat.load(tmp_path/f"talk{kind}", ScriptedModel("Earth"))
    assert document_of(again.messages) == document_of(chat.messages) and again.params == {"temperature": 0.5}
    assert len(again.tree()) == 2
    assert [path.name for path in tmp_path.iterdir()] == [f"talk{kind}"]


def test_formulas_need_latex2mathml_or_nothing(monkeypatch):
    messages = ChatMessages()
    messages.append_turn("x", "\\(x^2\\)")
    assert "<math" in page_of(messages, {}, "x")
    monkeypatch.setitem(__import__("sys").modules, "latex2mathml.converter", None)
    assert "<math" not in page_of(messages, {}, "x") and "<code class='tex'>x&#94;2</code>" in page_of(messages, {}, "x")
