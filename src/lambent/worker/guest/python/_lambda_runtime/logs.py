"""Log records: framing, the streams in place of stdout and stderr, and the root logger's handler.

With `_LAMBDA_TELEMETRY_LOG_FD` each record is a frame on that descriptor (big-endian: 4 bytes type, 4 bytes length, 8
bytes microseconds since the epoch, the text as UTF-8), so that a record may have many lines. Without it, records are
plain text on stdout. The bits of the type tell the format and level as AWS's runtimes do.
"""

import _thread
import io
import json
import logging
import os
import struct
import sys
import time
import traceback

_TEXT, _JSON = 0xA55A0003, 0xA55A0002
_LEVEL_BITS = {logging.DEBUG: 8, logging.INFO: 12, logging.WARNING: 16, logging.ERROR: 20, logging.CRITICAL: 24}
_HEADER = struct.Struct(">IIQ")
_ATOMIC = 4096 - _HEADER.size  # PIPE_BUF: what one write puts into a pipe undivided
_HELD = 262144  # characters of an unfinished line that are kept before they become a record anyway
_NBSP = "\u00a0"


class Invocation:
    """What log records say about the invocation being handled."""

    request_id = None
    tenant_id = None


current = Invocation()


class FramedSink:
    """Writes records as frames. Threads take turns; after a fork, frames are kept small enough not to mix with those
    of the other process."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._lock = _thread.allocate_lock()
        self._shared = False
        os.set_inheritable(descriptor, False)
        os.register_at_fork(
            before=self._before_fork,
            after_in_parent=self._after_fork_in_parent,
            after_in_child=self._after_fork_in_child,
        )

    def _before_fork(self):
        self._lock.acquire()  # no large frame may be half written when there are two writers
        self._shared = True

    def _after_fork_in_parent(self):
        self._lock.release()

    def _after_fork_in_child(self):
        self._lock = _thread.allocate_lock()

    def log(self, text, kind=_TEXT):
        data = text.encode("utf-8", "backslashreplace")
        stamp = time.time_ns() // 1000
        with self._lock:
            if not self._shared or len(data) <= _ATOMIC:
                self._write(_HEADER.pack(kind, len(data), stamp) + data)
                return
            start = 0
            while start < len(data):
                end = start + _ATOMIC
                while end < len(data) and data[end] & 0xC0 == 0x80:  # not within a character
                    end -= 1
                part = data[start:end]
                self._write(_HEADER.pack(kind, len(part), stamp) + part)
                start = end

    def _write(self, frame):
        written = os.write(self._descriptor, frame)
        while written < len(frame):
            frame = frame[written:]
            written = os.write(self._descriptor, frame)

    def log_error(self, lines, kind):
        self.log("\n".join(lines), kind)


class PlainSink:
    """Writes records as text on stdout; the line breaks within an error become carriage returns, as on AWS."""

    def log(self, text, kind=_TEXT):
        sys.stdout.write(text)

    def log_error(self, lines, kind):
        sys.stdout.write("\r".join(lines) + "\n")


class _BinaryStream(io.RawIOBase):
    """`sys.stdout.buffer`: bytes become text of the same stream."""

    def __init__(self, stream):
        self._stream = stream

    def writable(self):
        return True

    def fileno(self):
        return self._stream.fileno()

    def write(self, data):
        view = memoryview(data).cast("B")
        self._stream.write(str(view, "utf-8", "replace"))
        return len(view)

    def flush(self):
        self._stream.flush()


class LogStream(io.TextIOBase):
    """In place of `sys.stdout`: what is written becomes a record when it ends with a newline, so that one `print` is
    one record however many lines it has. Each thread has its own unfinished record."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    line_buffering = True
    write_through = False
    mode = "w"

    def __init__(self, sink, descriptor, name):
        self._sink = sink
        self._descriptor = descriptor
        self._unfinished = {}
        self.name = name
        self.buffer = _BinaryStream(self)

    def write(self, text):
        if type(text) is not str and not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        if text:
            thread = _thread.get_ident()
            held = self._unfinished.pop(thread, "")
            held += text
            if held[-1] == "\n" or len(held) > _HELD:
                self._sink.log(held)
            else:
                self._unfinished[thread] = held
        return len(text)

    def flush(self):
        """What is unfinished becomes a record: it must not be lost if the process is killed next."""
        while self._unfinished:
            try:
                _, text = self._unfinished.popitem()
            except KeyError:  # another thread took the last one
                return
            self._sink.log(text)

    def fileno(self):
        return self._descriptor

    def writable(self):
        return True

    def isatty(self):
        return False

    def close(self):
        self.flush()

    def reconfigure(self, **options):
        """Accepted and without effect: the encoding of log records is fixed."""


