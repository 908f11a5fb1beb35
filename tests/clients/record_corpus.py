"""Record what real clients send, for ``tests/corpus/requests``.

``python -m tests.clients.record_corpus --clients DIR [NAME ...]`` with the folder that ``nox -s clients``
made, and the names of the clients to record, all if there are none.  Long words are cut, and what names a
machine, a session or a path is replaced: shapes are kept, prompts are not.
"""

import argparse
import http.client
import json
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from tests.clients import client_aider, client_claude_code, client_codex, client_instructor
from tests.clients.agents import AGENTS
from tests.clients.client_drivers import DRIVERS, Driver
from tests.clients.harness import HERE, Clients, Stand, stand
from tests.clients.upstream import Step, call, say, use

CORPUS = HERE.parent / "corpus" / "requests"
LONGEST = 120  # signs of a text that are kept
FORMATS = {
    "/v1/messages": "anthropic_messages",
    "/v1/chat/completions": "openai_chat",
    "/v1/responses": "openai_responses",
}
# Headers that say how a body is meant.
HEADERS = ("anthropic-beta", "anthropic-version", "x-app", "user-agent", "originator")
# Texts that are JSON or opaque: whole, or they are not what they were.
WHOLE = frozenset({"arguments", "user_id", "signature", "encrypted_content", "x-codex-turn-metadata"})
SCRUBBED = (
    (re.compile(r"/(?:tmp|work|root|home)\b[\w./-]*"), "/workspace/file"),
    (
        re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        "0" * 8 + "-0000" * 3 + "-" + "0" * 12,
    ),
    (re.compile(r"\b[0-9a-f]{64}\b"), "0" * 64),
)


def scrubbed(node: Any, name: str = "") -> Any:
    match node:
        case dict():
            return {key: scrubbed(value, key) for key, value in node.items()}
        case list():
            return [scrubbed(each, name) for each in node]
        case str():
            for pattern, instead in SCRUBBED:
                node = pattern.sub(instead, node)
            return node if name in WHOLE or len(node) <= LONGEST else f"{node[:LONGEST]}..."
        case _:
            return node


@contextmanager
def tee(url: str) -> Iterator[tuple[str, list[tuple[str, Mapping[str, str], Any]]]]:
    """A server that passes everything on to *url*, and what it was posted: path, headers, body."""
    seen: list[tuple[str, Mapping[str, str], Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path.partition("?")[0], dict(self.headers), json.loads(body)))
            self._pass_on(body)

        def do_GET(self) -> None:
            self._pass_on(b"")

        do_HEAD = do_GET  # noqa: N815 - as the library calls it

        def _pass_on(self, body: bytes) -> None:
            below = http.client.HTTPConnection(urlsplit(url).netloc)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"
            }
            below.request(self.command, self.path, body, headers)
            answer = below.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def releases() -> dict[str, str]:
    """The exact releases that are recorded, by client."""
    found = {}
    for path in (HERE / "node").glob("*.json"):
        packages = json.loads(path.read_text("utf-8"))
        found[path.stem] = ", ".join(f"{each} {release}" for each, release in packages.items())
    for path in (HERE / "python").glob("*.txt"):
        found[path.stem] = path.read_text("utf-8").strip().replace("==", " ").replace("\n", ", ")
    return found


def record(clients: Clients, only: Sequence[str]) -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    told = releases()

    def save(name: str, client: str, at: Stand, run: Any) -> None:
        with tee(at.url) as (url, seen):
            print(name, run(evolve(at, url=url)).status)
        path, headers, body = seen[-1]  # the whole history
        lower = {key.lower(): value for key, value in headers.items()}
        found = {
            "client": told[client],
            "recorded": f"{datetime.now(UTC):%Y-%m-%d}",
            "format": FORMATS[path],
            "headers": {key: lower[key] for key in HEADERS if key in lower},
            "body": scrubbed(body),
        }
        text = json.dumps(found, ensure_ascii=False, indent=1)
        (CORPUS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")

    def wants(client: str) -> bool:
        return not only or client in only

    def on(kind: str, *steps: Step) -> Any:
        folder = Path(tempfile.mkdtemp())
        workspace = folder / "workspace"
        workspace.mkdir()
        (workspace / "one.txt").write_text("words", encoding="utf-8")
        (workspace / "two.txt").write_text("more", encoding="utf-8")
        return stand(clients, folder, workspace, kind, steps)

    for model in client_claude_code.MODELS if wants("claude-code") else ():
        reads = use(call("Read", file_path="one.txt"), call("Read", file_path="two.txt"), text="I read.")
        with on("chat", reads, say("Read.")) as at:
            save(
                f"claude-code-{model}",
                "claude-code",
                at,
                lambda at, model=model: client_claude_code.ask(at, "Read.", model=model),
            )
    patch = "*** Begin Patch\n*** Add File: new.txt\n+words\n*** End Patch\n"
    steps = (
        use(call("exec_command", cmd="cat one.txt"), call("exec_command", cmd="cat two.txt")),
        use(call("apply_patch", input=patch)),
        say("Done."),
    )
    if wants("codex"):
        with on("chat", *steps) as at:
            save("codex", "codex", at, lambda at: client_codex.ask(at, "Patch."))
    for driver in filter(lambda driver: wants(driver.client), DRIVERS):
        paths = ("one.txt", "two.txt")
        reads = use(*(driver.call("read_file", path=path) for path in paths), text="I read.")
        with on(driver.upstream, *driver.script(reads, end="Read.")) as at:
            save(
                str(driver).rpartition("-to-")[0],
                driver.client,
                at,
                lambda at, driver=driver: run_driver(at, driver),
            )
    for agent in filter(lambda agent: wants(agent.client), AGENTS):
        reads = use(agent.read(Path("one.txt")), agent.read(Path("two.txt")), text="I read.")
        with on(agent.upstream, reads, say("Read.")) as at:
            save(
                f"{agent.client}-{agent.speaks}",
                agent.client,
                at,
                lambda at, agent=agent: agent.run(at, "Read both."),
            )
    for dialect, upstream in client_instructor.FULL if wants("instructor") else ():
        wrong, right = (use(call("Capital", city="Paris", inhabitants=number)) for number in (-1, 1))
        with on(upstream, wrong, right) as at:
            save(
                f"instructor-{dialect}",
                "instructor",
                at,
                lambda at, dialect=dialect: client_instructor.ask(at, dialect, "tools"),
            )
    for upstream in client_aider.MODELS if wants("aider") else ():
        with on(upstream, say("Done.")) as at:
            save(
                f"aider-{'chat' if upstream == 'messages' else 'messages'}",
                "aider",
                at,
                lambda at, upstream=upstream: client_aider.ask(at, upstream, "Say hello."),
            )


def run_driver(at: Stand, driver: Driver) -> Any:
    return at.run([*at.clients.driver(driver.client, driver.file), "agent", "Read both.", *driver.arguments])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=Path, required=True)
    parser.add_argument("only", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    record(Clients(asked.clients.resolve()), asked.only)


if __name__ == "__main__":
    main()
