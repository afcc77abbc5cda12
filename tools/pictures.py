"""The pictures of the pages, from a real JupyterLab: `python -m tools.pictures [name ...]` writes nbs/images/NAME-light.webp and
NAME-dark.webp.

A page's picture shows cells of its own notebook, after all of it ran. The moving picture is a chat of two turns with a real model:
it is typed into an empty notebook, and a frame is taken after every few characters and tokens, so that it is the same however fast
this machine is. It begins with what comes out at its end. Nothing is in a picture that differs from run to run, and its fonts come
from pinned packages: only a change of what is shown, or of JupyterLab, shows in a diff.
"""
import base64
import io
import json
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from tools.lab import Notebook, open_browser, open_lab
from tools.npm import package
from tools.outputs import hidden, nbs

folder = nbs/"images"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SCALE = 2          # pixels of a picture for each of the page

STILLS = {   # For each picture its width in pixels of the page, its notebook, and what the cells begin with that it shows
    "first_chat": (740, "tutorials/first_chat.ipynb", ["chat = Chat(system_message=", 'chat("And Venus?")']),
    "models": (900, "howtos/models.ipynb", ["from llama_nbchat import Chat, load, models"]),
    "stop": (860, "howtos/stop_and_resume.ipynb", ["impatient = Chat", 'impatient("And now sleep")']),
    "tree": (740, "howtos/branch.ipynb", ["chat.tree()", "chat.go("]),
    "left_out": (640, "howtos/long_conversations.ipynb", ['chat("Sort the list by mass")']),
    "magic": (740, "howtos/magics.ipynb", ["%%chat -s"]),
    "harmless": (740, "howtos/safety.ipynb", ["nasty =", "Chat(ScriptedModel(\"```html"]),
}

PAGES = {"exported": (720, 960, "howtos/share.ipynb", "talk.html")}   # Width and height, and the file that a notebook has written

WIDTH = 640        # of the moving picture
HEIGHT = 400
FIRST = ["from llama_nbchat import Chat", 'chat = Chat("smollm2", temperature=0)']
PROMPTS = ["What is a neural network, in one sentence?", "Name three things that it is used for"]
KEYS, TOKENS = 3, 2                               # typed, and written, from one frame to the next
TYPING, WRITING, READING = 90, 100, 1800          # milliseconds: of such a frame, before the next prompt
BEGIN, END = 2500, 3500                           # of the finished chat, which comes first and last

# After every few tokens the model waits for a file, and says what can be seen by now. Each piece comes late enough to be shown.
PACED = """
import json as _json
from itertools import count as _count
from pathlib import Path as _Path
from time import sleep as _sleep
_frames = _count(1)
def _wait(reply, delta):
    if not delta.text: return
    _sleep(0.15)
    if reply.usage.completion_tokens %% %d: return
    frame = next(_frames)
    _Path("new").write_text(_json.dumps([frame, reply.text[:-len(delta.text)]]))
    _Path("new").rename("at")
    while not _Path(f"{frame}.frame").exists(): _sleep(0.01)
chat.watchers.append(_wait)
Chat.footer = False
""" % TOKENS

LOOK = """
:root, body { --jp-ui-font-family: Inter; --jp-content-font-family: Inter; --jp-code-font-family: "Source Code Pro";
    --jp-code-font-family-default: "Source Code Pro" }
* { --body-font: Inter !important; transition: none !important; animation: none !important; scrollbar-width: none }
.jp-cell-toolbar, .jp-Notebook-footer, .jp-Toolbar-responsive-opener { display: none !important }
.cm-cursorLayer { opacity: 1 !important }
"""


def font(name, family, style, weight):
    "A font as a rule of CSS that holds it."
    file = package(f"@fontsource/{name}")/"files"/f"{name}-latin-{weight}-{style}.woff2"
    data = base64.b64encode(file.read_bytes()).decode()
    return f'@font-face {{ font-family: "{family}"; font-style: {style}; font-weight: {weight}; src: url(data:font/woff2;base64,{data}) }}'


def look():
    "The rules of CSS that make a page of JupyterLab look the same on each machine."
    fonts = [font(name, family, style, weight) for name, family in (("inter", "Inter"), ("source-code-pro", "Source Code Pro"))
        for style in ("normal", "italic") for weight in (400, 700)]
    return "\n".join([*fonts, LOOK])


def command(notebook, name, **options):
    notebook.page.evaluate("([name, options]) => window.jupyterapp.commands.execute(name, options)", [name, options])


