"""Installs this package, and shows that it goes on: `python tools/install.py PYTHON WHAT`, as the Makefile does.

Needs nothing but the standard library. A built package of llama.cpp is tried first; where there is none, it is compiled, which takes
minutes, and then pip says nothing for most of them: so each few seconds a line tells how long it has been, and how far it is.
"""
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from configparser import ConfigParser
from pathlib import Path

root = Path(__file__).parent.parent
WHEELS = os.environ.get("WHEELS") or "https://abetlen.github.io/llama-cpp-python/whl/cpu"   # where its makers keep built packages
EVERY = float(os.environ.get("INSTALL_TELLS_EVERY") or 10)   # seconds
SHOWN = re.compile(r" *(Collecting|Building|Installing|Preparing|Successfully)")
COMPILED = re.compile(r" *\[ *(\d+/\d+|\d+%)\] ")   # as Ninja says it, or Make


def requirement():
    "What settings.ini says of llama-cpp-python."
    settings = ConfigParser()
    settings.read(root/"settings.ini", encoding="utf-8")
    return next(line for line in settings["DEFAULT"]["requirements"].splitlines() if line.startswith("llama-cpp-python"))


def pip_install(python, *arguments, **options):
    return subprocess.Popen([python, "-m", "pip", "install", "--progress-bar", "off", *arguments], text=True, errors="replace", **options)


def try_built(python):
    "Installs llama-cpp-python without compiling it, if that is possible; waits three seconds for an answer, and not longer."
    tried = pip_install(python, "--quiet", "--timeout", "3", "--retries", "0", "--only-binary", "llama-cpp-python", "--extra-index-url",
        WHEELS, requirement(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return tried.wait() == 0


class Progress:
    "What pip is at, from its lines; `tell` says how long it has been at it."
    def __init__(self): self.start, self.last, self.compiled, self.told_at = time.monotonic(), deque(maxlen=40), "", time.monotonic()

    def see(self, line):
        self.last.append(line)
        if found := COMPILED.match(line): self.compiled = f", compiling: {found[1]}"
        elif SHOWN.match(line): self.say(line.rstrip())

    def say(self, line):
        self.told_at = time.monotonic()
        print(line, flush=True)

    def tell(self):
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        if time.monotonic() - self.told_at >= EVERY: self.say(f"  ... {minutes}:{seconds:02} so far{self.compiled}")


def install(python, what):
    "Installs, and tells of it; gives pip's exit status."
    progress = Progress()
    pip = pip_install(python, "--verbose", "--editable", what, cwd=root, stdout=subprocess.PIPE)
    ended = threading.Event()
    def tell():
        while not ended.wait(min(1, EVERY)): progress.tell()
    threading.Thread(target=tell, daemon=True).start()
    for line in pip.stdout: progress.see(line)
    ended.set()
    if status := pip.wait(): print("It failed. The last that was said:", *progress.last, sep="\n  ", file=sys.stderr)
    return status


def main(python, what):
    print("Installing: looking for a built package of llama.cpp.", flush=True)
    if not try_built(python): print("None can be had here: llama.cpp will be compiled, which takes six to nine minutes on two cores.", flush=True)
    return install(python, what)


if __name__ == "__main__": sys.exit(main(*sys.argv[1:]))
