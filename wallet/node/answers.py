"""What commands are answered with: values for the faces, frozen like everything else."""

from dataclasses import dataclass

from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.ids import ChannelId, NodeId
from wallet.machines.channel.state import Channel
from wallet.machines.payments.records import InvoiceRecord, Payment


@dataclass(frozen=True, slots=True)
class NewAddressGiven:
    """An address of ours, as a script."""

    script_pubkey: bytes


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A transaction of the wallet is with the chain; `spent` are the outputs it spends."""

    tx: Transaction
    spent: tuple[TxOut, ...]


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """The funding transaction is with the chain."""

    channel: Channel
    tx: Transaction


@dataclass(frozen=True, slots=True)
class PeerTrusted:
    """Whether a peer may open channels that are used before they are confirmed."""

    peer: NodeId
    trusted: bool


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The transaction that ends a channel is with the chain; `kind`: mutual or unilateral."""

    channel_id: ChannelId
    tx: Transaction
    kind: str


@dataclass(frozen=True, slots=True)
class InvoiceCreated:
    """A signed invoice, and what stands in the way of paying it, by the names of warnings."""

    invoice: InvoiceRecord
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InvoiceDeleted:
    """An invoice as it was last seen, its description gone if only that was to go."""

    invoice: InvoiceRecord


@dataclass(frozen=True, slots=True)
class PaymentDone:
    """A payment that ended, well or not."""

    payment: Payment


@dataclass(frozen=True, slots=True)
class PartSent:
    """A part of a payment is under way, or was sent before."""

    payment: Payment
    partid: int


@dataclass(frozen=True, slots=True)
class TermsSet:
    """Channels with their new terms, and for each what was not done as asked, by name."""

    channels: tuple[tuple[Channel, tuple[tuple[str, str], ...]], ...]
