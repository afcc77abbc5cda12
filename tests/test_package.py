"The package as others get it: what it holds, what it brings, what it imports."
import subprocess
import sys
import zipfile

import llama_nbchat
from llama_nbchat.load import demo_path
from tests.notebooks import root

package = root/"llama_nbchat"
def test_names():
    "What `import *` brings is there, is documented, and is all that the modules offer for it."
    names = {}
    exec("from llama_nbchat import *", names)
    names.pop("__builtins__")
    assert sorted(names) == sorted(llama_nbchat.__all__)
    assert [name for name, value in names.items() if not value.__doc__] == []


def test_import_is_light():
    "llama.cpp, numpy and the like wait until a model is loaded."
    code = "import sys, IPython; before = set(sys.modules); import llama_nbchat; print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout.split()
    assert not {"llama_cpp", "numpy", "nbdev", "jinja2"} & set(loaded), loaded


def test_wheel(tmp_path):
    "A wheel, built in an isolated environment, holds the modules, the demo model and the type marker."
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, root], check=True)
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    names = set(wheel.namelist())
    assert {f"llama_nbchat/{name}" for name in ("py.typed", "chat.py", "demo/__main__.py", "demo/planets.gguf")} <= names
    assert not [name for name in names if name.startswith(("tests", "nbs", "benchmarks"))]
    metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    for line in (f"Version: {llama_nbchat.__version__}", "Requires-Python: >=3.10", "Requires-Dist: llama-cpp-python<0.4,>=0.3.36"):
        assert line in metadata.splitlines(), line


def test_demo_model_is_small(): assert demo_path().stat().st_size <= 3_000_000
