"A JupyterLab of its own in a real browser, on the loopback interface: for the tests, and for the pictures."
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import nbformat

from tools.outputs import root

chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

OPTIONS = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
    "--ServerApp.password=", "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.expose_app_in_browser=True"]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def settings(theme):
    "JupyterLab's, by plugin: all cells are in the page, nothing is fetched, and the theme."
    return {"notebook-extension/tracker": {"windowingMode": "none"}, "apputils-extension/notification": {"fetchNews": "false"},
        "apputils-extension/themes": {"theme": theme}}


@contextmanager
def open_lab(folder, config, theme="JupyterLab Light"):
    "JupyterLab in a folder, with settings of its own; gives its address."
    for name, values in settings(theme).items():
        file = config/f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    port = free_port()
    command = [sys.executable, "-m", "jupyter", "lab", *OPTIONS, f"--port={port}", f"--ServerApp.root_dir={folder}"]
    variables = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(config/"settings"), "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(config), "PYTHONPATH": str(root)}
    server = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try: urllib.request.urlopen(f"{address}/api", timeout=5); break
            except OSError: time.sleep(0.5)
        else: raise RuntimeError("JupyterLab does not start.")
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@contextmanager
def open_browser():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield browser
        browser.close()


class Notebook:
    "A notebook in a page of JupyterLab; `view` are options of the page, as Playwright has them."
    def __init__(self, folder, address, browser, name, cells, **view):
        self.path, self.hosts, self.dialogs = folder/f"{name}.ipynb", set(), []
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"display_name": "python3", "language": "python", "name": "python3"}
        nbformat.write(notebook, self.path)
        self.address = f"{address}/lab/tree/{name}.ipynb?reset"
        self.page = browser.new_page(**{"viewport": {"width": 1000, "height": 1600}, **view})
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.add_init_script("window.pwns = 0; window.pwned = () => window.pwns++")
        self.open()

    def open(self):
        try: self.page.goto(self.address)
        except Exception as error:   # JupyterLab opens a workspace of its own while the page before is left
            if "ERR_ABORTED" not in str(error): raise
            self.page.goto(self.address)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        self.page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget.sessionContext.session", timeout=90_000)

    def command(self, name): self.page.evaluate("name => { window.jupyterapp.commands.execute(name) }", name)

    def run(self, wait=True):
        "Runs all cells; waits until the kernel has nothing to do."
        self.command("notebook:run-all-cells")
        if not wait: return
        self.page.wait_for_function("""() => {
            const cells = [...window.jupyterapp.shell.currentWidget.content.widgets];
            return cells.every(cell => cell.model.executionCount) &&
                window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle' }""", timeout=120_000)
        time.sleep(0.5)

    def save(self):
        self.command("docmanager:save")
        time.sleep(1.5)
        return nbformat.read(self.path, as_version=4)

    def outputs(self, cell): return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea-output")

    def text(self, cell): return "\n".join(self.outputs(cell).all_inner_texts())

    def close(self):
        self.command("kernelmenu:shutdown")
        self.page.close()
