"The documentation site: it is built, strictly, and each of its pages works in a browser, offline."
import fcntl
import http.server
import os
import re
import subprocess
import sys
import threading
from functools import partial
from itertools import groupby

import nbformat
import pytest
import yaml

from tools import lite
from tools.site.__main__ import order, site
from tools.site.pages import Page, Pages
from tools.site.reference import defined, exported, without_directives
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


def watched(browser):  # noqa: F811
    "A new page, which notes what goes wrong and what it asks of another host."
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url) if "//127.0.0.1:" not in request.url and not request.url.startswith(("data:", "blob:")) else None)
    page.on("response", lambda response: page.problems.append(response.url) if response.status >= 400 else None)
    return page


@pytest.fixture
def page(browser):  # noqa: F811
    page = watched(browser)
    yield page
    page.close()


def html_pages():
    "Those of the book; the pages that run in a browser have a test of their own."
    found = (path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.name != "404.html")
    return sorted(name for name in found if not name.startswith(f"{lite.place}/"))


def notebooks(): return [name for name in order() if name.endswith(".ipynb")]


def references():
    "The notebooks that become modules, each with the name of its page."
    for notebook in notebooks():
        read = nbformat.read(root/"nbs"/notebook, as_version=4)
        module = next((found[1] for cell in read.cells if (found := re.match(r"#\| default_exp (?:\w+\.)?(\w+)", cell.source))), None)
        if module: yield read, f"{module}.html"


def test_every_notebook_is_in_the_order():
    named = notebooks()
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


SEEN = """
() => {   // of a page that is open
  const article = document.querySelector("article"), all = what => [...article.querySelectorAll(what)]
  return {
    titles: all("h1").length, shown: article.innerText, content: article.textContent,
    paragraphs: all("p:not(.output p)").map(paragraph => paragraph.innerText),
    names: all(".names tbody tr").map(row => [row.cells[0].textContent, row.cells[1].textContent, row.querySelector("a").href]),
    names_to_headings: article.querySelector(".names")?.compareDocumentPosition(article.querySelector("h2, h3")),
    unfolded: all("details:is(.source, .helpers, .tests)[open]").length,
  }
}
"""


@pytest.fixture(scope="module")
def visited(address, browser):  # noqa: F811
    """Each page, loaded once: one on a desk, the next one on a phone, and so on; then the window gets the width of the other. What is
    seen of each, how wide it is in either window, and the problems of all."""
    page, seen = watched(browser), {}
    for number, name in enumerate(html_pages()):
        wide = {}
        for width in (1400, 400)[::-1 if number % 2 else 1]:
            page.set_viewport_size({"width": width, "height": 1000})
            if not wide: page.goto(f"{address}/{name}")
            wide[width] = page.evaluate("document.documentElement.scrollWidth")
            if folder := os.environ.get("SCREENSHOTS"): page.screenshot(path=f"{folder}/{name.replace('/', '_')}_{width}.png")
        seen[name] = {**page.evaluate(SEEN), "wide": wide}
    yield seen, page.problems
    page.close()


def test_every_page_opens(visited):
    "No error, nothing from another host, a title, and nothing that is wider than the page, also on a phone."
    seen, problems = visited
    assert len(seen) == len(paths()) + 2 == len(order())
    for name, found in seen.items():
        assert found["titles"] == 1, name
        assert [(width, needed) for width, needed in found["wide"].items() if needed > width] == [], name
        assert "{ #" not in found["shown"] and "{: " not in found["shown"], name
        assert [text for text in found["paragraphs"] if "](" in text] == [], name
    assert problems == []


def test_search_finds_symbols_and_prose(address, page):
    for words, wanted in (("Chat.retry", "history.html#chat.retry"), ("ContextOverflowError", "errors.html"), ("orthogonal", "explanations/demo_training.html"),
            ("What went wrong stays known", "chat.html"), ("pull request", "contributing.html")):
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
    assert len(files) == len(paths()) + 2 and all((site/name).exists() for name in files)


def test_the_sections_lead_from_the_first_minute_to_what_changes(address, page):
    page.goto(f"{address}/index.html")
    shown = page.locator(".md-nav--primary > .md-nav__list > .md-nav__item--section > :is(label, a, .md-nav__link)").all_inner_texts()
    assert [text.strip() for text in shown if text.strip()] == ["Get started", "How to", "Explanations", "Extend", "Reference", "Contribute", "Changes"]


