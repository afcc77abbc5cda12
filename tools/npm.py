"""Packages of npm that the site and its pictures are made from: pinned, checked, unpacked once. Nothing of them is committed.

    package("@wllama/wllama")   # the folder of the unpacked package; None where npm is missing or reaches nothing
"""
import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tools.outputs import root

cache = root/".cache"/"npm"

PINNED = {   # Version, and the hash that npm knows the archive by
    "@fontsource/inter": ("5.3.0",   # the fonts of the pictures, the same on every machine
        "sha512-RofMylZmjlJEfELXeNHFWBRcSs75rGU/6bV2S2jfnvv/3rPXPGe0LgUJTklcHZ9lM4OZmAVFhcJPnACfb91A3g=="),
    "@fontsource/source-code-pro": ("5.3.1",
        "sha512-qsJEkwJWXYP/9clmtt3BsIlZ+Lr4cuRgNAgu0vyZdCgESMRMhRkAmEFFHHNM81VdeURqg5D5+Rr3bALDFav78A=="),
    "@wllama/wllama": ("3.8.1",
        "sha512-Pl7BEJhPU8OHnV/yhn3DFZYhLLOdSHh+4TND79WCftHnlUAdQPAsyc/CfIOY+4mVxvf5VW3Xw3Uf7BBfotS1gw=="),
    "pyodide": ("314.0.7",
        "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="),
}


def package(name):
    "The folder of a package. Raises `ValueError` if what was downloaded is something else."
    version, expected = PINNED[name]
    folder = cache/f"{name.replace('/', '+')}-{version}"
    if folder.exists(): return folder
    npm = shutil.which("npm")
    if not npm: return None
    with tempfile.TemporaryDirectory() as there:
        packed = subprocess.run([npm, "pack", f"{name}@{version}", "--ignore-scripts", "--pack-destination", there],
            capture_output=True, text=True)
        if packed.returncode: return None
        archive = next(Path(there).glob("*.tgz"))
        found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != expected: raise ValueError(f"{name} {version} is not what it was: its hash is {found}.")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as new, tarfile.open(archive) as files:
            files.extractall(new, filter="data")
            try: (Path(new)/"package").rename(folder)
            except OSError:   # The folder is there by now: another process was faster, and has unpacked the same
                if not folder.exists(): raise
    return folder
