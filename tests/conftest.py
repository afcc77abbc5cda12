"What all tests share: the stop button, one thread for each model, the order, and how many of the many moments are tried."
import os
import signal
from datetime import date
from pathlib import Path

# The tests press the stop button. A process that was started in the background may have been told not to listen to it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The models of the tests are so small that a second thread costs more than it gives, and on a busy machine, where each
# waits for the other in a loop, a hundred times more. Read by OpenMP when llama.cpp is imported, also in kernels.
os.environ.setdefault("OMP_THREAD_LIMIT", "1")

# The files that take longest, the longest first; but what needs the site comes later than what builds it.
LONGEST = [Path(__file__).with_name(f"test_{name}.py") for name in
    ("notebooks", "browser", "site", "lite", "live", "kernel", "smollm2", "files", "states", "engine", "server", "renderers")]
assert all(map(Path.exists, LONGEST)), "LONGEST names a file that is gone"

EVERY_MOMENT = bool(os.environ.get("EVERY_MOMENT"))   # as in the nightly run: all of them, and not a part


def moments(number, part):
    "A `part`-th of the moments from 1 to `number`, each day another one, so that all of them have their turn."
    if EVERY_MOMENT: return range(1, number + 1)
    begin = 1 + date.today().toordinal() % part
    print(f"moments {begin}, {begin + part}, ... of {number}; EVERY_MOMENT=1 tries all")
    return range(begin, number + 1, part)


def pytest_collection_modifyitems(items):
    "Where each process takes a file at a time, none is left alone with a long one at the end."
    items.sort(key=lambda item: LONGEST.index(item.path) if item.path in LONGEST else len(LONGEST))


def pytest_report_header():
    return "interrupts: at all moments" if EVERY_MOMENT else "interrupts: at a part of all moments; EVERY_MOMENT=1 tries all"
