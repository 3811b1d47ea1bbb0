"""The `linux` backend: namespaces, cgroups, seccomp, by system calls from pure Python. Needs root.

Theory of operation. Three kinds of process besides the sandboxes:

- The *server* (`backend`, `spawner_client`, `sandbox`, `cgroup*`, `probe`, `seccomp`): asyncio, never forks. It makes
  the cgroups and the pipes, asks a spawner for a sandbox, holds a pidfd of each and ends them.
- The *base* (`base`), and one *zygote* for each program that sandboxes are forked from: small single-threaded processes
  that are started ahead and forked into spawners.
- One *spawner* per template (`spawner`, `rootfs`, `enter`, `syscalls`, `wire`): a small single-threaded process that
  builds the template's root file system once in its own mount namespace, as real root, and moves into it. Every
  sandbox is then a `clone3` away: the kernel copies the finished mount tree, and only /proc, /tmp and /dev/shm are
  mounted anew. Building the root outside the user namespace is also what lets binds lie below directories that only
  root may enter. These modules import only the standard library, and little of it: start-up time is cold-start time.

Programs that cannot be forked may be started ahead, each in a sandbox of its own that becomes somebody's
(`head_starts`, `attendant`).

They speak by messages on one SOCK_SEQPACKET socket (`wire`). A new sandbox reports to the server on a socket of its
own: its listening sockets, then end of file once the program was executed, or the step that failed. So many sandboxes
set themselves up at the same time while the spawner goes on.

Who ends whom: the server holds a pidfd of every sandbox's pid 1 and kills that; the kernel takes the rest of the pid
namespace with it. When the server dies the spawner sees end of file and kills its sandboxes; when the spawner dies
they get their parent-death signal, and the server kills what is left and removes the cgroups. When both die at the
same moment, the parent-death signal ends the sandboxes, and the next `start` removes their cgroups.
"""
