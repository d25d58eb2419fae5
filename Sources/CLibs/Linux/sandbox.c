#if defined(__linux__)
#define _GNU_SOURCE
#include "sandbox.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

pid_t kars_fork(void) { return fork(); }

pid_t kars_clone(int namespaces, int sibling) {
    unsigned long flags = (unsigned long)namespaces | SIGCHLD | (sibling ? CLONE_PARENT : 0);
    // All pointers are null, so their order, which differs between architectures, does not matter.
    return (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
}

int kars_unshare(int namespaces) { return unshare(namespaces); }
int kars_join(int descriptor, int namespace_type) { return setns(descriptor, namespace_type); }

struct kars_mount_attr { uint64_t attr_set, attr_clr, propagation, userns_fd; };

int kars_restrict_mount(const char *target, int attributes, int recursive) {
    struct kars_mount_attr attr = {0};
    if (attributes & KARS_MOUNT_READ_ONLY) attr.attr_set |= 0x1;
    if (attributes & KARS_MOUNT_NO_SETUID) attr.attr_set |= 0x2;
    if (attributes & KARS_MOUNT_NO_DEVICES) attr.attr_set |= 0x4;
    if (attributes & KARS_MOUNT_NO_EXEC) attr.attr_set |= 0x8;
    return (int)syscall(SYS_mount_setattr, AT_FDCWD, target, recursive ? AT_RECURSIVE : 0, &attr, sizeof attr);
}

int kars_bind(const char *source, const char *target, int recursive) {
    return mount(source, target, NULL, MS_BIND | (recursive ? MS_REC : 0), NULL);
}

int kars_mount(const char *type, const char *target, int attributes, const char *options) {
    unsigned long flags = 0;
    if (attributes & KARS_MOUNT_READ_ONLY) flags |= MS_RDONLY;
    if (attributes & KARS_MOUNT_NO_SETUID) flags |= MS_NOSUID;
    if (attributes & KARS_MOUNT_NO_DEVICES) flags |= MS_NODEV;
    if (attributes & KARS_MOUNT_NO_EXEC) flags |= MS_NOEXEC;
    return mount(type, target, type, flags, options);
}

int kars_make_private(const char *target) { return mount(NULL, target, NULL, MS_REC | MS_PRIVATE, NULL); }

int kars_pivot_root(const char *new_root, const char *put_old) { return (int)syscall(SYS_pivot_root, new_root, put_old); }

int kars_change_root(const char *target) {
    if (chdir(target) != 0) return -1;
    // pivot_root(".", "."): the old root is stacked on the new one and then taken away (pivot_root(2), NOTES).
    if (syscall(SYS_pivot_root, ".", ".") != 0) return -1;
    if (mount(NULL, ".", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
    if (umount2(".", MNT_DETACH) != 0) return -1;
    return chdir("/");
}

int kars_die_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }
int kars_set_dumpable(int dumpable) { return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0); }
int kars_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
int kars_keep_capabilities(int keep) { return prctl(PR_SET_KEEPCAPS, keep, 0, 0, 0); }

int kars_bound_capabilities(uint64_t keep) {
    for (int capability = 0; capability < 64; capability++) {
        if (keep >> capability & 1) continue;
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0) break;  // past the last one this kernel knows
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return -1;
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) return -1;
    return 0;
}

int kars_set_capabilities(uint64_t keep) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)keep, .permitted = (uint32_t)keep, .inheritable = 0},
        {.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32), .inheritable = 0},
    };
    return (int)syscall(SYS_capset, &header, data);
}

int kars_set_system_call_filter(const void *filter, size_t count) {
    struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)filter};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int kars_set_identity(uid_t user, gid_t group, const gid_t *groups, size_t count) {
    if (setgroups(count, groups) != 0) return -1;
    if (setresgid(group, group, group) != 0) return -1;
    return setresuid(user, user, user);
}