def put_on(notebook, theme):
    "Shows the page in a theme, with no more around the notebook than what it is in."
    page = notebook.page
    page.emulate_media(color_scheme=theme)
    command(notebook, "apputils:change-theme", theme=THEMES[theme])
    page.wait_for_function("theme => document.body.dataset.jpThemeName == theme", arg=THEMES[theme])
    page.evaluate("Promise.all([...document.fonts].map(font => font.load()))")
    settle(page)


def settle(page):
    "Waits until what was changed is drawn."
    page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn, 60))))")


def open_notebook(here, address, browser, name, cells, width, height):
    "A notebook that is as wide as a picture."
    notebook = Notebook(here, address, browser, name, cells, viewport={"width": width + 400, "height": height}, device_scale_factor=SCALE)
    notebook.page.add_style_tag(content=look())
    around = notebook.page.viewport_size["width"] - notebook.page.locator(".jp-WindowedPanel-outer").bounding_box()["width"]
    notebook.page.set_viewport_size({"width": round(width + around), "height": height})
    return notebook


def picture(page, clip):
    return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")


# Pictures that stand still

def show_only(notebook, numbers):
    "Leaves these cells alone in the page; gives where they are."
    cells = notebook.page.locator(".jp-Notebook .jp-Cell")
    cells.evaluate_all("(cells, numbers) => cells.forEach((cell, n) => cell.style.display = numbers.includes(n) ? '' : 'none')", numbers)
    settle(notebook.page)
    boxes = [cells.nth(number).bounding_box() for number in numbers]
    top, bottom = boxes[0]["y"], boxes[-1]["y"] + boxes[-1]["height"]
    panel = notebook.page.locator(".jp-WindowedPanel-outer").bounding_box()
    return {**panel, "y": top - 4, "height": bottom - top + 8}


def take_still(here, address, browser, name):
    "Runs a page's notebook, and takes the picture of some of its cells in each theme."
    width, path, beginnings = STILLS[name]
    code = [cell.source for cell in nbformat.read(nbs/path, as_version=4).cells if cell.cell_type == "code"]
    shown = [number for number, source in enumerate(code) if any(source.startswith(beginning) for beginning in beginnings)]
    if len(shown) != len(beginnings): raise SystemExit(f"{path} has no longer the cells of the picture {name!r}: see STILLS.")
    assert not [number for number in shown if hidden.search(code[number])]
    notebook = open_notebook(here, address, browser, name, [*code, ""], width, 2400)
    notebook.command("notebook:run-all-cells")
    notebook.page.wait_for_function("""last => window.jupyterapp.shell.currentWidget.content.widgets[last].model.executionCount &&
        window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle'""", arg=len(code) - 1, timeout=180_000)
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = window.jupyterapp.shell.currentWidget.content.widgets.length - 1")
    for theme in THEMES:
        put_on(notebook, theme)
        picture(notebook.page, show_only(notebook, shown)).save(folder/f"{name}-{theme}.webp", lossless=True, quality=100, method=6)
    notebook.close()


def take_page(here, browser, name):
    "Takes the picture of a page that a notebook has written, in each scheme."
    width, height, path, file = PAGES[name]
    code = [cell.source for cell in nbformat.read(nbs/path, as_version=4).cells if cell.cell_type == "code"]
    wanted = code[:next(number for number, source in enumerate(code) if file in source) + 1]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in wanted if not hidden.search(source)])
    NotebookClient(notebook, resources={"metadata": {"path": str(here)}}).execute()
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=SCALE, bypass_csp=True)   # for the fonts
    page.goto(f"file://{here}/{file}")
    page.add_style_tag(content=look() + "body { font-family: Inter !important } code { font-family: 'Source Code Pro' !important }")
    page.evaluate("Promise.all([...document.fonts].map(font => font.load()))")
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        settle(page)
        clip = {"x": 0, "y": 0, "width": width, "height": height}
        picture(page, clip).save(folder/f"{name}-{theme}.webp", lossless=True, quality=100, method=6)
    page.close()


# The picture that moves

def run_silently(notebook, code):
    notebook.page.evaluate("""code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute(
        {code, silent: true, store_history: false}).done""", code)


