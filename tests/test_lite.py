"""The pages that can be run where they are read: three of them run to their ends in chromium, the stop button stops an answer, and
nothing is asked of another host. The site is built if it is not there; `python -m tests.test_lite` runs all of its notebooks.
"""
import http.server
import json
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial

import nbformat
import pytest

from tools import lite
from tools.lab import open_browser
from tools.lite.__main__ import main as main_of_lite
from tools.outputs import nbs, root
from tests.test_browser import browser  # noqa: F401 (a fixture)

PATIENCE = 300_000   # Milliseconds, for a machine that has other things to do; what it really takes is printed

IDLE = """() => { const panel = window.jupyterapp.shell.currentWidget, cells = panel.content.widgets.filter(cell =>
    cell.model.type == "code" && cell.model.sharedModel.source.trim());
    const failed = cells.some(cell => cell.model.outputs.toJSON().some(output => output.output_type == "error"));
    return failed || cells.every(cell => cell.model.executionCount) && panel.sessionContext.session.kernel.status == "idle" }"""
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type == "code").map(cell =>
    [cell.model.sharedModel.source, cell.model.executionCount, cell.model.outputs.toJSON()])"""
CLEAR = "() => window.jupyterapp.shell.currentWidget.content.widgets.forEach(cell => cell.model.outputs?.clear())"


@contextmanager
def served(folder):
    "A folder on the loopback interface; gives its address."
    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}
        def log_message(self, *_): pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Live:
    "A notebook in a page of the site."
    def __init__(self, view, address, notebook):
        self.notebook, self.elsewhere, self.missing, self.begin = notebook, [], [], time.monotonic()
        self.page = view.new_page()
        self.page.on("request", lambda request: self.elsewhere.append(request.url) if not request.url.startswith((address, "blob:", "data:")) else None)
        self.page.goto(f"{address}/notebooks/index.html?path={notebook}")
        self.wait("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel && document.querySelector('.jp-Notebook .jp-Cell')")

    def wait(self, condition): self.page.wait_for_function(condition, timeout=PATIENCE)

    def command(self, name): self.page.evaluate("name => { window.jupyterapp.commands.execute(name) }", name)

    def run(self):
        "Runs all cells to their end, or to an error. Gives the source, the number and the outputs of each."
        self.page.evaluate(CLEAR)
        self.command("notebook:run-all-cells")
        self.wait("() => window.jupyterapp.shell.currentWidget.content.widgets.some(cell => cell.model.outputs?.length)")
        first = time.monotonic() - self.begin
        self.wait(IDLE)
        print(f"{self.notebook}: first text {first:.0f} s after opening, all cells after {time.monotonic() - self.begin:.0f} s")
        return self.page.evaluate(OUTPUTS)

    def execute(self, code):
        "Runs code in a new cell at the end, and does not wait for it."
        self.page.evaluate("""code => { const panel = window.jupyterapp.shell.currentWidget, cells = panel.content.model.sharedModel;
            cells.addCell({cell_type: "code", source: code}); panel.content.activeCellIndex = panel.content.widgets.length - 1;
            window.jupyterapp.commands.execute("notebook:run-cell") }""", code)

    def last(self): return json.dumps(self.page.evaluate(OUTPUTS)[-1][2])


def texts(outputs):
    "What an answer says, in the outputs of a cell, without the texts that measure something."
    found = [output.get("data", {}).get("text/plain", "") for output in outputs if "text/markdown" in output.get("data", {})]
    return ["".join(text).strip() for text in found if "".join(text).strip()]


def ran_to_its_end(live):
    "Whether all cells have run, without an error, and say what the book says."
    ran = live.run()
    for source, count, outputs in ran:
        assert count or not source.strip(), (live.notebook, source)
        assert not [output for output in outputs if output["output_type"] == "error"], (live.notebook, source, outputs)
    stored = [cell for cell in nbformat.read(nbs/live.notebook, as_version=4).cells if cell.cell_type == "code"]
    assert [texts(outputs) for _, _, outputs in ran] == [texts(cell.outputs) for cell in stored], live.notebook
    assert live.elsewhere == []


@pytest.fixture(scope="module")
def address():
    built = subprocess.run([sys.executable, "-m", "tools.lite"], cwd=root, capture_output=True, text=True)
    if "npm is missing" in built.stderr or "can’t be downloaded" in built.stderr: pytest.skip(built.stderr)
    assert not built.returncode, built.stdout + built.stderr
    with served(lite.built) as address: yield address


@pytest.fixture(scope="module")
def view(browser):  # noqa: F811
    "One visit: what a page has loaded, the next one has."
    view = browser.new_context(viewport={"width": 1200, "height": 1000})
    yield view
    view.close()


def test_three_notebooks_run_to_their_ends(address, view):
    for notebook in ("tutorials/first_chat.ipynb", "howtos/branch.ipynb", "howtos/models.ipynb"):
        live = Live(view, address, notebook)
        ran_to_its_end(live)
        if notebook == "howtos/branch.ipynb": the_stop_button_stops(live)
        if notebook == "howtos/models.ipynb": modules_came_compiled(live)
        live.page.close()


def modules_came_compiled(live):
    "By the same Python, in the wheels: the mark of what is never compared with its source."
    live.execute("import llama_nbchat.chat, IPython, traitlets\nfrom importlib.util import MAGIC_NUMBER as ours\n"
        "print([open(module.__cached__, 'rb').read(8) == ours + bytes([1, 0, 0, 0]) for module in (llama_nbchat.chat, IPython, traitlets)])")
    live.wait(IDLE)
    assert "[True, True, True]" in live.last(), live.last()


def the_stop_button_stops(live):
    "An answer, and not the conversation."
    live.execute("while not chat('Name the planets in the solar system').interrupted: pass\nprint('It has', 'stopped.')")
    live.wait("() => document.querySelectorAll('.jp-Notebook .jp-Cell:last-of-type .jp-OutputArea-output').length")
    live.page.locator('[data-command="notebook:interrupt-kernel"], jp-button[title^="Interrupt"]').first.click()
    live.wait(IDLE)
    assert "It has stopped." in live.last() and live.last().count("stopped") > 1, live.last()
    live.execute("print(chat('And the second?').has_answer)")
    live.wait(IDLE)
    assert "True" in live.last(), live.last()


def test_without_npm_the_documentation_is_built_all_the_same(monkeypatch, tmp_path):
    "And says so; `make lite` alone fails."
    monkeypatch.setattr(lite, "built", tmp_path/"none")
    monkeypatch.setattr("tools.npm.package", lambda name: None)
    assert lite.lines() == {} and "make lite" in lite.take_along(tmp_path) and not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="npm is missing"): main_of_lite()


def test_a_site_of_yesterday_is_not_taken_along(monkeypatch, tmp_path):
    monkeypatch.setattr(lite, "built", tmp_path/"site")
    lite.built.mkdir()
    (lite.built/"fingerprint").write_text(lite.fingerprint())
    assert set(lite.lines()) == {*lite.pages(), *(notebook for notebook, why in lite.ELSEWHERE.items() if why)} and "lite/index.html" in lite.take_along(tmp_path/"docs")
    assert (tmp_path/"docs"/"lite"/"fingerprint").exists()
    monkeypatch.setattr(lite, "pages", lambda: ["tutorials/first_chat.ipynb"])
    assert lite.lines() == {}


def test_every_page_can_be_run_or_says_why_not():
    "Each notebook of the sections is in the site, with the kernel of the browser, or in the table."
    there = {path.relative_to(nbs).as_posix() for section in lite.SECTIONS for path in (nbs/section).glob("*.ipynb")} | {"index.ipynb"}
    assert set(lite.pages()) | set(lite.ELSEWHERE) == there and not set(lite.pages()) & set(lite.ELSEWHERE)
    needs = re.compile(r"^\s*(?:import|from) (?:llama_cpp|numpy|matplotlib|torch|subprocess|socket)\b", re.MULTILINE)
    for notebook in lite.pages():
        nb = lite.live(notebook)
        assert nb.metadata.kernelspec["name"] == "python"
        for cell in nb.cells:
            assert not needs.search(cell.source) or cell.cell_type != "code", (notebook, cell.source)
            for target in re.findall(r"\]\(([^):#]+\.ipynb)", cell.source): assert (nbs/notebook).parent.joinpath(target).exists()


def main():
    with served(lite.built) as address, open_browser() as browser:
        view = browser.new_context(viewport={"width": 1200, "height": 1000})
        for notebook in sys.argv[1:] or lite.pages():
            live = Live(view, address, notebook)
            try: ran_to_its_end(live)
            except AssertionError as error: print(f"{notebook}: {str(error)[:2000]}")
            live.page.close()


if __name__ == "__main__": main()
