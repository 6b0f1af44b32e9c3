"""Where the chain backend is and how to prove who we are: `--chain` and `--chain-cookie`."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wallet.base.errors import Refused, ServiceFault

_EXAMPLE = "http://127.0.0.1:18443"
_LONGEST_COOKIE = 1024


@dataclass(frozen=True, slots=True)
class CookieFile:
    """Core's `.cookie`: written anew at each start of the backend, so it is read when needed."""

    path: Path

    def credentials(self) -> str:
        """`user:password`; raises `ServiceFault` when the file cannot be read."""
        try:
            with self.path.open("rb") as file:
                text = file.read(_LONGEST_COOKIE + 1).strip()
        except OSError as error:
            raise ServiceFault(
                f"cannot read the chain backend's cookie {self.path} ({error.strerror}): "
                "is the backend running with this directory?"
            ) from None
        if b":" not in text or len(text) > _LONGEST_COOKIE:
            raise ServiceFault(f"{self.path} is not a cookie file: it has no user:password")
        return text.decode("latin-1")


@dataclass(frozen=True, slots=True)
class UserPassword:
    """Fixed credentials (`rpcuser`, `rpcauth`)."""

    user: str
    password: str = field(repr=False)

    def credentials(self) -> str:
        """`user:password`."""
        return f"{self.user}:{self.password}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A JSON-RPC server of Bitcoin Core's kind."""

    host: str
    port: int
    auth: CookieFile | UserPassword

    @classmethod
    def parse(cls, url: str, cookie: Path | None = None) -> "Endpoint":
        """From `http://[user:password@]host:port` and a cookie file; raises `Refused`.

        Exactly one of the two ways to authenticate must be given.  The sentences never repeat the
        URL, which may hold a password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")
        except ValueError:
            raise Refused(f"the chain's URL does not parse; it looks like {_EXAMPLE}") from None
        if parts.scheme != "http" or not host or port is None or parts.path not in ("", "/"):
            raise Refused(f"the chain's URL must look like {_EXAMPLE}: http, a host and a port")
        if parts.username is not None and parts.password is not None:
            if cookie is not None:
                raise Refused("give the chain's password in the URL or a cookie file, not both")
            auth = UserPassword(unquote(parts.username), unquote(parts.password))
            return cls(host, port, auth)
        if cookie is None:
            raise Refused("the chain wants user:password in its URL, or a cookie file")
        return cls(host, port, CookieFile(cookie))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def authorization(self) -> str:
        """The HTTP header's value. Raises `ServiceFault` when a cookie cannot be read."""
        credentials = self.auth.credentials()
        return "Basic " + base64.b64encode(credentials.encode("latin-1", "replace")).decode()
