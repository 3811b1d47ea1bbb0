"""The trace id of the invocation at hand, in the environment variables: of this process and of those it starts.

The C library (glibc up to 2.40) keeps every value that it was ever given for a variable, some 140 bytes for each
invocation. An environment that handles a thousand a second would be out of memory within the hour. So after a while the
value is written into memory of our own, again and again, and the C library is only told where it is.
"""

import os

_NAME = "_X_AMZN_TRACE_ID"
_MANY = 1000  # invocations, until when importing ctypes (2 ms, 1 MB) costs more than it saves
_ROOM = 4096  # bytes for name and value; what is longer goes the ordinary way


class TraceVariable:
    """Sets the variable, once for each invocation."""

    def __init__(self):
        self._count = 0
        self._overwrite = None

    def set(self, trace_id):
        """None: there is no such variable."""
        if trace_id is None:
            os.environ.pop(_NAME, None)
        elif self._overwrite is None or not self._overwrite(os.fsencode(trace_id)):
            os.environ[_NAME] = trace_id
            self._count += 1
            if self._count == _MANY:
                self._overwrite = _overwriting()


def _overwriting():
    """A function that sets the variable to some bytes, if they are few enough, and says so. None if there cannot be."""
    values = getattr(os.environ, "_data", None)  # what `os.environ` shows
    name = _NAME.encode()
    if not isinstance(values, dict) or name not in values:
        return None
    try:
        import ctypes

        library = ctypes.CDLL(None)
        library.malloc.restype = ctypes.c_void_p
        library.putenv.argtypes = (ctypes.c_void_p,)
    except (ImportError, OSError, AttributeError):  # an interpreter without it, or a module of the function's
        return None
    address = library.malloc(ctypes.c_size_t(_ROOM))  # for good: variables point there to the process's last moment
    if not address:
        return None
    room = memoryview((ctypes.c_char * _ROOM).from_address(address)).cast("B")
    beginning = name + b"="
    set_last = None

    def overwrite(value):
        nonlocal set_last
        text = beginning + value + b"\0"
        if len(text) > _ROOM:
            return False
        room[: len(text)] = text
        if values.get(name) is not set_last or set_last is None:  # the function has set or removed it since
            if library.putenv(address):
                return False
        values[name] = set_last = value
        return True

    return overwrite
