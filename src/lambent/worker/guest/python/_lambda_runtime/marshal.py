"""Results to JSON, as AWS's runtime encodes them.

AWS encodes with simplejson: decimals become numbers with all their digits, and what has `_asdict` (named tuples)
becomes an object, bytes inside become text. The standard encoder is made to do the same here. Since Python 3.12 AWS
leaves non-ASCII text as it is.
"""

import gc
import json
import math
import os
import re
import sys
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii

from _lambda_runtime.errors import FaultError

_PLAIN = frozenset((str, int, float, bool, type(None)))
_CONTAINERS = frozenset((dict, list, tuple))
_DEEP = 64  # levels after which a search for named tuples must reckon with a cycle


class Encoder:
    """`json.dumps` with AWS's additions. Not shared between threads."""

    def __init__(self):
        encoder = json.JSONEncoder(ensure_ascii=sys.version_info < (3, 12), default=self._default)
        self._encode = encoder.encode
        self._held = {}  # what is being encoded, by which the encoder knows a circle
        if c_make_encoder is not None:
            # `JSONEncoder.encode` makes one of these for every value.
            text = encode_basestring_ascii if encoder.ensure_ascii else encode_basestring
            iterate = c_make_encoder(
                self._held, self._default, text, None, encoder.key_separator, encoder.item_separator, False, False, True
            )
            self._encode = lambda value: "".join(iterate(value, 0))
        self._numbers = []
        self._mark = "decimal-" + os.urandom(16).hex() + "-"

    def encode(self, value):
        """JSON text; what `json.dumps` raises."""
        if type(value) not in _PLAIN and _needs_rewriting(value):
            value = _rewritten(value, 0)
        try:
            text = self._encode(value)
            if self._numbers:
                text = re.sub('"%s([0-9]+)"' % self._mark, lambda match: self._numbers[int(match.group(1))], text)
        except BaseException:
            self._held.clear()
            raise
        finally:
            self._numbers.clear()
        return text

    def _default(self, value):
        decimal = sys.modules.get("decimal")  # whoever has a Decimal has imported it; the import takes 2 ms
        if decimal is not None and isinstance(value, decimal.Decimal):
            if value.is_nan():
                return math.nan
            self._numbers.append(str(value))
            return "%s%d" % (self._mark, len(self._numbers) - 1)
        if isinstance(value, bytes):
            return value.decode("utf-8")
        as_dict = getattr(value, "_asdict", None)
        if callable(as_dict):
            return as_dict()
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _needs_rewriting(value):
    """Whether a named tuple or bytes (which may be a key) is in `value`: level by level, with the garbage collector's
    view of containers, which takes a fraction of the time of encoding."""
    level = [value]
    seen = None
    depth = 0
    while level:
        kinds = set(map(type, level))
        kinds -= _PLAIN
        if not kinds:
            return False
        if kinds <= _CONTAINERS:
            containers = [item for item in level if type(item) in kinds] if depth else level
        elif bytes in kinds or any(issubclass(kind, tuple) and hasattr(kind, "_asdict") for kind in kinds):
            return True
        else:
            containers = [item for item in level if isinstance(item, (dict, list, tuple))]
        depth += 1
        if depth > _DEEP:
            if seen is None:
                seen = set()
            containers = [item for item in containers if id(item) not in seen]
            seen.update(map(id, containers))
        level = gc.get_referents(*containers)
    return False


def _rewritten(value, depth):
    if depth > 900:
        return value  # the encoder finds out whether it is deep or circular
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {_rewritten_key(key): _rewritten(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rewritten(item, depth + 1) for item in value]
    return value


def _rewritten_key(key):
    return key.decode("utf-8") if isinstance(key, bytes) else key


class Marshaller:
    """Events in, results out."""

    def __init__(self):
        self._encoder = Encoder()
        self._loads = json.loads
        self._scan = json.JSONDecoder().scan_once

    def event(self, body, content_type):
        """The event of an invocation; the raw bytes when they are not JSON."""
        if content_type != "application/json":
            return body
        try:
            text = str(body, "utf-8")
            try:
                event, end = self._scan(text, 0)
                if end == len(text):
                    return event
            except StopIteration:
                pass
            return self._loads(text)  # there is something around the JSON: blanks, or what makes it none
        except Exception as error:
            raise FaultError("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from error

    def result(self, value):
        """(body, content type) of a handler's result."""
        if isinstance(value, bytes):
            return value, "application/unknown"
        try:
            return self._encoder.encode(value).encode("utf-8"), "application/json"
        except Exception as error:
            raise FaultError("Runtime.MarshalError", "Unable to marshal response: %s" % error) from error

    def error(self, value):
        """The body of an error payload or X-Ray cause."""
        return self._encoder.encode(value).encode("utf-8", "replace")
