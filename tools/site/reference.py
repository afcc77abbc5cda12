"""A page of reference: first its names, a line each; then the text, in which folded is what one reads rather than looks up.

Folded are the sources of what has a documentation, private helpers with the words that lead to them, and tests that show
nothing. Nothing is left out and nothing changes its place: with all opened, the page is the notebook from top to bottom.
"""
import ast
import io
import re
import tokenize
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from textwrap import shorten

from nbformat.v4 import new_markdown_cell

NAMES = "<!-- names -->"   # where the table will stand
TEST = re.compile(r"assert\b|(?:with )?(?:test_\w+|expect_fail)\(")   # how a statement begins that only tests
NO_PROSE = re.compile(r"\s*(?:#|\||[-*] |\d+\. |>|```|<)")   # a paragraph that is a heading, a table, a list, ...


def without_directives(code): return re.sub(r"^#\|.*\n?", "", code, flags=re.MULTILINE).strip("\n")


def documents(cell):
    "The name of which a cell shows the documentation."
    found = re.search(r"^show_doc\(([\w.]+)\)$", cell.source, re.MULTILINE) if cell.cell_type == "code" else None
    return found and found[1]


# --- What a page defines

@dataclass
class Symbol:
    "A name that a page defines: a class, a function, or something that a module or a class has."
    name: str           # Of a method or an attribute: with its class
    kind: str           # "class", "function", "property" or "value"
    words: str          # What it says of itself
    bases: tuple = ()   # Of a class
    others: dict = field(default_factory=dict)   # What is said of the parameters that take all others

    @property
    def own(self): return self.name.rpartition(".")[2]

    @property
    def owner(self): return self.name.rpartition(".")[0]

    @property
    def is_public(self):
        if not self.own.startswith("_"): return True
        return self.kind == "function" and self.own.endswith("__") and self.own not in ("__init__", "__repr__") and bool(self.words)

    @property
    def sentence(self):
        paragraph = " ".join(self.words.partition("\n\n")[0].split())
        return re.split(r"(?<=[^.][.!?]) (?=[A-Z`])", paragraph)[0].rstrip(".:")


class Definitions:
    "The names that a cell defines. `known`: those that cells before it have defined."
    def __init__(self, code, known):
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
        self.comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
        self.lines,self.known,self.found = code.splitlines(),known,[]
        for node in ast.parse(code).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)): self.add_function(node)
            elif isinstance(node, ast.ClassDef): self.add_class(node)
            else: self.add_values(node)

    def add_function(self, node, owner=""):
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        if any(decorator.startswith("patch") for decorator in decorators): owner = ast.unparse(node.args.args[0].annotation)
        is_property = any(re.search(r"property|as_prop=True", decorator) for decorator in decorators)
        self.found.append(Symbol(f"{owner}.{node.name}".lstrip("."), "property" if is_property else "function",
            ast.get_docstring(node) or self.returned(node), others=self.others(node)))

    def add_class(self, node):
        begin = next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
        self.found.append(Symbol(node.name, "class", ast.get_docstring(node) or "", tuple(map(ast.unparse, node.bases)),
            self.others(begin) if begin else {}))
        for each in [*node.body, *(begin.body if begin else ())]:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)): self.add_function(each, node.name)
            else: self.add_values(each, node.name)

    def add_values(self, node, owner=""):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)): return
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            name = ast.unparse(target).removeprefix("self.")
            if not name.isidentifier(): continue
            words = self.said(node) or self.said_by_makers(node.value)
            if not owner and not words: words = self.shown(node.value)
            if words: self.found.append(Symbol(f"{owner}.{name}".lstrip("."), "value", words))

    def said(self, node): return self.comments.get(node.end_lineno) or self.comments.get(node.lineno) or ""

    def said_by_makers(self, value):
        "What a function says from which a property is made."
        names = [each.id for each in value.args if isinstance(each, ast.Name)] if isinstance(value, ast.Call) else []
        return next((self.known[name].words for name in names if name in self.known and self.known[name].words), "")

    def shown(self, value):
        "A value as it stands there, if that tells something to who has not read the source."
        text = ast.unparse(value)
        return "" if re.search(r"\b_\w", text) else f"`{shorten(text, 60, placeholder=' ...')}`"

    def returned(self, node):
        "What a function gives that consists of this alone."
        return self.shown(node.body[0].value) if isinstance(node.body[0], ast.Return) and node.body[0].value else ""

    def others(self, node):
        "What is said of the parameters that take all others, each in a line of its own."
        each = (other for other in (node.args.vararg, node.args.kwarg) if other and other.lineno in self.comments)
        return {other.arg: self.comments[other.lineno] for other in each if self.lines[other.lineno - 1].strip().startswith("*")}


