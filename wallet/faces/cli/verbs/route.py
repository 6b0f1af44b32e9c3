"""`leyden route ID AMOUNT`: the way a payment would take, its fee and its chance. Pays nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import read_fee, read_positive, sat, share_msat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.paper import short, table
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {"--max-fee": True, "--cltv": True}
USAGE: Final = """\
leyden route ID AMOUNT [--max-fee LIMIT] [--cltv BLOCKS]

The way that AMOUNT (satoshi; msat, sat, btc may follow) would take to node ID, hop by hop, with
its fee and how likely it is to work. Nothing is sent. JSON is the daemon's getroutes."""

_EXEMPT_FEE_MSAT: Final = 5_000
_FINAL_CLTV: Final = "18"


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) != 2:
        raise UsageError("route needs ID and AMOUNT")
    amount_msat = read_positive(desk.words[1])
    most = desk.flags.get("--max-fee")
    usual_msat = max(share_msat(amount_msat, 10_000), _EXEMPT_FEE_MSAT)
    found = desk.ask(
        "getroutes",
        source=desk.ask("getinfo")["id"],
        destination=desk.words[0],
        amount_msat=amount_msat,
        layers=["auto.localchans", "auto.sourcefree"],
        maxfee_msat=usual_msat if most is None else read_fee(most, amount_msat),
        final_cltv=desk.flags.get("--cltv", _FINAL_CLTV),
    )
    return desk.show(found, lambda: lines(desk, found, amount_msat))


def lines(desk: Desk, found: Mapping[str, Any], amount_msat: int) -> Iterable[str]:
    """As a person reads it."""
    sent_msat = sum(int(route["path"][0]["amount_in_msat"]) for route in found["routes"])
    chance = found["probability_ppm"] / 10_000
    yield f"fee {sat(sent_msat - amount_msat)} sat, chance {chance:.0f} %"
    for route in found["routes"]:
        rows = [
            (
                n,
                sat(int(hop["amount_out_msat"])),
                sat(int(hop["amount_in_msat"]) - int(hop["amount_out_msat"])),
                hop["cltv_out"],
                hop["short_channel_id_dir"],
                desk.alias(hop["node_id_out"]) or short(hop["node_id_out"]),
            )
            for n, hop in enumerate(route["path"], 1)
        ]
        yield from table(
            ("hop", "carries", "fee", "blocks", "channel", "to"), rows, desk.width, "rrrr"
        )
