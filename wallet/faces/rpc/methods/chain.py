"""The chain: coins sent away, transactions of the wallet, channels that are settled."""

from wallet.base.bitcoin.address import decode_address
from wallet.base.bitcoin.psbt import final_psbt
from wallet.base.errors import DecodeError, Refused
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import Txid
from wallet.faces.rpc import shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.methods.reading import feerate_of
from wallet.faces.rpc.more_signatures import ListClosedChannels, Withdraw
from wallet.faces.rpc.notices import tell
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.state import Channel, Phase, ScidKind
from wallet.machines.coins.records import TxRecord
from wallet.node import errands
from wallet.node.api import Api

_CAUSES = frozenset({"local", "user", "remote", "protocol", "onchain"})
"""Core Lightning's words for why a channel ended."""


async def withdraw(api: Api, args: Args) -> Answer:
    """Send coins to an address; `all` leaves the emergency reserve while a channel needs it."""
    try:
        script = decode_address(args[Withdraw.DESTINATION], api.chain)
    except DecodeError as error:
        raise Refused(f"destination: {error}", Code.INVALID_PARAMS) from None
    amount, utxos = args[Withdraw.SATOSHI], args.get(Withdraw.UTXOS)
    if utxos == ():
        raise Refused("utxos: names no coin", Code.INVALID_PARAMS)
    tell("choosing coins and offering the transaction to the chain")
    done = await errands.withdraw(
        api,
        script,
        amount if isinstance(amount, Satoshi) else None,
        await feerate_of(api, args.get(Withdraw.FEERATE)),
        # Coins that are named were looked at by whoever names them.
        args.get_or(Withdraw.MINCONF, 1 if utxos is None else 0),
        utxos,
    )
    return {
        "tx": done.tx.encode().hex(),
        "txid": str(done.tx.txid),
        "psbt": final_psbt(done.tx, done.spent),
    }


async def listtransactions(api: Api, _args: Args) -> Answer:
    """Every transaction that paid or spent our coins, oldest first."""
    memory = await api.memory()
    return {"transactions": [_transaction(record) for record in memory.transactions.values()]}


def _transaction(record: TxRecord) -> Answer:
    tx = record.tx
    return {
        "hash": str(tx.txid),
        "rawtx": tx.encode().hex(),
        "blockheight": record.height or 0,
        "txindex": record.position,
        "locktime": tx.locktime,
        "version": tx.version,
        "inputs": [
            {
                "txid": str(txin.outpoint.txid),
                "index": txin.outpoint.index,
                "sequence": txin.sequence,
            }
            for txin in tx.inputs
        ],
        "outputs": [
            {
                "index": index,
                "amount_msat": output.amount.to_msat().msat,
                "scriptPubKey": output.script_pubkey.hex(),
            }
            for index, output in enumerate(tx.outputs)
        ],
    }


async def listclosedchannels(api: Api, args: Args) -> Answer:
    """Channels of which all is settled, oldest first; `listpeerchannels` has the others."""
    memory = await api.memory()
    wanted = args.get(ListClosedChannels.ID)
    return {
        "closedchannels": [
            _closed(channel)
            for channel in memory.channels.values()
            if channel.phase is Phase.CLOSED and wanted in (None, channel.terms.peer)
        ]
    }


def _last_commitment(channel: Channel) -> tuple[Txid, int | None]:
    """The one that is in a block, else our last; and its fee in millisatoshi, where we know it."""
    end, tx = channel.onchain, our_commitment(channel, channel.funding).commitment.tx
    if end is not None and end.kind is not SpendKind.MUTUAL and end.txid != tx.txid:
        # The peer's, an old one, or ours with HTLCs that are forgotten by now.
        return end.txid, None
    paid = sum(output.amount.sat for output in tx.outputs)
    return tx.txid, (channel.funding.amount.sat - paid) * 1000


def _closed(channel: Channel) -> Answer:
    terms, funding = channel.terms, channel.funding
    scid = channel.scid(ScidKind.REAL)
    ended = next((c for c in channel.changes if c.new not in shapes.BEFORE_THE_END), None)
    cause = ended.cause if ended is not None else "unknown"
    last, fee = _last_commitment(channel)
    return shapes.without_none(
        {
            "peer_id": terms.peer.hex(),
            "channel_id": channel.id.hex(),
            "short_channel_id": str(scid) if scid else None,
            "alias": shapes.aliases(channel) or None,
            "opener": "local" if terms.we_opened else "remote",
            "closer": "remote" if cause == "remote" else "local",
            "private": not terms.announce,
            "channel_type": shapes.channel_type(terms.channel_type),
            "total_local_commitments": channel.our_number + 1,
            "total_remote_commitments": channel.their_number + 1,
            "total_htlcs_sent": channel.our_next_htlc_id,
            "funding_txid": str(funding.outpoint.txid),
            "funding_outnum": funding.outpoint.index,
            "leased": False,
            "funding_withheld": False,
            "funding_pushed_msat": funding.pushed.msat,
            "total_msat": funding.amount.to_msat().msat,
            "final_to_us_msat": funding.to_us.msat,
            "min_to_us_msat": funding.least_to_us.msat,
            "max_to_us_msat": funding.most_to_us.msat,
            "last_commitment_txid": str(last),
            "last_commitment_fee_msat": fee,
            "close_cause": cause if cause in _CAUSES else "unknown",
        }
    )