class Film:
    "Frames of a page, each with the time that it is shown."
    def __init__(self, page, clip): self.page, self.clip, self.frames, self.times = page, clip, [], []

    def take(self, milliseconds):
        settle(self.page)
        frame = picture(self.page, self.clip)
        if self.frames and frame.tobytes() == self.frames[-1].tobytes(): self.times[-1] += milliseconds
        else:
            self.frames.append(frame)
            self.times.append(milliseconds)

    def begin_with_the_end(self, milliseconds):
        "Shows the last frame first, for who only glances, and where nothing moves."
        self.frames.insert(0, self.frames[-1])
        self.times.insert(0, milliseconds)

    def write(self, path):
        first, *others = self.frames
        first.save(path, save_all=True, append_images=others, duration=self.times, loop=0, lossless=True, quality=80, method=4)


def to_the_end(page):
    "Scrolls until the last cell is the last thing to be seen."
    page.evaluate("""() => {
        const all = document.querySelector('.jp-WindowedPanel-outer'), last = [...all.querySelectorAll('.jp-Cell')].pop();
        all.scrollTop += Math.max(0, last.getBoundingClientRect().bottom + 12 - all.getBoundingClientRect().bottom) }""")


LETTERS = "text => (text || '').replace(/[^\\p{L}\\p{N}]/gu, '')"


def shown(page, text):
    "Waits until the page shows a text, whatever it makes of its marks."
    page.wait_for_function(f"""text => {{
        const letters = {LETTERS}, outputs = [...document.querySelectorAll('.jp-Cell .jp-OutputArea')];
        return letters(outputs.map(output => output.textContent).join(' ')).includes(letters(text)) }}""", arg=text, timeout=20_000)


def has_run(page, cell):
    return page.evaluate("""cell => window.jupyterapp.shell.currentWidget.content.widgets[cell].model.executionCount &&
        window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle'""", cell)


def type_and_wait(film, here, prompt, frame):
    "Types a prompt, runs it, and takes frames of the answer as it is written; gives the number of the last one."
    page, line = film.page, f'chat("{prompt}")'
    cell = page.locator(".jp-Notebook .jp-Cell").count() - 1
    for begin in range(0, len(line), KEYS):
        page.keyboard.type(line[begin:begin + KEYS])
        film.take(TYPING)
    film.times[-1] += 5*TYPING
    page.keyboard.press("Shift+Enter")
    while not has_run(page, cell):
        at, text = json.loads((here/"at").read_text()) if (here/"at").exists() else (frame, "")
        if at > frame:
            shown(page, text)
            to_the_end(page)
            film.take(WRITING)
            frame = at
            (here/f"{frame}.frame").touch()
        page.wait_for_timeout(20)
    page.wait_for_timeout(500)
    to_the_end(page)
    film.take(READING)
    return frame


def take_film(here, address, browser, theme):
    "A chat of two turns, from the first letter to the last."
    notebook = open_notebook(here, address, browser, f"chat_{theme}", ["\n".join(FIRST)], WIDTH, HEIGHT + 200)
    page = notebook.page
    put_on(notebook, theme)
    panel = page.locator(".jp-NotebookPanel").bounding_box()
    page.set_viewport_size({"width": page.viewport_size["width"], "height": round(HEIGHT + 200 + HEIGHT + 2 - panel["height"])})   # and its border
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("""() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.executionCount &&
        window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle'""", timeout=180_000)
    page.evaluate("window.jupyterapp.shell.currentWidget.content.widgets[0].model.outputs.clear()")   # a bar, if loading was slow
    run_silently(notebook, PACED)
    page.locator(".jp-Cell .cm-content").last.click()
    panel = page.locator(".jp-NotebookPanel").bounding_box()
    film = Film(page, {"x": panel["x"] + 1, "y": panel["y"] + 1, "width": WIDTH, "height": HEIGHT})
    film.take(10*TYPING)
    frame = 0
    for prompt in PROMPTS: frame = type_and_wait(film, here, prompt, frame)
    film.times[-1] = END
    film.begin_with_the_end(BEGIN)
    film.write(folder/f"chat-{theme}.webp")
    film.frames[-1].save(folder/f"chat_still-{theme}.webp", lossless=True, quality=100, method=6)
    notebook.close()
    for file in (*here.glob("*.frame"), here/"at"): file.unlink()


def main(names):
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as config, open_browser() as browser:
        here = Path(here)
        with open_lab(here, Path(config)) as address:
            for name in STILLS:
                if not names or name in names: take_still(here, address, browser, name)
            for name in PAGES:
                if not names or name in names: take_page(here, browser, name)
            for theme in THEMES:
                if not names or "chat" in names: take_film(here, address, browser, theme)
    for path in sorted(folder.glob("*.webp")): print(f"{path.stat().st_size/1000:7.0f} kB  {path.name}")


if __name__ == "__main__": main(sys.argv[1:])
