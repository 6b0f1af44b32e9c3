"""Bitcoin Core's JSON-RPC as programs of ours ask it now and then: blocking, with a cookie file.

The node has a client of its own (services/chain); this one is for who mines, who runs a town,
and who asks whether a chain is there at all.
"""

import base64
import http.client
import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from wallet.base.errors import Refused, ServiceFault

PATIENCE_SECONDS: Final = 60.0
_REFUSED_COOKIE: Final = (401, 403)


class NoChain(ServiceFault):
    """Nobody is there who could be asked. Nothing was done."""


class CoreRpc:
    """Calls from any thread, one after the other, on a connection that is kept."""

    def __init__(self, url: str, cookie: Path, seconds: float = PATIENCE_SECONDS) -> None:
        """`url`: http://host:port. Raises `Refused` for another, `NoChain` without the cookie."""
        self._url = url
        try:
            parts = urlsplit(url)
            host, port = parts.hostname if parts.scheme == "http" else None, parts.port
        except ValueError:
            host = port = None
        if not host or port is None or "@" in url:
            raise Refused("The URL should be http://host:port")
        try:
            secret = cookie.read_bytes().strip()
        except (OSError, ValueError) as error:
            raise NoChain(
                f"The cookie file cannot be read ({error}). Is its chain running?"
            ) from None
        self._headers = {"Authorization": f"Basic {base64.b64encode(secret).decode()}"}
        self._connection = http.client.HTTPConnection(host, port, timeout=seconds)
        self._busy = threading.Lock()

    def call(self, method: str, *params: object) -> Any:
        """The result, amounts in BTC as `Decimal`.

        Raises `NoChain`, or `ServiceFault` when the chain refuses or does not answer in time.
        """
        body = json.dumps({"id": 1, "method": method, "params": params})
        try:
            with self._busy:
                self._connection.request("POST", "/", body, self._headers)
                response = self._connection.getresponse()
                text = response.read()
        except TimeoutError:
            self._connection.close()
            raise ServiceFault(f"the chain does not answer {method} in time") from None
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise NoChain(f"Nobody answers at {self._url}. Is its chain running?") from None
        if response.status in _REFUSED_COOKIE:
            raise NoChain(f"{self._url} refuses the cookie: is that its file?")
        try:
            answer = json.loads(text, parse_float=Decimal)
            error, result = answer["error"], answer["result"]
            refusal = None if error is None else str(error["message"])
        except (ValueError, KeyError, TypeError):
            raise NoChain(f"What answers at {self._url} is no bitcoind.") from None
        if refusal is not None:
            raise ServiceFault(f"the chain refused {method}: {refusal}")
        return result

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
