"""Faults on order, so that a test can break a process at a named point: VOICEWRIGHT_FAULT="point:n:action".

The n-th time `reach(point)` is called, the action happens. Without the variable nothing does.

    points    model_load, step, ckpt_file, ckpt_manifest, publish_rename, result_write,
              dataset_file, dataset_row, unpacked
    actions   kill9 (SIGKILL to itself), exc (an unexpected error), enospc (disk full), oom (memory full),
              nan (`reach` returns True, and the caller spoils its number)
"""

import errno
import os
import signal

_reached: dict[str, int] = {}


def reach(point: str) -> bool:
    """Count one passage; act if it is the ordered one. True only for `nan`."""
    order = os.environ.get("VOICEWRIGHT_FAULT", "")
    if not order.startswith(f"{point}:"):
        return False
    _, number, action = order.split(":")
    _reached[point] = _reached.get(point, 0) + 1
    return _reached[point] == int(number) and _act(action)


def _act(action: str) -> bool:
    match action:
        case "kill9":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exc":
            raise RuntimeError("fault on order")
        case "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case "oom":
            raise MemoryError
    return action == "nan"
