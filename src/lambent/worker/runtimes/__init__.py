"""Runtime identifier → interpreter on this host, at exactly the asked version, and what it needs inside a sandbox.

`identifiers` says which runtimes exist, `search` where interpreters may lie, `probe` what a found one really is,
`layout` where things are kept in the runtimes directory, `guest_files` prepares what is mounted, `catalog` puts it
together, `install` fetches what is missing. Knows the sandbox's ports, nothing of functions or invocations.
"""
