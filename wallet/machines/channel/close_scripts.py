"""Where a cooperative close may pay to: the script forms of BOLT 2 `shutdown`."""

from wallet.base.bitcoin.script import witness_program
from wallet.base.values.features import OUR_INIT, Feature, Features


def negotiated(feature: Feature, theirs: Features) -> bool:
    """Whether both sides offered the feature."""
    return OUR_INIT.supports(feature) and theirs.supports(feature)


def is_allowed(script: bytes, their_features: Features) -> bool:
    """Whether `scriptpubkey` of `shutdown`, or an upfront one, has a form that BOLT 2 allows.

    `OP_RETURN` needs `option_simple_close`, which we do not offer.
    """
    match witness_program(script):
        case (0, program):
            # Any other length can be spent by nobody, and no node relays a payment to it.
            return len(program) in (20, 32)
        case (_, _):
            return negotiated(Feature.OPTION_SHUTDOWN_ANYSEGWIT, their_features)
        case None:
            return False
