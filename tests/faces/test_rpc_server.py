"""The socket: Core Lightning's transport rules, seen by raw bytes from outside."""

import asyncio
import json
import logging
import socket
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.served import Served
from wallet.base.errors import Refused
from wallet.faces.rpc.client import RpcError, Unreachable, call
from wallet.faces.rpc.framing import MAX_REQUEST_BYTES
from wallet.faces.rpc.server import MAX_PENDING_PER_CONNECTION


class Caller:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *texts: str | bytes) -> None:
        for text in texts:
            self.writer.write(text if isinstance(text, bytes) else text.encode())

    async def answer(self) -> Any:
        async with asyncio.timeout(30):
            text = await self.reader.readuntil(b"\n\n")
        assert text.count(b"\n") == 2
        return json.loads(text)

    async def closed(self) -> bool:
        async with asyncio.timeout(30):
            return await self.reader.read() == b""

    async def hang_up(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    serving = Served(tmp_path / "lightning-rpc")
    await serving.server.start(serving.path)
    yield serving
    await serving.server.close()


@pytest.fixture
async def caller(served: Served) -> AsyncIterator[Caller]:
    connected = Caller(*await asyncio.open_unix_connection(str(served.path)))
    yield connected
    connected.writer.transport.abort()


def request(method: str, params: Any = None, request_id: object = 1, **more: Any) -> str:
    return json.dumps(
        {
            "jsonrpc": "2.0",
            "id": request_id,
            "method": method,
            "params": [] if params is None else params,
            **more,
        }
    )


async def test_answer__ends_with_an_empty_line_and_is_compact(caller: Caller) -> None:
    caller.send(request("echo", ["hi"], "pytest:echo#1"))
    async with asyncio.timeout(30):
        text = await caller.reader.readuntil(b"\n\n")
    assert text == b'{"jsonrpc":"2.0","id":"pytest:echo#1","result":{"text":"hi"}}\n\n'


@pytest.mark.parametrize("request_id", ["", "a/b#1", 0, -7, 8619889091314697, 1.5, "ü\u2028"])
async def test_id__is_echoed(caller: Caller, request_id: object) -> None:
    caller.send(request("echo", ["x"], request_id))
    assert (await caller.answer())["id"] == request_id


async def test_pipelining__no_delimiter_and_answers_as_they_finish(
    served: Served, caller: Caller
) -> None:
    caller.send(request("waitinvoice", ["a"], 1), request("getinfo", None, 2))
    caller.send(" \n\t", request("echo", {"text": "}{"}, 3))
    assert [(await caller.answer())["id"] for _ in range(2)] == [2, 3]
    served.api.release.set()
    assert await caller.answer() == {"jsonrpc": "2.0", "id": 1, "result": {"name": "waitinvoice a"}}


async def test_request__byte_by_byte(caller: Caller) -> None:
    for byte in request("echo", {"text": 'a"\\{ü'}).encode():
        caller.send(bytes([byte]))
        await caller.writer.drain()
        await asyncio.sleep(0)
    assert (await caller.answer())["result"] == {"text": 'a"\\{ü'}


async def test_params__positional_with_null_and_by_name(caller: Caller) -> None:
    for params in (["ab", None], ["ab"], {"text": "ab", "times": None}, {"text": "ab"}):
        caller.send(request("echo", params))
        assert (await caller.answer())["result"] == {"text": "ab"}
    caller.send(request("echo", ["ab", 2]))
    assert (await caller.answer())["result"] == {"text": "abab"}


MALFORMED = [
    ('{"id":1,"method":"getinfo","params":[]}', 'jsonrpc: "2.0" must be specified in the request'),
    (
        '{"jsonrpc":"1.0","id":1,"method":"getinfo"}',
        'jsonrpc: "2.0" must be specified in the request',
    ),
    ('{"jsonrpc":"2.0","method":"getinfo","params":[]}', "No id"),
    ('{"jsonrpc":"2.0","id":{},"method":"getinfo"}', "Expected string/primitive for id"),
    ('[{"jsonrpc":"2.0","id":1,"method":"getinfo","params":[]}]', "Expected {} for json command"),
    ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":1,"x":2}}', "duplicate json names: x"),
]


@pytest.mark.parametrize(("text", "sentence"), MALFORMED)
async def test_malformed__answer_without_id_and_the_connection_lives(
    caller: Caller, text: str, sentence: str
) -> None:
    caller.send(text, request("getinfo", None, 9))
    first, second = await caller.answer(), await caller.answer()
    assert first == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32600, "message": sentence},
    }
    assert second["id"] == 9


