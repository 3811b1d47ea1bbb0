"""The data plane: frontend → counting (admission) → assignment → a worker, through `ports.py`."""
