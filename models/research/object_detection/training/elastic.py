"""Going on with the processes that are left, under an elastic launcher.

    horovodrun -np 8 --min-np 4 --host-discovery-script hosts.sh python ...

The launcher keeps the processes that do not end when another is lost. Each of
them begins anew, asks for its new rank, and goes on from the last checkpoint.
"""

import os
import sys
import urllib.request

from object_detection.core import errors

# In the order of the elastic launcher's answer.
_PLACE_VARIABLES = (
    "HOROVOD_RANK",
    "HOROVOD_SIZE",
    "HOROVOD_LOCAL_RANK",
    "HOROVOD_LOCAL_SIZE",
    "HOROVOD_CROSS_RANK",
    "HOROVOD_CROSS_SIZE",
)
_BEGAN_AGAIN = "OBJECT_DETECTION_BEGAN_AGAIN"


def is_elastic() -> bool:
    """Whether the launcher goes on with the processes that are left."""
    return os.environ.get("HOROVOD_ELASTIC") == "1"


def begin_again(exit_code: int) -> None:
    """Starts this process anew, to go on from the last checkpoint.

    After a signal, or what ends all processes alike, it ends instead.
    """
    if exit_code != errors.DistributedError.exit_code:
        os._exit(exit_code)
    # Above standard error: connections, devices, the lock of model_dir.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ[_BEGAN_AGAIN] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def take_new_rank() -> None:
    """Tells Horovod who this process is, if it has begun again.

    Its launcher answers when it knows of every process that it is lost or
    asks. Horovod asks this itself only in a process that it has joined before.

    Raises:
        SystemExit: this process is not needed any more.
    """
    if not os.environ.get(_BEGAN_AGAIN):
        return
    address = os.environ["HOROVOD_GLOO_RENDEZVOUS_ADDR"]
    port = os.environ["HOROVOD_GLOO_RENDEZVOUS_PORT"]
    host = os.environ["HOROVOD_HOSTNAME"]
    local_rank = os.environ["HOROVOD_LOCAL_RANK"]
    url = f"http://{address}:{port}/rank_and_size/{host}:{local_rank}"
    with urllib.request.urlopen(url) as answer:
        values = answer.read().decode().split(",")
    if values[0] == "-1":
        raise SystemExit(0)
    os.environ.update(zip(_PLACE_VARIABLES, values, strict=True))
