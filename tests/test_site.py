"The documentation site: it is built, strictly, and each of its pages works in a browser, offline."
import fcntl
import http.server
import os
import re
import subprocess
import sys
import threading
from functools import partial

import pytest
import yaml

from tools import lite
from tools.site.__main__ import order, site
from tools.site.pages import Page, Pages
from tools.outputs import paths, root
from tests.test_browser import browser  # noqa: F401 (a fixture)


def build_once():
    "Builds the site, if no other process of these tests has done so: each of them may need it first."
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    (root/".cache").mkdir(exist_ok=True)
    with (root/".cache"/"site").open("a+") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        built.seek(0)
        if built.read() == run: return
        done = subprocess.run([sys.executable, "-m", "tools.site"], cwd=root, capture_output=True, text=True)
        assert not done.returncode, done.stdout + done.stderr
        built.truncate(0)
        built.write(run)


@pytest.fixture(scope="module")
def address():
    "The site, built and served on the loopback interface."
    build_once()
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_): pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(browser):  # noqa: F811
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url) if "//127.0.0.1:" not in request.url and not request.url.startswith(("data:", "blob:")) else None)
    page.on("response", lambda response: page.problems.append(response.url) if response.status >= 400 else None)
    yield page
    page.close()


def html_pages():
    "Those of the book; the pages that run in a browser have a test of their own."
    found = (path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.name != "404.html")
    return sorted(name for name in found if not name.startswith(f"{lite.place}/"))


def test_every_notebook_is_in_the_order():
    named = sum(order().values(), [])
    assert sorted(named) == sorted(path.relative_to(root/"nbs").as_posix() for path in paths()) and len(set(named)) == len(named)


@pytest.mark.parametrize("target", ("../30_found.ipynb", "gone.ipynb", "../../READYOU.md", "../gone/", "../30_found.ipynb#models"))
def test_a_link_that_leads_nowhere(target):
    "Also one to a file of the repository, which is no page."
    page = Page("howtos/models.ipynb", "howtos/models.md", "", "", f"See [there]({target}).")
    pages = object.__new__(Pages)
    pages.pages = {page.notebook: page}
    with pytest.raises(SystemExit, match=f"nbs/howtos/models.ipynb links to {re.escape(target)}, which is not there"): pages.linked(page)
    page.text = "[one](../../README.md) [two](models.ipynb#x) [three](../40_chat.ipynb) [four](https://example.com/gone.ipynb) [five](#x)"
    assert "blob/main/README.md" in pages.linked(page) and "(models.md#x)" in pages.linked(page)


def test_every_page_opens(address, page):
    "No error, nothing from another host, a title, and nothing that is wider than the page, also on a phone."
    names = html_pages()
    assert len(names) == len(paths())
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        for name in names:
            page.goto(f"{address}/{name}")
            assert page.locator("article h1").count() == 1, name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            shown = page.locator("article").inner_text()
            assert "{ #" not in shown and "{: " not in shown, name
            assert not [text for text in page.locator("article p:not(.output p)").all_inner_texts() if "](" in text], name
            if folder := os.environ.get("SCREENSHOTS"): page.screenshot(path=f"{folder}/{name.replace('/', '_')}_{width}.png")
    assert page.problems == []


def test_search_finds_symbols_and_prose(address, page):
    for words, wanted in (("Chat.retry", "history.html#chat.retry"), ("ContextOverflowError", "errors.html"), ("orthogonal", "explanations/demo_training.html")):
        page.goto(f"{address}/index.html")
        for _ in range(40):    # until the page listens
            page.keyboard.press("Control+k")
            page.wait_for_timeout(250)
            if page.locator("input:visible").count(): break
        page.locator("input:visible").first.fill(words)
        def here(): return re.sub(r"\?[^#]*", "", page.url)
        for _ in range(40):    # until the first result is there, and has been followed
            page.wait_for_timeout(500)
            if "index.html" not in here(): break
            page.keyboard.press("Enter")
        assert wanted in here()


def test_symbols_have_anchors_and_sources(address, page):
    page.goto(f"{address}/history.html#chat.retry")
    heading = page.locator("[id='chat.retry']")
    assert heading.inner_text().startswith("Chat.retry") and heading.bounding_box()["y"] < 300
    assert page.locator("nav a[href$='#chat.retry']").count() >= 1      # in the contents of the page
    assert page.locator("a[href*='/blob/main/llama_nbchat/history.py#L']").count() > 5
    assert page.locator("article a[href='errors.html#chaterror']").count() >= 1     # from backticks


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_both_themes(address, browser, scheme):  # noqa: F811
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{address}/index.html")
    brightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)")
    assert brightness > 600 if scheme == "light" else brightness < 150
    page.close()


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("name", ("index.html", "howtos/branch.html"))
def test_pictures_follow_the_palette(address, browser, name, scheme):  # noqa: F811
    "One of the two is seen, whole, and the other one after the palette was changed."
    page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto(f"{address}/{name}")
    for shown in (scheme, {"light": "dark", "dark": "light"}[scheme]):
        page.wait_for_function("""shown => { const seen = [...document.querySelectorAll('article picture img')].filter(image => image.checkVisibility());
            return seen.length == 1 && seen[0].complete && seen[0].naturalWidth > 1000 && seen[0].currentSrc.includes(`-${shown}.webp`) &&
                seen[0].getBoundingClientRect().right <= innerWidth }""", arg=shown)
        if shown == scheme: page.locator("label[for^=__palette]:visible").first.click()
    page.close()


def test_the_first_screen(address, page):
    "What it is, a picture of it, what to install and what to type: at once, on a desk and on a phone."
    for width, height in ((1440, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{address}/index.html")
        page.wait_for_function("[...document.querySelectorAll('article picture img')].filter(image => image.checkVisibility())[0].naturalWidth > 0")
        for what in ("article .subtitle", "article picture.light img", "article pre >> nth=0", "article pre >> nth=1"):
            box = page.locator(what).bounding_box()
            assert box["y"] > 0 and box["y"] + box["height"] <= height, (what, box, width)


def test_formulas_are_shown(address, page):
    page.goto(f"{address}/markdown.html")
    assert page.locator("article .output math msup").count() >= 1


def test_llms_txt(address):
    text = (site/"llms.txt").read_text(encoding="utf-8")
    told = yaml.safe_load((root/"mkdocs.yml").read_text(encoding="utf-8"))["site_url"]
    files = [line.split("](")[1].split(")")[0].removeprefix(told) for line in text.splitlines() if line.startswith("- [")]
    assert len(files) == len(paths()) and all((site/name).exists() for name in files)
