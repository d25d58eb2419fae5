// Linux calls that Swift cannot import: variadic functions, macros and structures without a libc wrapper.
// Each function says which call it is; policy and error text live in Swift. No header here declares what Glibc declares for Swift:
// the same structure from two modules is two to the importer.
#pragma once
#if defined(__linux__)
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include "sandbox.h"
#include "network.h"

/// The address a connection had before a REDIRECT rule changed it (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST).
/// Returns 0 and fills `address` (a sockaddr_storage), or -1 with errno set.
int kars_original_destination(int descriptor, int family, void *address, uint32_t *length);

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC: a new connection that neither blocks nor leaks into a child process.
/// Returns the descriptor and fills `address` (a sockaddr_storage), or -1 with errno set.
int kars_accept(int listener, void *address, uint32_t *length);
#endif
