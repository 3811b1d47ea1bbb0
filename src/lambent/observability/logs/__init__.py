"""The log store: log groups and streams as append-only files, and their queries.

Theory of operation. A log group is a directory; its events lie in numbered *segments*, files that are only ever
appended to (`segment`: the framing, pure). One `append` is one frame and one write(2): when it returns, the kernel has
the lines and they survive the death of this process. Nothing is written twice and nothing waits for an index.

A segment is cut into *blocks* of some 128 KiB at frame boundaries. Of each block the index remembers which streams it
holds and their times (`blocks`, pure): enough to leave out what a query does not concern, small enough to stay in
memory (a million lines are some 1000 blocks). Finished blocks are noted in a file beside the segment; after a crash
only the bytes behind the last note are read again, and a torn last frame is cut off. The notes are a cache: the
segments alone are the truth, and each can be read by itself.

`group` is one group on disk (writing, recovery); `reading` merges blocks into pages ordered by time; `filter_pattern`
decides which messages match; `store` is what others use. Everything runs on the event loop's thread except the reads of
whole blocks from disk; decoding goes block by block (about a millisecond), so that a long query leaves the loop to
invocations in between.

May know: `model`, and the store port for the groups' settings.
"""
