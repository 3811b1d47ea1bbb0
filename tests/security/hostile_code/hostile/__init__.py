"""A function that tries to get out, to get at what is not its own, and to use up what all share.

Runs inside execution environments, of standard library only. Each module has attempts: functions that do something
forbidden and return what came of it. The tests in tests/security/environment know what must come of it.
"""
