"""One module per wire protocol of AWS, each compiled per operation from the service model.

`api.py` says what a protocol must offer; `registry.py` names those there are. A further protocol (smithy-rpc-v2-cbor,
rest-xml) is a further module and one line in the registry. Pure: requests and values in, responses out, no I/O.
"""
