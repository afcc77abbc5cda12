"The package as others get it: what it holds, what it brings, what it imports."
import os
import subprocess
import sys
import threading
import zipfile

import pytest

import llama_nbchat
from llama_nbchat.load import demo_path
from tools.install import WHEELS
from tools.outputs import root

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
    assert {f"llama_nbchat/{name}" for name in ("py.typed", "chat.py", "chat.pyi", "local/engine.pyi", "demo/__main__.py", "demo/planets.gguf")} <= names
    assert not [name for name in names if name.startswith(("tests", "nbs", "tools"))]
    metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    for line in (f"Version: {llama_nbchat.__version__}", "Requires-Python: >=3.10", 'Requires-Dist: llama-cpp-python<0.4,>=0.3.36; sys_platform != "emscripten"'):
        assert line in metadata.splitlines(), line


def test_a_type_checker_sees_all_that_a_user_calls():
    "The program that it reads uses each public method; and what is documented is there for it."
    program = (root/"tests"/"typed_user.py").read_text(encoding="utf-8")
    for kind in (llama_nbchat.Chat, llama_nbchat.Reply, llama_nbchat.ChatMessages, llama_nbchat.Message, llama_nbchat.ChatModel):
        public = {name for base in kind.__mro__[:-1] for name in vars(base) if not name.startswith("_")}
        assert [name for name in sorted(public) if f".{name}" not in program] == [], kind
    assert {path.stem for path in package.glob("*.pyi")} == {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}


def test_demo_model_is_small(): assert demo_path().stat().st_size <= 3_000_000


PIP = """#!/bin/sh
case "$*" in *"--quiet"*|*" -q"*) exec > /dev/null;; esac
echo "Collecting a-package"
echo "  Downloading a-package (1.5 MB)"
echo "  [3/90] Building CXX object a.cpp.o"
read go
echo "  Building wheel for a-package (pyproject.toml): still running..."
echo "it went wrong" >&2
exit $go
"""


@pytest.mark.parametrize("status", (0, 3))
def test_installing_says_what_it_does(tmp_path, status):
    "While it goes on, also where no terminal is and pip says nothing; a failure is one, is told, and is tried again next time."
    stamp = tmp_path/"environment"/".package"
    python = tmp_path/"environment"/"bin"/"python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP)
    python.chmod(0o755)
    outside = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"}   # of `make test`
    make = subprocess.Popen(["make", f"VENV={stamp.parent}", str(stamp)], cwd=root, text=True, env={**outside, "INSTALL_TELLS_EVERY": "0.5"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    patience = threading.Timer(20, make.stdin.close)   # it reads, and goes on
    patience.start()
    said = [make.stdout.readline() for _ in range(4)]
    patience.cancel()
    assert said[0].startswith("Installing") and said[1] == "Collecting a-package\n"     # before it has ended
    assert all(line.endswith("so far, compiling: 3/90\n") for line in said[2:])
    rest, errors = make.communicate(f"{status}\n", timeout=60)
    assert "still running" in rest and "Downloading" not in rest and "it went wrong" in errors
    assert (make.returncode == 0, stamp.exists()) == (status == 0, status == 0)
    assert ("Downloading" in errors) == (status != 0)    # all that was said, where it helps


def test_installing_says_that_it_will_compile(tmp_path):
    "Where no built package can be had; and the line of the front page asks for one in the same index as the Makefile does."
    python = tmp_path/"python"
    python.write_text(PIP.replace("exec > /dev/null", "exit 1").replace("read go", "go=0"))
    python.chmod(0o755)
    told = subprocess.run([sys.executable, "tools/install.py", python, "."], cwd=root, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[1].endswith("six to nine minutes on two cores.")
    assert WHEELS in (root/"README.md").read_text(encoding="utf-8")
