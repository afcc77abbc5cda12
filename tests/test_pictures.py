"The pictures of the pages: they are there, in both schemes, sharp and small, and can be taken again."
import re

import nbformat
import pytest
from PIL import Image

from tools.outputs import hidden, nbs, paths, root
from tools.pictures import PAGES, SCALE, STILLS, THEMES, folder
from tools.site.pages import by_palette, readme

ADDRESS = re.compile(r'\bsrc(?:set)?="([^"]+)"')


def shown():
    "Each picture of each page: where it is shown, and the HTML of it."
    for path in paths():
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown": yield from ((path, found) for found in re.findall(r"<picture>.*?</picture>", cell.source, re.DOTALL))


def files(path, picture): return [(path.parent/address).resolve() for address in ADDRESS.findall(picture)]


def test_all_are_there_and_shown():
    named = {file for path, picture in shown() for file in files(path, picture)}
    assert named == set(folder.iterdir())
    assert {file.name for file in named} == {f"{name}-{theme}.webp" for name in ("chat", "chat_still", *STILLS, *PAGES) for theme in THEMES}


@pytest.mark.parametrize("path, picture", list(shown()), ids=lambda part: getattr(part, "stem", ""))
def test_both_schemes(path, picture):
    "The dark one where the reader's system is dark, the light one elsewhere; as wide as it was taken; told to those who can't see it."
    light, dark = ([file for file in files(path, picture) if f"-{theme}." in file.name] for theme in THEMES)
    assert sorted(file.with_name(file.name.replace("-light", "-dark")) for file in light) == sorted(dark) != []
    for source in re.findall("<source[^>]*>", picture): assert ("-dark." in source) == ("prefers-color-scheme: dark" in source)
    assert "-light." in re.search("<img[^>]*>", picture)[0] and len(re.search('alt="([^"]*)"', picture)[1]) > 30
    sizes = {Image.open(file).size for file in light + dark}
    assert len(sizes) == 1 and sizes.pop()[0] == SCALE*int(re.search(r'width="(\d+)"', picture)[1])


def test_they_are_small():
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert sum(sizes.values()) <= 2_500_000
    for name, size in sizes.items(): assert 3_000 < size <= (600_000 if name.startswith("chat-") else 150_000), name


@pytest.mark.parametrize("theme", THEMES)
def test_one_moves(theme):
    "Typing and answers are seen; it begins and ends with all of it, which stands still for those who don't want anything to move."
    film, still = Image.open(folder/f"chat-{theme}.webp"), Image.open(folder/f"chat_still-{theme}.webp").convert("RGB")
    times, whole = [], []
    for frame in range(film.n_frames):
        film.seek(frame)
        film.load()
        times.append(film.info["duration"])
        whole.append(film.convert("RGB").tobytes() == still.tobytes())
    assert film.n_frames > 30 and 5_000 < sum(times) < 30_000 and times[-1] >= 3_000
    assert [frame for frame, shown in enumerate(whole) if shown] == [0, film.n_frames - 1] and 1_500 <= times[0] <= 4_000


@pytest.mark.parametrize("theme, brightness", (("light", range(200, 256)), ("dark", range(0, 60))))
def test_each_is_of_its_scheme(theme, brightness):
    for file in folder.glob(f"*-{theme}.webp"):
        colours = Image.open(file).convert("L").getcolors()
        assert max(colours)[1] in brightness, file.name


@pytest.mark.parametrize("name", STILLS)
def test_they_can_be_taken_again(name):
    "The cells that a picture shows are in its notebook, and seen by its reader."
    _, path, beginnings = STILLS[name]
    code = [cell.source for cell in nbformat.read(nbs/path, as_version=4).cells if cell.cell_type == "code"]
    for beginning in beginnings:
        found = [source for source in code if source.startswith(beginning)]
        assert len(found) == 1 and not hidden.search(found[0]), beginning


def test_the_readme_has_those_of_the_index():
    index = nbformat.read(nbs/"index.ipynb", as_version=4)
    addresses = ADDRESS.findall(readme(index))
    assert len(addresses) == 4 and all((root/address).exists() for address in addresses)


def test_on_the_site_the_palette_decides():
    for path, picture in shown():
        light, dark = re.findall(r'<picture class="(?:light|dark)">.*?</picture>', by_palette(f"Before\n\n{picture}\n\nAfter"))
        assert "color-scheme" not in light + dark and "\n" not in light + dark
        assert not re.search(r"-dark\.", light) and not re.search(r"-light\.", dark)
        assert set(files(path, light + dark)) == set(files(path, picture))
