"""Onion packets: create for 20 and 4 hops, peel one layer, wrap and unwrap a failure.

`python -m tests.bench.bench_onion`.  LEYDEN_BENCH_PEERS names a Python with pyln-proto (and
bitstring 4); then it runs beside us, otherwise the ratio is against the figure recorded here.
"""

import os
import statistics
import subprocess
import timeit
from collections.abc import Callable

from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.onion.packet import OnionPacket, create_packet, peel
from wallet.base.onion.returns import create_failure, unwrap, wrap
from wallet.base.values.ids import Secret
from wallet.base.wire.failures import TemporaryNodeFailure

# Milliseconds of pyln-proto (median) on CPython 3.11.7, two shared cores, November 2026.
RECORDED_MS = {"onion create 20": 18.5, "onion create 4": 1.36, "onion peel": 0.165}
# Budget as a multiple of the peer's speed, and what the curve operations alone take.
#   create: per hop one ECDH and one public key; peel: one ECDH and one blinding.
MUST = {"onion create 20": 8.0, "onion peel": 1.6}

SESSION = Secret(b"\x41" * 32)
ASSOCIATED = b"\x42" * 32
NODES = [bytes([i + 1]) * 32 for i in range(20)]
PAYLOAD = bytes.fromhex("02023a98040205dc06080000000000000001")

PEER = """
import statistics, timeit
from pyln.proto.onion import SphinxPath, SphinxHop, RoutingOnion
from pyln.proto.primitives import PrivateKey, Secret
nodes = [PrivateKey(bytes([i + 1]) * 32) for i in range(20)]
payload = bytes.fromhex("1202023a98040205dc06080000000000000001")
def path(n):
    hops = [SphinxHop(k.public_key(), payload) for k in nodes[:n]]
    return SphinxPath(hops, b"\\x42" * 32, Secret(b"\\x41" * 32))
onion = path(20).compile().to_bin()
def median(work, number):
    return statistics.median(timeit.repeat(work, number=number, repeat=7)) / number * 1e3
print("onion create 20", median(lambda: path(20).compile(), 5))
print("onion create 4", median(lambda: path(4).compile(), 30))
def peel():
    RoutingOnion.from_bin(onion).unwrap(nodes[0], b"\\x42" * 32)
print("onion peel", median(peel, 200))
"""


def median_ms(work: Callable[[], object], number: int) -> float:
    """The median of seven rounds, in milliseconds per call."""
    return statistics.median(timeit.repeat(work, number=number, repeat=7)) / number * 1e3


def peers(program: str, recorded: dict[str, float]) -> tuple[dict[str, float], str]:
    """Figures of the peer by name: measured now when its Python is given, else recorded."""
    python = os.environ.get("LEYDEN_BENCH_PEERS")
    if not python:
        return recorded, "recorded"
    out = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    lines = (line.rsplit(" ", 1) for line in out.stdout.splitlines())
    return {name: float(value) for name, value in lines}, "side by side"


def main() -> None:
    """Print `name  value unit  ratio`."""
    hops = [(point_of(secret), PAYLOAD) for secret in NODES]
    packet, secrets = create_packet(SESSION, hops, ASSOCIATED)
    data = packet.encode()

    def peel_one() -> None:
        arrived = OnionPacket.decode(data)
        peel(arrived, ecdh(arrived.public_key, NODES[0]), ASSOCIATED)

    failure = create_failure(secrets[-1], TemporaryNodeFailure())
    for secret in reversed(secrets[:-1]):
        failure = wrap(secret, failure)
    curve = median_ms(lambda: ecdh(hops[0][0], NODES[0]), 500)
    public = median_ms(lambda: point_of(NODES[0]), 500)
    bounds = {
        "onion create 20": 20 * (curve + public),
        "onion create 4": 4 * (curve + public),
        "onion peel": 2 * curve,
    }
    ours = {
        "onion create 20": median_ms(lambda: create_packet(SESSION, hops, ASSOCIATED), 20),
        "onion create 4": median_ms(lambda: create_packet(SESSION, hops[:4], ASSOCIATED), 100),
        "onion peel": median_ms(peel_one, 500),
        "failure wrap": median_ms(lambda: wrap(secrets[0], failure), 500),
        "failure unwrap": median_ms(lambda: unwrap(secrets, failure), 100),
    }
    theirs, how = peers(PEER, RECORDED_MS)
    for name, value in ours.items():
        line = f"{name:<18} {value:8.4f} ms"
        if name in theirs:
            line += f"  {theirs[name] / value:6.1f}x pyln-proto {theirs[name]:.3f} ms ({how})"
            line += f", must {MUST[name]}x" if name in MUST else ""
            line += f", {bounds[name] / value:.0%} of the curve bound"
        print(line)


if __name__ == "__main__":
    main()
