"""Free ports on the loopback interface."""

import random
import socket

HOST = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), which would snatch a port before it is bound.
_CANDIDATES = range(20_000, 32_000)


def free_port(preferred: int | None = None) -> int:
    """A port nobody listens on: the preferred one if it is free, else any.

    Chosen by chance, so that stacks which start at the same moment do not choose the same.
    """
    if preferred and is_free(preferred):
        return preferred
    return next(port for port in random.SystemRandom().sample(_CANDIDATES, 1_000) if is_free(port))


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as visitor:
        return visitor.connect_ex((HOST, port)) == 0


def is_free(port: int) -> bool:
    """Whether a server may listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        # As the servers do it: a closed connection's TIME_WAIT does not keep a port from being used again.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True
