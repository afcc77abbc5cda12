"Servers: a scripted one for all that can go wrong and for what each kind of server sends, and a real one."
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import warnings
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import BaseModel

from llama_nbchat import (Chat, ChatError, ContextOverflowError, GenerationError, ModelNotFoundError, NotInstalledError, ParameterError,
    load)
from llama_nbchat import server as module
from llama_nbchat.found import demo_path

KEY = "sk-secret-1234567890"


def sse(*chunks, end=True):
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n" * end


def says(text=None, reason=None, **delta):
    return {"choices": [{"index": 0, "delta": {**({} if text is None else {"content": text}), **delta}, "finish_reason": reason}]}


def spent(prompt, completion=2, **more):
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


GOOD = sse(says("Hello"), says(" there", "stop"), spent(9))


class Server(ThreadingHTTPServer):
    "Answers paths as `ways` says: a text, or a function of handler and request."
    daemon_threads = True

    def __init__(self, **ways):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ways, self.asked, self.closed = {"/v1/models": {"data": [{"id": "tiny"}]}, **ways}, [], threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server_port}"

    def chats(self): return [request for path, request, _ in self.asked if path == "/v1/chat/completions"]

    def handle_error(self, request, address): self.closed.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True   # else each answer, sent in two pieces, waits 40 ms for the other side

    def do_GET(self): self.do_POST()

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = json.loads(content) if content else None
        self.server.asked.append((self.path, request, {name.title(): value for name, value in self.headers.items()}))
        way = self.server.ways.get(self.path)
        if isinstance(way, list): way = way.pop(0) if len(way) > 1 else way[0]
        if callable(way): way = way(self, request)
        if way is None: return self.send(404, "no such page", "text/plain")
        if way is ...: return
        code, body, kind, headers = (*way, None, {})[:4] if isinstance(way, tuple) else (200, way, None, {})
        self.send(code, body, kind, **(headers or {}))

    def send(self, status, body, kind=None, **headers):
        content = (body if isinstance(body, (str, bytes)) else json.dumps(body))
        content = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        kind = kind or ("text/event-stream" if content.startswith((b"data:", b"event:", b":")) else "application/json")
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def begin(self, text):
        "A stream of which a part is sent, and no more."
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())
        self.wfile.flush()
        self.close_connection = True
        return ...

    def log_message(self, *args): pass


@contextmanager
def serving(answer=GOOD, **ways):
    server = Server(**{"/v1/chat/completions": answer, **ways})
    try: yield server
    finally:
        server.shutdown()
        server.server_close()


def status(code, message="no", **headers): return code, {"error": {"message": f"{message} ({KEY})", "type": "x"}}, None, headers


def send(*what): return lambda handler, request: handler.send(what[0], *what[1:3], **(what[3] if len(what) > 3 else {})) or ...


def hang(handler, request):
    handler.server.closed.wait(20)
    return ...


def slow(handler, request):
    handler.begin(sse(says("Hel"), end=False))
    handler.server.closed.wait(20)
    return ...


def reset(handler, request):
    handler.begin(sse(says("Hel"), end=False))
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()
    return ...


