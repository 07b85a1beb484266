"""A registry in memory, just enough for one engine to push to and pull from, so that images get digests."""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?P<kind>blobs|manifests)/(?P<rest>.+)")
_UPLOADS = "uploads/"


class Registry:
    """A registry at a free port of 127.0.0.1, which Docker trusts without TLS; it runs as long as the context."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.uploads: dict[str, bytearray] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def manifest(self, name: str, reference: str) -> tuple[bytes, str]:
        """Return the bytes and the media type of a manifest, by tag or digest."""
        return self.manifests[name, reference]


class _Handler(BaseHTTPRequestHandler):
    """The part of the distribution API that Docker 20.10 uses."""

    registry: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep requests out of the test's output."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name, kind, rest = self._route()
        if not name:
            self._answer(HTTPStatus.OK)
        elif kind == "blobs" and rest in self.registry.blobs:
            self._answer(HTTPStatus.OK, self.registry.blobs[rest], {"Docker-Content-Digest": rest})
        elif kind == "manifests" and (name, rest) in self.registry.manifests:
            body, media_type = self.registry.manifests[name, rest]
            self._answer(HTTPStatus.OK, body, {"Docker-Content-Digest": _digest(body), "Content-Type": media_type})
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        name, _, _ = self._route()
        number = uuid.uuid4().hex
        self.registry.uploads[number] = bytearray()
        self._answer(HTTPStatus.ACCEPTED, headers=self._upload(name, number))

    def do_PATCH(self) -> None:
        name, _, rest = self._route()
        number = rest.removeprefix(_UPLOADS).partition("?")[0]
        self.registry.uploads[number] += self._body()
        self._answer(HTTPStatus.ACCEPTED, headers=self._upload(name, number))

    def do_PUT(self) -> None:
        name, kind, rest = self._route()
        body = self._body()
        if kind == "blobs":
            body = bytes(self.registry.uploads.pop(rest.removeprefix(_UPLOADS).partition("?")[0])) + body
            self.registry.blobs[_digest(body)] = body
        else:
            for reference in (rest, _digest(body)):
                self.registry.manifests[name, reference] = (body, self.headers["Content-Type"])
        self._answer(HTTPStatus.CREATED, headers={"Docker-Content-Digest": _digest(body)})

    def _route(self) -> tuple[str, str, str]:
        found = _ROUTE.fullmatch(self.path)
        return (found["name"], found["kind"], found["rest"]) if found else ("", "", "")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _upload(self, name: str, number: str) -> dict[str, str]:
        size = len(self.registry.uploads[number])
        return {
            "Location": f"http://{self.registry.address}/v2/{name}/blobs/{_UPLOADS}{number}",
            "Docker-Upload-UUID": number,
            "Range": f"0-{max(size - 1, 0)}",
        }

    def _answer(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
