"""What the facade does that no machine decides: about links, signatures and waiting.

Functions over `Api`, so that the facade itself stays one page of questions and commands.
"""

import asyncio
from typing import Final

from wallet.base.crypto.signed_message import encode_signed, signed_digest
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import NodeId, OutPoint, PaymentHash, Signature
from wallet.machines.channel.state import LIVING
from wallet.machines.payments.records import Part, Payment, PaymentStatus
from wallet.machines.signing import RecoverableSignature, SignInvoice
from wallet.node.answers import Withdrawn
from wallet.node.api import Api
from wallet.node.events import Withdraw

_GONE_SECONDS: Final = 5.0
"""A link that was told to end is gone by then: its own patience is shorter."""


async def disconnect(api: Api, node_id: NodeId, *, force: bool) -> None:
    """End the link with a peer; returns when the core knows that it is gone.

    Raises `Refused` when there is none, and without `force` while a channel lives on it.
    """
    memory = await api.memory()
    living = [c.phase.value for c in memory.channels_with(node_id) if c.phase in LIVING]
    if node_id not in memory.peers:
        raise Refused("Peer not connected" if living else "Unknown peer")
    if living and not force:
        raise Refused(f"Peer has (at least one) channel in state {living[0]}")
    transport = api.core.transport
    went = transport.peer(node_id)
    transport.disconnect(node_id, "the user disconnected")
    try:
        async with asyncio.timeout(_GONE_SECONDS):
            while transport.peer(node_id) is went or node_id in (await api.memory()).peers:
                await asyncio.sleep(0.002)
                if transport.peer(node_id) not in (None, went):
                    return
    except TimeoutError:
        raise Refused("the link is still closing; look with `leyden listpeers`") from None


async def withdraw(
    api: Api,
    script_pubkey: bytes,
    amount: Satoshi | None,
    feerate: FeeratePerKw | None,
    min_confirmations: int,
    outpoints: tuple[OutPoint, ...] | None,
) -> Withdrawn:
    """Send coins away; returns when the transaction is with the chain. Raises `Refused` 301-313."""
    api.check_synced()
    answer = await api.core.kernel.command(
        lambda t: Withdraw(t, script_pubkey, amount, feerate, min_confirmations, outpoints)
    )
    if not isinstance(answer, Withdrawn):
        raise InvariantBroken(f"a command was answered with {type(answer).__name__}")
    return answer


async def ping(api: Api, node_id: NodeId, length: int, pong_length: int) -> int:
    """The length of the peer's `pong` in bytes, 0 when none was wanted. Raises `Refused`."""
    return await api.core.transport.ping(node_id, length, pong_length)


def sign_message(api: Api, message: str) -> tuple[Signature, int, str]:
    """The node key's signature of a message, its recovery id, and both as zbase32."""
    # The digest is a double hash with a prefix of its own, so it can be no invoice's.
    (signed,) = api.core.signer.answer([SignInvoice(signed_digest(message))])
    if not isinstance(signed, RecoverableSignature):
        raise InvariantBroken("the signer gave no signature for a message")
    text = encode_signed(signed.signature, signed.recovery_id)
    return signed.signature, signed.recovery_id, text


async def wait_part(
    api: Api, payment_hash: PaymentHash, partid: int, groupid: int | None, seconds: int | None
) -> tuple[Payment, Part]:
    """A part of a payment once its outcome is known; of the newest group unless one is named.

    Raises `Refused` 208 when it was never sent, `TimeoutError`.
    """
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    memory = await api.memory()
    if groupid is None:
        known = memory.payments_of(payment_hash)
        newest = max(known, key=lambda payment: payment.created_index, default=None)
        groupid = 0 if newest is None else newest.groupid
    key = (payment_hash, groupid)
    while True:
        payment = memory.payments.get(key)
        parts = () if payment is None else payment.parts
        part = next((p for p in parts if p.partid == partid), None)
        if payment is None or part is None:
            raise Refused(f"part {partid} of a payment with this hash was never sent", 208)
        if part.status is not PaymentStatus.PENDING:
            return payment, part
        async with asyncio.timeout_at(deadline):
            await api.core.kernel.changed()
        memory = await api.memory()
