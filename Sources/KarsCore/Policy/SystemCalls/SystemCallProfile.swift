/// The `kars-strict` profile: the calls a container may make, by their number on each architecture, and what is looked at beyond the
/// number. The local cluster compiles it to a filter, other clusters get it as a file for their container runtime.
///
/// From spec/controller Appendix A without `process_vm_readv` and `pidfd_getfd`, which only read other processes.
package enum SystemCallProfile {
    package enum Architecture: CaseIterable, Sendable {
        case amd64
        case arm64

        /// AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 (linux/audit.h).
        package var auditValue: UInt32 { self == .amd64 ? 0xC000_003E : 0xC000_00B7 }

        #if arch(x86_64)
        package static let current = Architecture.amd64
        #elseif arch(arm64)
        package static let current = Architecture.arm64
        #endif
    }

    package struct Call: Equatable, Sendable {
        package var name: String
        package var number: UInt32
    }

    /// `clone` with one of these would make a namespace: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
    package static let namespaceFlags: UInt32 = 0x7E02_0000
    /// What `socket` may be asked for, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: others no network namespace confines.
    package static let socketFamilies: [UInt32] = [1, 2, 10, 16]
    /// What `ioctl` may not be asked for, TIOCSTI and TIOCLINUX: input for a terminal as if its user had typed it.
    package static let refusedControls: [UInt32] = [0x5412, 0x541C]

    package static func calls(on architecture: Architecture) -> [Call] {
        (allowed + additions).compactMap { name, amd64, arm64 in
            (architecture == .amd64 ? amd64 : arm64).map { Call(name: name, number: UInt32($0)) }
        }
    }

    /// Above this number a call is newer than the profile and answered ENOSYS, so that libraries fall back to an older one.
    package static let newestKnown: UInt32 = 450

    private typealias Entry = (name: String, amd64: Int?, arm64: Int?)

    private static let allowed: [Entry] = [
        ("accept", 43, 202), ("accept4", 288, 242), ("access", 21, nil), ("arch_prctl", 158, nil), ("bind", 49, 200),
        ("brk", 12, 214), ("chdir", 80, 49), ("chmod", 90, nil), ("chown", 92, nil), ("clock_getres", 229, 114),
        ("clock_gettime", 228, 113), ("clock_nanosleep", 230, 115), ("clone", 56, 220), ("clone3", 435, 435),
        ("close", 3, 57), ("close_range", 436, 436), ("connect", 42, 203), ("copy_file_range", 326, 285),
        ("creat", 85, nil), ("dup", 32, 23), ("dup2", 33, nil), ("dup3", 292, 24), ("epoll_create1", 291, 20),
        ("epoll_ctl", 233, 21), ("epoll_pwait", 281, 22), ("epoll_pwait2", 441, 441), ("epoll_wait", 232, nil),
        ("eventfd", 284, nil), ("eventfd2", 290, 19), ("execve", 59, 221), ("execveat", 322, 281), ("exit", 60, 93),
        ("exit_group", 231, 94), ("faccessat", 269, 48), ("faccessat2", 439, 439), ("fallocate", 285, 47),
        ("fchdir", 81, 50), ("fchmod", 91, 52), ("fchmodat", 268, 53), ("fchown", 93, 55), ("fchownat", 260, 54),
        ("fcntl", 72, 25), ("fdatasync", 75, 83), ("flock", 73, 32), ("fork", 57, nil), ("fstat", 5, 80),
        ("fstatfs", 138, 44), ("fsync", 74, 82), ("ftruncate", 77, 46), ("futex", 202, 98),
        ("futex_waitv", 449, 449), ("futimesat", 261, nil), ("get_robust_list", 274, 100), ("getcwd", 79, 17),
        ("getdents", 78, nil), ("getdents64", 217, 61), ("getegid", 108, 177), ("geteuid", 107, 175),
        ("getgid", 104, 176), ("getgroups", 115, 158), ("getpeername", 52, 205), ("getpgid", 121, 155),
        ("getpgrp", 111, nil), ("getpid", 39, 172), ("getppid", 110, 173), ("getrandom", 318, 278),
        ("getrlimit", 97, 163), ("getrusage", 98, 165), ("getsid", 124, 156), ("getsockname", 51, 204),
        ("getsockopt", 55, 209), ("gettid", 186, 178), ("gettimeofday", 96, 169), ("getuid", 102, 174),
        ("inotify_add_watch", 254, 27), ("inotify_init1", 294, 26), ("inotify_rm_watch", 255, 28), ("ioctl", 16, 29),
        ("kill", 62, 129), ("landlock_add_rule", 445, 445), ("landlock_create_ruleset", 444, 444),
        ("landlock_restrict_self", 446, 446), ("lchown", 94, nil), ("link", 86, nil), ("linkat", 265, 37),
        ("listen", 50, 201), ("lseek", 8, 62), ("lstat", 6, nil), ("madvise", 28, 233), ("memfd_create", 319, 279),
        ("mkdir", 83, nil), ("mkdirat", 258, 34), ("mmap", 9, 222), ("mprotect", 10, 226), ("mremap", 25, 216),
        ("msync", 26, 227), ("munmap", 11, 215), ("nanosleep", 35, 101), ("newfstatat", 262, 79), ("open", 2, nil),
        ("openat", 257, 56), ("openat2", 437, 437), ("pidfd_open", 434, 434), ("pidfd_send_signal", 424, 424),
        ("pipe", 22, nil), ("pipe2", 293, 59), ("poll", 7, nil), ("ppoll", 271, 73), ("prctl", 157, 167),
        ("pread64", 17, 67), ("prlimit64", 302, 261), ("pselect6", 270, 72), ("pwrite64", 18, 68), ("read", 0, 63),
        ("readlink", 89, nil), ("readlinkat", 267, 78), ("readv", 19, 65), ("recvfrom", 45, 207),
        ("recvmmsg", 299, 243), ("recvmsg", 47, 212), ("rename", 82, nil), ("renameat", 264, 38),
        ("renameat2", 316, 276), ("rmdir", 84, nil), ("rseq", 334, 293), ("rt_sigaction", 13, 134),
        ("rt_sigpending", 127, 136), ("rt_sigprocmask", 14, 135), ("rt_sigreturn", 15, 139),
        ("rt_sigsuspend", 130, 133), ("sched_getaffinity", 204, 123), ("sched_getattr", 315, 275),
        ("sched_setaffinity", 203, 122), ("sched_setattr", 314, 274), ("sched_yield", 24, 124), ("select", 23, nil),
        ("sendfile", 40, 71), ("sendmmsg", 307, 269), ("sendmsg", 46, 211), ("sendto", 44, 206),
        ("set_robust_list", 273, 99), ("set_tid_address", 218, 96), ("setpgid", 109, 154), ("setrlimit", 160, 164),
        ("setsid", 112, 157), ("setsockopt", 54, 208), ("shutdown", 48, 210), ("sigaltstack", 131, 132),
        ("signalfd", 282, nil), ("signalfd4", 289, 74), ("socket", 41, 198), ("socketpair", 53, 199),
        ("stat", 4, nil), ("statfs", 137, 43), ("statx", 332, 291), ("symlink", 88, nil), ("symlinkat", 266, 36),
        ("sync", 162, 81), ("sysinfo", 99, 179), ("tgkill", 234, 131), ("timerfd_create", 283, 85),
        ("timerfd_gettime", 287, 87), ("timerfd_settime", 286, 86), ("truncate", 76, 45), ("umask", 95, 166),
        ("uname", 63, 160), ("unlink", 87, nil), ("unlinkat", 263, 35), ("utimensat", 280, 88), ("vfork", 58, nil),
        ("wait4", 61, 260), ("waitid", 247, 95), ("write", 1, 64), ("writev", 20, 66),
    ]

    /// What today's C library and tools call in the course of ordinary work: a restarted wait, timers of curl and Python,
    /// locked memory of libsodium, attributes that `ls` shows, barriers and scheduling questions of language runtimes.
    private static let additions: [Entry] = [
        ("alarm", 37, nil), ("fadvise64", 221, 223), ("fgetxattr", 193, 10), ("flistxattr", 196, 13),
        ("getitimer", 36, 102), ("getpriority", 140, 141), ("getxattr", 191, 8), ("lgetxattr", 192, 9),
        ("listxattr", 194, 11), ("llistxattr", 195, 12), ("membarrier", 324, 283), ("mlock", 149, 228),
        ("munlock", 150, 229), ("restart_syscall", 219, 128), ("rt_sigqueueinfo", 129, 138),
        ("rt_sigtimedwait", 128, 137), ("sched_get_priority_max", 146, 125), ("sched_get_priority_min", 147, 126),
        ("sched_getparam", 143, 121), ("sched_getscheduler", 145, 120), ("setitimer", 38, 103), ("times", 100, 153),
    ]
}
