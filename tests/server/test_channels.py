"""The websocket of a kernel: ours on top of whatever was configured."""

from __future__ import annotations

import socket

import pytest
from jupyter_server.gateway.connections import GatewayWebSocketConnection
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from jupyter_dlenv.server.channels import connection_class


class Configured(ZMQChannelsWebsocketConnection):
    """What an administrator may have configured."""

    connected: list = []  # noqa: RUF012

    def connect(self):
        self.connected.append(self)
        return super().connect()


@pytest.fixture
def jp_server_config(jp_server_config):
    jp_server_config["ServerApp"]["kernel_websocket_connection_class"] = Configured
    return jp_server_config


async def test_a_small_message_is_sent_at_once_by_the_configured_connection(dlenv, start_kernel):
    kernel = await start_kernel("python3")

    assert "42" == await kernel.execute("6 * 7")
    [connection] = Configured.connected
    stream = connection.websocket_handler.ws_connection.stream
    assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_gateways_connection_stays_a_gateways():
    made = connection_class(GatewayWebSocketConnection)

    assert issubclass(made, GatewayWebSocketConnection)
    assert made.connect is not GatewayWebSocketConnection.connect
    assert made.handle_outgoing_message is GatewayWebSocketConnection.handle_outgoing_message
