"""Where a cooperative close may pay to: the script forms of BOLT 2 `shutdown`."""

from wallet.base.bitcoin.script import Op, witness_program
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.machines.channel.state import Channel


def negotiated(feature: Feature, theirs: Features) -> bool:
    """Whether both sides offered the feature."""
    return OUR_INIT.supports(feature) and theirs.supports(feature)


def is_allowed(script: bytes, their_features: Features) -> bool:
    """Whether `scriptpubkey` of `shutdown`, or an upfront one, has a form that BOLT 2 allows."""
    match witness_program(script):
        case (0, program):
            # Any other length can be spent by nobody, and no node relays a payment to it.
            return len(program) in (20, 32)
        case (_, _):
            return negotiated(Feature.OPTION_SHUTDOWN_ANYSEGWIT, their_features)
        case None:
            simple = negotiated(Feature.OPTION_SIMPLE_CLOSE, their_features)
            return simple and _is_op_return(script)


def _is_op_return(script: bytes) -> bool:
    # BOLT 2: `OP_RETURN` followed by one of: `6` to `75` inclusive followed by exactly that many
    # bytes; `76` followed by `76` to `80` followed by exactly that many bytes.
    if script[:1] != bytes((Op.RETURN,)) or len(script) < 3:
        return False
    if script[1] == Op.PUSHDATA1:
        return 76 <= script[2] <= 80 and len(script) == 3 + script[2]
    return 6 <= script[1] <= 75 and len(script) == 2 + script[1]


def check_their_script(channel: Channel, script: bytes, severity: Severity) -> None:
    """Raise `PeerFault` where the peer may not be paid to `script` by a close of this channel.

    `severity` is what a script of no allowed form costs; BOLT 2 differs by message.
    """
    upfront = channel.terms.theirs.upfront_shutdown_script
    if upfront and script != upfront:
        # BOLT 2: MAY send a `warning`. MUST fail the connection.
        raise PeerFault(Severity.DISCONNECT, "shutdown to another script than given at the open")
    # BOLT 2: versions 1 to 16 if (and only if) `option_shutdown_anysegwit` is negotiated.
    if not is_allowed(script, Features.from_bytes(channel.terms.their_features)):
        raise PeerFault(severity, f"shutdown to a script of no allowed form: {script.hex()}")
