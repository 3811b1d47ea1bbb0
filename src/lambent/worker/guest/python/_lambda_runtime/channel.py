"""The Runtime API over a socket of this environment's own, which the server has made for it.

It says the same as `client` does over HTTP, in frames that take less to read and write: see the server's
`worker/runtime_api/frames.py`. One frame there is one frame back.
"""

import _socket
import json
import os
import struct

from _lambda_runtime.client import RuntimeApiError

VARIABLE = "_LAMBENT_CHANNEL_FD"

_POST = struct.Struct(">BBHQ")  # kind, lengths of request id, error type and body
_EVENT = struct.Struct(">II")  # lengths of head and body
_RESPONSE, _ERROR, _INIT_ERROR = 1, 2, 3
_AND_NEXT = 16
_RECEIVE = 65536
_CLOSED = "the Runtime API closed the connection"
_SMALL = 32768  # below it, copying the body is cheaper than a second system call


def connect(environ):
    """The channel whose descriptor the environment names; None if it names none, or whoever started us closed it."""
    descriptor = environ.pop(VARIABLE, None)
    if descriptor is None:
        return None
    try:
        connection = _socket.socket(fileno=int(descriptor))
    except OSError:
        return None
    os.set_inheritable(connection.fileno(), False)
    return Channel(connection)


class Channel:
    """The methods are `client.RuntimeApiClient`'s."""

    def __init__(self, connection):
        connection.setblocking(True)
        self._send = connection.sendall
        self._receive = connection.recv
        self._receive_into = connection.recv_into
        self._scan = json.JSONDecoder().scan_once

    def next(self):
        self._send(_POST.pack(_AND_NEXT, 0, 0, 0))
        return self._read()

    def respond(self, request_id, body, content_type):
        self._post(_RESPONSE | _AND_NEXT, request_id.encode(), b"", body)
        return self._read()

    def fail(self, request_id, body, error_type, xray_cause):
        self._post(_ERROR | _AND_NEXT, request_id.encode(), error_type.encode("utf-8", "replace"), body)
        return self._read()

    def init_error(self, body, error_type):
        self._post(_INIT_ERROR, b"", error_type.encode("utf-8", "replace"), body)
        status, _, answer = self._read_frame()
        if status != 202:
            raise RuntimeApiError("init/error was answered with %d: %r" % (status, answer))

    def _post(self, kind, request_id, error_type, body):
        error_type = error_type[:65535]
        head = _POST.pack(kind, len(request_id), len(error_type), len(body)) + request_id + error_type
        if len(body) <= _SMALL:
            self._send(head + body)
        else:
            self._send(head)
            self._send(body)

    def _read(self):
        status, invocation, body = self._read_frame()
        if invocation is None:
            raise RuntimeApiError("invocation/next was answered with %d: %r" % (status, body))
        return status, invocation, body, "application/json"

    def _read_frame(self):
        data = self._more()
        while len(data) < _EVENT.size:
            data += self._more()
        head_length, length = _EVENT.unpack_from(data)
        end = _EVENT.size + head_length
        if len(data) != end + length:
            data = self._read_rest(data, end + length)
        status, invocation = self._scan(str(data[_EVENT.size : end], "utf-8"), 0)[0]
        return status, invocation, data[end:]

    def _read_rest(self, data, length):
        frame = bytearray(length)
        view = memoryview(frame)
        filled = len(data)
        view[:filled] = data
        while filled < length:
            count = self._receive_into(view[filled:])
            if not count:
                raise RuntimeApiError(_CLOSED)
            filled += count
        return bytes(frame)

    def _more(self):
        data = self._receive(_RECEIVE)
        if not data:
            raise RuntimeApiError(_CLOSED)
        return data
