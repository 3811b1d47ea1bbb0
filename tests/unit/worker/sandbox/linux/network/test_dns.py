"""Reading questions and answers, whatever sandboxes and servers send."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from lambent.worker.sandbox.linux.network.dns import addresses, failure, question_name, servers

NAME = b"\x07Example\x03com\x00"


def question(name: bytes = NAME, flags: int = 0x0100, questions: int = 1) -> bytes:
    return struct.pack(">6H", 77, flags, questions, 0, 0, 0) + name + struct.pack(">2H", 1, 1)


def answer(*records: bytes, name: bytes = NAME) -> bytes:
    return struct.pack(">6H", 77, 0x8180, 1, len(records), 0, 0) + name + struct.pack(">2H", 1, 1) + b"".join(records)


def record(kind: int, data: bytes, seconds: int = 30, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">HHIH", kind, 1, seconds, len(data)) + data


def test_the_name_of_a_question() -> None:
    assert question_name(question()) == "example.com"
    assert question_name(answer(), response=True) == "example.com"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 12,
        question(flags=0x8100),  # an answer
        question(flags=0x2900),  # an update
        question(questions=2),
        question(b"\xc0\x0c"),  # a pointer
        question(b"\x3fshort\x00"),
        question()[:-5],
    ],
)
def test_what_is_no_plain_question(data: bytes) -> None:
    assert question_name(data) is None


def test_addresses_of_an_answer() -> None:
    alias = record(5, b"\x03www\xc0\x0c", 600)
    data = answer(alias, record(1, b"\x01\x02\x03\x04", 300), record(1, b"\x05\x06\x07\x08", 20), record(28, bytes(16)))
    assert addresses(data) == (["1.2.3.4", "5.6.7.8"], 20)


def test_a_cut_answer_gives_what_is_whole() -> None:
    data = answer(record(1, b"\x01\x02\x03\x04"), record(1, b"\x05\x06\x07\x08"))
    assert addresses(data[:-2])[0] == ["1.2.3.4"]


def test_no_bytes_confuse_the_readers() -> None:
    dice = random.Random(7)
    for _ in range(3000):
        data = bytearray(answer(record(1, b"\x01\x02\x03\x04"), record(5, b"\x03www\xc0\x0c")))
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        addresses(bytes(data[: dice.randrange(len(data))]))
        question_name(bytes(data))


def test_a_refusal_repeats_the_question() -> None:
    data = failure(question() + b"additional", 5)
    assert data[:2] == question()[:2]
    assert struct.unpack(">5H", data[2:12]) == (0x8185, 1, 0, 0, 0)
    assert data[12:] == question()[12:]


def test_name_servers_of_the_host(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# made\nsearch example.com\nnameserver 10.0.0.2\nnameserver ::1\nnameserver\noptions edns0\n")
    assert servers(file) == ["10.0.0.2", "::1"]
    assert servers(tmp_path / "none") == ["127.0.0.1"]
