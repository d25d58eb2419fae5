#if defined(__linux__)
#include "CLinux.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { so_original_dst = 80 };  // linux/netfilter_ipv4.h and ip6_tables.h; their headers clash with netinet/in.h

int kars_original_destination(int descriptor, int family, struct sockaddr_storage *address, socklen_t *length) {
    memset(address, 0, sizeof *address);
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
#endif
