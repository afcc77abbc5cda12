"""Programs that read the Markdown of a notebook, and texts that try to get something out of them.

`python -m tests.renderers [how many]` puts texts together from dangerous parts, shows them, gives what is shown to each of the
programs, and looks in a browser at what they make of it. The tests do the same with fewer texts. It needs Chromium; Pandoc and npm
are used where they are there.
"""
import html
import random
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from nbconvert.filters.markdown_mistune import markdown2html_mistune

chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# ---- texts -------------------------------------------------------------------------------------------------------------------

CONTROLS = (*range(1, 33), 127, 128, 133, 160, 0x2028, 0x2029, 0xfeff, 0)
REFERENCES = [form.format(n) for n in CONTROLS for form in ("&#{};", "&#x{:x};", "&#0{}")] + ["&Tab;", "&NewLine;", "&nbsp;"]
MARKS = [f"&#{ord(mark)};" for mark in "<>[](){}\"'`$\\!&#=:|*_"] + ["&lt;", "&gt;", "&quot;", "&lbrack;", "&lpar;", "&amp;lt;", "&excl;"]
RAW = ["\r", "\x0b", "\x0c", "\x85", "\u2028", "\0", "\x1b[31m", "\b", "\t", "\ud83d"]
RUNS = ["autofocus/onfocus=window.__x=1//", "onmouseover=window.__x=1", 'onerror="window.__x=1"', " onclick='window.__x=1' ",
    "javascript:window.__x=1", "data:text/html,<script>window.__x=1</script>", "http://127.0.0.1:9/leak.png", "vbscript:x",
    "style=position:fixed;inset:0", "//127.0.0.1:9/x", "file:///etc/passwd", "command:x", "style='background:url(//127.0.0.1:9/x)'"]
HOLE = "§"   # where something is put into a form
TAGS = ["<img src=x §>", "<script>window.__x=1</script>", "<a href=§>x</a>", "<svg §>", "<iframe srcdoc=x §>", "<form><input §>", "<b §>x</b>",
    "<!-- § -->", "<style>*{position:fixed}</style>", "</pre><img src=x §>", "</span></div><img src=x §>", "<a/§", "<§>", "<details open §>"]
LINKS = ["[x](§)", "![x](§)", '[x](http://a "§")', "[x](<§>)", "[§](http://a)", "![§](http://a)", "[x][y]\n\n[y]: §\n", '[y]: http://a "§"\n\n[y]', "<§>",
    "[[x](§)](§)", '<http://a/§>', "[x](http://a?§)", "[^1]\n\n[^1]: §\n", "*[HTML]: §\n", "[y]: <§> '§'\n", "![[x](§)](http://a)"]
ATTRIBUTES = ["{§}", "{: § }", "[x]{§}", "::: {§}\nx\n:::", "# x {§}", "`x`{§}", "`§`{=html}", "{: #x .y § }", "x\n{: § }", "*x*{§}", "<div markdown=1 §>\n\n*x*\n\n</div>",
    "![x](http://a){§}", "::: note §\n", "(x)={§}", "{eval-rst}`§`", "[TOC]§", "\\begin{x}§\\end{x}", "@@0@@§", "{{ § }}", "{% § %}", "~§~ ^§^", "==§==", "{>>§<<}", ":::{raw} html\n§\n:::"]
FENCES = ["```§\n§\n```", "~~~§\n§\n~~~", "``` {=§}\n§\n```", "````§\n```\n§\n````", "```§\n\n§\n\n", "- ```§\n  §\n  ```", "> ```§\n> §", "    §§", "`` §§ ``", "<pre>§§</pre>"]
LANGUAGES = ["mermaid", "mermaid-js", "mermaid8", "mermaid.", "html", "python", "{.html onload=window.__x=1}", "{=html}", "math", "latex", "py title='<img src=x onerror=window.__x=1>'", "js{1,2}", "", "svg", "text"]
FORMULAS = ["$§$", "$$\n§\n$$", "\\(§\\)", "\\[§\\]", "\\\\(§\\\\)", "$`§`$", "$\\href{§}{x}$", "$\\raise9999em{§}$", "$\\text{§}$", "\\begin{align}§\\end{align}", "$a_{§}_b$"]
PLACES = ["| § | x |\n|---|---|\n| § | y |\n", "> §", "- §\n  - §", "1. §\n\n   §", "# §", "§\n===", "§\n---\n§", "* §\n\n\n* §", "**§**", "_§_", "~~§~~", "§  \n§", "Term\n: §", "\\§", "- [ ] §", "|§\n|-\n|§|§"]
WORDS = "Mars Venus moon word7 planet zq19 Saturn".split()


