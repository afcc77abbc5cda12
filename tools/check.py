"""What can be told in seconds: `python -m tools.check` looks for names that are nowhere, for lines that are too long, for a user's program that a type checker
does not understand, for modules that are not what their notebooks say, for notebooks that are not clean, and for an import that
goes up. What can be put right by writing it anew is written anew, and told.
"""
import subprocess
import sys
from pathlib import Path

from nbdev.clean import nbdev_clean

from tools import stubs

root = Path(__file__).parent.parent
bin = Path(sys.executable).parent
COMMANDS = {"names": ["ruff", "check", "--quiet", "."],
    "lines": ["ruff", "check", "--quiet", "--select", "E501", "--line-length", "120", "--extend-exclude", "_modidx.py", "llama_nbchat"],
    "types": ["pyright", "--pythonpath", sys.executable]}


def told_by(command):
    "What a program says, if it is not content."
    done = subprocess.run([bin/command[0], *command[1:]], cwd=root, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def contents(*patterns):
    "The content of each file."
    return {path: path.read_bytes() for pattern in patterns for path in root.glob(pattern) if not any(part[0] in "._" for part in path.relative_to(root).parts[:-1])}


def written_anew(write, *patterns):
    "The files that are another after they are written anew."
    before = contents(*patterns)
    write()
    after = contents(*patterns)
    return "\n".join(f"{path.relative_to(root)} was not in step" for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path))


def export():
    subprocess.run([bin/"nbdev-export"], cwd=root, check=True, capture_output=True)
    stubs.main()


def upward():
    "Imports that lead to a room with a larger number: the numbers of the notebooks tell the layers."
    rooms = stubs.rooms()
    return "\n".join(f"{module} imports {other}, which lies above it" for module, number in rooms.items() for other in stubs.imported(module)
        if rooms.get(other, "") > number)


def main():
    checks = {name: told_by(command) for name, command in COMMANDS.items()}
    checks["modules"] = written_anew(export, "llama_nbchat/**/*.py", "llama_nbchat/**/*.pyi")
    checks["notebooks"] = written_anew(nbdev_clean, "nbs/**/*.ipynb")
    checks["layers"] = upward()
    for name, told in checks.items(): print(f"{name:10} {'ok' if not told else told}")
    return int(any(checks.values()))


if __name__ == "__main__": sys.exit(main())
