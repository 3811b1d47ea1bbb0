"""The layout of the queue file, as the steps that lead to it (`store.migrations`). Knows SQL only.

A queue's messages are in its *box*. Purging gives the queue an empty one; what was in the old is deleted in small
steps behind. What a message never changes, its body, is in a table of its own, so that leasing one rewrites little.
"""

from __future__ import annotations

from typing import Final

from lambent.store.migrations import Step

STEPS: Final[tuple[Step, ...]] = (
    (
        """CREATE TABLE queues (
             id INTEGER PRIMARY KEY,
             name TEXT NOT NULL UNIQUE,
             box INTEGER NOT NULL UNIQUE,
             is_ordered INTEGER NOT NULL
           )""",
        "CREATE TABLE emptied (box INTEGER PRIMARY KEY)",
        # Both numbers only grow; `sequence` is ahead of the messages by what the running server has reserved.
        "CREATE TABLE numbers (box INTEGER NOT NULL, sequence INTEGER NOT NULL)",
        "INSERT INTO numbers VALUES (1, 1)",
        """CREATE TABLE messages (
             sequence INTEGER PRIMARY KEY,
             box INTEGER NOT NULL,
             due_ms INTEGER NOT NULL,             -- not given out before: end of delay or lease
             is_leased INTEGER NOT NULL DEFAULT 0,
             lease INTEGER NOT NULL DEFAULT 0,    -- grows with each; the fencing token
             receives INTEGER NOT NULL DEFAULT 0,
             spared INTEGER NOT NULL DEFAULT 0,   -- receives in the queues before, which count for no redrive here
             sent_ms INTEGER NOT NULL,
             first_received_ms INTEGER,
             grp TEXT,
             moved_from TEXT,
             id TEXT NOT NULL,
             attributes BLOB NOT NULL
           )""",
        "CREATE INDEX messages_due ON messages (box, due_ms, is_leased)",
        "CREATE INDEX messages_sent ON messages (box, sent_ms)",
        "CREATE INDEX messages_in_group ON messages (box, grp, sequence) WHERE grp IS NOT NULL",
        "CREATE TABLE bodies (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        # Of an ordered queue: from when the next of a group's messages may be given out, and which that is.
        """CREATE TABLE groups (
             box INTEGER NOT NULL,
             grp TEXT NOT NULL,
             free_ms INTEGER NOT NULL,
             head INTEGER NOT NULL,
             PRIMARY KEY (box, grp)
           ) WITHOUT ROWID""",
        "CREATE INDEX groups_free ON groups (box, free_ms, head)",
        """CREATE TABLE deduplications (
             queue INTEGER NOT NULL,
             key TEXT NOT NULL,
             until_ms INTEGER NOT NULL,
             sequence INTEGER NOT NULL,
             id TEXT NOT NULL,
             PRIMARY KEY (queue, key)
           ) WITHOUT ROWID""",
        "CREATE INDEX deduplications_until ON deduplications (until_ms)",
        """CREATE TABLE attempts (
             box INTEGER NOT NULL,
             attempt TEXT NOT NULL,
             until_ms INTEGER NOT NULL,
             receipts TEXT NOT NULL,              -- JSON: [[sequence, lease, due_ms], …]
             PRIMARY KEY (box, attempt)
           ) WITHOUT ROWID""",
        "CREATE INDEX attempts_until ON attempts (until_ms)",
    ),
)
