// What the pod runner needs of Linux: namespaces, mounts, filters, descriptors over sockets. Thin: one call each, 0 or a
// descriptor on success, -1 with errno otherwise. All of it is for single-threaded processes.
#pragma once
#if defined(__linux__)
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

static const int KARS_NEWNS = 0x00020000, KARS_NEWUTS = 0x04000000, KARS_NEWIPC = 0x08000000, KARS_NEWUSER = 0x10000000,
                 KARS_NEWPID = 0x20000000, KARS_NEWNET = 0x40000000;

pid_t kars_fork(void);
/// A copy of this process in new namespaces, child of this process's *parent* when `sibling`; fork otherwise.
pid_t kars_clone(int namespaces, int sibling);
int kars_unshare(int namespaces);
int kars_join(int descriptor, int namespace_type);

static const int KARS_MOUNT_READ_ONLY = 1, KARS_MOUNT_NO_SETUID = 2, KARS_MOUNT_NO_DEVICES = 4, KARS_MOUNT_NO_EXEC = 8;
int kars_bind(const char *source, const char *target, int recursive);
int kars_mount(const char *type, const char *target, int attributes, const char *options);
int kars_make_private(const char *target);
/// Adds attributes to a mount (mount_setattr, Linux 5.12), to all below it when `recursive`.
int kars_restrict_mount(const char *target, int attributes, int recursive);
int kars_pivot_root(const char *new_root, const char *put_old);
/// Makes `target` the root and the old root unreachable.
int kars_change_root(const char *target);

int kars_die_with_parent(int signal);
int kars_set_dumpable(int dumpable);
int kars_no_new_privileges(void);
/// Drops everything not in `keep` (a bit per capability) from the bounding set, clears ambient and inheritable sets.
int kars_bound_capabilities(uint64_t keep);
/// Sets permitted and effective to `keep`, inheritable to nothing.
int kars_set_capabilities(uint64_t keep);
int kars_keep_capabilities(int keep);
/// `filter` is an array of `count` BPF instructions (struct sock_filter layout).
int kars_set_system_call_filter(const void *filter, size_t count);
int kars_set_identity(uid_t user, gid_t group, const gid_t *groups, size_t count);

int kars_execute(const char *path, char *const arguments[], char *const environment[]);
int kars_pipe(int ends[2]);
int kars_socket_pair(int ends[2]);
int kars_memory_file(const char *name);
int kars_signal_descriptor(const int *signals, size_t count);
/// The next signal that waits in a descriptor of `kars_signal_descriptor`, 0 when there is none.
int kars_next_signal(int descriptor);
/// Blocks the signals for this process; returns 0.
int kars_block_signals(const int *signals, size_t count);
void kars_reset_signals(void);
/// Marks every descriptor from `first` on close-on-exec.
int kars_close_on_exec_from(int first);
void kars_close_from(int first);
int kars_move_descriptor(int from, int to);
/// Sends bytes and up to 4 descriptors over a Unix socket.
ssize_t kars_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count);
/// `descriptor_count` is the room on entry and the number received on return. Received descriptors are close-on-exec.
ssize_t kars_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, size_t *descriptor_count);
int kars_peer_user(int socket, uid_t *user, pid_t *process);
int kars_listen_unix(const char *path);
int kars_connect_unix(const char *path);
/// Connects to 127.0.0.1, then ::1, on `port`, each within `timeout_ms`.
int kars_connect_loopback(uint16_t port, int timeout_ms);
/// A socket that listens on `port` of 127.0.0.1, or of ::1 when `six`; neither blocks nor leaks into a child process.
int kars_listen_loopback(uint16_t port, int six);
int kars_loopback_up(void);
int kars_make_device(const char *path, int major, int minor);
/// Opens a pseudo terminal of this mount namespace's /dev/ptmx: returns the controlling side, fills the other.
int kars_open_terminal(int *terminal);
int kars_take_terminal(int terminal);
int kars_set_host_name(const char *name);
/// Sets both limits to `most`, or leaves them lower where they are lower.
int kars_limit(int which, uint64_t most);
static const int KARS_LIMIT_PROCESSES = 1, KARS_LIMIT_FILES = 2, KARS_LIMIT_CORE = 3;
int kars_wait_status_exit_code(int status);
int kars_set_window_size(int terminal, uint16_t rows, uint16_t columns);

/* A descriptor that becomes readable when the process ends (pidfd_open(2)); -1 and errno on failure. */
int kars_pidfd_open(pid_t process);
/// Starts a detached process with the `count` descriptors, at most 8, as its first ones and a session of its own; -1 and errno, or its id.
pid_t kars_spawn(const char *path, char *const arguments[], char *const environment[], const int descriptors[], int count);
/// A TUN device can be opened: 0, else -1 with errno.
int kars_can_open_tun(void);
#endif
