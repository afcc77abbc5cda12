"""Runs the notebooks in a real Jupyter kernel, as a reader does, and makes README.md from the index.

`python -m tools.outputs [name ...]` stores the outputs, and writes README.md; the tests check that doing so changes nothing.
What was measured is kept if all notebooks are run, and stored anew for those that are named.
"""
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbdev.clean import clean_nb

from tools.site.pages import readme

root = Path(__file__).parent.parent
nbs = root/"nbs"
not_run = re.compile(r"^#\|\s*(eval:\s*false|train|notest)\b", re.MULTILINE)
hidden = re.compile(r"^#\|\s*hide\b", re.MULTILINE)
measured = re.compile(r"^#\|\s*measured\b", re.MULTILINE)   # run, but what comes out depends a little on the machine


def paths():
    "All notebooks of the project."
    return sorted(path for path in nbs.rglob("*.ipynb") if not any(part[0] in "._" for part in path.relative_to(nbs).parts))


def run(path, folder=None, leave_out=not_run):
    "The notebook as it is after running it in a folder: cells that are not run in tests keep the outputs that they have."
    notebook = nbformat.read(path, as_version=4)
    whole, notebook.cells = notebook.cells, [c for c in notebook.cells if not leave_out.search(c.source)]
    for cell in notebook.cells:
        if cell.cell_type == "code": cell.outputs = []
    NotebookClient(notebook, kernel_name="python3", timeout=600, resources={"metadata": {"path": str(folder or path.parent)}}).execute()
    notebook.cells = whole
    for cell in notebook.cells:
        if cell.cell_type == "code": cell.outputs = merged(cell.outputs)
    return notebook


def shows(output):
    "Whether there is anything to see of an output; nothing is left of a bar, and whether there was one is a matter of time."
    return output["output_type"] != "display_data" or any(output["data"].values())


def merged(outputs):
    "The outputs with what was printed in one piece: how often a stream was flushed is chance."
    result = []
    for output in filter(shows, outputs):
        last = result[-1] if result else {}
        if output["output_type"] == last.get("output_type") == "stream" and output["name"] == last["name"]:
            last["text"] += output["text"]
        else: result.append(output)
    return result


def outputs(notebook):
    "For each code cell its source and its outputs, without what differs from run to run by design."
    clean_nb(notebook)
    return [(cell["source"], [{k: v for k, v in o.items() if k not in ("execution_count", "metadata")} for o in cell["outputs"] if shows(o)])
            for cell in notebook["cells"] if cell["cell_type"] == "code" and not measured.search(cell["source"])]


def keep_measured(stored, notebook):
    "Gives cells that measure something the outputs they had, if they are as they were."
    before = {cell.source: cell.outputs for cell in stored.cells if cell.cell_type == "code" and measured.search(cell.source)}
    for cell in notebook.cells:
        if before.get(cell.source): cell.outputs = before[cell.source]


def forget_what_is_noted(notebook):
    "Leaves out what an answer notes beside what it shows: these pages are not opened again as conversations."
    for cell in notebook.cells:
        for output in cell.get("outputs", []): output.get("metadata", {}).pop("llama_nbchat", None)


def main(names):
    for path in paths():
        if names and path.stem not in names: continue
        stored, notebook = nbformat.read(path, as_version=4), run(path)
        if not names: keep_measured(stored, notebook)
        forget_what_is_noted(notebook)
        nbformat.write(notebook, path)
        if path == nbs/"index.ipynb": (root/"README.md").write_text(readme(notebook), encoding="utf-8")
        print(path.relative_to(root))


if __name__ == "__main__": main(sys.argv[1:])