def text(chance):
    "A text out of parts, within each other and one after the other."
    def part(depth):
        if depth <= 0 or chance.random() < 0.3:
            return chance.choice(chance.choice((WORDS, RUNS, MARKS, REFERENCES, RAW)))
        form = chance.choice(chance.choice((TAGS, LINKS, ATTRIBUTES, FENCES, FORMULAS, PLACES)))
        inner = [several(depth - 1) for _ in range(form.count(HOLE))]
        if form in FENCES: inner[0] = chance.choice(LANGUAGES)
        return "".join(part + after for part, after in zip(form.split(HOLE), [*inner, ""]))
    def several(depth): return "".join(part(depth) + chance.choice(BETWEEN) for _ in range(chance.choice((1, 1, 2, 3))))
    whole = "".join(part(3) + chance.choice(BETWEEN) for _ in range(chance.randint(1, 6)))
    if chance.random() < 0.2: whole = html.escape(whole)   # as somebody would write it who knows that it is read twice
    if chance.random() < 0.2: whole = re.sub(r"[<>\[\](){}`$\\!]", lambda mark: f"&#{ord(mark[0])};" if chance.random() < 0.3 else mark[0], whole)
    return whole

BETWEEN = ("", "", " ", "\n", "\n\n", "&#13;&#13;", "&#10;&#10;", "\r\r", "!", "    ")


# ---- programs ----------------------------------------------------------------------------------------------------------------

def python_renderers():
    "Programs in Python: from Markdown to HTML."
    import markdown
    import mistune
    from markdown_it import MarkdownIt
    site = ["attr_list", "md_in_html", "tables", "toc", "pymdownx.highlight", "pymdownx.superfences", "pymdownx.inlinehilite"]
    return {
        "nbconvert": markdown2html_mistune,
        "mistune": mistune.create_markdown(escape=False, plugins=["strikethrough", "footnotes", "table", "url", "task_lists", "def_list", "abbr",
            "mark", "insert", "superscript", "subscript", "math", "ruby", "spoiler"]),
        "Python-Markdown": partial(markdown.markdown, extensions=["attr_list"]),
        "Python-Markdown, plain": markdown.markdown,
        "Python-Markdown, extra": partial(markdown.markdown, extensions=["extra", "toc", "smarty", "sane_lists", "admonition", "wikilinks", "meta", "nl2br", "codehilite"]),
        "Python-Markdown, as for this site": partial(markdown.markdown, extensions=site),
        "markdown-it-py": MarkdownIt("default", {"html": True, "typographer": True}).render,
        "CommonMark": MarkdownIt("commonmark").render,
    }


def pandoc(texts, form="markdown+autolink_bare_uris+emoji+raw_attribute+fenced_divs+bracketed_spans"):
    "What Pandoc, which Quarto uses, makes of some texts, one after the other."
    separator = "\n\nSEPARATORBETWEENTEXTS\n\n"
    made = subprocess.run([shutil.which("pandoc"), "-f", form, "-t", "html", "--mathjax", "--wrap=preserve"], input=separator.join(texts), text=True,
        capture_output=True, check=True, encoding="utf-8").stdout
    return re.split(r"<p>SEPARATORBETWEENTEXTS</p>", made)


