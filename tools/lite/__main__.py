"""Builds the pages that can be run in a browser, from pinned packages of PyPI and npm: `python -m tools.lite`.

JupyterLite makes the site. Pyodide's files and all wheels lie beside it, wllama and the demo model are in wheels as well; so the
site asks no other host for anything, and no address of it has to be known in a notebook.
"""
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_bytes
from html import escape
from importlib import metadata
from pathlib import Path

import nbformat

from tools import lite, npm
from tools.outputs import nbs, root

here = Path(__file__).parent
SETTINGS = {"litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": {"disablePyPIFallback": True, "loadPyodideOptions":
    {"packages": ["micropip", "piplite", "ipykernel", "comm", "pyodide-kernel", "jedi", "ipython", "llama-nbchat"]}}},
    "appName": "llama_nbchat", "exposeAppInBrowser": True}


class Missing(Exception):
    "Something that the build needs is not here."


def normal(name): return re.sub(r"[-_.]+", "-", name).lower()


def wheel(folder, name, version, files, licence, requires=()):
    "Writes a wheel of pure Python: the bytes of each file, by its path. The same files give the same wheel."
    about = f"{name}-{version}.dist-info"
    told = f"License-Expression: {licence}\n" + "".join(f"Requires-Dist: {other}\n" for other in requires)
    files = {**files, f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{told}".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tools.lite\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    def line(path):
        checksum = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).rstrip(b"=").decode()
        return f"{path},sha256={checksum},{len(files[path])}\n"
    files[f"{about}/RECORD"] = "".join([*map(line, files), f"{about}/RECORD,,\n"]).encode()
    path = folder/f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each,content in files.items(): archive.writestr(zipfile.ZipInfo(each), content, zipfile.ZIP_DEFLATED)
    return path


def download():
    "The wheels of other people that notebooks import, each with the hash that is written down."
    folder = lite.cache/"wheels"/hashlib.sha256((here/"requirements.txt").read_bytes()).hexdigest()[:16]
    if folder.exists(): return folder
    with tempfile.TemporaryDirectory() as there:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
            "--require-hashes", "--python-version", "3.14", "--implementation", "cp", "--abi", "cp314", "--abi", "none",
            "--platform", "manylinux2014_x86_64", "--requirement", here/"requirements.txt", "--dest", there]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode: raise Missing(f"the wheels can’t be downloaded ({done.stderr.strip().splitlines()[-1]})")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(there, folder)
    return folder


def without_machine_code(path, folder):
    "The same wheel with its Python alone; MarkupSafe, which this is for, takes its own slower way then."
    if path.name.endswith("-none-any.whl"): return Path(shutil.copy(path, folder))
    name,version = path.name.split("-")[:2]
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each) for each in archive.namelist() if each.endswith(".py") or "licenses/" in each}
    return wheel(folder, name, version, files, licence(path))


def own_wheels(folder, wllama):
    "llama_nbchat itself, and the two files of wllama that a `BrowserModel` takes."
    from llama_nbchat import __version__
    package = root/"llama_nbchat"
    files = {f"llama_nbchat/{path.relative_to(package).as_posix()}": path.read_bytes() for path in sorted(package.rglob("*"))
        if path.suffix in (".py", ".gguf", ".typed")}
    requires = ["fastcore", "ipython", "markdown-it-py", "jinja2", "pygments", "llama_nbchat_wllama"]
    yield wheel(folder, "llama_nbchat", __version__, files, "Apache-2.0", requires)
    names = "from pathlib import Path\nSCRIPT, WASM = (Path(__file__).with_name(name) for name in ('index.min.js', 'wllama.wasm'))\n"
    yield wheel(folder, "llama_nbchat_wllama", npm.PINNED["@wllama/wllama"][0], {
        "llama_nbchat_wllama/__init__.py": names.encode(), "llama_nbchat_wllama/LICENCE": (wllama/"LICENCE").read_bytes(),
        "llama_nbchat_wllama/index.min.js": re.sub(rb"\n?//# sourceMappingURL=\S+", b"", (wllama/"esm"/"index.min.js").read_bytes()),
        "llama_nbchat_wllama/wllama.wasm": (wllama/"esm"/"wasm"/"wllama.wasm").read_bytes()}, "MIT")


def kernel_wheels():
    "What the kernel of JupyterLite brings along."
    folder = Path(sys.prefix)/"share/jupyter/labextensions/@jupyterlite/pyodide-kernel-extension/static/pypi"
    for name in ("piplite", "ipykernel", "pyodide_kernel"):
        yield next(folder.glob(f"{name}-*.whl"))