int kars_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
int kars_socket_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }
int kars_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

static void fill(sigset_t *set, const int *signals, size_t count) {
    sigemptyset(set);
    for (size_t i = 0; i < count; i++) sigaddset(set, signals[i]);
}

int kars_block_signals(const int *signals, size_t count) {
    sigset_t set;
    fill(&set, signals, count);
    return sigprocmask(SIG_BLOCK, &set, NULL);
}

int kars_signal_descriptor(const int *signals, size_t count) {
    sigset_t set;
    fill(&set, signals, count);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int kars_next_signal(int descriptor) {
    struct signalfd_siginfo information;
    return read(descriptor, &information, sizeof information) == sizeof information ? (int)information.ssi_signo : 0;
}

void kars_reset_signals(void) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int kars_close_on_exec_from(int first) {
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) == 0) return 0;
    for (int descriptor = first; descriptor < 4096; descriptor++) {
        int flags = fcntl(descriptor, F_GETFD);
        if (flags >= 0) fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC);
    }
    return 0;
}

void kars_close_from(int first) {
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0) == 0) return;
    for (int descriptor = first; descriptor < 4096; descriptor++) close(descriptor);
}

int kars_move_descriptor(int from, int to) {
    if (from == to) return fcntl(from, F_SETFD, 0);
    return dup2(from, to) < 0 ? -1 : 0;
}

enum { max_descriptors = 4 };

ssize_t kars_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count) {
    union { char space[CMSG_SPACE(sizeof(int) * max_descriptors)]; struct cmsghdr align; } control;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count > max_descriptors) { errno = EINVAL; return -1; }
    if (descriptor_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

ssize_t kars_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, size_t *descriptor_count) {
    union { char space[CMSG_SPACE(sizeof(int) * max_descriptors)]; struct cmsghdr align; } control;
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    size_t room = *descriptor_count, received = 0;
    *descriptor_count = 0;
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (length < 0) return length;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
            if (received < room) descriptors[received++] = descriptor; else close(descriptor);
        }
    }
    *descriptor_count = received;
    return length;
}

int kars_peer_user(int socket, uid_t *user, pid_t *process) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    *user = peer.uid;
    *process = peer.pid;
    return 0;
}

// A socket address holds 108 bytes of path; longer ones are reached through the directory's descriptor.
static int unix_address(const char *path, struct sockaddr_un *address, int *directory) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    *directory = -1;
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL || strlen(slash) > 60) { errno = ENAMETOOLONG; return -1; }
    char *parent = strndup(path, (size_t)(slash - path));
    if (parent == NULL) return -1;
    *directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    if (*directory < 0) return -1;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s", *directory, slash);
    return 0;
}

static int unix_socket(const char *path, int listening) {
    struct sockaddr_un address;
    int directory, result;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (unix_address(path, &address, &directory) != 0) { close(descriptor); return -1; }
    if (listening) {
        mode_t old = umask(0177);
        result = bind(descriptor, (struct sockaddr *)&address, sizeof address);
        umask(old);
        if (result == 0) result = listen(descriptor, 64);
    } else {
        result = connect(descriptor, (struct sockaddr *)&address, sizeof address);
    }
    int saved = errno;
    if (directory >= 0) close(directory);
    if (result != 0) { close(descriptor); errno = saved; return -1; }
    return descriptor;
}

int kars_listen_unix(const char *path) { return unix_socket(path, 1); }
int kars_connect_unix(const char *path) { return unix_socket(path, 0); }

static int connect_within(const struct sockaddr *address, socklen_t length, int timeout_ms) {
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -1;
    if (connect(descriptor, address, length) != 0) {
        struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
        int error = errno;
        socklen_t size = sizeof error;
        if (error == EINPROGRESS) {
            if (poll(&wait, 1, timeout_ms) != 1) error = ETIMEDOUT;
            else if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        }
        if (error != 0) { close(descriptor); errno = error; return -1; }
    }
    return descriptor;
}