def test_no_list_in_the_side_bar_is_longer_than_a_glance():
    "A dozen pages at most between two headings; no section is there twice, and only pages on the top level have none."
    lists = [list(places) for _, places in groupby(order(), order().get)]
    assert max(map(len, lists)) <= 12, lists
    assert len(lists) == len({*order().values()})
    assert [place for place, sections in order().items() if not sections] == ["index.ipynb"]


def test_the_reference_is_in_groups_and_that_of_the_page_is_open(address, page):
    groups = ["Chat", "Keeping", "Showing", "Models and servers", "The engine", "Model files", "Data and safety"]
    page.goto(f"{address}/decoder.html")
    reference = page.locator(".md-nav--primary > .md-nav__list > .md-nav__item--section", has_text="Reference").last
    names = reference.locator(":scope > .md-nav > .md-nav__list > .md-nav__item > :is(label, .md-nav__link)")
    shown = [text.strip() for text in names.all_inner_texts() if text.strip()]
    assert shown == groups
    def seen(name): return reference.get_by_role("link", name=name, exact=True).first.is_visible()
    assert (seen("The decoder"), seen("What is known already"), seen("Downloads")) == (True, True, False)
    names.filter(has_text="Models and servers").last.click()
    reference.get_by_role("link", name="Downloads", exact=True).first.click()
    page.wait_for_url("**/download.html")
    assert not page.problems


def test_a_reference_begins_with_its_names(address, visited):
    "Each public name has a line, which says something and leads to where the name is; classes come first, then what they have."
    seen, _ = visited
    for notebook, name in references():
        rows = [(a.strip(), b.strip(), link) for a, b, link in seen[name]["names"]]
        shown = [row[0].removesuffix("()") for row in rows]
        assert set(exported(notebook)) <= set(shown), name
        assert all(words for _, words, _ in rows), (name, [row for row in rows if not row[1]])
        assert seen[name]["names_to_headings"] in (None, 4), name      # they follow
        for _, _, link in rows:
            place, _, anchor = link.removeprefix(f"{address}/").partition("#")
            assert not anchor or f'id="{anchor}"' in (site/place).read_text(encoding="utf-8"), (name, link)
    names = [row[0].strip() for row in seen["chat.html"]["names"]]
    assert names[0] == "Chat" and {".messages", ".stream()", "chat(...)", ".undo()"} <= set(names)


def test_parameters_that_take_all_others_are_explained(address):
    found = 0
    for notebook, name in references():
        text = (site/f"{name}.md").read_text(encoding="utf-8")
        documented = set(re.findall(r"\{ #(\S+) \.symbol \}", text))
        for symbol in defined(notebook).values():
            for parameter, words in symbol.others.items() if symbol.name.lower() in documented else ():
                signature = text.partition(f"{{ #{symbol.name.lower()} .symbol }}")[2].partition("```python\n")[2].partition("\n```")[0]
                assert re.search(rf"^    \*+{parameter}\b[^#]*# {re.escape(words)}$", signature, re.MULTILINE), (symbol.name, signature)
                found += 1
    assert found > 10


def test_a_reference_is_the_notebook_from_top_to_bottom(visited):
    "Folding leaves nothing out, and changes no place: with all opened, the code can be read in its order."
    def letters(text): return re.sub(r"\s+", "", text)
    seen, _ = visited
    for notebook, name in references():
        shown, place = letters(seen[name]["content"]), 0
        for cell in notebook.cells:
            if cell.cell_type != "code" or not cell.source or re.search(r"^#\| *(hide|export|default_exp)\b", cell.source, re.MULTILINE): continue
            code = letters(without_directives(cell.source))
            place = shown.find(code, place)
            assert place >= 0, (name, cell.source)
        assert not seen[name]["unfolded"], name


def test_what_is_folded_opens(address, page):
    "By an address, also the same one again, by a search, for paper, and all at once; then also on the next page."
    helper = page.locator("article details", has=page.locator("[id='chat._commit']"))
    page.goto(f"{address}/chat.html")
    assert page.evaluate("document.documentElement.scrollHeight") < 13_000 and helper.get_attribute("open") is None
    page.goto(f"{address}/chat.html#chat._commit")
    page.wait_for_timeout(300)
    assert helper.get_attribute("open") is not None and -5 < page.locator("[id='chat._commit']").bounding_box()["y"] < 300
    helper.evaluate("fold => fold.open = false")
    page.locator("article").evaluate("article => { const link = document.createElement('a'); link.href = '#chat._commit'; article.append(link); link.click() }")
    page.wait_for_timeout(300)
    assert helper.get_attribute("open") is not None
    page.goto(f"{address}/chat.html?h=_error_kept")
    assert page.locator("details.helpers[open]", has_text="def _error_kept").count() == 1
    page.goto(f"{address}/chat.html")
    folds = page.locator("article details").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("article details[open]").count() == folds
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("article details[open]").count() == 0
    page.get_by_role("button", name="Open all").click()
    assert page.locator("article details[open]").count() == folds > 20
    page.goto(f"{address}/history.html")
    assert page.locator("article details[open]").count() == page.locator("article details").count()
    page.get_by_role("button", name="Fold again").click()
    assert page.locator("article details[open]").count() == 0
    assert page.problems == []