async def test_method__missing_or_no_string(caller: Caller) -> None:
    caller.send('{"jsonrpc":"2.0","id":1}', '{"jsonrpc":"2.0","id":2,"method":7}')
    assert [(await caller.answer())["error"]["code"] for _ in range(2)] == [-32600, -32600]


@pytest.mark.parametrize(
    "text", ["nonsense", "}", "{]", '{"a":NaN}', '{"a":' + "9" * 5000 + "}", "[" * 65, "{\xff\xff}"]
)
async def test_invalid_json__drops_the_connection(caller: Caller, text: str) -> None:
    caller.send(text.encode("latin-1"))
    assert (await caller.answer())["error"]["code"] == -32600
    assert await caller.closed()


async def test_unknown_method(caller: Caller) -> None:
    caller.send(request("nosuchcommand"))
    assert (await caller.answer())["error"] == {
        "code": -32601,
        "message": "Unknown command 'nosuchcommand'",
    }


async def test_refused__carries_code_and_sentence(caller: Caller) -> None:
    caller.send(request("refuse", [205]))
    assert (await caller.answer())["error"] == {"code": 205, "message": "not today"}


async def test_unexpected_exception__no_traceback_in_the_answer(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        caller.send(request("break"))
        assert (await caller.answer())["error"] == {
            "code": -1,
            "message": "internal error (KeyError); see the log",
        }
    assert "KeyError" in caplog.text


async def test_help__lists_usage_lines(caller: Caller) -> None:
    caller.send(request("help"), request("help", ["echo"], 2), request("help", ["no"], 3))
    everything = (await caller.answer())["result"]
    assert everything["format-hint"] == "simple"
    commands = [line["command"] for line in everything["help"]]
    assert commands == sorted(commands)
    assert "getinfo " in commands
    assert "check command_to_check" in commands
    assert (await caller.answer())["result"]["help"] == [{"command": "echo text [times]"}]
    assert (await caller.answer())["error"]["code"] == -32601


async def test_check__parses_and_does_nothing(served: Served, caller: Caller) -> None:
    caller.send(request("check", {"command_to_check": "pay", "invstring": "x"}))
    assert (await caller.answer())["result"] == {"command_to_check": "pay"}
    assert served.api.calls == []
    caller.send(request("check", ["echo", "x", "y"]))
    assert (await caller.answer())["error"] == {
        "code": -32602,
        "message": "times: should be an unsigned 32 bit integer: invalid token '\"y\"'",
    }
    caller.send(request("check", ["nosuch"]), request("check"))
    assert (await caller.answer())["error"]["code"] == -32601
    missing = (await caller.answer())["error"]
    assert missing == {"code": -32602, "message": "missing required parameter: command_to_check"}


async def test_stop__answers_before_it_acts(served: Served, caller: Caller) -> None:
    caller.send(request("stop"))
    assert (await caller.answer())["result"] == {"result": "Shutdown complete"}
    assert served.stop.is_set()


async def test_filter__keeps_what_it_names(caller: Caller) -> None:
    wanted = {"alias": True, "address": [{"port": True}], "our_features": {"init": True}}
    caller.send(request("getinfo", filter=wanted))
    assert (await caller.answer())["result"] == {
        "alias": "alice",
        "address": [{"port": 9735}, {"port": 9736}],
        "our_features": {"init": "80"},
    }
    caller.send(request("getinfo", filter={"address": {"port": True}}))
    mismatched = (await caller.answer())["result"]
    assert mismatched["warning_parameter_filter"] == "address is an array, not an object"
    caller.send(
        request("getinfo", filter={"address": 7}), request("getinfo", filter=[], request_id=2)
    )
    assert (await caller.answer())["error"]["code"] == -32602
    assert (await caller.answer())["error"]["code"] == -32602


async def test_locked__only_getinfo_help_unlock_and_stop(served: Served, caller: Caller) -> None:
    served.locked = True
    for method, params in [("getinfo", []), ("help", []), ("unlock", ["swordfish"]), ("stop", [])]:
        caller.send(request(method, params))
        assert "result" in await caller.answer(), method
    caller.send(request("echo", ["x"]))
    assert (await caller.answer())["error"] == {
        "code": -32001,
        "message": "the wallet is locked: unlock it first (leyden unlock)",
    }


async def test_half_closed_caller__still_gets_its_answers(served: Served, caller: Caller) -> None:
    caller.send(request("waitinvoice", ["a"]))
    caller.writer.write_eof()
    while not served.api.calls:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.6)
    served.api.release.set()
    assert (await caller.answer())["result"] == {"name": "waitinvoice a"}
    assert await caller.closed()


