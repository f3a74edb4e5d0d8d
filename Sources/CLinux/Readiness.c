#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static _Thread_local void *thread_mark;

void *holdfast_thread_mark(void) { return thread_mark; }
void holdfast_set_thread_mark(void *mark) { thread_mark = mark; }
void holdfast_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int holdfast_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int holdfast_epoll_add(int epoll, int descriptor, uint64_t token) {
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = token,
    };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : -errno;
}

int holdfast_epoll_remove(int epoll, int descriptor) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL) == 0 ? 0 : -errno;
}

int holdfast_epoll_wait(int epoll, holdfast_readiness *ready, int capacity, int64_t nanoseconds) {
    enum { BATCH = 256 };
    struct epoll_event events[BATCH];
    struct timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    int count = epoll_pwait2(
        epoll, events, capacity < BATCH ? capacity : BATCH, nanoseconds < 0 ? NULL : &limit, NULL);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int each = 0; each < count; each++) {
        uint32_t seen = events[each].events;
        uint32_t events_of_ours = 0;
        if (seen & EPOLLIN) events_of_ours |= HOLDFAST_READABLE;
        if (seen & EPOLLOUT) events_of_ours |= HOLDFAST_WRITABLE;
        if (seen & EPOLLRDHUP) events_of_ours |= HOLDFAST_ENDED;
        if (seen & (EPOLLHUP | EPOLLERR)) events_of_ours |= HOLDFAST_ENDED | HOLDFAST_FAILED;
        ready[each] = (holdfast_readiness){events[each].data.u64, events_of_ours};
    }
    return count;
}

int holdfast_eventfd(bool semaphore) {
    int descriptor = eventfd(0, EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : EFD_NONBLOCK));
    return descriptor < 0 ? -errno : descriptor;
}

void holdfast_eventfd_add(int descriptor, uint64_t count) {
    while (eventfd_write(descriptor, count) != 0 && errno == EINTR) {}
}

void holdfast_eventfd_take(int descriptor) {
    eventfd_t value;
    while (eventfd_read(descriptor, &value) != 0 && errno == EINTR) {}
}

static bool is_ready(int descriptor, short events) {
    struct pollfd question = {.fd = descriptor, .events = events};
    return poll(&question, 1, 0) > 0 && (question.revents & events) != 0;
}

bool holdfast_is_readable(int descriptor) { return is_ready(descriptor, POLLIN); }
bool holdfast_is_writable(int descriptor) { return is_ready(descriptor, POLLOUT); }
