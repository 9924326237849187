"""Records what the keys of a real LiteLLM proxy reach, and its exports of them.

The proxy has LiteLLM's own tables in a PostgreSQL. Users, teams and keys are made by its API, from `keys.yaml`. Then each
key sends every probe, and an upstream in the place of the providers says which model arrived with which provider's key.
The result is written to standard output, as JSON: the exports, and the models that each key reached.

The environment has the folders that `cargo xtask litellm` installs: LITELLM, PRISMA and ENGINE.
"""

import http.client
import http.server
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import yaml

HERE = pathlib.Path(__file__).parent
LITELLM, PRISMA, ENGINE = (pathlib.Path(os.environ[name]) for name in ("LITELLM", "PRISMA", "ENGINE"))
MASTER = "sk-of-the-administrator"
# The variable of each provider's key, and that of its address with the path behind it.
PROVIDERS = {
    "openai": ("OPENAI_API_KEY", {"OPENAI_BASE_URL": "/v1", "OPENAI_API_BASE": ""}),
    "anthropic": ("ANTHROPIC_API_KEY", {"ANTHROPIC_API_BASE": ""}),
    "groq": ("GROQ_API_KEY", {"GROQ_API_BASE": ""}),
    "mistral": ("MISTRAL_API_KEY", {"MISTRAL_API_BASE": "/v1", "MISTRAL_AZURE_API_BASE": "/v1"}),
    "at-vllm-internal": ("VLLM_KEY", {}),
    "azure-openai": ("AZURE_KEY", {}),
}
ADDRESSES = {
    "https://vllm.internal": "at-vllm-internal",
    "https://acme.openai.azure.com": "azure-openai",
}
# The models of the configuration, by the names that providers have, and others.
MODELS = ["gpt-5", "gpt-5-mini", "text-embedding-3-small", "claude-sonnet-4-5", "llama-3.3-70b", "mistral-large", "qwen3"]
MODELS += ["gpt-4o", "gpt-4.1", "claude-opus-4-5"]
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def chat(model):
    return {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


def probes():
    """Returns the requests that each key sends: by every name of the proxy, and for every model past its list."""
    for name in ["gpt", "mini", "claude", "gpt-4", "mine", "best", "local", "local-public", "cloud"]:
        yield "/v1/chat/completions", chat(name)
    yield "/v1/embeddings", {"model": "embed", "input": "Hi"}
    for model in MODELS:
        yield "/v1/chat/completions", chat(model)
        yield "/v1/chat/completions", chat(f"groq/{model}")
        yield "/openai/v1/chat/completions", chat(model)
        yield "/anthropic/v1/messages", chat(model)
        yield "/mistral/v1/chat/completions", chat(model)


class Upstream(http.server.BaseHTTPRequestHandler):
    """All providers, each under a path of its own. It keeps the models that arrive with the provider's key."""

    protocol_version = "HTTP/1.1"
    arrived = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        provider, model = self.path.split("/")[1], body.get("model")
        if provider == "azure-openai":
            model = self.path.split("/deployments/")[1].split("/")[0]
        keys = [self.headers.get(name, "").removeprefix("Bearer ") for name in ("authorization", "x-api-key", "api-key")]
        if f"real-{provider}" in keys and model:
            self.arrived.append(f"{provider}: {model}")
        if self.path.endswith("/embeddings"):
            answer = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": USAGE}
        elif self.path.endswith("/messages"):
            answer = {"id": "m", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}],
                      "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}
        else:
            message = {"role": "assistant", "content": "Hi"}
            answer = {"id": "c", "object": "chat.completion", "created": 1, "service_tier": "on_demand", "usage": USAGE,
                      "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        text = json.dumps({"model": model, **answer}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST

    def log_message(self, *_):
        pass


class Database:
    """A private PostgreSQL with LiteLLM's tables: a socket and no port."""

    def __init__(self, folder):
        self.folder = folder / "postgresql"
        self.folder.mkdir()
        programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        if not programs:
            sys.exit("PostgreSQL is needed (Debian: `apt install postgresql`)")
        self.programs, self.prefix = programs[-1], []
        if os.getuid() == 0:
            # The server refuses to run as root.
            shutil.chown(self.folder, "postgres")
            folder.chmod(0o755)
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]
        data = str(self.folder / "data")
        self.run("initdb", "--no-sync", "--auth=trust", "--username=litellm", "--encoding=UTF8", "--pgdata", data)
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(self.folder), "-D", data]
        self.server = subprocess.Popen(
            [*self.prefix, str(self.programs / "postgres"), *options], stderr=subprocess.PIPE, text=True
        )
        for line in self.server.stderr:
            if "ready to accept connections" in line:
                break
        threading.Thread(target=self.server.stderr.read, daemon=True).start()
        self.url = f"postgres://litellm@localhost/postgres?host={self.folder}"
        for file in sorted((LITELLM / "litellm_proxy_extras/migrations").glob("*/migration.sql")):
            self.sql(file.read_text())

    def run(self, program, *arguments, **options):
        command = [*self.prefix, str(self.programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)

    def sql(self, text):
        arguments = ["--quiet", "--host", str(self.folder), "--username=litellm", "--dbname=postgres"]
        self.run("psql", *arguments, "--variable=ON_ERROR_STOP=1", input=text, text=True, stderr=subprocess.DEVNULL)

    def stop(self):
        self.server.send_signal(signal.SIGINT)
        self.server.wait()


def generate_client(folder):
    """Writes Prisma's client for LiteLLM's schema. The command needs no engine, but asks for the version of one."""
    shutil.copytree(PRISMA, folder / "python")
    schema = LITELLM / "litellm/proxy/schema.prisma"
    program = folder / "query-engine"
    serve = f'exec node {HERE / "engine.cjs"} "$@"'
    program.write_text(f'#!/bin/sh\ncase "$*" in *--version*) echo query-engine 0;; *) {serve};; esac\n')
    program.chmod(0o755)
    generator = folder / "bin/prisma-client-py"
    generator.parent.mkdir()
    generator.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m prisma "$@"\n')
    generator.chmod(0o755)
    engines = {f"PRISMA_{kind}": str(program) for kind in ("QUERY_ENGINE_BINARY", "QUERY_ENGINE_LIBRARY", "SCHEMA_ENGINE_BINARY")}
    env = {**os.environ, **engines, "PYTHONPATH": str(folder / "python"), "CHECKPOINT_DISABLE": "1",
           "PATH": f"{generator.parent}:{os.environ['PATH']}"}
    command = ["node", str(ENGINE / "node_modules/prisma/build/index.js"), "generate", "--schema", str(schema)]
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL, cwd=folder)
    return {"PRISMA_QUERY_ENGINE_BINARY": str(program), "ENGINE_PACKAGES": str(ENGINE)}


