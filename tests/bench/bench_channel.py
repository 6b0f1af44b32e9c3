"""A channel pair in memory, both sides: payments a second, and curve operations per payment.

`python -m tests.bench.bench_channel`.  No network and no disk: update, commit, revoke, fulfil, with
real signatures, messages encoded and decoded.  Curve operations are counted, not timed: the count
has no noise, and it must not grow with the channel's history.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.pair import Pair, offer, preimage_of, ready_pair
from wallet.base.crypto import curve
from wallet.base.values.amounts import MilliSatoshi
from wallet.machines.channel import events

# The tightest Python over coincurve that does the same work, without checks of any rule (payments
# a second on CPython 3.11, two shared cores, November 2026), and Electrum's channel pair.
FLOOR = {1: 570.0, 30: 5_450.0}
ELECTRUM = {1: 46.0, 30: 135.0}
MUST_OF_FLOOR = {1: 0.35, 30: 0.30}

# One payment over one channel, one HTLC per round, both sides.
MINIMUM = {"sign": 6, "verify": 6, "multiply": 16, "add": 24}
MUST_OF_MINIMUM = 1.5

_AMOUNT = MilliSatoshi(400_000)
_COUNTED = {
    "secp256k1_ecdsa_sign": "sign",
    "secp256k1_ecdsa_verify": "verify",
    "secp256k1_ec_pubkey_create": "multiply",
    "secp256k1_ec_pubkey_tweak_mul": "multiply",
    "secp256k1_ec_pubkey_tweak_add": "add",
    "secp256k1_ec_pubkey_combine": "add",
}


class CountingLib:
    """libsecp256k1 with a counter in front of the calls that cost."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        kind = _COUNTED.get(name)
        if kind is not None:
            self.counts[kind] += 1
        return getattr(self._lib, name)


def pay_round(pair: Pair, first: int, count: int) -> None:
    """`count` HTLCs offered, committed and fulfilled in one round."""
    pair.alice.step(*(offer(number, _AMOUNT) for number in range(first, first + count)))
    pair.settle()
    answers = (events.FulfillHtlc(n, preimage_of(n)) for n in range(first, first + count))
    pair.bob.step(*answers)
    pair.settle()


def unjudged_pair() -> Pair:
    """A pair whose transactions no second engine looks at."""
    pair = ready_pair()
    pair.alice.judging = pair.bob.judging = False
    return pair


def payments_per_second(per_round: int, rounds: int) -> float:
    """Median of five runs over one pair."""
    pair = unjudged_pair()
    figures = []
    done = 0
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(rounds):
            pay_round(pair, done, per_round)
            done += per_round
        figures.append(rounds * per_round / (time.perf_counter() - begun))
    return sorted(figures)[2]


def operations_per_payment(after: int) -> dict[str, float]:
    """Curve operations of one payment once `after` payments have been made."""
    pair = unjudged_pair()
    for number in range(after):
        pay_round(pair, number, 1)
    # `lib` is the binding that curve.py calls; nothing else may be between them.
    module = vars(curve)
    real = module["lib"]
    counting = CountingLib(real)
    module["lib"] = counting
    try:
        for number in range(after, after + 10):
            pay_round(pair, number, 1)
    finally:
        module["lib"] = real
    return {kind: counting.counts[kind] / 10 for kind in MINIMUM}


def handshakes_and_messages() -> tuple[float, float]:
    """BOLT 8: milliseconds of a handshake (both sides), microseconds of a 1,452-byte message."""
    from wallet.base.values.ids import NodeId, Secret
    from wallet.machines.noise import Initiator, Responder

    ours, theirs = Secret(b"\x11" * 32), Secret(b"\x22" * 32)
    our_id, their_id = NodeId(curve.point_of(ours)), NodeId(curve.point_of(theirs))

    def shake() -> Any:
        dialler = Initiator(our_id, lambda p: curve.ecdh(p, ours), Secret(b"\x33" * 32), their_id)
        listener = Responder(their_id, lambda p: curve.ecdh(p, theirs), Secret(b"\x44" * 32))
        act_three, session = dialler.act_two(listener.act_one(dialler.act_one()))
        return session, listener.act_three(act_three)

    sender, receiver = shake()
    message = bytes(1_452)

    def message_once() -> None:
        receiver.receive.feed(sender.send.encrypt(message))

    return _median(shake, 100) * 1e3, _median(message_once, 2_000) * 1e6


def _median(work: Callable[[], object], number: int) -> float:
    figures = []
    for _ in range(7):
        begun = time.perf_counter()
        for _ in range(number):
            work()
        figures.append((time.perf_counter() - begun) / number)
    return sorted(figures)[3]


def main() -> None:
    """Print `name  value unit  ratio`."""
    for per_round, rounds in ((1, 40), (30, 6)):
        rate = payments_per_second(per_round, rounds)
        print(
            f"channel pair, {per_round:2} HTLCs per round   {rate:7.0f} payments/s"
            f"   {rate / FLOOR[per_round]:4.0%} of the floor (must {MUST_OF_FLOOR[per_round]:.0%})"
            f"   {rate / ELECTRUM[per_round]:5.1f}x electrum"
        )
    young, old = operations_per_payment(0), operations_per_payment(300)
    for kind, least in MINIMUM.items():
        print(
            f"curve: {kind:8} per payment   {young[kind]:5.1f} (after 300: {old[kind]:5.1f})"
            f"   {young[kind] / least:4.2f}x the minimum of {least} (must {MUST_OF_MINIMUM}x)"
        )
    handshake, message = handshakes_and_messages()
    print(
        f"BOLT 8 handshake, both sides   {handshake:6.3f} ms   {0.72 / handshake:4.1f}x pyln-proto"
    )
    print(f"BOLT 8 message of 1452 B       {message:6.2f} us   {10.8 / message:4.1f}x pyln-proto")


if __name__ == "__main__":
    main()
