"""The way out of sandboxes: network namespaces with one interface each, connected to a router of this server's own.

Theory of operation. The *router* is a network namespace that the server holds and nobody else sees. Every sandbox that
may reach a network gets a ready namespace with a veth pair into the router; what it may reach is decided there, by
nftables rules, one chain for each policy. One more veth pair, the *uplink*, leads from the router to the host, which
masquerades what comes out of it. So the host sees one interface and one small table, whatever the number of sandboxes;
and addresses inside can never clash with the host's.

Sandboxes reach nothing of the router but its name server (`dns`): the server's, which asks those that the host asks.
It is also what makes allow-lists of host names work: the addresses that it answers for allowed names are opened.

Nothing stays when the server dies, however: the router goes with the server's descriptors, the uplink with the router,
and the host's table with the socket that owns it. Only the switch that makes the host forward packets is noted in the
state directory, for the next start to set it back.

An ordinary user's router is a process in the user namespace of the base, and its uplink leads to slirp4netns, which
does what it is asked for by sockets of its own on the host. So addresses of the host are among what that router
refuses.

`policy` and `addresses` know no I/O. `netlink`, `links`, `nftables`, `namespaces` speak to the kernel; `router` uses
them, in a thread or process of its own that changes namespaces; `networks` keeps ready ones; `dns` is the name server,
on the event loop. For root: `router_thread`, `host_link`. For an ordinary user: `router_process`, its other end
`router_client`, `slirp`, `host_addresses`. `outlook` tells beforehand what is likely.
"""