def defined(notebook):
    "All names that the exported cells of a notebook define, in their order."
    found = {}
    for cell in notebook.cells:
        if cell.cell_type != "code" or not re.search(r"^#\| *exports?\b", cell.source, re.MULTILINE): continue
        for symbol in Definitions(without_directives(cell.source), found).found: found.setdefault(symbol.name, symbol)
    return found


def exported(notebook):
    "The names in `__all__` of a notebook, in the order in which its author has put them."
    lists = (re.search(r"^__all__ = (\[[^]]*\])", cell.source, re.MULTILINE) for cell in notebook.cells)
    return next((ast.literal_eval(found[1]) for found in lists if found), [])


# --- The table of names

class Names:
    "The names of all pages: where each is, and what it is for. `address` gives the address of a page."
    def __init__(self, pages, address):
        self.address = address
        self.symbols = {name: (symbol, page) for page in pages for name,symbol in page.symbols.items()}

    def table(self, page):
        "The public names of a page: classes first, each with all that it has, wherever that is defined; then all else."
        own = {page.title.lower(), PurePosixPath(page.name).stem}
        def place(name): return self.symbols[name][0].kind != "class", name.lower() not in own
        names = sorted((name for name in page.exported if name in self.symbols), key=place)
        names += [name for name in self.owners(page) if name not in names]
        lines = [line for name in names for line in (self.line(name, page), *(self.line(m.name, page) for m in self.members(name, page)))]
        if not lines: return ""
        return "\n".join(['<div class="names" markdown="1">', "", "| name | what it is for |", "|---|---|", *lines, "", "</div>"])

    def owners(self, page):
        "The classes of other pages that a page gives a method."
        owners = dict.fromkeys(symbol.owner for symbol in page.symbols.values() if symbol.owner and symbol.is_public)
        return [name for name in owners if name in self.symbols and self.symbols[name][1] is not page]

    def members(self, name, page):
        "What a class has; on the page of another class, what this page gives it."
        found = [(place is not page, symbol.kind == "function", symbol)
            for symbol,place in self.symbols.values() if symbol.owner == name and symbol.is_public]
        if self.symbols[name][1] is not page: found = [each for each in found if not each[0]]
        return [symbol for *_,symbol in sorted(found, key=lambda each: each[:2])]

    def line(self, name, page):
        symbol,place = self.symbols[name]
        shown = f".{symbol.own}" if symbol.owner else symbol.own
        if symbol.own == "__call__": shown = f"{symbol.owner.lower()}(...)"
        elif symbol.kind == "function": shown += "()"
        there = place.anchors()
        anchor = next((f"#{each.lower()}" for each in (name, symbol.owner) if each.lower() in there), "")
        link = f"[`{shown}`]({self.address(place)}{anchor})"
        elsewhere = f" *({place.title})*" if place is not page else ""
        sentence = self.sentence(symbol)
        return f"| {f'**{link}**' if symbol.kind == 'class' else link} | {sentence[:1].upper()}{sentence[1:]}{elsewhere} |"

    def sentence(self, symbol):
        "What a symbol says of itself; a method that says nothing is what it is in the class below."
        owner = self.symbols.get(symbol.owner)
        if symbol.words or not owner: return symbol.sentence
        below = (self.symbols.get(f"{base}.{symbol.own}") for base in owner[0].bases)
        return next((self.sentence(found[0]) for found in below if found), "")


# --- The folds

def statements(cell):
    "The statements of a lesson; none of a magic, which is there to be seen."
    try: return [ast.unparse(node) for node in ast.parse(without_directives(cell.source)).body] if cell.cell_type == "code" else []
    except SyntaxError: return []


