"""A stand-in for W&B's server: enough of its GraphQL for an agent and the runs that it starts."""

from __future__ import annotations

import gzip
import http.server
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

VERSIONS = {"cliVersionInfo": {"max_cli_version": "99"}, "latestLocalVersionInfo": None}
VIEWER = {"id": "u", "entity": "e", "username": "u", "email": "u@x", "admin": False, "flags": "{}"}
PROJECT = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}


class Server(http.server.ThreadingHTTPServer):
    """Serve one sweep; `commands` are given to its agent, one after the other.

    Attributes:
        runs: what runs have reported about themselves, by id.
        files: what they have streamed, by the name of the file.
        artifacts: what they have announced.
    """

    def __init__(self, config: str, commands: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.config, self.commands = config, commands
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[str, list[str]] = {}
        self.artifacts: list[dict[str, Any]] = []

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "agentHeartbeat" in query:
            waiting = variables["runState"] == "{}"
            ready = [self.commands.pop(0) if self.commands else {"type": "exit"}] if waiting else []
            return {"agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(ready)}}
        if "createAgent" in query:
            return {"createAgent": {"agent": {"id": "a"}}}
        if "SweepWithRuns" in query:
            sweep = {"id": "s", "name": "s", "method": "grid", "state": "RUNNING"}
            return {"project": {"sweep": {**sweep, "config": self.config, "runs": {"edges": []}}}}
        if "upsertBucket" in query:
            name = variables.get("name") or variables.get("id")
            self.runs.setdefault(str(name), []).append(variables)
            bucket = {"id": "b", "name": name, "displayName": variables.get("displayName")}
            bucket |= {"config": "{}", "sweepName": "s", "project": PROJECT, "historyLineCount": 0}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in query:
            address = f"http://127.0.0.1:{self.server_port}/file"
            files = [{"name": name, "uploadUrl": address} for name in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        if "query ArtifactType" in query:
            return {"project": {"artifact": None}}
        if "createArtifact(" in query:  # as if the server had it already, so that none is sent
            latest = {"id": "x", "versionIndex": 0}
            sequence = {"id": "q", "name": "x", "latestArtifact": latest}
            artifact = {"id": "x", "state": "COMMITTED", "artifactSequence": sequence}
            self.artifacts.append(variables)
            return {"createArtifact": {"artifact": artifact}}
        return {
            "serverInfo": {**VERSIONS, "features": []},
            "viewer": {**VIEWER, "teams": {"edges": []}},
        }


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        if self.path.endswith("/graphql"):
            asked = json.loads(content)
            data = self.server.answer(asked["query"], asked.get("variables") or {})
            return self.send({"data": data})
        if self.path.endswith("/file_stream"):
            for name, file in (json.loads(content).get("files") or {}).items():
                self.server.files.setdefault(name, []).extend(file["content"])
        return self.send({})

    def do_GET(self) -> None:
        self.send({})

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send({})

    def send(self, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(config: str, commands: list[dict[str, Any]]) -> Iterator[Server]:
    with Server(config, commands) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
