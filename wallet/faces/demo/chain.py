"""The town's chain as the demo sees it: Core's JSON-RPC, and a faucet that owns what is mined."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from wallet.base.bitcoin.address import decode_address, encode_address
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2wpkh, p2wpkh_code
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, Transaction, TxIn, TxOut
from wallet.base.crypto.curve import point_of, sign
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import ServiceFault
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Secret, Txid
from wallet.faces.core_rpc import CoreRpc

MATURITY: Final = 100
"""Blocks that must follow a mined reward before it can be spent."""
FAUCET_FEE: Final = 1_000

# Known to everybody and so worth nothing, like every coin of a regtest chain.
_SECRET: Final = Secret(sha256(b"the faucet of the leyden demo"))
_KEY: Final = point_of(_SECRET)
FAUCET_SCRIPT: Final = p2wpkh(_KEY)
FAUCET_ADDRESS: Final = encode_address(FAUCET_SCRIPT, REGTEST)


@dataclass(frozen=True, slots=True)
class Family:
    """A transaction and all that spend its outputs, and theirs, as far as they are in blocks."""

    fees_sat: dict[str, int]
    """By transaction."""

    @property
    def cost_sat(self) -> int:
        """What the miners got for all of it."""
        return sum(self.fees_sat.values())


class ChainClient(CoreRpc):
    """Blocking calls of the chain's JSON-RPC, from any thread."""

    @property
    def height(self) -> int:
        """Of the newest block."""
        return int(self.call("getblockcount"))

    def mine(self, blocks: int) -> int:
        """Mine blocks to the faucet; the new height."""
        self.call("generatetoaddress", blocks, FAUCET_ADDRESS)
        return self.height

    def reorganise(self, blocks: int) -> int:
        """Replace the newest blocks by one more, all empty; the new height."""
        self.call("reorg", blocks, FAUCET_ADDRESS)
        return self.height

    def pay_from_faucet(self, gifts: Mapping[str, int]) -> str:
        """Send satoshi to addresses in one transaction; its txid. Needs a mature reward."""
        coin = self._mature_reward(sum(gifts.values()) + FAUCET_FEE)
        amount = Satoshi(coin["amount_sat"])
        outputs = [
            TxOut(Satoshi(sat), decode_address(address, REGTEST)) for address, sat in gifts.items()
        ]
        left = amount.sat - sum(gifts.values()) - FAUCET_FEE
        outputs.append(TxOut(Satoshi(left), FAUCET_SCRIPT))
        outpoint = OutPoint(Txid.from_display(coin["txid"]), coin["vout"])
        spent = TxIn(outpoint, b"", SEQUENCE_RBF)
        unsigned = Transaction(2, (spent,), tuple(outputs))
        digest = segwit_v0(unsigned, 0, p2wpkh_code(_KEY), amount)
        witness = (script_signature(sign(_SECRET, digest)), _KEY)
        tx = replace(unsigned, inputs=(replace(spent, witness=witness),))
        return str(self.call("sendrawtransaction", tx.encode().hex()))

    def _mature_reward(self, sat: int) -> dict[str, Any]:
        found = self.call("listutxos")
        for coin in found["utxos"]:
            mature = coin["height"] + MATURITY <= found["height"] + 1
            ours = coin["scriptPubKey"] == FAUCET_SCRIPT.hex() and coin["coinbase"]
            if ours and mature and coin["amount_sat"] >= sat:
                reward: dict[str, Any] = coin
                return reward
        raise ServiceFault(f"the faucet has no mature reward of {sat:,} sat: mine more blocks")

    def footprint_since(self, height: int) -> tuple[int, int, int]:
        """Transactions beside the rewards in the blocks above `height`; their vbytes, fees."""
        transactions = self._since(height)
        return (
            len(transactions),
            sum(int(tx["vsize"]) for tx in transactions),
            sum(_fee_sat(tx) for tx in transactions),
        )

    def family(self, txid: str, height: int) -> Family:
        """Of a transaction, in the blocks above `height`."""
        fees: dict[str, int] = {}
        for tx in self._since(height):
            if tx["txid"] == txid or any(spent["txid"] in fees for spent in tx["vin"]):
                fees[tx["txid"]] = _fee_sat(tx)
        return Family(fees)

    def parents(self, txid: str) -> list[str]:
        """The transactions whose outputs a transaction spends."""
        return [str(spent["txid"]) for spent in self.call("getrawtransaction", txid, 1)["vin"]]

    def _since(self, height: int) -> list[dict[str, Any]]:
        """Transactions beside the rewards in the blocks above `height`, oldest first."""
        hashes = [self.call("getblockhash", at) for at in range(height + 1, self.height + 1)]
        return [tx for each in hashes for tx in self.call("getblock", each, 2)["tx"][1:]]


def _fee_sat(tx: Mapping[str, Any]) -> int:
    return int(tx["fee"] * 100_000_000)
