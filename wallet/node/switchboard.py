"""Which desk takes which event. Pure but for the signer's answers: no await, no clock, no dice."""

from dataclasses import replace
from typing import assert_never

from wallet.base.errors import Refused
from wallet.machines.chain_events import BlockConnected, BlockDisconnected, ChainStart
from wallet.node import (
    chain_desk,
    clock_desk,
    coin_desk,
    gossip_desk,
    opening_desk,
    pay_desk,
    peer_desk,
    receive_desk,
    terms_desk,
)
from wallet.node.board import Board
from wallet.node.events import (
    BroadcastDone,
    CloseChannel,
    Command,
    CreateInvoice,
    DeleteInvoice,
    FeerateChanged,
    FundingSought,
    GossipChecked,
    Keysend,
    Listening,
    NewAddress,
    NodeEvent,
    OpenChannelTo,
    PayInvoice,
    PeerDown,
    PeerSaid,
    PeerUp,
    Recalled,
    RoutesFound,
    SendPart,
    SetTerms,
    Tick,
    TrustPeer,
    Withdraw,
)


def absorb(board: Board, event: NodeEvent) -> None:
    """One event of the batch."""
    match event:
        case PeerSaid():
            peer_desk.peer_said(board, event)
        case PeerUp():
            peer_desk.peer_up(board, event)
        case PeerDown():
            peer_desk.peer_down(board, event)
        case ChainStart():
            chain_desk.chain_start(board, event)
        case BlockConnected():
            chain_desk.block_connected(board, event)
        case BlockDisconnected():
            chain_desk.block_disconnected(board, event)
        case Recalled():
            board.recalled[event.channel_id, event.txid] = event.content
        case FundingSought():
            chain_desk.funding_sought(board, event)
        case FeerateChanged():
            chain_desk.feerate_changed(board, event)
        case BroadcastDone():
            chain_desk.broadcast_done(board, event)
        case RoutesFound():
            pay_desk.routes_found(board, event)
        case GossipChecked():
            gossip_desk.checked(board, event)
        case Listening():
            board.card = replace(board.card, addresses=event.addresses)
        case Tick():
            clock_desk.tick(board)
        case _:
            try:
                _command(board, event)
            except Refused as refused:
                board.work.refuse(event.ticket, refused)


def _command(board: Board, command: Command) -> None:
    match command:
        case NewAddress():
            coin_desk.new_address(board, command)
        case Withdraw():
            coin_desk.withdraw(board, command)
        case OpenChannelTo():
            opening_desk.open_channel(board, command)
        case TrustPeer():
            opening_desk.trust(board, command)
        case CloseChannel():
            chain_desk.close_channel(board, command)
        case CreateInvoice():
            receive_desk.create_invoice(board, command)
        case DeleteInvoice():
            receive_desk.delete_invoice(board, command)
        case PayInvoice():
            pay_desk.pay(board, command)
        case Keysend():
            pay_desk.keysend(board, command)
        case SendPart():
            pay_desk.send_part(board, command)
        case SetTerms():
            terms_desk.set_terms(board, command)
        case _:
            assert_never(command)
