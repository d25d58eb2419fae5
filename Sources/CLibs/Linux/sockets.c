#if defined(__linux__)
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <string.h>

enum { so_original_dst = 80 };  // linux/netfilter_ipv4.h and ip6_tables.h; their headers clash with netinet/in.h

int kars_original_destination(int descriptor, int family, void *address, uint32_t *length) {
    memset(address, 0, sizeof(struct sockaddr_storage));
    if (family == AF_INET) {
        *length = sizeof(struct sockaddr_in);
        return getsockopt(descriptor, IPPROTO_IP, so_original_dst, address, length);
    }
    if (family == AF_INET6) {
        *length = sizeof(struct sockaddr_in6);
        return getsockopt(descriptor, IPPROTO_IPV6, so_original_dst, address, length);
    }
    errno = EAFNOSUPPORT;
    return -1;
}

int kars_accept(int listener, void *address, uint32_t *length) {
    *length = sizeof(struct sockaddr_storage);
    return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#endif
