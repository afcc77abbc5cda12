"The live chat of the front page, in a browser: what it answers, what it loads and from where, and what it says where it can't run."
import base64
import gzip
import hashlib
import random
import re
import shutil
import subprocess
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llama_nbchat import Chat
from llama_nbchat.found import demo_path
from tests.test_browser import INJECTIONS, browser  # noqa: F401 (a fixture)
from tests.test_site import address, page  # noqa: F401 (fixtures)
from tools import npm
from tools.site import live

SLOW = 120_000    # Milliseconds, on a machine that has a lot to do


@pytest.fixture(scope="module", autouse=True)
def size():
    "The bytes of the engine's program. Asked for here and not at the head: all processes must find the same tests."
    engine = npm.package(live.ENGINE)
    if not engine: pytest.skip("There is no npm here.")
    return (engine/"esm"/"wasm"/"wllama.wasm").stat().st_size


@pytest.fixture
def opened(address, page):  # noqa: F811
    page.goto(f"{address}/index.html")
    return page


def start(page):  # noqa: F811
    page.locator("#live-chat button").first.click()
    page.locator("#live-chat [name=prompt]").wait_for(timeout=SLOW)


def complete(page, number):  # noqa: F811
    "Waits until so many answers are complete."
    page.locator(".live-figures").nth(number - 1).wait_for(timeout=SLOW)
    page.locator("#live-chat[data-state=ready]").wait_for(timeout=SLOW)


def ask(page, prompt):  # noqa: F811
    "An answer, asked for by keyboard."
    number = page.locator(".live-figures").count() + 1
    page.locator("#live-chat [name=prompt]").fill(prompt)
    page.keyboard.press("Enter")
    complete(page, number)
    return page.locator("#live-chat .answer").last.inner_text()


def told(page):  # noqa: F811
    page.locator(".live-told:visible").wait_for(timeout=SLOW)
    return page.locator(".live-told").inner_text()


@pytest.fixture(scope="module")
def native():
    "What the demo model answers to the prompts of the box outside of a browser."
    chat = Chat(system_message=live.SYSTEM, temperature=0)
    return [chat.prompt(prompt).text for prompt in live.PROMPTS]


def test_it_answers_as_on_the_desktop_and_loads_little(opened, native):
    "Nothing before the click, at most 6 MB compressed after it, nothing from another host, three answers as outside."
    responses = []
    opened.on("response", lambda response: responses.append(response))
    files = [r for r in opened.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)") if "/live/" in r]
    assert sorted(name.split("/live/")[1] for name in files) == ["live.css", "live.js", "model.js", "text.js"]
    assert "this is the demo model, 2.8 MB, in your browser; nothing is sent" in " ".join(opened.locator("#live-chat").inner_text().split())
    said = float(re.search(r"loads ([\d.]+) MB", opened.locator(".live-start").inner_text())[1])
    begin = time.monotonic()
    start(opened)
    assert ask(opened, live.PROMPTS[0]) == native[0]
    print(f"the first answer came {time.monotonic() - begin:.1f} s after the click")
    bodies = {response.url: response.body() for response in responses if "/live/" in response.url}
    loaded = sum(map(len, bodies.values()))
    assert round(loaded / 1e6, 1) == said
    assert sum(min(len(body), len(gzip.compress(body))) for body in bodies.values()) < 6e6
    for number in (1, 2):
        opened.locator(".live-suggestion").nth(number).click()
        complete(opened, number + 1)
    assert opened.locator("#live-chat .answer").all_inner_texts() == native
    for figures in opened.locator(".live-figures").all_inner_texts(): assert re.fullmatch(r"\d+ tokens · (\d\.\d|\d\d+)/s · \d+\.\d s", figures)
    assert len(bodies) == 3 and len([response for response in responses if "/live/" in response.url]) == 3    # each once
    assert opened.problems == []


def test_the_page_stays_alive_and_a_stop_keeps_what_was_written(opened, native):
    start(opened)
    ask(opened, live.PROMPTS[0])
    opened.evaluate("""() => {
        window.seen = []; window.beats = 0;
        setInterval(() => window.beats++, 5);
        new MutationObserver(() => {
            const text = document.querySelector('.live-turn:last-child .answer')?.innerText;
            if (text && text != window.seen.at(-1)) window.seen.push(text);
            if (window.stopAt && text?.length > window.stopAt) document.querySelector('.live-stop').click();
        }).observe(document.querySelector('.live-talk'), {childList: true, subtree: true, characterData: true});
    }""")
    whole = ask(opened, live.PROMPTS[2])
    seen = opened.evaluate("window.seen")
    assert len(seen) > 5 and seen[-1] == whole and all(len(a) < len(b) for a, b in zip(seen, seen[1:]))
    assert opened.evaluate("window.beats") > len(seen)    # the page had its turns in between
    opened.evaluate("window.stopAt = 40")
    stopped = ask(opened, "Sort the planets by mass")
    assert opened.locator(".live-figures").last.inner_text().startswith("stopped · ")
    assert 40 < len(stopped) < 150
    opened.evaluate("window.stopAt = 0")
    assert ask(opened, "Name the planets in the solar system") == native[0]


