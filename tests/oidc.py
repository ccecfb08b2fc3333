"""A small OpenID Connect provider: a real process-local HTTP server with discovery, keys and rotation."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "raymesh"


class Provider:
    """Issues tokens and publishes its keys at `issuer`. `asked` counts requests by path."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.asked: dict[str, int] = {}
        self.discovery: dict[str, Any] = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.published: list[dict[str, Any]] = []
        self.keys: dict[str, Any] = {}
        self.rotate("one", forget=False)

    def rotate(self, kid: str, *, forget: bool = True, curve: bool = False) -> None:
        """Sign with a new key from now on; `forget` withdraws the older ones."""
        if forget:
            self.published.clear()
        made: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if curve
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        algorithm = jwt.algorithms.ECAlgorithm if curve else jwt.algorithms.RSAAlgorithm
        self.keys[kid] = made
        self.kid = kid
        self.published.append({**algorithm.to_jwk(made.public_key(), as_dict=True), "kid": kid, "use": "sig"})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a token for anna; a change to None leaves the claim out."""
        now = int(datetime.now(UTC).timestamp())
        said = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": now,
            "exp": now + 300,
            "groups": ["analysts"],
            **changes,
        }
        return {key: value for key, value in said.items() if value is not None}

    def token(
        self, *, headers: dict[str, Any] | None = None, algorithm: str = "RS256", **changes: Any
    ) -> str:
        """A signed token; see `claims`."""
        said = {"kid": self.kid, **(headers or {})}
        said = {key: value for key, value in said.items() if value is not None}
        return jwt.encode(self.claims(**changes), self.keys[self.kid], algorithm=algorithm, headers=said)

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self.discovery).encode()
        if path == "/keys":
            return 200, json.dumps({"keys": self.published}).encode()
        return 404, b"{}"


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers on a port of its own while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, content = running.answer(self.path)
            self.send_response(code)
            if code in (301, 302, 307):
                self.send_header("Location", content.decode())
                content = b""
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Provider(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
