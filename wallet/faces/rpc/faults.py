"""From an exception to an answer's `error` object: a code and a sentence, never a traceback."""

import logging
from typing import Final

from wallet.base.errors import DecodeError, InvariantBroken, Refused, ServiceFault
from wallet.faces.rpc.errors import Code

_log: Final = logging.getLogger(__name__)


def error_answer(fault: Exception) -> dict[str, object]:
    """The `error` object for any exception.

    What nobody raises on purpose is logged, because its reader needs more than a sentence.
    """
    match fault:
        case Refused():
            said: dict[str, object] = {"code": int(fault.code), "message": fault.message}
            return said if fault.data is None else {**said, "data": fault.data}
        case DecodeError():
            return {"code": int(Code.INVALID_PARAMS), "message": str(fault)}
        case ServiceFault():
            return {"code": int(Code.NOT_READY), "message": str(fault)}
        case InvariantBroken():
            _log.error("invariant broken while answering", exc_info=fault)
            return {"code": int(Code.GENERIC), "message": f"refused to go on: {fault}"}
        case _:
            _log.error("unexpected exception while answering", exc_info=fault)
            name = type(fault).__name__
            return {"code": int(Code.GENERIC), "message": f"internal error ({name}); see the log"}