class Proxy:
    """The LiteLLM proxy, with the configuration of this folder."""

    def __init__(self, folder, database, upstream):
        for name in ("config.yaml", "more.yaml"):
            text = (HERE / name).read_text()
            for address, provider in ADDRESSES.items():
                text = text.replace(address, f"{upstream}/{provider}")
            (folder / name).write_text(text)
        env = {**os.environ, **generate_client(folder), "HOME": str(folder), "DATABASE_URL": database.url,
               "PYTHONPATH": f"{folder / 'python'}:{LITELLM}", "CONFIG_FILE_PATH": str(folder / "config.yaml"),
               "LITELLM_MASTER_KEY": MASTER, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"}
        for provider, (key, addresses) in PROVIDERS.items():
            env[key] = f"real-{provider}"
            env.update({name: f"{upstream}/{provider}{path}" for name, path in addresses.items()})
        self.log = folder / "litellm.log"
        command = [sys.executable, str(HERE.parent / "bench/litellm/serve.py")]
        with self.log.open("w") as log:
            self.server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        self.address = self.wait(lambda: re.search(r"listening on (\S+)", self.log.read_text()))[1]
        self.wait(lambda: self.call("/health/liveliness")[0] == 200)

    def wait(self, ask):
        for _ in range(1200):
            if answer := ask():
                return answer
            if self.server.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"LiteLLM does not serve:\n{self.log.read_text()[-4000:]}")

    def call(self, path, body=None, key=MASTER):
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (urllib.error.URLError, http.client.HTTPException) as error:
            return 0, str(error)

    def manage(self, path, body=None):
        status, answer = self.call(path, body)
        if status != 200:
            sys.exit(f"{path} {body}: {status} {answer}\n{self.log.read_text()[-4000:]}")
        return answer


def make(proxy, database, world):
    """Makes users, teams and keys. Returns each key by its alias."""
    for user in world["users"]:
        proxy.manage("/user/new", {**user, "auto_create_key": False})
    for team in world["teams"]:
        proxy.manage("/team/new", team)
    keys = {}
    for entry in world["keys"]:
        extra = {name: entry.pop(name, None) for name in ("block", "update", "sql", "service_account")}
        alias = entry["key_alias"]
        path = "/key/service-account/generate" if extra["service_account"] else "/key/generate"
        keys[alias] = proxy.manage(path, {**entry, "key": f"sk-of-the-key-{alias}"})["key"]
        if extra["block"]:
            proxy.manage("/key/block", {"key": keys[alias]})
        if extra["update"]:
            proxy.manage("/key/update", {"key": keys[alias], **extra["update"]})
        if extra["sql"]:
            database.sql(f"""UPDATE "LiteLLM_VerificationToken" SET {extra['sql']} WHERE key_alias = '{alias}'""")
    for statement in world["sql"]:
        database.sql(statement)
    return keys


def export(proxy):
    """Returns what `--keys`, `--teams` and `--users` take: pages of keys, in the order of the answers."""
    page = lambda number: proxy.manage(f"/key/list?return_full_object=true&size=25&page={number}")
    keys = [page(1)]
    keys += [page(number) for number in range(2, keys[0]["total_pages"] + 1)]
    return {"keys": keys, "teams": proxy.manage("/team/list"), "users": proxy.manage("/user/list?page_size=100")}


def reached(proxy, key):
    """Returns the models that a key reached by the routes of models, and those that it reached by pass-through routes only."""
    models, passed = set(), set()
    for path, body in probes():
        Upstream.arrived.clear()
        proxy.call(path, body, key)
        (models if path.startswith("/v1/") else passed).update(Upstream.arrived)
    return {"models": sorted(models), "passed": sorted(passed - models)}


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="litellm-"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    database = Database(folder)
    try:
        proxy = Proxy(folder, database, f"http://127.0.0.1:{server.server_port}")
        try:
            keys = make(proxy, database, yaml.safe_load((HERE / "keys.yaml").read_text()))
            exports = export(proxy)
            version = next(importlib.metadata.distributions(name="litellm", path=[str(LITELLM)])).version
            reach = {alias: reached(proxy, key) for alias, key in keys.items()}
        finally:
            proxy.server.kill()
            proxy.server.wait()
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)
    json.dump({"version": version, "probed": MODELS, "reach": reach, **exports}, sys.stdout, indent=1)
    print()


main()
