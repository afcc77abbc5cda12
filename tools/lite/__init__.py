"""Pages of the book that can be run where they are read: a JupyterLite site, with Python and llama.cpp in the reader's browser.

    python -m tools.lite    # builds it into .cache/lite/; from there `python -m tools.site` takes it along, if it is of today
"""
import hashlib
import re
import shutil
from pathlib import PurePosixPath
from posixpath import normpath

import nbformat

from tools.outputs import nbs, root
from tools.site.pages import host

cache = root/".cache"/"lite"
built = cache/"site"
place = "lite"   # where it stands in the site of the documentation

SECTIONS = "tutorials", "howtos", "extend"
ELSEWHERE = {   # Pages of these sections that can't be run in a browser, and why; None: nobody would ask
    "index.ipynb": None,               # its model has 98 MB; the chat on it is with the demo model
    "tutorials/install.ipynb": None,   # it has nothing to run
    "tutorials/chat_from_scratch.ipynb": "it builds on llama_cpp itself, which is compiled for the machine it runs on",
    "tutorials/functions_from_scratch.ipynb": "it builds on llama_cpp itself, which is compiled for the machine it runs on",
    "howtos/parameters.ipynb": "a model in the browser takes fewer parameters than one on your machine",
    "howtos/servers.ipynb": "it starts a server, which a browser can't",
    "howtos/objects.ipynb": "masks are not there in a browser",
    "howtos/web_app.ipynb": "it starts a server, which a browser can't",
    "howtos/grow.ipynb": "it has nothing to run: its examples are servers on other machines",
}

HOW = ("This runs where you read it: Python, the package and the demo model are in your browser, and nothing is sent. It needs Chrome or Edge, "
    "version 137 or newer, and loads not quite thirty megabytes to begin with. The stop button stops an answer; to end any other program, restart "
    "the kernel.")


def pages():
    "The notebooks that can be run in a browser, by their paths in `nbs`."
    found = ["index.ipynb", *(path.relative_to(nbs).as_posix() for name in SECTIONS for path in sorted((nbs/name).glob("*.ipynb")))]
    return [notebook for notebook in found if notebook not in ELSEWHERE]


def fingerprint():
    "What the site is made of, as a checksum: another one means that it has to be built anew."
    sources = [nbs/notebook for notebook in pages()]
    for folder in ("llama_nbchat", "tools/lite"): sources += sorted((root/folder).rglob("*"))
    total = hashlib.sha256()
    for path in [*sources, root/"tools"/"npm.py"]:
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyi":
            total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def is_built():
    "Whether it is there, and of what is here today."
    stamp = built/"fingerprint"
    return stamp.is_file() and stamp.read_text() == fingerprint()


def lines():
    "What pages say about running them, in HTML, by their notebooks; nothing if there is no such site."
    def address(notebook): return f"{'../' * notebook.count('/')}{place}/notebooks/index.html?path={notebook}"
    if not is_built(): return {}
    return {**{notebook: f'<p class="live"><a href="{address(notebook)}">Run this page in your browser</a></p>' for notebook in pages()},
        **{notebook: f'<p class="live">This page can’t be run in a browser: {why}.</p>' for notebook, why in ELSEWHERE.items() if why}}


def take_along(site):
    "Puts it into the site of the documentation. Tells what has become of it."
    if not is_built(): return "Its pages can't be run in a browser: `make lite` builds what that takes."
    shutil.copytree(built, site/place, dirs_exist_ok=True)
    return f"Its pages can be run in a browser: see {place}/index.html"


def live(notebook):
    "A notebook as the kernel in the browser wants it: with that kernel, what there is to know, and links to pages where there is no notebook."
    nb = nbformat.read(nbs/notebook, as_version=4)
    nb.metadata.kernelspec = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    def link(found):
        path = normpath(PurePosixPath(notebook).parent/found[1])
        if path in pages(): return found[0]
        page = re.sub(r"(^|/)\d+_", r"\1", path.removesuffix(".ipynb"))
        return f"]({host}{page}.html{found[2] or ''})"
    nb.cells.insert(1, nbformat.v4.new_markdown_cell(f"*{HOW} To run all cells: Run, Run All Cells.*", id="how"))
    for cell in nb.cells:
        if cell.cell_type == "markdown": cell.source = re.sub(r"\]\(([^):#]+\.ipynb)(#[^)]*)?\)", link, cell.source)
    return nb