def tests(cell): return [statement for statement in statements(cell) if TEST.match(statement)]


def is_test(cell):
    "Does a cell test more than it shows? What shows a value is an example, whatever it tests beside."
    if any(output.output_type == "execute_result" for output in cell.outputs): return False
    return bool(tests(cell)) and (not cell.outputs or 2 * len(tests(cell)) > len(statements(cell)))


class Folds:
    "The cells of a page, processed by nbdev, in order, with a fold around what is there to be read rather than looked up."
    def __init__(self, cells, symbols):
        self.symbols = symbols
        self.documented = set(map(documents, cells))
        self.cells = self.with_leads_apart(self.opened(cells))
        self.fold_sections_without_documentation()

    def opened(self, cells):
        "The cells, and a place for the table after the words with which the page begins."
        words,cells = [],list(cells)
        while cells and cells[0].cell_type == "markdown":
            before,*rest = re.split(r"^(?=## )", cells.pop(0).source, maxsplit=1, flags=re.MULTILINE)
            if before.strip(): words.append(new_markdown_cell(before.strip()))
            if not rest: continue
            cells.insert(0, new_markdown_cell(rest[0]))
            break
        return [*words, new_markdown_cell(NAMES), *cells]

    def with_leads_apart(self, cells):
        "The cells, each with what it is; a paragraph that leads to a helper is a cell of its own."
        result = []
        for cell in reversed(cells):
            cell.metadata.fold = self.kind(cell)
            if cell.cell_type == "markdown" and result and result[-1].metadata.fold == "helpers":
                before,_,paragraph = cell.source.rstrip().rpartition("\n\n")
                if NO_PROSE.match(paragraph) or paragraph == NAMES: pass
                elif before.strip():
                    lead = new_markdown_cell(paragraph)
                    lead.metadata.fold = "helpers"
                    result.append(lead)
                    cell.source = before
                else: cell.metadata.fold = "helpers"
            result.append(cell)
        return result[::-1]

    def fold_sections_without_documentation(self):
        "Where no public name is documented, what tests anything is a test."
        section = []
        for cell in [*self.cells, new_markdown_cell("## End")]:
            if cell.cell_type == "markdown" and cell.source.startswith("## "):
                if not any(map(documents, section)):
                    for each in filter(tests, section): each.metadata.fold = each.metadata.fold or "tests"
                section = []
            section.append(cell)

    def kind(self, cell):
        if cell.cell_type != "code" or re.search(r"^#\| *echo: *false", cell.source, re.MULTILINE): return ""
        code = without_directives(cell.source)
        if re.search(r"^#\| *code-fold: *show", cell.source, re.MULTILINE):
            return "" if self.is_public(code) else "helpers"
        if self.is_about_helpers(code): return "helpers"
        return "tests" if is_test(cell) else ""

    def is_public(self, code):
        found = Definitions(code, {}).found
        return any(symbol.name in self.documented or not symbol.owner and symbol.is_public for symbol in found)

    def is_about_helpers(self, code):
        words = set(re.findall(r"\w+", code))
        private = {symbol.own for symbol in self.symbols.values() if not symbol.is_public and not symbol.own.startswith("__")}
        public = {symbol.own for symbol in self.symbols.values() if symbol.name in self.documented}
        return bool(words & private) and not words & public

    def folded(self):
        "The cells, those that belong together in one fold."
        result,cells = [],self.cells[:]
        while cells:
            fold,together = cells[0].metadata.fold,[]
            while cells and cells[0].metadata.fold == fold: together.append(cells.pop(0))
            if not fold: result += together
            else: result += [new_markdown_cell(self.begin(fold, together)), *together, new_markdown_cell("</details>")]
        return result

    def begin(self, fold, cells):
        sources = [without_directives(cell.source) for cell in cells if cell.cell_type == "code" and "code-fold" in cell.source]
        found = [symbol.name for source in sources for symbol in Definitions(source, {}).found]
        names = dict.fromkeys(name for name in found if name.rpartition(".")[0] not in found)
        told = f"How it is done: {', '.join(f'<code>{name}</code>' for name in names)}" if names else "How it is done"
        return f'<details class="{fold}" markdown="1"><summary>{told if fold == "helpers" else "Tests"}</summary>'
