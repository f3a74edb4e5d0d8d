#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_storage unpacked(const holdfast_address *address) {
    struct sockaddr_storage storage;
    memset(&storage, 0, sizeof storage);
    memcpy(&storage, address->bytes, address->length);
    return storage;
}

static bool pack(const struct sockaddr *from, socklen_t length, holdfast_address *into) {
    if (length > sizeof into->bytes) return false;
    memset(into, 0, sizeof *into);
    memcpy(into->bytes, from, length);
    into->length = length;
    return true;
}

int holdfast_resolve(
    const char *host, uint16_t port, bool numeric, holdfast_address *addresses, int capacity
) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : AI_ADDRCONFIG),
    };
    struct addrinfo *list = NULL;
    int code = getaddrinfo(host, service, &hints, &list);
    if (code != 0) return code;
    int count = 0;
    for (struct addrinfo *each = list; each != NULL && count < capacity; each = each->ai_next) {
        bool internet = each->ai_family == AF_INET || each->ai_family == AF_INET6;
        if (internet && pack(each->ai_addr, each->ai_addrlen, &addresses[count])) count++;
    }
    freeaddrinfo(list);
    return count;
}

int holdfast_address_text(
    const holdfast_address *address, char *host, size_t capacity, uint16_t *port
) {
    struct sockaddr_storage storage = unpacked(address);
    char service[8];
    int code = getnameinfo(
        (struct sockaddr *)&storage, address->length, host, (socklen_t)capacity, service,
        sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    if (code != 0) return code;
    *port = ntohs(
        storage.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&storage)->sin6_port
                                      : ((struct sockaddr_in *)&storage)->sin_port);
    return 0;
}

static int new_socket(const struct sockaddr_storage *address) {
    return socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int failed(int descriptor) {
    int error = errno;
    if (descriptor >= 0) close(descriptor);
    return -error;
}

// The first listener binds without SO_REUSEPORT, so that it meets whoever has the port, in whatever
// mode; it takes the option before listen(2), which is when the kernel forms the group that
// connections are spread over. Those that join bind with the option.
int holdfast_listen(const holdfast_address *address, int backlog, bool joins) {
    struct sockaddr_storage storage = unpacked(address);
    int one = 1;
    int descriptor = new_socket(&storage);
    if (descriptor < 0) return failed(descriptor);
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        return failed(descriptor);
    if (joins && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        return failed(descriptor);
    if (storage.ss_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(descriptor, (struct sockaddr *)&storage, address->length) != 0)
        return failed(descriptor);
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        return failed(descriptor);
    if (listen(descriptor, backlog) != 0) return failed(descriptor);
    return descriptor;
}

int holdfast_accept(int listener, holdfast_address *peer) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int one = 1;
    int descriptor = accept4(
        listener, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return failed(descriptor);
    if (!pack((struct sockaddr *)&storage, length, peer)) memset(peer, 0, sizeof *peer);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return descriptor;
}

int holdfast_connect(const holdfast_address *address) {
    struct sockaddr_storage storage = unpacked(address);
    int one = 1;
    int descriptor = new_socket(&storage);
    if (descriptor < 0) return failed(descriptor);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // An interrupted connect goes on in the background (connect(2), EINTR).
    if (connect(descriptor, (struct sockaddr *)&storage, address->length) != 0
        && errno != EINPROGRESS && errno != EINTR)
        return failed(descriptor);
    return descriptor;
}

int holdfast_connected(int socket) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -errno;
    if (error != 0) return -error;

    struct sockaddr_storage here, there;
    socklen_t here_length = sizeof here, there_length = sizeof there;
    if (getsockname(socket, (struct sockaddr *)&here, &here_length) != 0) return -errno;
    if (getpeername(socket, (struct sockaddr *)&there, &there_length) != 0) return -errno;
    if (here_length == there_length && memcmp(&here, &there, here_length) == 0)
        return -ECONNREFUSED;
    return 0;
}

int holdfast_local_address(int socket, holdfast_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(socket, (struct sockaddr *)&storage, &length) != 0) return -errno;
    return pack((struct sockaddr *)&storage, length, address) ? 0 : -EAFNOSUPPORT;
}

ssize_t holdfast_send(int socket, const struct iovec *buffers, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)buffers, .msg_iovlen = (size_t)count};
    // One buffer saves the kernel the copy of the message's description.
    ssize_t sent = count == 1
        ? send(socket, buffers[0].iov_base, buffers[0].iov_len, MSG_NOSIGNAL)
        : sendmsg(socket, &message, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}
