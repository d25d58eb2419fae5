// What the network of the embedded cluster's node needs of Linux beside `sandbox.h`: sockets that are made in the namespace of the
// calling process and served elsewhere. A descriptor on success, -1 with errno otherwise.
#pragma once
#if defined(__linux__)
#include <stdint.h>

/// A socket to the kernel about links, addresses and routes (rtnetlink(7)).
int kars_open_netlink(void);
/// A socket at an IPv4 address, both in this machine's byte order: TCP and listening, or UDP. It neither blocks nor leaks into a child.
int kars_bind_inet(uint32_t address, uint16_t port, int listening);
#endif
