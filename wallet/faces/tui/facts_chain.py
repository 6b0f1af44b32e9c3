"""What a core says of the chain: our coins, what transactions cost now, and how it is set up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wallet.faces.tui.answers import items, known, number
from wallet.faces.tui.costs import EMERGENCY_SAT, Speed, prices
from wallet.faces.tui.safe_text import safe


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that is ours. Amount in millisatoshi."""

    txid: str
    index: int
    amount: int
    address: str
    status: str
    height: int | None
    """Of its block."""
    held: bool
    """Chosen for a transaction that is being made."""

    @property
    def outpoint(self) -> str:
        """As every tool of Bitcoin names it."""
        return f"{self.txid}:{self.index}"


@dataclass(frozen=True, slots=True)
class Fees:
    """What transactions pay now."""

    speeds: tuple[Speed, ...] = ()
    warning: str = ""
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the core was started, as far as screens need it."""

    emergency: int = EMERGENCY_SAT * 1000
    """Millisatoshi that stay on chain for each channel that may be closed by force."""
    log_file: str = ""


def coins(answer: Mapping[str, Any]) -> tuple[Coin, ...]:
    """`listfunds`: coins that are not spent, the newest first."""
    found = [_coin(one) for one in items(answer, "outputs") if one.get("status") != "spent"]
    return tuple(sorted(found, key=lambda c: (c.height or 1 << 62, c.amount), reverse=True))


def _coin(one: Mapping[str, Any]) -> Coin:
    return Coin(
        txid=safe(one.get("txid"), 64),
        index=number(one.get("output")),
        amount=number(one.get("amount_msat")),
        address=safe(one.get("address"), 100),
        status=safe(one.get("status"), 20),
        height=known(one.get("blockheight")),
        held=one.get("reserved") is True,
    )


def fees(answer: Mapping[str, Any]) -> Fees:
    """`feerates` in the style `perkw`."""
    return Fees(prices(answer).speeds, safe(answer.get("warning_missing_feerates"), 200))


def waiting(answer: Mapping[str, Any]) -> dict[str, int]:
    """`history` of pending closes: what of each channel is no coin of ours yet, by channel id."""
    closes = items(answer, "history")
    return {safe(one.get("channel_id"), 64): number(one.get("waiting_msat")) for one in closes}


def settings(answer: Mapping[str, Any]) -> Settings:
    """`listconfigs`."""
    configs = answer.get("configs")
    found: Mapping[str, Any] = configs if isinstance(configs, Mapping) else {}
    emergency = known(_value(found, "min-emergency-msat", "value_msat"))
    log_files = _value(found, "log-file", "values_str")
    return Settings(
        EMERGENCY_SAT * 1000 if emergency is None else emergency,
        safe(log_files[0], 200) if isinstance(log_files, list) and log_files else "",
    )


def _value(configs: Mapping[str, Any], name: str, kind: str) -> object:
    one = configs.get(name)
    return one.get(kind) if isinstance(one, Mapping) else None
