"From notebooks to Markdown: the pages of the site, and README.md."
import ast
import re
from dataclasses import dataclass, field
from html import unescape
from itertools import groupby
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

import nbformat
import yaml
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from nbconvert.exporters import MarkdownExporter

from tools.site.reference import NAMES, Folds, Names, defined, documents, exported, without_directives

host = "https://llama-nbchat.github.io/llama_nbchat/"             # where nbdev's links to symbols lead
root = Path(__file__).parents[2]
source = "https://github.com/llama-nbchat/llama_nbchat/blob/main/"  # where the files are that are no pages

nbs = root/"nbs"

OPEN_ALL = '<button class="open-all" type="button" hidden>Open all</button>'   # shown where `site.js` runs

TEMPLATE = """
{%- extends 'markdown/index.md.j2' -%}
{%- block input -%}
{%- set code = cell.source | without_directives -%}
{%- if cell.source | has('echo: *false') or not code -%}
{%- elif cell.metadata.fold == 'helpers' %}
{{ code | anchors }}

```python
{{ code }}
```
{% elif cell.source | has('code-fold') %}
<details class="source" markdown="1"><summary>{{ 'Code' if cell.source | has('code-fold: *true') else 'Source' }}</summary>
{{ code | anchors }}

```python
{{ code }}
```

</details>
{% else %}
```{{ 'text' if code.startswith('%') else 'python' }}
{{ code }}
```
{% endif -%}
{%- endblock input -%}
{%- block stream %}{{ output.text | as_text }}{% endblock stream -%}
{%- block error %}{{ super() }}{% endblock error -%}
{%- block data_text %}{{ output.data['text/plain'] | as_text }}{% endblock data_text -%}
{%- block data_html %}{{ output.data['text/html'] | as_output }}{% endblock data_html -%}
{%- block data_svg %}{{ output.data['image/svg+xml'] | as_output }}{% endblock data_svg -%}
{%- block data_png %}{{ output.data['image/png'] | as_image }}{% endblock data_png -%}
{%- block data_markdown -%}
{%- if cell.source | has('output: *asis') %}
{{ output.data['text/markdown'] | as_documentation(cell.metadata.others or {}) }}
{% else %}{{ output.data['text/markdown'] | to_html | as_output }}{% endif -%}
{%- endblock data_markdown -%}
"""


def has(code, directive): return bool(re.search(rf"^#\| *{directive}", code, re.MULTILINE))


