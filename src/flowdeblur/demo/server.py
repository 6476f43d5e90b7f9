"""Server of the demo: for this machine only, with nothing loaded from elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import torch

from flowdeblur.demo.job import Job
from flowdeblur.demo.jobs import Jobs
from flowdeblur.demo.limits import Limits
from flowdeblur.devices import automatic_device
from flowdeblur.errors import UserError
from flowdeblur.types import Network

HOST = "127.0.0.1"
# How long Ctrl-C waits, at most, for the serving thread.
_POLL_SECONDS = 0.05

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; frame-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_GONE = "not found or expired"
_MAX_CONTROLS_BYTES = 4096
_TYPES = {".html": "text/html; charset=utf-8", ".png": "image/png", ".mp4": "video/mp4"}


@contextmanager
def serving(
    network: Network,
    *,
    port: int,
    device: torch.device | None = None,
    limits: Limits | None = None,
) -> Iterator[str]:
    """Serve the page until the block ends; then remove all uploaded and restored files.

    Args:
        network: restores the frames.
        port: on 127.0.0.1; 0 for any free port.
        device: where to compute; the GPU if there is one, else the CPU.
        limits: limits of uploads.

    Yields:
        The address of the page.

    Raises:
        UserError: the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="flowdeblur-demo-") as folder:
        jobs = Jobs(Path(folder), network, device or automatic_device(), limits or Limits())
        try:
            server = _Server(port, jobs)
        except OSError:
            raise UserError(
                f"--port {port}: cannot be used; name another, or 0 for any that is free"
            ) from None
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()
            jobs.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, jobs: Jobs) -> None:
        super().__init__((HOST, port), _Handler)
        self.jobs = jobs

    def service_actions(self) -> None:
        """Remove old uploads; called twice a second."""
        super().service_actions()
        self.jobs.remove_old()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback where a client closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _result(job: Job, name: str | None) -> Path | None:
    """A result of a job by its file name."""
    return next(
        (each for each in (job.restored, job.comparison) if each and each.name == name), None
    )


