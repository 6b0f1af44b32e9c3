"""What is due by the clock: every desk that waits for time is asked once a second."""

from wallet.node import chain_desk, gossip_desk, opening_desk, receive_desk
from wallet.node.board import Board


def tick(board: Board) -> None:
    """About a second has passed since the last time."""
    receive_desk.tick(board)
    gossip_desk.tick(board)
    opening_desk.tick(board)
    chain_desk.tick(board)
