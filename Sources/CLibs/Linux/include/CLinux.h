// Linux calls that Swift cannot import: variadic functions, macros and structures without a libc wrapper.
// Each function says which call it is; policy and error text live in Swift.
#pragma once
#if defined(__linux__)
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include "sandbox.h"

/// The address a connection had before a REDIRECT rule changed it (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST).
/// Returns 0 and fills `address`, or -1 with errno set.
int kars_original_destination(int descriptor, int family, struct sockaddr_storage *address, socklen_t *length);
#endif