SELDOM = re.compile(r"(pygments/(lexers|styles)|prompt_toolkit)/")   # no page needs more than a few of these, and they are big


def compile_wheels(pyodide, wheels):
    "Adds to each what its modules are compiled to, by the Python of the browser: doing it there takes seconds, on each visit."
    node = shutil.which("node")
    if not node: raise Missing("npm is missing, and Node, which comes with it")
    with tempfile.TemporaryDirectory() as folder:
        for path in wheels:
            with zipfile.ZipFile(path) as archive: archive.extractall(Path(folder)/path.name)
        done = subprocess.run([node, here/"compile.mjs", pyodide, folder], capture_output=True, text=True)
        if done.returncode: raise SystemExit(f"Pyodide did not compile the wheels:\n{done.stdout}{done.stderr}")
        for path in wheels:
            files = {each.relative_to(Path(folder)/path.name).as_posix(): each for each in sorted((Path(folder)/path.name).rglob("*.pyc"))}
            with zipfile.ZipFile(path, "a") as archive:
                for name,file in files.items():
                    if not SELDOM.match(name): archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)


def about(path):
    "What a wheel says of itself: the names of its files, and its metadata."
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        return names,message_from_bytes(archive.read(next(each for each in names if each.endswith(".dist-info/METADATA"))))


def licence(path):
    "The name of a wheel's licence, in whichever of three places it stands."
    told = about(path)[1]
    named = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    return told["License-Expression"] or ", ".join(named) or (told["License"] or "named within").strip().splitlines()[0]


def entry(path):
    "What a lock of Pyodide's says of a wheel."
    name,version = path.name.split("-")[:2]
    names,told = about(path)
    requires = [line for line in told.get_all("Requires-Dist", []) if ";" not in line]
    modules = sorted({each.split("/")[0].removesuffix(".py") for each in names if ".dist-info/" not in each and ".data/" not in each})
    return {"name": normal(name), "version": version, "file_name": path.name, "install_dir": "site", "package_type": "package",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "imports": modules,
        "depends": [normal(re.match(r"[\w.-]+", line)[0]) for line in requires]}


def lock(pyodide, wheels):
    "Pyodide's lock with these wheels, and nothing that would come from elsewhere."
    told = json.loads((pyodide/"pyodide-lock.json").read_text(encoding="utf-8"))
    entries = {found["name"]: found for found in map(entry, wheels)}
    for name,found in entries.items():   # what only a terminal needs is left out, as Pyodide does
        if known := told["packages"].get(name): found["depends"] = [normal(other) for other in known["depends"]]
    entries["ipython"]["depends"].append("ipython-pygments-lexers")
    for found in entries.values(): found["depends"] = [other for other in found["depends"] if other in entries]
    return json.dumps({**told, "packages": entries})


def licences(site, wllama):
    "A page that names what the site is made of, with the licences."
    def text(package, part="LICENSE"):
        return next(file.read_text() for file in metadata.files(package) if file.name.startswith(part))
    parts = [("llama_nbchat", "Apache-2.0", (root/"LICENSE").read_text()),
        (f"wllama {npm.PINNED['@wllama/wllama'][0]}, with llama.cpp", "MIT", (wllama/"LICENCE").read_text()),
        (f"Pyodide {npm.PINNED['pyodide'][0]}, with CPython", "MPL-2.0", text("pathspec")),   # of the same licence, with its text
        (f"JupyterLite {metadata.version('jupyterlite-core')}", "BSD-3-Clause", text("jupyterlite-core")),
        (f"JupyterLite's kernel {metadata.version('jupyterlite-pyodide-kernel')}", "BSD-3-Clause", text("jupyterlite-pyodide-kernel"))]
    body = "".join(f"<h2>{escape(name)}</h2><p>{escape(kind)}</p><details><summary>The licence</summary><pre>{escape(said)}</pre></details>"
        for name,kind,said in parts)
    wheels = "".join(f"<li><a href='static/pyodide/{path.name}'>{escape(path.name)}</a>: {escape(licence(path))}</li>"
        for path in sorted((site/"static"/"pyodide").glob("*.whl")))
    return page("Licences", f"<p>What runs in your browser here, and under which licences.</p>{body}<h2>Packages of Python</h2>"
        f"<p>Each has its licence within.</p><ul>{wheels}</ul><h2>Packages of JavaScript</h2><p>They stand, with their licences, in "
        f"<a href='build/third-party-licenses.json'>one file</a>.</p>")


def page(title, body):
    "A page in HTML."
    return (f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{title}</title>"
        f"<style>{STYLE}</style><h1>{title}</h1>{body}</html>")