class _Handler(BaseHTTPRequestHandler):
    """``/`` is the page; ``/jobs/NAME`` an upload, below it its files and results."""

    server_version, sys_version = "flowdeblur", ""
    timeout = 60  # seconds without a byte

    def do_GET(self) -> None:
        if not self._is_from_here():
            return
        if self.path == "/":
            page = (files("flowdeblur.demo") / "page.html").read_text("utf-8")
            limits = self._jobs.limits
            page = page.replace("{frames}", str(limits.frames))
            self._send(page.replace("{megabytes}", str(limits.megabytes)).encode(), ".html")
            return
        job, rest = self._job()
        if job is None:
            self._refuse(HTTPStatus.NOT_FOUND, _GONE)
        elif rest is None:
            answer = {"state": job.state, "message": job.message, "share": job.share}
            for name in ("restored", "comparison"):
                path = getattr(job, name)
                answer[name] = path.name if path else None
            self._answer(answer)
        elif rest == "page" and job.state == "done":
            self._send_file(job.page, "frame-ancestors 'self'")
        elif job.state == "done" and (file := _result(job, rest)) is not None:
            self._send_file(file, "default-src 'none'")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, _GONE)

    def do_POST(self) -> None:
        if not self._is_from_here():
            return
        try:
            if self.path == "/jobs":
                self._answer({"name": self._jobs.create()})
                return
            job, rest = self._job()
            if job is None or rest is not None or job.state != "uploading" or not job.uploaded:
                self._refuse(HTTPStatus.NOT_FOUND, _GONE)
                return
            self._jobs.start(job, self._controls())
            self._answer({})
        except UserError as error:
            busy = self.path == "/jobs"
            status = HTTPStatus.SERVICE_UNAVAILABLE if busy else HTTPStatus.BAD_REQUEST
            self._refuse(status, str(error))

    def do_PUT(self) -> None:
        if not self._is_from_here():
            return
        job, name = self._job()
        announced = self.headers.get("Content-Length", "")
        length = int(announced) if announced.isdecimal() else 0
        try:
            if job is None or name is None or not announced.isdecimal():
                raise FileNotFoundError
            path = self._jobs.receive(job, unquote(name), length)
            try:
                self._store(path, length)
            except BaseException:
                self._jobs.discard(job, path, length)
                raise
            self._answer({})
        except FileNotFoundError:  # or removed in the meantime
            self._refuse_upload(HTTPStatus.NOT_FOUND, _GONE, length)
        except UserError as error:
            self._refuse_upload(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error), length)
        except ConnectionError:
            self.close_connection = True  # the client is gone
        except OSError as error:
            message = f"the file cannot be stored ({error.strerror}); free disk space"
            self._refuse_upload(HTTPStatus.INSUFFICIENT_STORAGE, message, length)

    def do_DELETE(self) -> None:
        if not self._is_from_here():
            return
        self._jobs.remove(self.path.removeprefix("/jobs/"))
        self._answer({})

    def log_message(self, format: str, *args: object) -> None:
        """Write no log, which would contain the user's file names."""

    @property
    def _jobs(self) -> Jobs:
        return cast(_Server, self.server).jobs

    def _job(self) -> tuple[Job | None, str | None]:
        """The job in the request's path, and the rest of the path."""
        parts = self.path.split("/")
        if len(parts) not in (3, 4) or parts[:2] != ["", "jobs"]:
            return None, None
        return self._jobs.find(parts[2]), parts[3] if len(parts) == 4 else None

    def _is_from_here(self) -> bool:
        """Refuse scripts of other sites, and host names that a forged DNS entry leads here."""
        port = cast(_Server, self.server).server_port
        known = {f"{host}:{port}" for host in (HOST, "localhost")}
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        if host in known and (origin is None or origin == f"http://{host}"):
            return True
        self.close_connection = True
        self._refuse(HTTPStatus.FORBIDDEN, "only from this machine's own page")
        return False

    def _controls(self) -> dict[str, Any]:
        """The controls that the page sends as a JSON object; none without a body."""
        announced = self.headers.get("Content-Length", "0")
        length = int(announced) if announced.isdecimal() else 0
        if length > _MAX_CONTROLS_BYTES:
            self.close_connection = True
            raise UserError("too many controls")
        try:
            controls = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            controls = None
        if not isinstance(controls, dict):
            raise UserError("the controls are not a JSON object")
        return controls

    def _store(self, path: Path, length: int) -> None:
        with path.open("wb") as file:
            for piece in self._pieces(length):
                file.write(piece)
            if file.tell() < length:
                raise UserError("the upload broke off; try again")

    def _pieces(self, length: int) -> Iterator[bytes]:
        """Content that the client sends, up to ``length`` bytes; less if it stops early."""
        while length > 0 and (piece := self.rfile.read(min(length, 2**20))):
            length -= len(piece)
            yield piece

    def _answer(self, content: Mapping[str, str | float | None]) -> None:
        self._send(json.dumps(content).encode(), ".json")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(json.dumps({"message": message}).encode(), ".json", status=status)

    def _refuse_upload(self, status: HTTPStatus, message: str, length: int) -> None:
        """Refuse, but read the rest of the upload: otherwise the client may see no answer."""
        self.close_connection = True
        self._refuse(status, message)
        with suppress(ConnectionError):
            for _ in self._pieces(length):
                pass

    def _send_file(self, path: Path, policy: str) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:  # removed meanwhile
            self._refuse(HTTPStatus.NOT_FOUND, _GONE)
            return
        with file:
            self._head(HTTPStatus.OK, path.suffix, path.stat().st_size, policy)
            with suppress(ConnectionError):  # the browser closed the connection
                shutil.copyfileobj(file, self.wfile)

    def _send(self, body: bytes, suffix: str, *, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(status, suffix, len(body), _POLICY)
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, suffix: str, length: int, policy: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": _TYPES.get(suffix, "application/json"),
            "Content-Length": str(length),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
