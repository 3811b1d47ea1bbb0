"""The machine code of init, and of the way to have it: bytes, the instructions they are, the system calls these make.

Independent of the place it is at. Arguments come, and go to the kernel, in the registers of calling conventions; the
numbers of calls are those of `syscall_numbers`. See `init` for what it is for.

Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

# In intel syntax.
_X86_64_INIT = """
bf0f000000                 |         mov edi, 15                        prctl(PR_SET_NAME, name)
488d3544000000             |         lea rsi, [rip + name]
b89d000000 0f05            |         mov eax, 157; syscall
48c7c7ffffffff             | wait:   mov rdi, -1                        wait4(-1, stack, __WALL, NULL)
4889e6                     |         mov rsi, rsp
ba00000040                 |         mov edx, 0x40000000
4531d2                     |         xor r10d, r10d
b83d000000 0f05            |         mov eax, 61; syscall
83f8f6 7416                |         cmp eax, -10; je end               ECHILD: there is no program
83f802 75dd                |         cmp eax, 2; jne wait
31ff                       |         xor edi, edi                       write(0, stack, 4)
4889e6                     |         mov rsi, rsp
ba04000000                 |         mov edx, 4
b801000000 0f05            |         mov eax, 1; syscall
31ff                       | end:    xor edi, edi                       exit_group(0)
b8e7000000 0f05            |         mov eax, 231; syscall
6c616d62656e742d696e697400 0f1f00 | name:   "lambent-init"
"""
_X86_64_LEAVE = """
4989f2                     |         mov r10, rsi                       clone(rdi, 0, -, rsi, -)
31f6                       |         xor esi, esi
b838000000 0f05            |         mov eax, 56; syscall
85c0 7e57                  |         test eax, eax; jle return          the child, or an error: back to the caller
89d3                       |         mov ebx, edx                       dup3(r9, 0, 0)
4489cf                     |         mov edi, r9d
31f6                       |         xor esi, esi
31d2                       |         xor edx, edx
b824010000 0f05            |         mov eax, 292; syscall
bf01000000                 |         mov edi, 1                         close_range(1, file - 1, 0)
8d73ff                     |         lea esi, [rbx - 1]
b8b4010000 0f05            |         mov eax, 436; syscall
8d7b01                     |         lea edi, [rbx + 1]                 close_range(file + 1, ~0, 0)
beffffffff                 |         mov esi, -1
b8b4010000 0f05            |         mov eax, 436; syscall
89df                       |         mov edi, ebx                       execveat(file, "", r8, r8 + 8, AT_EMPTY_PATH)
488d3521000000             |         lea rsi, [rip + empty]
4c89c2                     |         mov rdx, r8
4d8d5008                   |         lea r10, [r8 + 8]
41b800100000               |         mov r8d, 0x1000
b842010000 0f05            |         mov eax, 322; syscall
bf7f000000                 |         mov edi, 127                       exit_group(127)
b8e7000000 0f05            |         mov eax, 231; syscall
c3                         | return: ret
00                         | empty:  ""
"""
_X86_64_THREAD_POINTER = """
64488b042500000000 c3      |         mov rax, fs:0; ret
"""

_AARCH64_INIT = """
e00180d2                   |         mov x0, #15                        prctl(PR_SET_NAME, name)
a1020010                   |         adr x1, name
e81480d2 010000d4          |         mov x8, #167; svc #0
00008092                   | wait:   mov x0, #-1                        wait4(-1, stack, __WALL, NULL)
e1030091                   |         mov x1, sp
0200a8d2                   |         mov x2, #0x40000000
030080d2                   |         mov x3, #0
882080d2 010000d4          |         mov x8, #260; svc #0
1f280031 00010054          |         cmn w0, #10; b.eq end              ECHILD: there is no program
1f080071 e1feff54          |         cmp w0, #2; b.ne wait
000080d2                   |         mov x0, #0                         write(0, stack, 4)
e1030091                   |         mov x1, sp
820080d2                   |         mov x2, #4
080880d2 010000d4          |         mov x8, #64; svc #0
000080d2                   | end:    mov x0, #0                         exit_group(0)
c80b80d2 010000d4          |         mov x8, #94; svc #0
6c616d62656e742d696e697400000000 | name:   "lambent-init"
"""
_AARCH64_LEAVE = """
e70301aa                   |         mov x7, x1                         clone(x0, 0, -, 0, x1)
010080d2                   |         mov x1, #0
e60304aa                   |         mov x6, x4
e40307aa                   |         mov x4, x7
030080d2                   |         mov x3, #0
881b80d2 010000d4          |         mov x8, #220; svc #0
1f000071 2d030054          |         cmp w0, #0; b.le return            the child, or an error: back to the caller
f303022a                   |         mov w19, w2                        dup3(w5, 0, 0)
e003052a                   |         mov w0, w5
010080d2                   |         mov x1, #0
020080d2                   |         mov x2, #0
080380d2 010000d4          |         mov x8, #24; svc #0
200080d2                   |         mov x0, #1                         close_range(1, file - 1, 0)
61060051                   |         sub w1, w19, #1
883680d2 010000d4          |         mov x8, #436; svc #0
60060011                   |         add w0, w19, #1                    close_range(file + 1, ~0, 0)
01008012                   |         mov w1, #-1
883680d2 010000d4          |         mov x8, #436; svc #0
e003132a                   |         mov w0, w19                        execveat(file, "", x6, x6 + 8, AT_EMPTY_PATH)
41010010                   |         adr x1, empty
e20306aa                   |         mov x2, x6
c3200091                   |         add x3, x6, #8
040082d2                   |         mov x4, #0x1000
282380d2 010000d4          |         mov x8, #281; svc #0
e00f80d2                   |         mov x0, #127                       exit_group(127)
c80b80d2 010000d4          |         mov x8, #94; svc #0
c0035fd6                   | return: ret
00                         | empty:  ""
"""
_AARCH64_THREAD_POINTER = """
40d03bd5 c0035fd6          |         mrs x0, tpidr_el0; ret
"""

E_MACHINE = {"x86_64": 62, "aarch64": 183}
_LISTINGS = {
    "x86_64": (_X86_64_INIT, _X86_64_LEAVE, _X86_64_THREAD_POINTER),
    "aarch64": (_AARCH64_INIT, _AARCH64_LEAVE, _AARCH64_THREAD_POINTER),
}


def code(machine: str) -> tuple[bytes, bytes, bytes]:
    """(init, leave, what returns the thread pointer) for `machine` (`os.uname().machine`)."""
    init, leave, thread_pointer = _LISTINGS[machine]
    return _assembled(init), _assembled(leave), _assembled(thread_pointer)


def _assembled(listing: str) -> bytes:
    return bytes.fromhex("".join([line.partition("|")[0] for line in listing.splitlines()]))
