"""Makes the site: `python -m docs` builds `_docs/` from the notebooks, and README.md from the index.

nbdev processes the notebooks (documentation of symbols, directives, links), nbconvert makes Markdown of them, and Zensical
makes the pages. The order of the pages stands in `nbs/sidebar.yml`, for this site as for that of nbdev and Quarto.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nbdev.serve import proc_nbs

from tools import lite
from tools.site import live
from tools.site.pages import Pages, readme

root = Path(__file__).parent.parent.parent
site = root/"_docs"


def told():
    "The settings in `mkdocs.yml`."
    return yaml.safe_load((root/"mkdocs.yml").read_text(encoding="utf-8"))


def order():
    "The places of the pages, each with the sections that it is in, the outermost first; from `nbs/sidebar.yml` and `mkdocs.yml`."
    contents = yaml.safe_load((root/"nbs"/"sidebar.yml").read_text(encoding="utf-8"))["website"]["sidebar"]["contents"]
    files = {f"../{name}": (section,) for entry in told()["nav"] for section, name in entry.items()}
    return {**dict(within(contents)), **files}


def within(contents, *sections):
    "The places in a list of the side bar, and in the sections within it."
    for part in contents:
        if isinstance(part, str): yield part, sections
        else: yield from within(part["contents"], *sections, part["section"])


def settings(pages):
    "The settings of Zensical: those of `mkdocs.yml`, and which pages there are."
    return {**told(), "nav": pages.contents(), "docs_dir": "pages", "site_dir": "site"}


def build():
    "Builds the site, strictly: a link or an anchor that leads nowhere is an error. Tells where it is."
    processed = proc_nbs(force=True)    # by nbdev, into `_proc/`
    pages, folder = Pages(processed, order()), processed/"site"
    pages.write(folder/"pages", lite.lines())
    for name in ("style.css", "site.js"): shutil.copy(Path(__file__).with_name(name), folder/"pages")
    shutil.copytree(root/"nbs"/"images", folder/"pages"/"images")
    (folder/"mkdocs.yml").write_text(yaml.safe_dump(settings(pages), sort_keys=False), encoding="utf-8")
    command = [Path(sys.executable).parent/"zensical", "build", "--clean", "--strict", "--config-file", folder/"mkdocs.yml"]
    if subprocess.run(command, env={**os.environ, "NO_COLOR": "1"}).returncode:
        raise SystemExit("The site was not built: see above. The pages that Zensical got are in _proc/site/pages/.")
    pages.write_markdown(folder/"site")
    live.add(folder/"site")
    return folder/"site"


def main():
    index = nbformat.read(root/"nbs"/"index.ipynb", as_version=4)
    (root/"README.md").write_text(readme(index), encoding="utf-8")
    built = build()
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(built, site)
    print(f"The site is in {site.name}/: open {site.name}/index.html. {lite.take_along(site)}")


if __name__ == "__main__": main()