# What is sent, what the error says, and whether a part of the answer was there before.
FAILURES = {
    "no key": (send(*status(401)), "refuses the key", False),
    "forbidden": (send(*status(403)), "refuses the key", False),
    "no model": (send(*status(404)), "does not know this model", False),
    "bad request": (send(*status(400, "bad temperature")), "error 400: bad temperature", False),
    "unprocessable": (send(422, {"detail": [{"msg": "field required"}]}), "error 422", False),
    "too long, llama-server": (send(400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the available context size",
        "n_prompt_tokens": 5000, "n_ctx": 4096}}), "context window", False),
    "too long, vLLM": (send(400, {"error": {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"}}),
        "context window", False),
    "busy for ever": (send(*status(429, Retry_After="0")), "is busy", False),
    "busy for hours": (send(*status(429, Retry_After="86400")), "is busy", False),
    "loading": (send(*status(503, "Loading model", Retry_After="0")), "is busy", False),
    "broken": (send(*status(500, "out of memory")), "error 500: out of memory", False),
    "bad gateway": (send(502, "<html>bad gateway</html>", "text/html"), "error 502", False),
    "redirect": (send(302, "", "text/plain", {"Location": "http://evil.example/v1"}), "not followed", False),
    "web page": (send(200, "<!doctype html><p>Welcome", "text/html"), "no chat server", False),
    "no JSON": (send(200, "data: {not json\n\n", "text/event-stream"), "before its first word", False),
    "no JSON later": (send(200, sse(says("Hel"), end=False) + "data: {oops\n\n"), "in the middle", True),
    "a list": (send(200, "data: [1]\n\n"), "not a dict", False),
    "choices of no kind": (send(200, 'data: {"choices": 7}\n\n'), "not a list", False),
    "numbers for text": (send(200, sse(says(7))), "not text", False),
    "error in the stream": (send(200, sse(says("Hel"), {"error": {"message": f"slot failed {KEY}"}})), "slot failed", True),
    "error at once": (send(200, sse({"error": "no slots"})), "no slots", False),
    "error event": (send(200, 'event: error\ndata: {"error": "crashed"}\n\n'), "crashed", False),
    "ended by error": (send(200, sse(says("Hel"), says(reason="error"))), "broke off", True),
    "cut at once": (lambda handler, request: handler.begin(""), "has sent nothing", False),
    "cut in the middle": (lambda handler, request: handler.begin(sse(says("Hel"), end=False)), "the connection has ended", True),
    "cut in a line": (lambda handler, request: handler.begin(sse(says("Hel"), end=False) + 'data: {"choi'), "in the middle", True),
    "reset": (reset, "in the middle", True),
    "hangs": (hang, "not answered in time, before its first word", False),
    "hangs in the middle": (slow, "not answered in time, in the middle", True),
    "nothing said": (send(200, sse(says(reason="stop"))), "answered with nothing", False),
    "endless line": (lambda handler, request: handler.begin("data: " + "x" * (2**24 + 2**17)), "too long", False),
    "long error": (send(500, {"error": {"message": "x" * 10**6}}), "error 500: x", False),
    "control characters": (send(500, {"error": {"message": "\x1b[2Jgone"}}), "error 500", False),
    "not even HTTP": (lambda handler, request: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n") and handler.wfile.flush() or setattr(handler, "close_connection", True) or ...,
        "8080|127.0.0.1", False),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures(name, capsys, monkeypatch):
    "A clear error, the history as it was or with the part that had come, and the key nowhere."
    monkeypatch.setattr("llama_nbchat.server.pause_or_stop", lambda seconds: None)
    way, words, partial = FAILURES[name]
    with serving() as server:
        chat = Chat(load(server.address, api_key=KEY, timeout=1))
        chat("Hi")
        before = chat.messages.get_messages()
        server.ways["/v1/chat/completions"] = way
        with pytest.raises(ChatError) as caught: chat("And?")
        said = str(caught.value)
        assert any(word in said for word in words.split("|")), said
        assert len(said) < 1200 and "\x1b" not in said
        assert chat.messages.get_messages()[:len(before)] == before
        assert len(chat.messages) == len(before) + 2 * partial and (not partial or chat.last.text == "Hel")
        if "middle" in name or "stream" in name: assert len(server.chats()) == 2   # nothing is asked again after the first word
        server.closed.set()
        server.ways["/v1/chat/completions"] = GOOD
        assert chat("Once more").text == "Hello there"
        everything = "".join(traceback.format_exception(caught.value)) + repr(chat) + repr(chat.model) + repr(vars(chat.model))
        everything += "".join(capsys.readouterr()) + repr(chat.messages) + json.dumps(chat.messages.get_messages())
        assert KEY not in everything
        assert all(headers["Authorization"] == f"Bearer {KEY}" for path, _, headers in server.asked)


def test_a_busy_server_is_asked_again_as_it_wants(monkeypatch):
    waits = []
    monkeypatch.setattr("llama_nbchat.server.pause_or_stop", waits.append)
    with serving([status(429, Retry_After="7"), status(503), GOOD]) as server:
        assert Chat(load(server.address))("Hi").text == "Hello there"
    assert waits == [7.0, 2.0]


def test_nobody_is_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", f"localhost:{port}/v1"):
        with pytest.raises(GenerationError, match="Nothing answers at .*is the server running"): load(address)


@pytest.mark.parametrize("address", ("{}", "{}/", "{}/v1", "{}/v1/", "{}/v1/chat/completions", "127.0.0.1:{port}"))
def test_addresses(address):
    with serving() as server:
        assert Chat(address.format(server.address, port=server.server_port))("Hi").text == "Hello there"


def test_which_model():
    with serving(**{"/v1/models": {"data": [{"id": "qwen3:4b"}, {"id": "gemma"}]}}) as server:
        with pytest.raises(ModelNotFoundError, match="several models. There is: 'qwen3:4b', 'gemma'"): load(server.address)
        with pytest.raises(ModelNotFoundError, match="no model 'llama'"): load(server.address, model="llama")
        assert load(server.address, model="qwen").name == "qwen3:4b"
        with pytest.raises(ParameterError, match=r"write Chat\(load\('http.*', model=\.\.\.\)\)"): Chat(server.address, model="qwen3:4b")
        with pytest.raises(ParameterError, match=r"api_key=\.\.\.") as caught: Chat(server.address, api_key=KEY)
        assert KEY not in str(caught.value)
        with pytest.raises(ParameterError, match="parameter of a chat"): load(server.address, temperature=0)
        with pytest.raises(ParameterError, match="Did you mean 'n_ctx'"): load(server.address, ctx=5)
    with serving(**{"/v1/models": {"data": []}}) as server:
        with pytest.raises(ModelNotFoundError, match="has loaded no model"): load(server.address)
    with serving(**{"/v1/models": None}) as server:
        assert load(server.address, model="mine").name == "mine"


ENVIRONMENT = {"OPENAI_API_KEY": KEY, "OPENAI_ADMIN_KEY": KEY, "OPENAI_ORG_ID": "org-of-mine", "OPENAI_PROJECT_ID": "project-of-mine",
    "OPENAI_CUSTOM_HEADERS": f"X-Mine: {KEY}\nAuthorization: Bearer {KEY}"}


@pytest.mark.parametrize("kind", ("/props", "/version", "/api/version", "/api/v0/models", "/openapi.json", "nothing"))
def test_what_the_environment_tells_whom(monkeypatch, kind):
    "The key goes where nobody else can read it, organisation and headers to OpenAI alone, whatever is asked; what is written goes first."
    for name, value in ENVIRONMENT.items(): monkeypatch.setenv(name, value)
    signs = {"/props": {"default_generation_settings": {}}, "/version": {"version": "1"}, "/api/version": {"version": "1"}, "/api/v0/models": {"data": []},
        "/openapi.json": {"info": "llama.cpp Python API"}}
    with serving(**({kind: signs[kind]} if kind in signs else {})) as server:
        for other in (None, "https://api.openai.com/v1", "http://127.0.0.1:9/v1", f"{server.address}/other/v1", server.address.replace("http", "https"), "http://[", ""):
            monkeypatch.setenv("OPENAI_BASE_URL", other) if other is not None else monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
            Chat(load(server.address))("Hi")
        sent = [headers for _, _, headers in server.asked]
        assert len(sent) > 20 and {headers["Authorization"] for headers in sent} == {f"Bearer {KEY}"}
        assert not any(secret in json.dumps(sent) for secret in ("of-mine", "X-Mine"))
        server.asked.clear()
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(module, "_LOOPBACK", ())   # as for another machine
            elsewhere.delenv("OPENAI_BASE_URL")
            Chat(load(server.address))("Hi")
        assert {headers["Authorization"] for _, _, headers in server.asked} == {"Bearer none"} and KEY not in json.dumps([h for _, _, h in server.asked])
        server.asked.clear()
        Chat(load(server.address, api_key="for-this-one"))("Hi")
        assert {headers["Authorization"] for _, _, headers in server.asked} == {"Bearer for-this-one"}
        server.asked.clear()
        for named in (server.address, f"{server.address}/v1/", f" {server.address}/v1"):
            monkeypatch.setenv("OPENAI_BASE_URL", named)
            load(server.address)
        assert {headers["Authorization"] for _, _, headers in server.asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("base, meant", (("https://api.openai.com/v1", True), ("http://api.openai.com/v1", False), ("https://api.openai.com.evil.example/v1", False),
    ("https://evil.example/api.openai.com/v1", False), ("https://api.openai.com:444/v1", False), ("https://my.api.openai.com/v1", False)))
def test_for_whom_the_environment_is_meant(monkeypatch, base, meant):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert module._is_meant(module._base(base)) is meant


def test_a_refused_key_says_what_to_write(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(module, "_LOOPBACK", ())   # as for another machine
    with serving(**{"/v1/models": status(401)}) as server:
        with pytest.raises(GenerationError, match=r'refuses the key.*write load\(.*, api_key=os.environ\["OPENAI_API_KEY"\]\)') as caught: load(server.address)
        assert KEY not in str(caught.value)


SECRET = "s3cr3t-word"
LOGINS = (f"http://ann:{SECRET}@{{}}", f"http://ann:{SECRET}@{{}}/v1/", f"ann:{SECRET}@{{}}", f"http://{SECRET}@{{}}", f"http://{{}}/v1?api_key={SECRET}",
    f"http://{{}}/v1?api-version=1&token={SECRET}@x#y", f"http://{{}}/#access_token={SECRET}", f"{{}}/v1?key={SECRET}", f"HTTP://:{SECRET}@{{}}")


@pytest.mark.parametrize("address", LOGINS)
def test_a_secret_in_an_address_is_never_shown(address, capsys, monkeypatch):
    "Whatever the server answers, and whatever is wrong with what is written; and it is sent as a login."
    monkeypatch.setattr("llama_nbchat.server.pause_or_stop", lambda seconds: None)
    seen = []
    def look(call):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try: made = call()
            except ChatError as error: seen.append("".join(traceback.format_exception(error)).replace(repr(address), "") + repr(vars(error)))
            else: seen.append(repr(made) + repr({name: value for name, value in vars(made).items()}))
        seen.extend(str(warning.message) for warning in caught)
    def echo(code): return lambda handler, request: handler.send(code, {"error": {"message": f"{handler.headers['Authorization']} {handler.path} http://ann:{SECRET}@x"}})
    for lists in ({"data": []}, {"data": [{"id": "a"}, {"id": "b"}]}, None, {}, "<html>", echo(401), echo(404), echo(500), echo(302), {"data": [{"id": "tiny"}]}):
        with serving(**{"/v1/models": lists}) as server:
            place = address.format(f"127.0.0.1:{server.server_port}")
            look(lambda: load(place, timeout=2))
            look(lambda: load(place, model="other", timeout=2))
            look(lambda: load(place, temperature=1))
            look(lambda: load(place, n_ctx="x"))
    login = server.asked[0][2]["Authorization"]
    assert login.startswith("Basic ") == ("@1" in place), login
    for way, _, _ in list(FAILURES.values())[LOGINS.index(address)::len(LOGINS)]:   # each address has others
        if way in (hang, slow): continue
        with serving() as server:
            model = load(address.format(f"127.0.0.1:{server.server_port}"), timeout=1)
            server.ways["/v1/chat/completions"] = way if way is not FAILURES["bad request"][0] else echo(400)
            look(lambda: Chat(model)("Hi"))
    look(lambda: load(place))      # nobody is there any more
    for other in (*([] if "//" in address else ["gpu-box:8080"]), "127.0.0.1:99999", "127.0.0.1:x", "huggingface.co/a/b", "example.com/a/model.gguf"): look(lambda: load(address.format(other)))
    for broken in (f"http://ann:{SECRET}/x@127.0.0.1", f"http://ann:x?{SECRET}@127.0.0.1", f"http://ann:x#{SECRET}@127.0.0.1"): look(lambda: load(broken))
    text = "\n".join(seen) + "".join(capsys.readouterr())
    assert len(seen) > 45 and not [line for line in text.splitlines() if SECRET in line or "czNjcjN0" in line]


def test_the_login_is_what_was_written():
    "Also with signs that an address can only hold in another form."
    from base64 import b64decode
    with serving() as server:
        for login, sent in (("ann:pw", "ann:pw"), ("ann:p%40%2Fw", "ann:p@/w"), ("ann", "ann:"), (":pw", ":pw"), ("a%C3%A4:b:c", "aä:b:c")):
            server.asked.clear()
            load(server.address.replace("//", f"//{login}@"))
            assert {b64decode(headers["Authorization"].removeprefix("Basic ")).decode() for _, _, headers in server.asked} == {sent}


@pytest.mark.parametrize("slow", ("/v1/models", "/props", "/api/version", "everything"))
def test_a_slow_server_gets_the_time_that_is_given(monkeypatch, slow):
    "`timeout` counts for every request, also for the first ones; without it, a server that does not answer is soon told."
    monkeypatch.setattr(module, "_QUICK", 0.1)
    monkeypatch.setattr(module, "_CONNECT", 0.2)
    def late(answer):
        def way(handler, request):
            time.sleep(0.5)
            return answer
        return way
    ways = {"/props": {"default_generation_settings": {"n_ctx": 4096}}, "/v1/models": {"data": [{"id": "tiny"}]}, "/api/version": None}
    ways = {path: late(answer) if slow in (path, "everything") else answer for path, answer in ways.items()}
    with serving(**ways) as server:
        if slow in ("/v1/models", "everything"):
            with pytest.raises(GenerationError, match=r"not answered in time.*timeout=\.\.\."): load(server.address)
        model = load(server.address, timeout=20)
        assert model.n_ctx == 4096 and "llama-server" in repr(model)


def test_a_short_time_is_kept():
    with serving(**{"/v1/models": hang}) as server:
        begin = time.monotonic()
        with pytest.raises(GenerationError, match="not answered in time"): load(server.address, timeout=0.3)
        assert time.monotonic() - begin < 3
        server.closed.set()


BODIES = ["<!doctype html><p>Welcome", "", "[]", "null", "5", '"text"', "{", "[" * 100_000, '{"data": 5}', '{"data": {}}', '{"data": [1]}', '{"data": [null]}', '{"data": [{}]}',
    '{"data": [{"id": 5}]}', '{"data": [{"id": null}]}', '{"data": [[]]}', '{"models": []}', b"\xff\xfe\x00", "data: {}\n\n", '{"object": "list"}', "NaN", "\x1b[2J"]
LEAKS = ("object has no attribute", "NoneType", "not subscriptable", "codec can't", "Expecting", "recursion", "JSONDecode", "not iterable", "SyncPage", "\x1b")


@pytest.mark.parametrize("kind", ("text/html", "application/json", "text/event-stream", "text/plain"))
def test_what_is_no_protocol_is_said(kind):
    "Anything that is no list of models, or no answer, whatever it calls itself."
    for body in BODIES:
        with serving(**{"/v1/models": (200, body, kind)}) as server:
            for settings in ({}, {"model": "mine"}):
                with pytest.raises(GenerationError, match="no chat server") as caught: load(server.address, **settings)
                assert not [leak for leak in LEAKS if leak in str(caught.value)] and len(str(caught.value)) < 500, str(caught.value)
        with serving((200, body, kind)) as server:
            chat = Chat(load(server.address))
            with pytest.raises(GenerationError) as caught: chat("Hi")
            assert not [leak for leak in LEAKS if leak in str(caught.value)] and len(str(caught.value)) < 500, str(caught.value)
            assert len(chat.messages) == 0
    with serving(**{"/v1/models": {"object": "list", "data": None}}) as server:   # Ollama without a model
        with pytest.raises(ModelNotFoundError, match="has loaded no model"): load(server.address)


class Odd:
    def __repr__(self): raise ZeroDivisionError("odd")


SETTINGS = {
    "model": (["tiny", "", None], [5, b"x", ["a"], {}, True, object, Odd()]),
    "n_ctx": ([4096, 0, None], ["4096", -5, 4096.0, True, float("nan"), float("inf"), 10**400, [4096], b"1", Odd()]),
    "timeout": ([60, 0.5, None], ["x", "60", -1, 0, float("nan"), float("inf"), -float("inf"), 10**400, True, [60], b"1", Odd()]),
    "api_key": (["x-123", "", None], [5, b"x", ["a"], "k\u00e4se", "line\n", True, Odd()])}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name):
    "Each works, or is refused before the server is asked anything."
    good, bad = SETTINGS[name]
    with serving() as server:
        for value in bad:
            with pytest.raises(ParameterError, match=f"^{name} is a ") as caught: load(server.address, **{name: value})
            assert caught.value.name == name and (name != "api_key" or "line" not in str(caught.value))
        assert server.asked == []
        for value in good: assert Chat(load(server.address, **{name: value}))("Hi").text == "Hello there"
        numpy = pytest.importorskip("numpy")
        assert load(server.address, n_ctx=numpy.int64(4096), timeout=numpy.float32(5)).n_ctx == 4096


def test_without_the_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(NotInstalledError, match=r'pip install "llama_nbchat\[server\]"'): load("http://127.0.0.1:9")


KINDS = {
    "llama-server": ({"/props": {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2, "modalities": {"vision": True}}, "/v1/chat/completions/input_tokens":
        {"input_tokens": 42}}, 4096, "counts exactly, resumes, tells cached tokens, sees images, 2 at once"),
    "vLLM": ({"/version": {"version": "0.11"}, "/v1/models": {"data": [{"id": "tiny", "max_model_len": 8192}]}, "/tokenize": {"count": 42}},
        8192, "counts exactly, resumes"),
    "Ollama": ({"/api/version": {"version": "0.13"}, "/api/ps": {"models": [{"name": "tiny", "context_length": 4096}]}}, 4096, "counts about"),
    "LM Studio": ({"/api/v0/models": {"data": [{"id": "tiny", "loaded_context_length": 4096}]}}, 4096, "counts about"),
    "llama_cpp.server": ({"/openapi.json": {"info": {"title": "🦙 llama.cpp Python API"}}}, None, "counts about"),
    "server": ({}, None, "counts about"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    ways, n_ctx, words = KINDS[kind]
    with serving(**ways) as server:
        model = load(server.address)
        assert f", {kind}, " in repr(model) and words in repr(model) and model.n_ctx == n_ctx
        chat = Chat(model, top_k=5, repeat_penalty=1.1, max_tokens=-1)
        assert chat("Hi").text == "Hello there"
        sent = server.chats()[-1]
        assert sent["top_k"] == 5 and "max_tokens" not in sent and sent["model"] == "tiny"
        assert ("repetition_penalty" in sent) == (kind == "vLLM")
        if "exactly" in words: assert chat.context.used == 42


def test_a_window_that_is_told_once_the_model_is_loaded():
    with serving(**{**KINDS["Ollama"][0], "/api/ps": [{"models": []}, KINDS["Ollama"][0]["/api/ps"]]}) as server:
        chat = Chat(load(server.address))
        assert chat.model.n_ctx is None
        chat("Hi")
        assert chat.model.n_ctx == 4096


def test_count_falls_back(monkeypatch):
    "A server that can't count any more is not asked again."
    with serving(**{**KINDS["llama-server"][0], "/v1/chat/completions/input_tokens": None}) as server:
        model = load(server.address)
        assert model.count([{"role": "user", "content": "x" * 400}]) == 108
        assert "counts about" in repr(model)


@pytest.mark.parametrize("leaves_out", (True, False))
def test_a_template_that_leaves_functions_out_is_named_once(leaves_out):
    "Found by what the server counts; other servers are not asked."
    def year(planet:str): return 687
    def count(handler, request): return {"input_tokens": 40 + 60 * ("tools" in request and not leaves_out)}
    with serving(**{**KINDS["llama-server"][0], "/v1/chat/completions/input_tokens": count}) as server:
        chat = Chat(load(server.address), tools=[year])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2): chat("How long is a year on Mars?")
        assert sum("told nothing of functions" in str(warning.message) for warning in caught) == leaves_out
        assert int(chat.context) == (40 if leaves_out else 100)


def test_quotations_are_checked_where_they_cannot_be_held():
    "A grammar for masks is no server's."
    with serving([sse(says('It says "green".', "stop")), sse(says('It says "red".', "stop"))], **KINDS["llama-server"][0]) as server:
        quoted = Chat(load(server.address)).quote("Mars is red.", "Which colour has Mars?")
        assert [words for _, words in quoted.quotations] == ["red"] and len(server.chats()) == 2
        assert not [request for request in server.chats() if "grammar" in json.dumps(request)]


def test_reasoning_progress_and_usage():
    for name in ("reasoning", "reasoning_content"):
        answer = sse({"choices": [], "prompt_progress": {"total": 100, "cache": 10, "processed": 50, "time_ms": 5}}, says(**{name: "Hm. "}),
            says(**{name: "So."}), says("Four"), says(".", "stop"), spent(100, 6, prompt_tokens_details={"cached_tokens": 10}))
        with serving(answer) as server:
            chat, seen = Chat(load(server.address)), []
            chat.watchers.append(lambda reply, delta: seen.append(delta.progress))
            reply = chat("2 + 2?")
            assert (reply.text, reply.reasoning) == ("Four.", "Hm. So.") and (50, 100) in seen
            assert (reply.usage.prompt_tokens, reply.usage.cached_tokens, reply.usage.completion_tokens) == (100, 10, 6)
            chat("Again")
            assert "Hm." not in json.dumps(server.chats()[-1])   # some servers refuse what they have sent themselves


def test_a_server_that_does_not_stream():
    with serving({"choices": [{"message": {"content": "All at once."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 3}}) as server:
        assert Chat(load(server.address))("Hi").text == "All at once."


def test_odd_lines():
    answer = (": comment\r\n\r\nevent: message\r\nid: 4\r\ndata: " + json.dumps(says("A")) + "\r\n\r\ndata:" + json.dumps(says("ä🦙", "stop")) + "\n\n")
    with serving(answer.encode()) as server: assert Chat(load(server.address))("Hi").text == "Aä🦙"


def test_resume():
    for kind, extra in (("llama-server", {}), ("vLLM", {"continue_final_message": True, "add_generation_prompt": False})):
        with serving([sse(says("One, two", "length")), sse(says(", three", "stop"))], **KINDS[kind][0]) as server:
            chat = Chat(load(server.address))
            chat("Count")
            assert chat.resume().text == "One, two, three"
            sent = server.chats()[-1]
            assert sent["messages"][-1] == {"role": "assistant", "content": "One, two"} and sent.items() >= extra.items()
    with serving(sse(says("One", "length"))) as server:
        chat = Chat(load(server.address))
        chat("Count")
        with pytest.raises(ChatError, match="can't go on"): chat.resume()


def test_schemas_are_sent_and_looked_at():
    "As a format, where the server takes one; an answer that does not fit all the same is asked for again."
    class Body(BaseModel):
        name: str
        moons: int
    good, bad = ([sse(says(text, "stop"))] for text in ('{"name": "Mars", "moons": 2}', '{"name": "Mars"}'))
    for kind in ("llama-server", "vLLM", "Ollama", "LM Studio"):
        with serving(bad + good, **KINDS[kind][0]) as server:
            chat = Chat(load(server.address))
            assert chat.structured("Mars?", Body) == Body(name="Mars", moons=2) and len(chat.messages) == 2
            format = server.chats()[0]["response_format"]
            assert format["json_schema"]["strict"] and format["json_schema"]["schema"]["required"] == ["name", "moons"]
            assert "moons" in server.chats()[1]["messages"][-1]["content"] and "takes schemas" in repr(chat.model)
            assert "x-guidance" not in json.dumps(server.chats()[0])
            with pytest.raises(ParameterError, match="pattern"): chat("Mars?", pattern="a")
    with serving([sse(says('Here: {"name": "Mars", "moons": 2}', "stop"))]) as server:
        chat = Chat(load(server.address))
        assert chat.structured("Mars?", Body).moons == 2
        assert "response_format" not in server.chats()[0] and "JSON" in server.chats()[0]["messages"][-1]["content"]


def test_thoughts_are_limited():
    for kind, name in (("llama-server", "reasoning_budget_tokens"), ("vLLM", "thinking_token_budget")):
        with serving([sse(says("Yes", "stop"))] * 2, **KINDS[kind][0]) as server:
            chat = Chat(load(server.address))
            chat("Is it?", thinking=50)
            assert server.chats()[0][name] == 50 and "chat_template_kwargs" not in server.chats()[0]
            chat("Is it?", thinking=0)
            assert server.chats()[1][name] == 0 and server.chats()[1]["chat_template_kwargs"] == {"enable_thinking": False}
            with pytest.raises(ParameterError, match="thinking is a number"): chat("Is it?", thinking=-1)
    with serving(GOOD) as server:
        with pytest.raises(ParameterError, match="thinking"): Chat(load(server.address))("Is it?", thinking=50)


def test_dropped_beginning_is_said():
    "A server that reads far fewer tokens than the conversation has."
    def answer(handler, request):
        size = sum(8 + len(message["content"]) // 4 for message in request["messages"])
        return sse(says("x" * 400, "stop"), spent(min(round(1.2 * size), 700)))
    with serving(answer) as server:
        chat = Chat(load(server.address))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(16): chat("word " * 40)
    said = [str(warning.message) for warning in caught if "left out the beginning" in str(warning.message)]   # others may close a socket
    assert said and "n_ctx=700" in said[0]


def test_window_is_learned_from_the_error():
    def answer(handler, request):
        size = sum(len(message["content"]) for message in request["messages"])
        if size < 2000: return sse(says("Hello", "stop"), spent(size // 4))
        return 400, {"error": {"message": "This model's maximum context length is 500 tokens. However, you requested 600 tokens"}}
    with serving(answer) as server:
        chat = Chat(load(server.address))
        for _ in range(3): chat("word " * 100)
        with pytest.raises(ContextOverflowError) as caught:
            for _ in range(3): chat("word " * 100)
        assert (caught.value.n_ctx, caught.value.prompt_tokens) == (500, 600)
        assert chat("word " * 100).left_out > 0


def test_an_interrupt_closes_the_request():
    "The server sees that nobody reads any more."
    gone = threading.Event()
    def endless(handler, request):
        handler.begin("")
        try:
            for n in range(10_000):
                handler.wfile.write(sse(says(f"{n} "), end=False).encode())
                handler.wfile.flush()
                if n == 5: os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
        except OSError: gone.set()
        return ...
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with serving(endless) as server:
            reply = Chat(load(server.address))("Count")
            assert reply.interrupted and reply.text.startswith("0 1 2") and gone.wait(5)
    finally: signal.signal(signal.SIGINT, usual)


def test_threads_share_a_server():
    with serving() as server:
        model, texts = load(server.address), []
        threads = [threading.Thread(target=lambda: texts.append(Chat(model)("Hi").text)) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join(20)
    assert texts == ["Hello there"] * 8


def test_what_can_not_be_sent():
    with serving() as server:
        chat = Chat(load(server.address))
        for params, words in (({"temprature": 1}, "Did you mean 'temperature'"), ({"logit_bias": {1: object()}}, "can't be sent"), ({"n": 3}, "one answer")):
            with pytest.raises(ParameterError, match=words): chat("Hi", **params)
        assert server.chats() == [] and len(chat.messages) == 0
        chat("Hi", extra_body={"chat_template_kwargs": {"enable_thinking": False}})
        assert server.chats()[-1]["chat_template_kwargs"] == {"enable_thinking": False}


@contextmanager
def running(command):
    "A server of its own, on a free port of the loopback interface."
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as tries:
                if tries.connect_ex(("127.0.0.1", port)) == 0: break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def real():
    "llama-cpp-python's own server, with the demo model."
    pytest.importorskip("starlette_context")
    with running([sys.executable, "-m", "llama_cpp.server", "--model", str(demo_path()), "--n_ctx", "2048", "--chat_format", "llama-2"]) as address:
        yield address


@pytest.fixture(scope="module")
def llama_server():
    "llama.cpp's own server, where it is on the PATH."
    program = shutil.which("llama-server")
    if not program: pytest.skip("There is no llama-server on the PATH.")
    with running([program, "--model", str(demo_path()), "-c", "2048", "-np", "1", "--no-webui", "--cache-ram", "0"]) as address:
        for _ in range(300):   # until it has loaded the model
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5) as health:
                if health.status == 200: break
            time.sleep(0.2)
        yield address


def talk(chat, stop_and_resume=True):
    "Ten turns with a retry, a fork, an undo and an edit; in the middle, an answer that is stopped and gone on with."
    chat("Name the planets in the solar system")
    chat("Please reverse the list")
    if stop_and_resume:
        stream = chat.stream("Please sort the list by the mass of the planet")
        for _ in range(9): next(stream)
        stream.close()
        assert chat.last.interrupted
        chat.resume()
    else: chat("Please sort the list by the mass of the planet")
    chat.retry()
    other = chat.fork()
    other("Which one is the largest?")
    for prompt in ("And the smallest?", "How many moons does Mars have?", "Tell me about Venus", "What is the third one?", "Thank you"): chat(prompt)
    chat.undo()
    chat.edit("List the gas giants")
    return chat.messages.get_messages(), other.messages.get_messages()


SYSTEM = "Answer in a very concise and accurate way"


def test_the_same_talk_with_a_file_and_a_server(real):
    "The same history at temperature 0; this server can't go on with an answer."
    local = talk(Chat(load(demo_path(), n_ctx=2048, chat_format="llama-2"), SYSTEM, temperature=0), stop_and_resume=False)
    assert talk(Chat(load(real), SYSTEM, temperature=0), stop_and_resume=False) == local


def test_the_same_talk_with_llama_server(llama_server):
    "The same history, also with a stop and what follows; and the same turns are left out when the window is full."
    local, there = (Chat(load(source), SYSTEM, temperature=0, top_k=1) for source in (demo_path(), llama_server))
    assert talk(there) == talk(local)
    local, there = (Chat(load(source, n_ctx=768), SYSTEM, temperature=0, top_k=1) for source in (demo_path(), llama_server))
    for turn in range(24):   # what the model knows well: a tie may fall otherwise in batches of another size
        prompt = ("Name the planets in the solar system", "Please reverse the list")[turn % 2]
        left_out = [chat(prompt).left_out for chat in (local, there)]
        assert left_out[0] == left_out[1], turn
    assert local.last.left_out > 0 and there.messages == local.messages


def test_what_llama_server_tells(llama_server):
    model = load(llama_server)
    assert "llama-server, 2,048 tokens, counts exactly, resumes" in repr(model)
    local, there = Chat(load(demo_path()), temperature=0), Chat(model, temperature=0)
    assert there("Name the planets").text == local("Name the planets").text
    assert there.last.usage.prompt_tokens == local.last.usage.prompt_tokens and int(there.context) == int(local.context)
    there("Please reverse the list")
    assert there.last.usage.cached_tokens > 0.5 * there.last.usage.prompt_tokens
    with pytest.raises(ContextOverflowError) as caught: there("word " * 5_000)
    assert caught.value.n_ctx == 2048 and len(there.messages) == 4
    with pytest.raises(ContextOverflowError): Chat(load(llama_server, n_ctx=100_000))("word " * 5_000)


def test_a_real_server_is_known(real):
    model = load(real)
    assert "llama_cpp.server" in repr(model) and model.name == "planets.gguf"
    assert Chat(load(real, n_ctx=2048), overflow="error").context.limit == 2048
