"""The Runtime API over one raw, kept-alive connection.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Taken where there is no `channel`. `_socket` (what
`socket` wraps) is used directly: importing `socket` costs 2 ms that many functions never need. The answer to one
invocation and the request for the next go out together (HTTP/1.1 pipelining), which saves a system call here and a
wake-up of the server.
"""

import _socket
import sys

_PREFIX = "/2018-06-01/runtime"
_RECEIVE = 32768
_SMALL = 32768  # below it, copying the body is cheaper than a second system call


class RuntimeApiError(Exception):
    """The Runtime API refused a request, or is gone."""


class RuntimeApiClient:
    """`address` is host:port, as in AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, address):
        host, _, port = address.partition(":")
        self._address = (host, int(port or 80))
        self._common = "Host: %s\r\nUser-Agent: aws-lambda-python/%d.%d.%d\r\n" % ((address,) + sys.version_info[:3])
        self._next_request = ("GET %s/invocation/next HTTP/1.1\r\n%s\r\n" % (_PREFIX, self._common)).encode()
        self._socket = None
        self._received = b""
        self._usual_head = (b"", 0, {})  # the last head of an accepted answer: the next is the same, byte by byte

    def next(self):
        """Wait for an invocation: (status of the answer before, invocation, body, content type). `invocation` is a
        sequence: request id, deadline in ms since the epoch, function ARN, trace id, tenant id, client context,
        Cognito identity (the last two as JSON text); None where there is nothing."""
        self._send(self._next_request)
        return self._read_next(202)

    def respond(self, request_id, body, content_type):
        """Answer an invocation and wait for the next, as `next`."""
        head = self._post_head("/invocation/%s/response" % request_id, len(body), content_type, {})
        return self._post_and_next(head, body)

    def fail(self, request_id, body, error_type, xray_cause):
        """Report that an invocation failed and wait for the next; as `respond`."""
        headers = {"Lambda-Runtime-Function-Error-Type": error_type}
        if xray_cause:
            headers["Lambda-Runtime-Function-XRay-Error-Cause"] = xray_cause
        path = "/invocation/%s/error" % request_id
        return self._post_and_next(self._post_head(path, len(body), "application/json", headers), body)

    def init_error(self, body, error_type):
        """Report that the function could not be initialised."""
        headers = {"Lambda-Runtime-Function-Error-Type": error_type}
        self._send(self._post_head("/init/error", len(body), "application/json", headers) + body)
        status, _, answer = self._read_response()
        if status != 202:
            raise RuntimeApiError("init/error was answered with %d: %r" % (status, answer))

    def _post_head(self, path, length, content_type, headers):
        lines = "".join(["%s: %s\r\n" % (name, value) for name, value in headers.items()])
        return (
            "POST %s%s HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
            % (_PREFIX, path, self._common, content_type, length, lines)
        ).encode("utf-8", "replace")

    def _post_and_next(self, head, body):
        if len(body) <= _SMALL:
            self._send(head + body + self._next_request)
        else:
            self._send(head)
            self._send(body)
            self._send(self._next_request)
        status, headers, _ = self._read_response()
        if headers.get("connection") == "close":
            self._close()
            self._send(self._next_request)
        return self._read_next(status)

    def _read_next(self, answered):
        status, headers, body = self._read_response()
        if status != 200:
            raise RuntimeApiError("invocation/next was answered with %d: %r" % (status, body))
        return answered, _invocation(headers), body, headers.get("content-type")

    def _send(self, data):
        if self._socket is None:
            connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            connection.connect(self._address)
            connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            self._socket = connection
        self._socket.sendall(data)

    def _close(self):
        self._socket.close()
        self._socket = None
        self._received = b""

    def _receive(self):
        data = self._socket.recv(_RECEIVE)
        if not data:
            raise RuntimeApiError("the Runtime API closed the connection")
        return data

    def _read_response(self):
        status = 100
        while status < 200:  # 1xx answers announce the real one
            status, headers = self._read_head()
        if "chunked" in headers.get("transfer-encoding", ""):
            return status, headers, self._read_chunks()
        return status, headers, self._read_exactly(int(headers.get("content-length", 0)))

    def _read_head(self):
        data = self._received
        end = data.find(b"\r\n\r\n")
        while end < 0:
            data += self._receive()
            end = data.find(b"\r\n\r\n")
        self._received = data[end + 4 :]
        head = data[:end]
        usual, status, headers = self._usual_head
        if head == usual:
            return status, headers
        lines = head.decode("utf-8", "replace").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        status = int(lines[0][9:12])
        if status == 202:
            self._usual_head = (head, status, headers)
        return status, headers

    def _read_exactly(self, length):
        data = self._received
        if len(data) >= length:
            self._received = data[length:]
            return data[:length]
        body = bytearray(length)
        view = memoryview(body)
        view[: len(data)] = data
        filled = len(data)
        self._received = b""
        while filled < length:
            count = self._socket.recv_into(view[filled:])
            if not count:
                raise RuntimeApiError("the Runtime API closed the connection")
            filled += count
        return bytes(body)

    def _read_line(self):
        while b"\r\n" not in self._received:
            self._received += self._receive()
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def _read_chunks(self):
        chunks = []
        while True:
            length = int(self._read_line().split(b";")[0], 16)
            if length == 0:
                while self._read_line():  # trailers
                    pass
                return b"".join(chunks)
            chunks.append(self._read_exactly(length))
            self._read_line()


def _invocation(headers):
    return (
        headers["lambda-runtime-aws-request-id"],
        int(headers.get("lambda-runtime-deadline-ms") or 0),
        headers.get("lambda-runtime-invoked-function-arn"),
        headers.get("lambda-runtime-trace-id"),
        headers.get("lambda-runtime-aws-tenant-id"),
        headers.get("lambda-runtime-client-context"),
        headers.get("lambda-runtime-cognito-identity"),
    )
