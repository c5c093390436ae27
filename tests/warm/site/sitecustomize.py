"""Hands a program to the process that has loaded MLflow, and stands for it: see `tests/warm`.

Python imports this before a program where the folder is in `PYTHONPATH`; programs that do not load MLflow at
their beginning go on as if nothing were. Run as a file, it hands over what follows.
"""

import os
import sys


def _loads_mlflow(command):
    ours = (
        "llmflowlab.evaluation.run.recorder",
        "llmflowlab.lab.deliverer",
        "llmflowlab.service.courier",
    )
    if command[0].endswith("main.py"):
        return command[1:2] in (["doctor"], ["models"]) or command[1:3] == ["registry", "show"]
    if "MLFLOW_ACTIVE_MODEL_ID" in os.environ:
        # MLflow looks at it while it is imported.
        return False
    return any(word in ours or word.startswith("mlflow.") for word in command)


def _stand_for(command, address):
    import json
    import resource
    import signal
    import socket
    import struct

    umask = os.umask(0)
    os.umask(umask)
    order = {
        "command": command,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib would be the longest of its imports
        "umask": umask,
        "file_size": resource.getrlimit(resource.RLIMIT_FSIZE),
    }
    line = socket.socket(socket.AF_UNIX)
    line.connect(address)
    socket.send_fds(line, [b"."], [0, 1, 2])
    line.sendall(json.dumps(order).encode() + b"\n")
    number = struct.Struct("i")
    (pid,) = number.unpack(line.recv(number.size, socket.MSG_WAITALL))
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), lambda signum, _: os.kill(pid, signum))
    (code,) = number.unpack(line.recv(number.size, socket.MSG_WAITALL))
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


_address = os.environ.get("WARM_SOURCE")
if __name__ == "__main__":
    _stand_for(sys.argv[1:], _address)
elif _address and _loads_mlflow(sys.orig_argv[1:]):
    _stand_for(sys.orig_argv[1:], _address)