def node_packages(folder):
    "Installs parsers that are written in JavaScript; gives their scripts."
    packages = ["marked@18.2.1", "markdown-it@15.0.3", "markdown-it-attrs@5.0.1"]
    subprocess.run([shutil.which("npm"), "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *packages], check=True,
        stdout=subprocess.DEVNULL)
    found = Path(folder)/"node_modules"
    return [found/"marked/lib/marked.umd.js", found/"markdown-it/dist/browser/markdown-it.umd.min.js", found/"markdown-it-attrs/markdown-it-attrs.browser.js"]


JAVASCRIPT = {
    "marked": "marked.parse(text)", "marked, with breaks": "marked.parse(text, {breaks: true, gfm: true})",
    "markdown-it": "markdownit({html: true, linkify: true, typographer: true}).render(text)",
    "markdown-it, with attributes": "markdownit({html: true}).use(markdownItAttrs).render(text)",
}

# ---- what they made ----------------------------------------------------------------------------------------------------------

LOOK = r"""
html => {
    const page = new DOMParser().parseFromString(html, 'text/html'), found = []
    const elements = 'script iframe frame object embed form input button select textarea base meta link style svg math video audio source img applet'
    for (const element of page.querySelectorAll(elements.split(' ').join(','))) found.push(element.outerHTML)
    const leaves = /^(position|inset|top|left|right|bottom|transform|translate|z-index|float|animation|transition|content|clip|filter|cursor|pointer-events|visibility|display|background-image)/
    for (const element of page.querySelectorAll('*')) {
        for (const {name, value} of element.attributes) {
            if (/^on/i.test(name)) found.push(`${name}=${value}`)
            if (/^(href|src|action|formaction|xlink:href|data|srcset|background|poster|cite|longdesc)$/i.test(name)
                && !/^(https?:|mailto:|#[\w-]*$)/i.test(value)) found.push(`${name}=${value}`)
            if (!/^(href|title|start|style|class|id|dir|lang|align|type|rel|aria-\w+|role|tabindex)$/.test(name)) found.push(`${name}=${value}`)
        }
        for (const property of element.style) {
            const value = element.style.getPropertyValue(property)
            if (leaves.test(property) && !/^(initial|none)$/.test(value) && `${property}: ${value}` != 'display: block' || /url|[-]\d|\d{4}/.test(value)) found.push(`${property}: ${value}`)
        }
    }
    const attributes = [...page.querySelectorAll('[href],[title]')].flatMap(e => [e.getAttribute('href'), e.getAttribute('title')])
    return [found, page.body.textContent + ' ' + attributes.join(' ')]
}"""


def letters(text): return "".join(re.findall(r"[^\W_]", text))


def missing(source, seen):
    "Words of a text that are nowhere to be seen."
    source = re.sub(r"&#?\w+;?|\b(python|latex|html|js|py|text|svg)\b", " ", source)
    seen = letters(seen)
    return [word for word in re.findall(r"Mars|Venus|moon|word7|planet|zq19|Saturn", source) if word not in seen]


class Reader:
    "All programs, and a browser that looks at what they make of a text."
    def __init__(self, page, scripts=()):
        self.page, self.programs = page, python_renderers()
        for script in scripts: page.add_script_tag(content=script.read_text(encoding="utf-8"))
        if scripts: self.programs |= {name: partial(page.evaluate, f"text => {code}") for name, code in JAVASCRIPT.items()}

    def made(self, shown):
        "For each program what it makes of some Markdown texts."
        for name, program in self.programs.items(): yield name, [program(text) for text in shown]
        if shutil.which("pandoc"):
            yield "Pandoc", pandoc(shown)
            yield "Pandoc, as for GitHub", pandoc(shown, "gfm")

    def look(self, pages):
        "For each page what is dangerous in it, and all that can be seen."
        return self.page.evaluate(f"pages => pages.map({LOOK})", pages)

    def complaints(self, texts, show):
        "What is dangerous in what the programs make of the texts when they are shown, and what is missing."
        shown = [show(text) for text in texts]
        for name, pages in self.made(shown):
            assert len(pages) == len(texts), name
            for text, markdown, (found, seen) in zip(texts, shown, self.look(pages)):
                if found: yield name, "dangerous", text, markdown, found
                if lost := missing(text, seen): yield name, "missing", text, markdown, lost


def main(count=20_000, seed=0):
    from tempfile import TemporaryDirectory

    from playwright.sync_api import sync_playwright

    from llama_nbchat.markdown import safe_markdown
    chance, bad = random.Random(seed), 0
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        reader = Reader(browser.new_page(), node_packages(folder) if shutil.which("npm") else ())
        for begin in range(0, count, 100):
            for complaint in reader.complaints([text(chance) for _ in range(min(100, count - begin))], safe_markdown):
                bad += 1
                if bad <= 10: print(*map(repr, complaint), sep="\n    ")
            if begin % 1000 == 0: print(f"{begin + 100} texts, {bad} complaints", flush=True)
        browser.close()
    print(f"{count} texts, {len(reader.programs) + 2 * bool(shutil.which('pandoc'))} programs, {bad} complaints")
    return bad


if __name__ == "__main__": sys.exit(bool(main(*map(int, sys.argv[1:]))))