def test_what_cannot_be_loaded_is_said_and_can_be_tried_again(opened, native, size):
    model, program = demo_path(), live.here.parent.parent.parent/"_docs/live/wllama/wllama.wasm.gz"
    short, broken = model.read_bytes()[:100_000], bytearray(program.read_bytes())
    broken[1_000_000] ^= 255
    for file, answer, words in ((model.name, dict(status=404), "404"), (program.name, None, "could not be loaded"), ("index.min.js", dict(status=500), "could not"),
            (program.name, dict(body=b"<html>Please log in"), "damaged"), (program.name, dict(body=bytes(broken)), "damaged"), (model.name, dict(body=short), "damaged"),
            (model.name, dict(body=b""), "damaged"), (program.name, dict(body=gzip.compress(b"x" * size)), "did not start")):
        opened.route(f"**/{file}", lambda route: route.fulfill(**answer) if answer else route.abort())
        opened.locator("#live-chat button").first.click()
        assert re.search(words, told(opened)), (file, told(opened))
        assert opened.locator("article h2").count() and not opened.locator("#live-chat form").is_visible()
        opened.unroute(f"**/{file}")
        opened.goto(opened.url)    # an import that has failed is remembered by the page
    start(opened)
    assert ask(opened, live.PROMPTS[0]) == native[0]


@pytest.mark.parametrize("lack,words", (("delete window.WebAssembly", "no WebAssembly"), ("delete window.DecompressionStream", "unpack"),
    ("WebAssembly.Memory = class { constructor(told) { if (told.address) throw new TypeError('no 64 bits'); } }", "64-bit")))
def test_a_browser_that_lacks_something_is_told(opened, lack, words):
    opened.add_init_script(lack)
    opened.goto(opened.url)
    asked = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.locator("#live-chat button").first.click()
    assert re.search(words, told(opened)) and not [name for name in asked if "/live/" in name] and opened.problems == []


def test_a_browser_that_cannot_suspend_loads_nothing_from_elsewhere(opened, native):
    opened.add_init_script("delete WebAssembly.Suspending; delete WebAssembly.promising")
    opened.goto(opened.url)
    start(opened)
    assert ask(opened, live.PROMPTS[0]) == native[0] and opened.problems == []


def test_a_page_that_comes_from_a_file_says_why(address, browser):  # noqa: F811
    from tools.site.__main__ import site
    opened = browser.new_page()
    opened.goto((site/"index.html").as_uri())
    opened.locator(".live-missing:visible").wait_for(timeout=SLOW)
    assert "web server" in opened.locator(".live-missing").inner_text() and opened.locator("#live-chat button").first.is_disabled()
    opened.close()


def test_the_oldest_turns_are_left_out_and_it_is_said(address, page, native):  # noqa: F811
    def smaller(route): route.fulfill(response=(got := route.fetch()), body=got.text().replace("n_ctx&quot;: 2048", "n_ctx&quot;: 640"))
    page.route("**/index.html", smaller)
    page.goto(f"{address}/index.html")
    start(page)
    for number, prompt in enumerate(live.PROMPTS[:2] * 2): assert ask(page, prompt) == native[number % 2]
    assert page.locator(".live-left-out").count() >= 1
    assert "left out" in page.locator(".live-line").first.inner_text()
    page.locator("#live-chat [name=prompt]").fill("planets, " * 1000)
    page.keyboard.press("Enter")
    assert "too long" in told(page) and page.locator("#live-chat [name=prompt]").input_value().startswith("planets")
    assert ask(page, live.PROMPTS[0]) == native[0]
    assert page.problems == []


FAKE = """async ({settings, talk}) => {
    const {Conversation} = await import('./live/model.js');
    const conversation = new Conversation(settings), given = [];
    const engine = {async createChatCompletion({messages, onData}) {
        given.push(messages);
        const [, tokens, prompt] = talk[given.length - 1];
        const size = messages.reduce((sum, message) => sum + new TextEncoder().encode(message.content).length + 4, 0);
        if (size > settings.n_ctx) throw new Error('the request exceeds the available context size');
        onData({choices: [{delta: {content: 'x'.repeat(tokens)}}]});
        onData({choices: [], usage: {prompt_tokens: size, completion_tokens: tokens}});
    }};
    const left = [];
    for (const [prompt] of talk) {
        left.push(conversation.makeRoom(prompt));
        await conversation.ask(engine, prompt, () => {});
    }
    return {given, left};
}"""


