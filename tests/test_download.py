"Downloads, from a hub of our own on this machine."
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llama_nbchat.found import demo_path

pytest.importorskip("huggingface_hub")
DEMO = demo_path().read_bytes()
COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    "Speaks as much of the hub's interface as a download needs."
    protocol_version = "HTTP/1.1"

    def do_HEAD(self): self.do_GET()

    def do_GET(self):
        files, path = self.server.files, self.path.split("?")[0]
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        if path.startswith("/api/models/acme/planets-GGUF/tree/"): return self.send([{"type": "file", "path": name, "size": len(content),
            "oid": hashlib.sha1(content).hexdigest()} for name, content in files.items()])
        if path.startswith("/api/models/acme/planets-GGUF"):
            return self.send({"id": "acme/planets-GGUF", "sha": COMMIT, "siblings": [{"rfilename": name, "size": len(content)} for name, content in files.items()]})
        for name, content in files.items():
            if path.endswith(f"/resolve/{COMMIT}/{name}"): return self.file(content)
        self.send({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    def file(self, content):
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if begin else 200)
        for name, value in {"Content-Length": len(content) - begin, "ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT,
            "Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}", "Accept-Ranges": "bytes"}.items(): self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET": self.wfile.write(content[begin:])

    def send(self, data, status=200, **headers):
        content = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET": self.wfile.write(content)

    def log_message(self, *args): pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.files = [], {"planets-Q4_K_M.gguf": DEMO, "planets-Q8_0.gguf": DEMO + b"8", "README.md": b"#", "mmproj-f16.gguf": b"no"}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def python(code, home, hub=None, **env):
    "A program with a home of its own, for the hub's package reads its variables when it is imported."
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port if hub else 9}", **env}
    run = subprocess.run([sys.executable, "-c", "from llama_nbchat import *\n" + code], capture_output=True, text=True, env=env, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


TRY = "try: load({!r})\nexcept ChatError as error: print(type(error).__name__, error)\n"


def test_download_once(hub, tmp_path):
    "Its size is said before; a second time nobody asks the network, which may be gone by then."
    code = "model = load('hf:acme/planets-GGUF')\nprint(Chat(model, temperature=0)('Name the planets').text[:30], model.name)"
    said = python(code, tmp_path, hub)
    assert "Downloading acme/planets-GGUF, 1 file, 2.8 MB" in said and "planets-Q4_K_M.gguf" in said
    assert [path for command, path, _ in hub.asked if command == "GET" and "resolve" in path and "Q8" in path] == []
    n = len(hub.asked)
    again = python(code, tmp_path)
    assert "Downloading" not in again and "planets-Q4_K_M.gguf" in again and len(hub.asked) == n
    assert "planets-Q8_0.gguf" in python("print(load('hf:acme/planets-GGUF:q8_0').name)", tmp_path, hub)


def test_split_files_come_whole(hub, tmp_path):
    hub.files = {f"Q8_0/big-Q8_0-0000{n}-of-00002.gguf": DEMO + b"%d" % n for n in (1, 2)}
    python("from llama_nbchat.download import download\nprint(download('acme/planets-GGUF', 'Q8_0'))", tmp_path, hub)
    assert len([path for path in tmp_path.rglob("*.gguf")]) == 2


def test_what_can_go_wrong(hub, tmp_path):
    for name, words in (("hf:acme/nothing", "does not exist"), ("hf:acme/planets-GGUF:Q2_K", "There is: mmproj-f16.gguf, planets-Q4_K_M.gguf"),
        ("hf:nobody", "There is no file")):
        said = python(TRY.format(name), tmp_path, hub)
        assert said.startswith("ModelNotFoundError") and words in said, said
    said = python(TRY.format("hf:acme/planets-GGUF:Q4_K_M"), tmp_path / "other")
    assert "can't be reached" in said and 'hf download acme/planets-GGUF --include "*Q4_K_M*.gguf"' in said, said
    said = python("import sys\nsys.modules['huggingface_hub'] = None\n" + TRY.format("hf:acme/planets-GGUF"), tmp_path / "other", hub)
    assert "NotInstalledError" in said and 'pip install "llama_nbchat[hf]"' in said