STYLE = ("body { font: 16px/1.5 sans-serif; margin: 2rem auto; max-width: 44rem; padding: 0 1rem; color-scheme: light dark } "
    "pre { overflow-x: auto; font-size: 13px } a { color: LinkText }")


def write_sources(folder, wllama, pyodide):
    "The folder that JupyterLite builds from."
    for notebook in lite.pages():
        path = folder/"content"/notebook
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.v4.writes(lite.live(notebook), split_lines=False), encoding="utf-8")   # one text for each source
    static = folder/"static"/"pyodide"
    static.mkdir(parents=True)
    for name in ("pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide.js", "pyodide.mjs", "python_stdlib.zip", "package.json"):
        shutil.copy(pyodide/name, static)
    wheels = [without_machine_code(path, static) for path in sorted(download().glob("*.whl"))]
    wheels += [Path(shutil.copy(path, static)) for path in kernel_wheels()]
    wheels += own_wheels(static, wllama)
    compile_wheels(pyodide, wheels)
    (static/"pyodide-lock.json").write_text(lock(pyodide, wheels), encoding="utf-8")
    (folder/"jupyter-lite.json").write_text(json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": SETTINGS}))


def build():
    "Builds it, in a folder of its own: what JupyterLite notes about a build must not be found by the next one."
    wllama,pyodide = npm.package("@wllama/wllama"),npm.package("pyodide")
    if not wllama or not pyodide: raise Missing("npm is missing, or reaches nothing")
    try: metadata.version("jupyterlite-core")
    except metadata.PackageNotFoundError: raise Missing("the package jupyterlite-core is missing") from None
    lite.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lite.cache) as folder:
        folder = Path(folder)
        write_sources(folder, wllama, pyodide)
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", ".", "--contents", "content", "--output-dir", "site",
            "--apps", "notebooks", "--no-sourcemaps", "--no-libarchive"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode: raise SystemExit(f"JupyterLite did not build the site:\n{done.stdout}{done.stderr}")
        finish(folder/"site", wllama)
        shutil.rmtree(lite.built, ignore_errors=True)
        shutil.move(folder/"site", lite.built)


def front():
    "The first page: what there is, and what is to be known before."
    def title(notebook): return escape(nbformat.read(nbs/notebook, as_version=4).cells[0].source.splitlines()[0].lstrip("# "))
    here = "".join(f"<li><a href='notebooks/index.html?path={notebook}'>{title(notebook)}</a></li>" for notebook in lite.pages())
    elsewhere = "".join(f"<li><a href='../{notebook.removesuffix('.ipynb')}.html'>{title(notebook)}</a>: {escape(why)}.</li>"
        for notebook,why in lite.ELSEWHERE.items() if why)
    return page("llama_nbchat in your browser", f"<p>{lite.HOW}</p><ul>{here}</ul><h2>Not here</h2><ul>{elsewhere}</ul>"
        f"<p><a href='../index.html'>The documentation</a> · <a href='licences.html'>Licences</a></p>{SETTINGS_HERE}")


SETTINGS_HERE = '<script id="jupyter-config-data" type="application/json" data-jupyter-lite-root=".">{}</script>'   # pages look for it up here


def finish(site, wllama):
    "Adds what is the book's own: the stop button, the first page, the licences. Raises `SystemExit` if Python would come from another host."
    told = json.loads((site/"jupyter-lite.json").read_text(encoding="utf-8"))["jupyter-config-data"]["litePluginSettings"]
    if told["@jupyterlite/pyodide-kernel-extension:kernel"].get("pyodideUrl", "").partition("?")[0] != "./static/pyodide/pyodide.mjs":
        raise SystemExit("JupyterLite has not found Pyodide, and would load it from another host.")
    for app in site.glob("*/index.html"):
        app.write_text(app.read_text(encoding="utf-8").replace("</head>", '<script src="../stop.js"></script></head>', 1), encoding="utf-8")
    shutil.copy(here/"stop.js", site)
    (site/"index.html").write_text(front(), encoding="utf-8")
    (site/"licences.html").write_text(licences(site, wllama), encoding="utf-8")
    (site/"fingerprint").write_text(lite.fingerprint())


def main():
    if lite.is_built(): return print("The pages that run in a browser are as they should be.")
    try: build()
    except Missing as missing: raise SystemExit(f"The pages that run in a browser are not built: {missing}.") from None
    size = sum(path.stat().st_size for path in lite.built.rglob("*") if path.is_file())
    print(f"The pages that run in a browser are in {lite.built.relative_to(root)}: {len(lite.pages())} notebooks, {size / 1e6:.0f} MB.")


if __name__ == "__main__": main()
