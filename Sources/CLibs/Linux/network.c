#if defined(__linux__)
#define _GNU_SOURCE
#include "network.h"
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int kars_open_netlink(void) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE); }

int kars_bind_inet(uint32_t address, uint16_t port, int listening) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int type = (listening ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = socket(AF_INET, type, 0);
    if (descriptor < 0) return -1;
    if (bind(descriptor, (struct sockaddr *)&place, sizeof place) == 0 && (!listening || listen(descriptor, 256) == 0))
        return descriptor;
    int saved = errno;
    close(descriptor);
    errno = saved;
    return -1;
}
#endif
