"""Identifiers have the form AWS's have."""

import uuid

from lambent.model.ids import new_environment_id, new_request_id, new_revision_id


def test_request_and_revision_ids_are_random_version_4_uuids() -> None:
    for make in (new_request_id, new_revision_id):
        made = {str(make()) for _ in range(500)}
        assert len(made) == 500
        for text in made:
            parsed = uuid.UUID(text)
            assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_environment_ids_are_32_hex_digits() -> None:
    assert len(new_environment_id()) == 32
    int(new_environment_id(), 16)