async def test_gone_caller__waits_are_abandoned_and_payments_are_not(
    served: Served, caller: Caller
) -> None:
    caller.send(request("waitinvoice", ["a"], 1), request("pay", ["lnbcrt1"], 2))
    while len(served.api.calls) < 2:
        await asyncio.sleep(0.01)
    await caller.hang_up()
    async with asyncio.timeout(30):
        while not served.api.abandoned:
            await asyncio.sleep(0.01)
    assert served.api.abandoned == ["waitinvoice a"]
    served.api.release.set()
    async with asyncio.timeout(30):
        while not served.api.finished:
            await asyncio.sleep(0.01)
    assert served.api.finished == ["pay lnbcrt1"]


async def test_flood_of_waits__is_bounded_and_then_served(served: Served, caller: Caller) -> None:
    count = MAX_PENDING_PER_CONNECTION + 50
    caller.send(*(request("waitinvoice", ["x"], i) for i in range(count)))
    async with asyncio.timeout(30):
        while len(served.api.calls) < MAX_PENDING_PER_CONNECTION:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert len(served.api.calls) == MAX_PENDING_PER_CONNECTION
    served.api.release.set()
    assert sorted([(await caller.answer())["id"] for _ in range(count)]) == list(range(count))


async def test_large_request__is_linear(caller: Caller) -> None:
    async def work(size: int) -> float:
        """Processor time, which other programs on the machine do not lengthen."""
        began = time.process_time()
        caller.send(request("echo", ["z" * size]))
        assert len((await _long_answer(caller))["result"]["text"]) == size
        return time.process_time() - began

    small = min([await work(1 << 19) for _ in range(3)])
    # Eight times as long: 64 times the work, were it quadratic.
    assert min([await work(4 << 20) for _ in range(3)]) < 24 * small


async def _long_answer(caller: Caller) -> Any:
    text = bytearray()
    while not text.endswith(b"\n\n"):
        text += await caller.reader.read(1 << 20)
    return json.loads(text)


async def test_endless_request__is_cut_off(caller: Caller) -> None:
    caller.send('{"jsonrpc":"2.0","id":1,"method":"', b"x" * (MAX_REQUEST_BYTES + 1))
    error = (await caller.answer())["error"]
    assert error == {"code": -32600, "message": f"a request longer than {MAX_REQUEST_BYTES} bytes"}


async def test_socket_file__mode_stale_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "lightning-rpc"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first = Served(path)
    await first.server.start(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Refused, match="another daemon serves"):
        await Served(path).server.start(path)
    await first.server.close()
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(Refused, match="not a socket"):
        await Served(path).server.start(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("length", [107, 108, 250])
async def test_long_path__works(tmp_path: Path, length: int) -> None:
    directory = tmp_path
    while len(str(directory)) < length - 14 - 60:
        directory /= "d" * 50
    directory /= "e" * (length - len(str(directory)) - 15)
    directory.mkdir(parents=True)
    path = directory / "lightning-rpc"
    assert len(str(path)) == length
    serving = Served(path)
    await serving.server.start(path)
    result = await asyncio.to_thread(call, path, "echo", ["hi"])
    assert result == {"text": "hi"}
    await serving.server.close()
    assert not path.exists()


async def test_long_name__is_refused_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 120)
    with pytest.raises(Refused, match=rf"has {len(str(path))} bytes"):
        await Served(path).server.start(path)
    with pytest.raises(Unreachable, match=rf"has {len(str(path))} bytes"):
        call(path, "getinfo")


async def test_client__result_error_and_unreachable(served: Served) -> None:
    assert await asyncio.to_thread(call, served.path, "echo", {"text": "hé"}) == {"text": "hé"}
    with pytest.raises(RpcError, match="not today") as caught:
        await asyncio.to_thread(call, served.path, "refuse", [301])
    assert caught.value.code == 301
    with pytest.raises(Unreachable, match="No such file"):
        call(served.path.with_name("nobody"), "getinfo")
