"""The socket that whatever is served listens on."""

from __future__ import annotations

import socket

from llmflowlab.serving.server import bound_socket


def test_small_pieces_leave_at_once() -> None:
    """Without this the second piece of an answer waited 40 ms for the client's word that it has the first."""
    with (
        bound_socket("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