COVERED = """
() => {   // texts that can be seen, and the buttons that lie upon one of them, or upon each other
  const clipped = (rect, element) => {
    let [left, top, right, bottom] = [rect.left, rect.top, rect.right, rect.bottom]
    for (let box = element; box && box != document.body; box = box.parentElement) {
      if (getComputedStyle(box).overflow == "visible") continue
      const edge = box.getBoundingClientRect()
      left = Math.max(left, edge.left); right = Math.min(right, edge.right)
      top = Math.max(top, edge.top); bottom = Math.min(bottom, edge.bottom)
    }
    return { left, top, right, bottom }
  }
  const area = rect => Math.max(0, rect.right - rect.left) * Math.max(0, rect.bottom - rect.top)
  const overlap = (a, b) => area({ left: Math.max(a.left, b.left), top: Math.max(a.top, b.top), right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom) })
  const header = document.querySelector("header").getBoundingClientRect()
  const texts = []
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode
    if (!node.data.trim() || !node.parentElement.checkVisibility() || node.parentElement.closest("button")) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    for (const rect of range.getClientRects()) {
      const seen = clipped(rect, node.parentElement)
      seen.top = Math.max(seen.top, header.bottom)     // what is above has been scrolled away
      if (seen.top < innerHeight && seen.bottom > 0 && area(seen)) texts.push([node.data.trim().slice(0, 40), seen])
    }
  }
  const seen = element => element.checkVisibility({ opacityProperty: true }) && area(element.getBoundingClientRect())
  const buttons = [...document.querySelectorAll(".md-code__nav, .md-sidebar-button, .md-top, .open-all, header label.md-header__button, header button, .md-header__title > *")]
    .filter(seen).map(element => [element.className, clipped(element.getBoundingClientRect(), element.parentElement), element.closest("article")])
    .map(([name, box, scrolls]) => [name, { ...box, top: scrolls ? Math.max(box.top, header.bottom) : box.top }])
  const upon = buttons.flatMap(([name, box]) => texts.filter(([, rect]) => overlap(box, rect) > 1).map(([text]) => [name, text]))
  const together = buttons.flatMap(([name, box], n) => buttons.slice(n + 1).filter(([, other]) => overlap(box, other) > 1).map(([other]) => [name, other]))
  return { buttons: buttons.length, texts: texts.length, covered: [...upon, ...together] }
}
"""


@pytest.mark.parametrize("size", ((390, 844), (1440, 900)), ids=("phone", "desktop"))
def test_buttons_cover_nothing(address, page, size):
    "Neither a text nor another button, wherever one has scrolled to, in whichever direction."
    page.set_viewport_size(dict(zip(("width", "height"), size)))
    for name in ("index.html", "chat.html", "errors.html", "contributing.html", "howtos/servers.html", "tutorials/chat_from_scratch.html"):
        page.goto(f"{address}/{name}")
        page.evaluate("document.querySelectorAll('article details').forEach(fold => fold.open = true)")
        page.wait_for_timeout(300)
        height = page.evaluate("document.documentElement.scrollHeight")
        for place in (0, 700, height // 2, height // 2 - 150, height - size[1]):      # once upwards, too, when more buttons come
            page.evaluate("place => scrollTo(0, place)", place)
            page.evaluate("document.querySelectorAll('pre > code').forEach(code => code.scrollLeft = 60)")
            page.wait_for_timeout(400)
            found = page.evaluate(COVERED)
            assert found["buttons"] > 2 and found["texts"] > 3 and found["covered"] == [], (name, place, found)


def test_contents_open_on_a_phone(address, page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/chat.html")
    page.locator(".md-sidebar--secondary .md-sidebar-button").click()
    entry = page.locator(".md-sidebar--secondary a", has_text="When a turn fails")
    page.wait_for_timeout(600)
    box = page.locator(".md-sidebar--secondary .md-sidebar__inner").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] >= 40
    entry.click()
    page.wait_for_timeout(300)
    assert page.url.endswith("#when-a-turn-fails") and page.locator("#when-a-turn-fails").bounding_box()["y"] < 200