int kars_connect_loopback(uint16_t port, int timeout_ms) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = connect_within((struct sockaddr *)&four, sizeof four, timeout_ms);
    if (descriptor >= 0 || errno != ECONNREFUSED) return descriptor;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    descriptor = connect_within((struct sockaddr *)&six, sizeof six, timeout_ms);
    if (descriptor < 0) errno = ECONNREFUSED;
    return descriptor;
}

int kars_listen_loopback(uint16_t port, int six) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 long_form = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr *address = six ? (struct sockaddr *)&long_form : (struct sockaddr *)&four;
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (descriptor < 0) return -1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0
        && bind(descriptor, address, six ? sizeof long_form : sizeof four) == 0 && listen(descriptor, 128) == 0)
        return descriptor;
    int saved = errno;
    close(descriptor);
    errno = saved;
    return -1;
}

int kars_loopback_up(void) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lo");
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    int result = ioctl(descriptor, SIOCGIFFLAGS, &request);
    if (result == 0) {
        request.ifr_flags |= IFF_UP | IFF_RUNNING;
        result = ioctl(descriptor, SIOCSIFFLAGS, &request);
    }
    close(descriptor);
    return result;
}

int kars_make_device(const char *path, int major, int minor) {
    if (mknod(path, S_IFCHR | 0666, makedev((unsigned)major, (unsigned)minor)) != 0) return -1;
    return chmod(path, 0666);
}

int kars_open_terminal(int *terminal) {
    int controller = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (controller < 0) return -1;
    char name[64];
    if (grantpt(controller) != 0 || unlockpt(controller) != 0 || ptsname_r(controller, name, sizeof name) != 0) goto failed;
    *terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*terminal < 0) goto failed;
    return controller;
failed:;
    int saved = errno;
    close(controller);
    errno = saved;
    return -1;
}

int kars_take_terminal(int terminal) {
    if (setsid() < 0) return -1;
    return ioctl(terminal, TIOCSCTTY, 0);
}

int kars_set_host_name(const char *name) { return sethostname(name, strlen(name)); }

int kars_limit(int which, uint64_t most) {
    int resource;
    struct rlimit limit;
    if (which == KARS_LIMIT_PROCESSES) resource = RLIMIT_NPROC;
    else if (which == KARS_LIMIT_FILES) resource = RLIMIT_NOFILE;
    else if (which == KARS_LIMIT_CORE) resource = RLIMIT_CORE;
    else { errno = EINVAL; return -1; }
    if (getrlimit(resource, &limit) != 0) return -1;
    if (limit.rlim_max > most) limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit);
}

int kars_wait_status_exit_code(int status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return 128 + WTERMSIG(status);
}

int kars_execute(const char *path, char *const arguments[], char *const environment[]) {
    return execve(path, arguments, environment);
}

int kars_set_window_size(int terminal, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(terminal, TIOCSWINSZ, &size);
}

int kars_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

pid_t kars_spawn(const char *path, char *const arguments[], char *const environment[], const int descriptors[], int count) {
    // Sources may lie among the targets: first above them, then down, so that none is overwritten before it is used.
    int above[8];
    if (count < 0 || count > 8) { errno = EINVAL; return -1; }
    pid_t process = -1;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    for (int i = 0; i < count; i++) above[i] = -1;
    for (int i = 0; i < count; i++) {
        above[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 10);
        if (above[i] < 0) goto done;
    }
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < count; i++) posix_spawn_file_actions_adddup2(&actions, above[i], i);
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(&process, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) { process = -1; errno = error; }
done:;
    int saved = errno;
    for (int i = 0; i < count; i++) if (above[i] >= 0) close(above[i]);
    errno = saved;
    return process;
}

int kars_can_open_tun(void) {
    int descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return -1;
    close(descriptor);
    return 0;
}
#endif
