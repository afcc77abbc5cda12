"The notebooks, the modules and README.md say the same; running the notebooks again changes nothing."
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.test import nb_test_cells

from tools.site.pages import readme
from tools.outputs import hidden, nbs, not_run, outputs, paths, root, run


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    "A copy of the project as it is."
    target = tmp_path_factory.mktemp("copy")
    for name in ("nbs", "llama_nbchat"): shutil.copytree(root/name, target/name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "settings.ini"): shutil.copy(root/name, target)
    return target


def changed(copy, folder, pattern):
    "The files that differ between the project and its copy."
    def files(base): return {p.relative_to(base): p.read_bytes() for p in (base/folder).rglob(pattern) if "checkpoint" not in str(p)}
    here, there = files(root), files(copy)
    return [str(name) for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]


def nbdev(command, copy): subprocess.run([Path(sys.executable).parent/f"nbdev-{command}"], cwd=copy, check=True)


def test_modules_are_exported(copy):
    nbdev("export", copy)
    assert changed(copy, "llama_nbchat", "*.py") == [], "run nbdev-export"


def test_notebooks_are_clean(copy):
    nbdev("clean", copy)
    assert changed(copy, "nbs", "*.ipynb") == [], "run nbdev-clean"


def test_readme_is_the_index():
    assert (root/"README.md").read_text(encoding="utf-8") == readme(nbformat.read(nbs/"index.ipynb", as_version=4)), "run make outputs"


def test_all_that_nbdev_would_run_is_run_here():
    "By the test below, in a kernel: each notebook, and in it each cell, also the one notebook that `make test` does not run twice."
    assert {Path(path).resolve() for path in nbglob(nbs, as_path=True)} == set(paths())
    for path in paths():
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        tested = nb_test_cells(path, get_config(root).tst_flags.split())
        assert [cell.source for cell in cells if not not_run.search(cell.source)] == [cell.source for cell in tested], path


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_outputs_are_real(path):
    stored = nbformat.read(path, as_version=4)
    assert outputs(run(path)) == outputs(stored), "run make outputs"


@pytest.mark.parametrize("path", [path for path in paths() if path.parent.name in ("howtos", "tutorials")], ids=lambda path: path.stem)
def test_a_page_works_as_typed(path, tmp_path):
    "What a reader sees of it, and nothing else."
    run(path, tmp_path, hidden)


def test_figures_beside_others():
    "The front page tells what was measured last."
    results = json.loads((root/"tools"/"benchmarks"/"results.json").read_text(encoding="utf-8"))
    tiny, big = results["tiny_speed"], results["big_speed"]
    told = [re.findall(r"[\d.]+", row.rpartition("](")[2])[-3:] for row in re.findall(r"^\|.*\| [*\d.]+ \|$", (root/"README.md").read_text(encoding="utf-8"), re.MULTILINE)]
    measured = [[f"{tiny['ms'][name]:.2f}", f"{tiny['eighths'][name][-1]:.2f}", f"{big['ms'][name]:.1f}"]
        for name in ("bare", "through_chat", "completion", "as_in_the_article")]
    assert told == measured
    assert f"{round(100*(big['ratio']['through_chat'] - 1))} percent" == "2 percent" and "adds two percent" in (root/"README.md").read_text(encoding="utf-8")