def test_any_conversation_stays_within_the_window_and_whole(opened):
    "With a model for which each byte is a token: what it gets always fits, is the latest of what was said, and no more is left out than must be."
    rng = random.Random(1)
    marks = live.control_marks(demo_path())
    assert "</s>" in marks and "[INST]" in marks
    words = [*marks, "planet", "ä", "🪐", " ", "\n", "</", "[", "INST]"]
    for n_ctx in (1024, 2048, 4096):
        talk = [("".join(rng.choices(words, k=rng.randint(1, 12))), rng.randint(1, 300)) for _ in range(60)]
        settings = {"system": live.SYSTEM, "n_ctx": n_ctx, "marks": marks}
        seen = opened.evaluate(FAKE, {"settings": settings, "talk": talk})
        left = 0
        for number, messages in enumerate(seen["given"]):
            left += seen["left"][number]
            said = [message for prompt, tokens in talk[left:number] for message in (("user", prompt), ("assistant", "x" * tokens))]
            expected = [("system", live.SYSTEM), *said, ("user", talk[number][0])]
            assert [(message["role"], message["content"].replace("\u2060", "")) for message in messages] == expected
            for message in messages: assert not [mark for mark in marks if mark in message["content"]]
            size = sum(len(message["content"].encode()) + 4 for message in messages)
            assert size + 512 <= n_ctx + 64
            if left < number and seen["left"][number]:    # one turn more would not have fitted
                assert size + len(talk[left - 1][0].encode()) + talk[left - 1][1] + 512 > n_ctx - 128
        assert left


def test_an_engine_that_hears_nothing_is_given_up_after_a_stop(opened):
    "What it has written is kept."
    kept = opened.evaluate("""async settings => {
        const {Conversation} = await import('./live/model.js');
        const conversation = new Conversation(settings), stopping = new AbortController();
        const engine = {createChatCompletion({onData}) {
            onData({choices: [{delta: {content: 'begun'}}]});
            return new Promise(() => {});
        }};
        setTimeout(() => stopping.abort(), 10);
        const reply = await conversation.ask(engine, 'prompt', () => {}, stopping.signal);
        return [reply.text, reply.stopped, reply.unheard, conversation.turns.length];
    }""", {"system": live.SYSTEM, "n_ctx": 2048, "marks": []})
    assert kept == ["begun", True, True, 1]


def test_answers_are_text(opened):
    "Whatever a model writes: only paragraphs, lists, bold and code come out of it, and every word of it is there."
    rng = random.Random(2)
    pieces = [*INJECTIONS, "1. one", "2) two", "- three", "* four", "**bold**", "`code`", "**", "`", "", "  ", "text", "1.", "9999999999. x", "\t- tab"]
    texts = ["\n".join(INJECTIONS), *("\n".join(rng.choices(pieces, k=rng.randint(1, 12))) for _ in range(300)), *("".join(rng.choices(pieces, k=6)) for _ in range(300))]
    opened.evaluate("() => { window.pwns = 0; window.pwned = () => window.pwns++ }")
    made = opened.evaluate("""async texts => {
        const {nodes} = await import('./live/text.js');
        return texts.map(text => {
            const answer = document.createElement('div');
            answer.append(...nodes(text));
            document.body.append(answer);
            const all = [...answer.querySelectorAll('*')];
            return [answer.textContent, [...new Set(all.map(node => node.localName))], [...new Set(all.flatMap(node => node.getAttributeNames()))]];
        });
    }""", texts)
    def letters(text): return re.sub(r"[\s*`•+-]", "", text)
    for text, (content, tags, attributes) in zip(texts, made):
        assert letters(content) == letters(text)
        assert set(tags) <= {"p", "ol", "ul", "li", "span", "strong", "code"} and set(attributes) <= {"class", "role"}
    opened.wait_for_timeout(500)
    assert opened.evaluate("window.pwns") == 0 and opened.problems == []


