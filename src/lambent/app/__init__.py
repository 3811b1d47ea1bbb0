"""The composition root: builds the parts from settings, wires the ports, starts and stops them in order.

Nothing else knows all the parts. `server.App` starts the stages one after the other, each on what came before:
`storage` (what is on disk), `identity` (who may what), `functions` (the control plane, and the data plane on this
host's worker), `serving` (the APIs, and the sockets they are on). Each stage pushes what ends it onto one exit stack;
stopping is that stack, from the top.
"""

from lambent.app.server import App, StartError

__all__ = ["App", "StartError"]