class PlainStream:
    """stdout without buffering, for when there is no telemetry descriptor."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        count = self._stream.write(text)
        self._stream.flush()
        return count

    def writelines(self, lines):
        self._stream.writelines(lines)
        self._stream.flush()


class LambdaLoggerHandler(logging.Handler):
    """The root logger's handler, there before user code runs: `logging.basicConfig` finds it and does nothing."""

    def __init__(self, log_sink, by_level):
        logging.Handler.__init__(self)
        self.log_sink = log_sink
        self._bits = _LEVEL_BITS if by_level else {}

    def emit(self, record):
        try:
            text = self.format(record)
            level = min(50, max(0, record.levelno)) // 10 * 10
            base = _JSON if isinstance(self.formatter, JsonFormatter) else _TEXT
            self.log_sink.log(text, base | self._bits.get(level, 0))
        except Exception:
            self.handleError(record)


class LambdaLoggerFilter(logging.Filter):
    """Gives records the id of the invocation."""

    def filter(self, record):
        record.aws_request_id = current.request_id or ""
        record.tenant_id = current.tenant_id
        return True


_RECORD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"aws_request_id", "tenant_id", "taskName"}


class JsonFormatter(logging.Formatter):
    """Records as one JSON object per line (AWS_LAMBDA_LOG_FORMAT=JSON)."""

    def __init__(self):
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        self._encode = json.JSONEncoder(ensure_ascii=False, default=str).encode

    def format(self, record):
        level = min(50, max(0, record.levelno)) // 10 * 10
        message = record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage()
        result = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(level),
            "message": message,
            "logger": record.name,
        }
        if record.exc_info:
            kind, value, trace = record.exc_info
            result["stackTrace"] = traceback.format_tb(trace)
            result["errorType"] = kind.__name__ if kind else None
            result["errorMessage"] = str(value) if kind else None
        result["requestId"] = getattr(record, "aws_request_id", None)
        if record.exc_info:
            result["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        result["tenantId"] = getattr(record, "tenant_id", None)
        for name, value in record.__dict__.items():
            if name not in _RECORD_FIELDS and name not in result:
                result[name] = value
        return self._encode({name: value for name, value in result.items() if value is not None}) + "\n"


class FunctionLog:
    """The log of this environment: set up once, used by the loop."""

    def __init__(self, environ):
        self._json = (environ.get("AWS_LAMBDA_LOG_FORMAT") or "").upper() == "JSON"
        level = (environ.get("AWS_LAMBDA_LOG_LEVEL") or "").upper()
        self._level = "DEBUG" if level == "TRACE" else level
        descriptor = environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
        self._streams = ()
        if descriptor is None:
            self.sink = PlainSink()
            sys.stdout, sys.stderr = PlainStream(sys.stdout), PlainStream(sys.stderr)
        else:
            self.sink = FramedSink(int(descriptor))
            self._streams = (LogStream(self.sink, 1, "<stdout>"), LogStream(self.sink, 2, "<stderr>"))
            sys.stdout, sys.stderr = self._streams
        self._install_handler()

    def _install_handler(self):
        logging.Formatter.converter = time.gmtime
        handler = LambdaLoggerHandler(self.sink, by_level=self._json or bool(self._level))
        if self._json:
            handler.setFormatter(JsonFormatter())
        else:
            layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
            handler.setFormatter(logging.Formatter(layout, "%Y-%m-%dT%H:%M:%S"))
        root = logging.getLogger()
        if isinstance(logging.getLevelName(self._level), int):
            root.setLevel(self._level)
        handler.addFilter(LambdaLoggerFilter())
        root.addHandler(handler)

    def finish_records(self):
        """What was written without a newline becomes records; done at the end of each invocation."""
        for stream in self._streams:
            stream.flush()

    def error(self, payload, encode):
        """The record of a failed invocation or initialisation. `encode` makes JSON bytes."""
        if self._json:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            record = {"timestamp": stamp, "level": "ERROR"}
            record.update(payload)
            self.sink.log_error([encode(record).decode("utf-8")], _JSON | _LEVEL_BITS[logging.ERROR])
        else:
            self.sink.log_error(_error_lines(payload), _TEXT | _LEVEL_BITS[logging.ERROR])


def _error_lines(payload):
    """`[ERROR] Type: message`, then the stack trace, indented with no-break spaces that log viewers keep."""
    head = "[ERROR]"
    if payload["errorType"]:
        head += " " + payload["errorType"]
        if payload["errorMessage"]:
            head += ":"
    if payload["errorMessage"]:
        head += " " + payload["errorMessage"]
    lines = [head, "Traceback (most recent call last):"]
    for entry in payload["stackTrace"]:
        for line in entry.splitlines() or [""]:
            text = line.lstrip(" ")
            lines.append(_NBSP * (len(line) - len(text)) + text)
    return lines
