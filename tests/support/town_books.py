"""The books of a town of daemons at rest, against each other and against the chain, exactly.

Nobody was given anything but one block's subsidy each, before the height at which the books begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.interop.ldk.daemon import Daemon
from tests.support import faucet
from tests.support.chain_bill import Bill, bill, funding_of
from tests.support.chain_server import ChainServer
from wallet.faces.demo.money import Books, check_money

GIVEN_MSAT = 5_000_000_000_000
"""A block's subsidy."""
NORMAL = "CHANNELD_NORMAL"
MOST_EVENTS = 1_000
"""In one answer."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """How many payments."""

    complete: int
    failed: int
    forwarded: int


@dataclass(frozen=True, slots=True)
class TownBooks:
    """Every node runs, and nothing is under way."""

    chain: ChainServer
    nodes: Mapping[str, Daemon]
    begun: int

    def receipts(self) -> Receipts:
        """What a payer calls complete its payee has received, once; and conversely."""
        complete: dict[str, tuple[str, int]] = {}
        paid: dict[str, tuple[str, int]] = {}
        sent = fees = failed = forwarded = 0
        for name, node in self.nodes.items():
            for pay in node.call("listpays")["pays"]:
                assert pay["status"] in ("complete", "failed"), pay
                if pay["status"] == "failed":
                    failed += 1
                    continue
                payment_hash = pay["payment_hash"]
                assert payment_hash not in complete, f"{name} paid {payment_hash} twice"
                complete[payment_hash] = (pay["preimage"], pay["amount_msat"])
                sent += pay["amount_sent_msat"]
            for invoice in node.call("listinvoices")["invoices"]:
                if invoice["status"] == "paid":
                    proof = (invoice["payment_preimage"], invoice["amount_received_msat"])
                    paid[invoice["payment_hash"]] = proof
            settled = node.call("listforwards", status="settled")["forwards"]
            earned = node.call("getinfo")["fees_collected_msat"]
            assert sum(forward["fee_msat"] for forward in settled) == earned
            fees += earned
            forwarded += len(settled)
        assert complete == paid
        received = sum(amount for _, amount in paid.values())
        assert sent - received == fees, "what was paid on the way is what forwarders earned"
        return Receipts(len(complete), failed, forwarded)

    def costs(self) -> Bill:
        """Every coin of the chain has one owner; everyone has what their own books say, exactly."""
        shown = {name: self._books(name) for name in self.nodes}
        found = check_money(
            self.chain.call("listutxos"), faucet.SCRIPT.hex(), shown.values(), self._parents
        )
        assert found.ok, found
        openers = {
            funding_of(channel): name
            for name, book in shown.items()
            for channel in (*book.channels, *book.closed)
            if channel["opener"] == "local"
        }
        known = {
            name: {t["hash"] for t in node.call("listtransactions")["transactions"]}
            for name, node in self.nodes.items()
        }
        costs = bill(self.chain.call, self.begun, openers, known, self._closers())
        wealth = {name: self._wealth_msat(book) for name, book in shown.items()}
        due = {name: self._due_msat(name) - costs.paid[name] * 1000 for name in self.nodes}
        assert wealth == due, {name: wealth[name] - due[name] for name in self.nodes}
        return costs

    def _closers(self) -> dict[str, str]:
        """Who pays for which closing transaction, by the journals."""
        found = {}
        for name, node in self.nodes.items():
            since, more = 0, True
            while more:
                said = node.call("events", since=since)["events"]
                for event in said:
                    if event["topic"] == "close_signed" and event["fee_payer"] == "local":
                        found[event["txid"]] = name
                since, more = said[-1]["seq"], len(said) == MOST_EVENTS
        return found

    def _books(self, name: str) -> Books:
        node = self.nodes[name]
        return Books(
            name,
            node.call("listfunds")["outputs"],
            node.call("listpeerchannels")["channels"],
            node.call("commitments")["commitments"],
            node.call("listclosedchannels")["closedchannels"],
        )

    def _parents(self, txid: str) -> list[str]:
        return [str(i["txid"]) for i in self.chain.call("getrawtransaction", txid, 1)["vin"]]

    def _wealth_msat(self, book: Books) -> int:
        """Coins, and the node's part of open channels."""
        coins = sum(int(output["amount_msat"]) for output in book.outputs)
        return coins + sum(int(c["to_us_msat"]) for c in book.channels if c["state"] == NORMAL)

    def _due_msat(self, name: str) -> int:
        """What was given to a node, and what it received, paid and earned."""
        node = self.nodes[name]
        pays = node.call("listpays", status="complete")["pays"]
        invoices = node.call("listinvoices")["invoices"]
        due = GIVEN_MSAT - sum(int(pay["amount_sent_msat"]) for pay in pays)
        due += sum(int(i["amount_received_msat"]) for i in invoices if i["status"] == "paid")
        return due + int(node.call("getinfo")["fees_collected_msat"])
