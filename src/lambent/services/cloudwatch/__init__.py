"""CloudWatch metrics: put, list and ask for statistics.

May know the metric store, and nothing of who else writes there.
"""