def test_whoever_listens_or_uses_the_keyboard_alone(opened):
    "Each control has a name, the answer is read when it is complete, the focus goes to the field, and Tab reaches the stop button."
    start(opened)
    box = opened.locator("#live-chat")
    for name in (*live.PROMPTS, "Send"): assert box.get_by_role("button", name=name).is_visible()
    assert box.get_by_role("textbox", name="Your question about planets").is_visible()
    assert opened.evaluate("document.activeElement.name") == "prompt"
    opened.evaluate("""() => {
        window.busy = [];
        new MutationObserver(() => window.busy.push(document.querySelector('.live-talk').ariaBusy)).observe(document.querySelector('.live-talk'), {attributes: true});
    }""")
    ask(opened, live.PROMPTS[0])
    assert opened.evaluate("window.busy") == ["true", "false"]
    assert box.get_by_role("log", name="Conversation").get_attribute("aria-live") == "polite"
    assert box.get_by_role("status").inner_text() == "ready"


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("width", (1440, 390))
def test_it_can_be_read(address, browser, scheme, width):  # noqa: F811
    "Nothing is wider than the page, and every text stands out from what is behind it."
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.goto(f"{address}/index.html")
    start(opened)
    for prompt in ("Name the planets in the solar system", "w" * 300): ask(opened, prompt)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    contrasts = opened.evaluate("""() => {
        const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        function light(colors) {
            canvas.clearRect(0, 0, 1, 1);
            for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(c => c / 255).map(c => c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        }
        return [...document.querySelectorAll('#live-chat :is(.live-prompt, .answer, .live-figures, .live-note, .live-state, button, input)')].filter(node => node.offsetParent).map(node => {
            const behind = [];
            for (let at = node; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
            const [a, b] = [light(behind), light([...behind, getComputedStyle(node).color])].sort((x, y) => y - x);
            return [node.className || node.localName, (a + 0.05) / (b + 0.05)];
        });
    }""")
    assert len(contrasts) > 8 and not [(name, ratio) for name, ratio in contrasts if ratio < 3.5]
    opened.close()


HEAD = "<html><body><nav><p>no</p></nav><article><h1>t</h1>\n<p><em class=\"subtitle\">s</em></p>\n"
@pytest.mark.parametrize("opening", ("<p>one</p>\n<p>two</p>", "<p><picture><source srcset=a><img src=b></picture></p><p>two</p>", "<p>one<br>more</p><img src=b>",
    "<p>one &amp; \u2028 more</p>\n<video src=c></video>", "<p>one</p><!-- note --><ul><li><p>no</p></li></ul>", "<div><pre>x\n\n</pre></div>"))
def test_the_box_stands_behind_what_opens_the_page(opening):
    html = f"{HEAD}{opening}<h2>later</h2><p><img src=d></p></article></body></html>"
    assert html[:live.place(html)].endswith(opening)


def test_a_page_without_an_opening_is_refused():
    with pytest.raises(ValueError, match="nothing before"): live.place(f"{HEAD}<h2>later</h2><p>one</p></article>")


def test_without_npm_the_page_stays_as_it_is(tmp_path, monkeypatch, capsys):
    "As on a machine that has neither Node nor what was fetched before."
    monkeypatch.setattr(npm, "cache", tmp_path/"npm")
    monkeypatch.setenv("PATH", str(tmp_path))
    site = tmp_path/"site"
    site.mkdir()
    (site/"index.html").write_text(f"{HEAD}<p>one</p></article>")
    live.add(site)
    assert (site/"index.html").read_text() == f"{HEAD}<p>one</p></article>" and list(site.iterdir()) == [site/"index.html"]
    assert "no live chat" in capsys.readouterr().out


def test_processes_that_need_a_package_at_once_get_one(tmp_path, monkeypatch):
    "As tests do that run side by side on a fresh machine: all of them see that it is missing, and unpack it."
    found, together = npm.package(live.ENGINE), threading.Barrier(4)
    (tmp_path/"npm").mkdir()
    name = f"{live.ENGINE.replace('/', '+').lstrip('@')}.tgz"
    with tarfile.open(tmp_path/name, "w:gz") as archive: archive.add(found, "package")
    packed = "sha512-" + base64.b64encode(hashlib.sha512((tmp_path/name).read_bytes()).digest()).decode()
    monkeypatch.setitem(npm.PINNED, live.ENGINE, (npm.PINNED[live.ENGINE][0], packed))
    def pack(command, **_):
        shutil.copy(tmp_path/name, command[-1])
        together.wait(60)
        return subprocess.CompletedProcess(command, 0)
    monkeypatch.setattr(npm, "cache", tmp_path/"npm")
    monkeypatch.setattr(npm.subprocess, "run", pack)
    with ThreadPoolExecutor(4) as pool: folders = set(pool.map(npm.package, [live.ENGINE]*4))
    assert len(folders) == 1 and list((tmp_path/"npm").iterdir()) == list(folders)
    folder = folders.pop()
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in found.iterdir())


def test_what_is_of_others_comes_with_its_license(address, opened):
    from tools.site.__main__ import site
    license = (site/"live"/"wllama"/"LICENSE.txt").read_text(encoding="utf-8")
    assert "MIT License" in license and "Xuan Son NGUYEN" in license and "The ggml authors" in license
    assert opened.locator("#live-chat a[href='live/wllama/LICENSE.txt']").is_visible()
