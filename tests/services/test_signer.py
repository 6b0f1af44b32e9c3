"""The signer: every request answered, each signature verified by the public side of its key."""

from types import ModuleType

import pytest

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2tr, p2wpkh
from wallet.base.channel_tx import keys as keys_module
from wallet.base.channel_tx.keys import commitment_keys
from wallet.base.crypto import curve
from wallet.base.crypto import hd as hd_module
from wallet.base.crypto.curve import point_of, recover, verify, verify_schnorr
from wallet.base.crypto.hashes import sha256
from wallet.base.crypto.shachain import FIRST_INDEX, Shachain
from wallet.base.values.ids import KeysId, Point, Secret, Signature
from wallet.machines.signing import (
    ChannelKeys,
    DelayedKey,
    DeriveChannel,
    DerivePubkey,
    Ecdh,
    FundingKey,
    HtlcKey,
    KeyAnswer,
    KeyRef,
    KeyRequest,
    PaymentKey,
    RecoverableSignature,
    ReleasedSecret,
    ReleaseSecret,
    RevocationKey,
    SignDigest,
    SignInvoice,
    WalletKey,
)
from wallet.services.vault import signer as signer_module
from wallet.services.vault.signer import LocalSigner

OURS, THEIRS = KeysId(b"ours" * 4), KeysId(b"them" * 4)
DIGEST = sha256(b"what is signed")
SEED = bytes(range(64))


@pytest.fixture
def signer() -> LocalSigner:
    return LocalSigner(SEED, REGTEST)


def ask(signer: LocalSigner, request: KeyRequest) -> KeyAnswer:
    (answer,) = signer.answer([request])
    return answer


def signature(signer: LocalSigner, key: KeyRef) -> Signature:
    answer = ask(signer, SignDigest(key, DIGEST))
    assert isinstance(answer, bytes)
    return Signature(answer)


def channel(signer: LocalSigner, keys_id: KeysId) -> ChannelKeys:
    answer = ask(signer, DeriveChannel(keys_id, 3))
    assert isinstance(answer, ChannelKeys)
    return answer


def released(signer: LocalSigner, keys_id: KeysId, number: int) -> ReleasedSecret:
    answer = ask(signer, ReleaseSecret(keys_id, number))
    assert isinstance(answer, ReleasedSecret)
    return answer


def test_channel_keys__sign_for_the_keys_of_a_commitment(signer: LocalSigner) -> None:
    ours, theirs = channel(signer, OURS), channel(signer, THEIRS)
    point = ours.first_points[0]
    keys = commitment_keys(ours.basepoints, theirs.basepoints, point)
    for key, pubkey in (
        (FundingKey(OURS, 0), ours.funding_pubkey),
        (HtlcKey(OURS, point), keys.broadcaster_htlc_pubkey),
        (HtlcKey(THEIRS, point), keys.countersigner_htlc_pubkey),
        (DelayedKey(OURS, point), keys.broadcaster_delayed_pubkey),
        (PaymentKey(3), keys.countersigner_payment_pubkey),
        # Theirs is the side that punishes once ours has revoked.
        (RevocationKey(THEIRS, released(signer, OURS, 0).secret), keys.revocation_pubkey),
    ):
        assert verify(pubkey, DIGEST, signature(signer, key)), key


def test_funding_number__makes_another_key(signer: LocalSigner) -> None:
    second = signature(signer, FundingKey(OURS, 1))
    assert not verify(channel(signer, OURS).funding_pubkey, DIGEST, second)


@pytest.mark.parametrize("index", range(6))  # Both parities of the internal key's y.
def test_wallet_keys__open_their_scripts(signer: LocalSigner, index: int) -> None:
    ecdsa, schnorr = WalletKey(84, 0, index), WalletKey(86, 1, index)
    pubkey, output_key = ask(signer, DerivePubkey(ecdsa)), ask(signer, DerivePubkey(schnorr))
    assert isinstance(pubkey, bytes)
    assert isinstance(output_key, bytes)
    assert signer.wallet_script(84, 0, index) == p2wpkh(pubkey)
    assert verify(Point(pubkey), DIGEST, signature(signer, ecdsa))
    assert signer.wallet_script(86, 1, index) == p2tr(output_key[1:])
    assert verify_schnorr(output_key[1:], DIGEST, signature(signer, schnorr))


def test_release__gives_a_shachain_and_the_points_to_come(signer: LocalSigner) -> None:
    points = list(channel(signer, OURS).first_points)
    chain = Shachain()
    for number in range(20):
        answer = released(signer, OURS, number)
        assert point_of(answer.secret) == points[number]
        chain = chain.insert(FIRST_INDEX - number, answer.secret)
        points.append(answer.next_point)
    assert chain.get(FIRST_INDEX - 5) == released(signer, OURS, 5).secret


def test_node_key__ecdh_and_invoices(signer: LocalSigner) -> None:
    secret = Secret(bytes(31) + b"\x07")
    shared = ask(signer, Ecdh(point_of(secret)))
    assert shared == curve.ecdh(signer.node_id, secret) == signer.node_ecdh(point_of(secret))
    invoice = ask(signer, SignInvoice(DIGEST))
    assert isinstance(invoice, RecoverableSignature)
    assert recover(invoice.signature, invoice.recovery_id, DIGEST) == signer.node_id


def test_answers__in_order_and_always_the_same(signer: LocalSigner) -> None:
    requests: list[KeyRequest] = [
        Ecdh(signer.payment_point(0)),
        SignDigest(FundingKey(OURS, 0), DIGEST),
        SignDigest(WalletKey(86, 0, 0), DIGEST),
        ReleaseSecret(OURS, 9),
    ]
    answers = signer.answer(requests)
    assert answers == [ask(signer, request) for request in requests]
    assert answers == LocalSigner(SEED, REGTEST).answer(requests)


def test_curve_operations__one_per_request(
    signer: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Point operations are what a payment costs most; a channel in use must not derive again."""
    point = channel(signer, OURS).first_points[1]
    counted: list[str] = []

    def count(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def counting(*arguments: object) -> object:
            counted.append(name)
            return real(*arguments)

        monkeypatch.setattr(module, name, counting)

    for name in ("point_of", "sign", "ecdh", "tweak_point"):
        count(signer_module, name)
    for module in (keys_module, hd_module):
        count(module, "point_of")
    keys = (FundingKey(OURS, 0), HtlcKey(OURS, point), DelayedKey(OURS, point))
    signer.answer([SignDigest(key, DIGEST) for key in keys])
    signer.answer([ReleaseSecret(OURS, 1), Ecdh(point)])
    assert counted == ["sign", "sign", "sign", "point_of", "ecdh"]


def test_secrets__are_not_in_a_repr(signer: LocalSigner) -> None:
    kept = signer._channel(OURS)
    secrets = kept.secrets
    shown = repr((signer, signer._tree, kept, secrets, vars(signer)))
    for secret in (secrets.revocation, secrets.htlc, secrets.shachain_seed):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
