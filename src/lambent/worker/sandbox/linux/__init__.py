"""The `linux` backend: namespaces, cgroups, seccomp, by system calls from pure Python."""