def anchors(code):
    "Where links to what `show_doc` does not name lead: private names, and the methods within a class."
    names = []
    for node in ast.parse(code).body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): continue
        owner = node.args.args[0].annotation if any("patch" in ast.unparse(d) for d in node.decorator_list) else None
        name = f"{owner.id}.{node.name}" if owner else node.name
        if node.name.startswith("_") and not node.name.startswith("__"): names.append(name)
        within = node.body if isinstance(node, ast.ClassDef) else ()
        names += [f"{name}.{method.name}" for method in within if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return " ".join(f'<a id="{name.lower()}"></a>' for name in names)


def with_formulas(html):
    "Formulas, as the package writes them in its outputs, in MathML, which browsers show by themselves."
    def formula(found): return convert(unescape(found[2]), display="block" if found[1] == "91" else "inline")
    return re.sub(r"&#92;&#(40|91);(.+?)&#92;&#(?:41|93);", formula, html)


def as_output(html): return f'\n<div class="output">\n{with_formulas(html.strip())}\n</div>\n' if html.strip() else ""


def as_text(text):
    "A text as it is, between fences that it can't close."
    fence = max(["```", *(run + "`" for run in re.findall("`{3,}", text))], key=len)
    return f"\n{fence} {{ .text .output }}\n{text.rstrip()}\n{fence}\n" if text.strip() else ""


def as_image(data): return as_output(f'<img alt="plot" src="data:image/png;base64,{data.strip()}">')


def to_html(text): return MarkdownIt("commonmark").enable("table").render(text or "")   # emptied outputs have none


def as_documentation(text, others):
    "What `show_doc` says of a symbol, with the anchor that links to it expect, and what it does not say of parameters."
    def heading(found):
        name = found[2].replace("\\", "")
        if "__" in name: return f'<a id="{name.lower()}"></a>\n\n{found[1]} `{name}`'   # Markdown would take it for bold
        return f"{found[1]} `{name}` {{ #{name.lower()} .symbol }}"
    text = re.sub(r"^---\n+", "", text).replace("__main__.", "")
    text = re.sub(r"^def ([A-Z]\w*)\((\s*\*args, \*\*kwargs\s*\))?", r"class \1(", text, count=1, flags=re.MULTILINE)
    signature = re.search(r"^```python\n(?:.*\n)*?```$", text, re.MULTILINE)
    if signature: text = text.replace(signature[0], with_others(without_modules(signature[0]), others))
    return re.sub(r"^(#+) (\S+)$", heading, text, count=1, flags=re.MULTILINE)


def by_palette(text):
    "Pictures that follow the palette of the site, which its reader may choose, where others follow the system's."
    def both(found):
        light = "".join(re.sub(r"<source[^>]*color-scheme[^>]*>", "", found[1]).split("\n")).replace("<img", '<img loading="lazy"')
        return f'<picture class="light">{light}</picture><picture class="dark">{light.replace("-light.", "-dark.")}</picture>'
    return re.sub(r"<picture>(.*?)</picture>", both, text, flags=re.DOTALL)


def without_modules(signature): return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", signature)


def with_others(signature, others):
    "A signature with what its author says of the parameters that take all others."
    for name,words in others.items():
        if f"# {words}" in signature: continue
        signature = re.sub(rf"\s*(\*{{1,2}}{name}\b[^,)\n]*,?) *\n?(\s*)", rf"\n    \1 # {escaped(words)}\n\2", signature, count=1)
    return signature


def escaped(words): return words.replace("\\", r"\\")


def exporter():
    filters = dict(has=has, anchors=anchors, without_directives=without_directives, as_output=as_output, as_text=as_text, as_image=as_image,
        to_html=to_html, as_documentation=as_documentation)
    return MarkdownExporter(raw_template=TEMPLATE, filters=filters)


def in_order(cells):
    "The cells, each source after the documentation of all that it defines, which is in the order of the source."
    cells,result = list(cells),[]
    def place(cell, code): return re.search(rf"^(?:def|class) {documents(cell).split('.')[-1]}\b", code, re.MULTILINE)
    while cells:
        cell = cells.pop(0)
        if cell.cell_type == "code" and has(cell.source, "code-fold: *show"):
            documentation = []
            while result and documents(result[-1]) and place(result[-1], cell.source): documentation.append(result.pop())
            while cells and documents(cells[0]) and place(cells[0], cell.source): documentation.append(cells.pop(0))
            result += sorted(documentation, key=lambda other: place(other, cell.source).start())
        result.append(cell)
    return result


@dataclass
class Page:
    "A page of the site: where it comes from, where it goes (both relative), its title, subtitle and text."
    notebook: str
    name: str
    title: str
    description: str
    text: str
    exported: list = field(default_factory=list)   # The names in `__all__`
    symbols: dict = field(default_factory=dict)    # All that it defines, by name

    @classmethod
    def read(cls, processed, notebook):
        "From a notebook that nbdev has processed: its first cell tells what the page is."
        nb = nbformat.read(processed/notebook, as_version=4)
        original = nbformat.read(nbs/notebook, as_version=4)
        symbols = defined(original)
        told = yaml.safe_load(nb.cells.pop(0).source.strip().strip("-"))
        for cell in nb.cells:   # notes of nbdev's to itself
            cell.pop("has_sd", None)
            cell.metadata.pop("execution", None)
            if name := documents(cell): cell.metadata.others = symbols[name].others if name in symbols else {}
        nb.cells = in_order(nb.cells)
        if symbols: nb.cells = Folds(nb.cells, symbols).folded()
        name = PurePosixPath(notebook).with_name(told["output-file"]).with_suffix(".md")
        return cls(notebook, str(name), told["title"], told.get("description", ""), exporter().from_notebook_node(nb)[0],
            exported(original), symbols)

    @classmethod
    def of_file(cls, place):
        "From a file of Markdown, such as `../CHANGELOG.md`."
        title,_,text = (nbs/place).read_text(encoding="utf-8").partition("\n")
        return cls(place, PurePosixPath(place).name.lower(), title.lstrip("# "), "", text.strip() + "\n")

    def anchors(self): return set(re.findall(r'(?<=<a id=")[^"]+|(?<=\{ #)\S+(?= \.symbol)', self.text))


class Pages:
    "All pages of the site, with links that lead from one to the other."
    def __init__(self, processed, order):
        self.order,self.pages = order,{}
        for place in order: self.pages[place] = Page.of_file(place) if place.endswith(".md") else Page.read(processed, place)
        found = {p.relative_to(processed).as_posix() for p in processed.rglob("*.ipynb")}
        if missing := found - self.pages.keys(): raise SystemExit(f"nbs/sidebar.yml does not name {', '.join(missing)}")
        names = Names(self.pages.values(), lambda page: f"{host}{PurePosixPath(page.name).with_suffix('.html')}")
        for page in self.pages.values():
            table = names.table(page)
            page.text = page.text.replace(NAMES, f"{table}\n\n{OPEN_ALL}" if table else "", 1)

    def contents(self):
        "What Zensical's `nav` wants: pages, and sections with pages and sections in them."
        nav = []
        for place, sections in self.order.items():
            entries = nav
            for section in sections:
                if not entries or section not in entries[-1]: entries.append({section: []})
                entries = entries[-1][section]
            entries.append({self.pages[place].title: self.pages[place].name})
        return nav

    def link(self, target, page):
        "Where a link of a page leads: to another page, a file of the repository, or elsewhere."
        place,_,anchor = target.partition("#")
        anchor = f"#{anchor}" if anchor else ""
        if place.startswith(host): wanted = (place.removeprefix(host) or "index.html").removesuffix(".html") + ".md"
        elif not place or re.match(r"[a-z]+:", place): return target
        else:
            path = normpath(PurePosixPath("nbs", page.notebook).parent/place)
            notebook = relpath(path, "nbs")
            if notebook not in self.pages:   # the site's builder does not look at what lies elsewhere
                if not (root/path).exists(): raise SystemExit(f"nbs/{page.notebook} links to {target}, which is not there.")
                return f"{source}{path}{anchor}"
            wanted = self.pages[notebook].name
        return relpath(wanted, PurePosixPath(page.name).parent) + anchor

    def linked(self, page):
        "The text of a page with its links."
        def change(text):
            text = re.sub(r"^(#+ .*)$", lambda m: re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", m[0]), text, flags=re.MULTILINE)
            text = re.sub(r"\[([^][]*)\[(`[^`]+`)\]\([^)]*\)([^][]*)\]\(", r"[\1\2\3](", text)   # a link within a link
            text = re.sub(r"^\|.*$", lambda row: re.sub(r"`[^`]+`", lambda m: m[0].replace(r"\|", "|"), row[0]), text, flags=re.MULTILINE)
            return by_palette(re.sub(r"\]\(([^)\s]+)\)", lambda m: f"]({self.link(m[1], page)})", text))
        parts = re.split(r"^(`{3,}[\s\S]*?^`{3,}$)", page.text, flags=re.MULTILINE)
        return "".join(part if n%2 else change(part) for n,part in enumerate(parts))

    def write(self, folder, lines):
        "Writes the pages for Zensical; `lines` are what stands below a title, in HTML, by notebook."
        for page in self.pages.values():
            path = folder/page.name
            path.parent.mkdir(parents=True, exist_ok=True)
            head = yaml.safe_dump({"title": page.title, "description": page.description}, allow_unicode=True)
            subtitle = f"*{page.description}*{{ .subtitle }}\n\n" if page.description else ""
            path.write_text(f"---\n{head}---\n\n# {page.title}\n\n{subtitle}{lines.get(page.notebook, '')}\n\n{self.linked(page)}",
                encoding="utf-8")

    def write_markdown(self, folder):
        "Writes each page as Markdown beside its HTML, and `llms.txt`, which lists them."
        index = self.pages["index.ipynb"]
        lines = [f"# {index.title}", f"> {index.description}"]
        for sections, places in groupby(self.order, self.order.get):
            if sections: lines.append(f"## {': '.join(sections)}")
            items = []
            for page in (self.pages[place] for place in places):
                name = PurePosixPath(page.name).with_suffix(".html.md")
                subtitle = f"> {page.description}\n\n" if page.description else ""
                (folder/name).write_text(f"# {page.title}\n\n{subtitle}{page.text}", encoding="utf-8")
                items.append(f"- [{page.title}]({host}{name}): {page.description}".rstrip(": "))
            lines.append("\n".join(items))
        (folder/"llms.txt").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def readme(notebook):
    "README.md: the text of the index, its code, and the outputs as the reader of a notebook sees them."
    text = "\n\n".join(part for cell in notebook["cells"] for part in _parts(cell)) + "\n"
    text = re.sub(r"(\]\(|<(?:img|source)\b[^>]*?\bsrc(?:set)?=\")(?![a-z]+:|#|\.\./)", r"\1nbs/", text)   # seen from one folder further up
    return text.replace("](../", "](")


def _parts(cell):
    code = cell["source"]
    if cell["cell_type"] == "markdown": return [code]
    if has(code, "hide"): return []
    return [f"```python\n{without_directives(code)}\n```", *filter(None, map(_shown, cell["outputs"]))]


def _shown(output):
    data = output.get("data", {})
    if "text/markdown" in data:
        text = re.sub(r"^<span [^>]*>\n*|\n*</span>$", "", "".join(data["text/markdown"]))
        text = re.sub(r"^<div [^>]*font-weight[^>]*>.*</div>\n+", "", text)   # who speaks: the page says it
        return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return f"```\n{''.join(data.get('text/plain') or output.get('text', '')).rstrip()}\n```"
