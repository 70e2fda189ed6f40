/* What is asked of the network: hosts by name, and by number those that no name was looked up for. Never this machine. */
#define _GNU_SOURCE
#include "preload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_NAME 300

static bool is_this_machine(const char *name)
{
    return !strncmp(name, "127.", 4) || !strcmp(name, "::1") || !strcmp(name, "localhost") || !strcmp(name, "0.0.0.0") ||
           !strcmp(name, "::") || !strcasecmp(name, ml_host()) || !strncmp(name, "localhost.", 10) ||
           !strcmp(name, "ip6-localhost");
}

static void tell_host(const char *host, const char *service)
{
    char text[MOST_NAME + 64];
    const char *form = strchr(host, ':') ? "tcp://[%.*s]%s%.32s" : "tcp://%.*s%s%.32s";
    snprintf(text, sizeof text, form, MOST_NAME, host, service ? ":" : "", service ? service : "");
    uint64_t hash = ml_hash(text, strlen(text));
    if (ml_known('n', hash))
        return;
    ml_remember('n', hash);
    ml_tell_text('n', text, NULL);
}

static uint64_t address_of(const struct sockaddr *address, const void **bytes)
{
    if (address->sa_family == AF_INET) {
        *bytes = &((const struct sockaddr_in *)address)->sin_addr;
        return ml_hash(*bytes, 4);
    }
    if (address->sa_family == AF_INET6) {
        *bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return ml_hash(*bytes, 16);
    }
    *bytes = NULL;
    return 0;
}

EXPORT int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
                       struct addrinfo **restrict found)
{
    int done = REAL(getaddrinfo)(name, service, hints, found);
    if (done == 0 && name && ml_on() && !is_this_machine(name)) {
        int saved = errno;
        const void *bytes;
        for (struct addrinfo *one = *found; one; one = one->ai_next)
            ml_remember('a', address_of(one->ai_addr, &bytes));
        if (!hints || !(hints->ai_flags & AI_PASSIVE)) /* what is bound to is not asked */
            tell_host(name, service);
        errno = saved;
    }
    return done;
}

/* Is the other end of a connection this machine, under whatever address? */
static bool is_own(int fd, const void *bytes, int family)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    const void *mine;
    if (getsockname(fd, (struct sockaddr *)&own, &size) || own.ss_family != family)
        return false;
    address_of((struct sockaddr *)&own, &mine);
    return mine && !memcmp(mine, bytes, family == AF_INET ? 4 : 16);
}

static void tell_connect(int fd, const struct sockaddr *address)
{
    const void *bytes;
    uint64_t hash = address_of(address, &bytes);
    int kind = 0;
    socklen_t size = sizeof kind;
    char host[INET6_ADDRSTRLEN], port[8];
    if (bytes == NULL || ml_known('a', hash) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) || kind != SOCK_STREAM)
        return;
    if (inet_ntop(address->sa_family, bytes, host, sizeof host) == NULL)
        return;
    const char *plain = strncmp(host, "::ffff:", 7) ? host : host + 7;
    if (is_this_machine(plain) || is_own(fd, bytes, address->sa_family))
        return;
    in_port_t number = address->sa_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
                                                     : ((const struct sockaddr_in6 *)address)->sin6_port;
    snprintf(port, sizeof port, "%u", ntohs(number));
    tell_host(plain, port);
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int done = REAL(connect)(fd, address, size);
    if ((done == 0 || errno == EINPROGRESS) && address && size >= sizeof(sa_family_t) && ml_on()) {
        int saved = errno;
        tell_connect(fd, address);
        errno = saved;
    }
    return done;
}
