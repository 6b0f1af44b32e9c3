"""Who leaves when a room is full."""

import random

from wallet.services.peers.rooms import Place, Room, neighbourhood


def filled(room: Room, *addresses: str, gone: list[str]) -> list[Place]:
    """One place for each address; who is turned out is written into `gone`."""
    return [
        room.enter(address, lambda a=address, n=number: gone.append(f"{a} {n}"))  # type: ignore[misc]
        for number, address in enumerate(addresses)
    ]


def test_the_oldest_of_an_address_leaves_for_one_more_of_it() -> None:
    gone: list[str] = []
    room = Room(most=10, share=2)
    filled(room, "a", "b", "a", "a", gone=gone)
    assert gone == ["a 0"]
    assert len(room) == 3


def test_a_full_room_makes_the_greediest_address_give_way() -> None:
    gone: list[str] = []
    room = Room(most=4, share=3)
    filled(room, "b", "a", "a", "a", "c", "d", gone=gone)
    assert gone == ["a 1", "a 2"]
    assert len(room) == 4


def test_a_place_is_left_once_whoever_says_so_first() -> None:
    gone: list[str] = []
    room = Room(most=2, share=1)
    first, second = filled(room, "a", "a", gone=gone)
    first.leave()
    second.leave()
    second.leave()
    assert (gone, len(room)) == (["a 0"], 0)


def test_who_has_become_a_partner_is_not_turned_out() -> None:
    gone: list[str] = []
    room = Room(most=2, share=2)
    room.enter("a", lambda: gone.append("partner"), lambda: True)
    room.enter("a", lambda: gone.append("stranger"))
    room.enter("a", lambda: gone.append("newcomer"))
    room.enter("a", lambda: gone.append("last"))
    assert gone == ["stranger"]
    assert len(room) == 2


def test_never_more_than_it_holds() -> None:
    chance = random.Random(1)
    room = Room(most=20, share=5)
    inside: list[Place] = []
    gone: list[str] = []
    for _ in range(2_000):
        if inside and chance.random() < 0.4:
            inside.pop(chance.randrange(len(inside))).leave()
        else:
            inside += filled(room, f"10.0.0.{chance.randrange(30)}", gone=gone)
        assert len(room) <= 20
    assert len(gone) > 100


def test_an_ipv6_subscriber_is_one_address() -> None:
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:2")
    assert neighbourhood("2001:db8::1") != neighbourhood("2001:db8:0:1::1")
    assert neighbourhood("fe80::1%eth0") == neighbourhood("fe80::2")
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("gone") == "gone"
