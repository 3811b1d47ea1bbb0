"""What everything else speaks: frozen values with AWS's names, identifiers, limits, error types, the clock.

Imports nothing of lambent and does no I/O.
"""
