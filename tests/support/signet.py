"""What a bitcoind on signet would say: the embedded chain's blocks under signet's name.

A public chain cannot be reached from a test, nor mined on.  The first `OLD` blocks bear the time of
a month ago: they were there before any wallet of a test.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.support.chain_server import ChainServer
from wallet.base.bitcoin.chains import SIGNET

OLD: Final = 101
_MONTH_SECONDS: Final = 30 * 24 * 3600


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    chain: ChainServer
    asked: list[tuple[str, list[Any]]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        # One connection for each of ours: a wait for a block holds it.
        self._chain = self.server.chain.another_client()

    def finish(self) -> None:
        self._chain.close()
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, answer = self._chain.post(body)
        except (OSError, HTTPException):  # The chain ends before those who wait for its blocks.
            self.close_connection = True
            return
        asked, said = json.loads(body), json.loads(answer)
        many = isinstance(asked, list)
        pairs = zip(asked, said, strict=True) if many else ((asked, said),)
        told = [self._as_signet(request, found) for request, found in pairs]
        data = json.dumps(told if many else told[0]).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _as_signet(self, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        self.server.asked.append((method, params))
        result = answer.get("result")
        if result is None:
            return answer
        if method == "getblockchaininfo":
            result["chain"] = SIGNET.bip70_name
        elif method == "getblockhash" and params == [0]:
            answer["result"] = SIGNET.chain_hash[::-1].hex()
        elif method == "getblockheader" and result["height"] <= OLD:
            result["time"] = int(time.time()) - _MONTH_SECONDS
        return answer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def signet(chain: ChainServer) -> Iterator[tuple[str, list[tuple[str, list[Any]]]]]:
    """Its URL, and what it is asked: methods with their parameters."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.chain, server.asked = chain, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
