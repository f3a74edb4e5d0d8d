#define _GNU_SOURCE
#include "CLinux.h"
#include <malloc.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Where a caught signal is written, by its number; -1 for nowhere, kept shifted by one because
// static storage starts as zeros.
static _Atomic int signal_writers[65];

static void write_signal(int number) {
    int error = errno;
    int writer = atomic_load(&signal_writers[number]) - 1;
    unsigned char byte = (unsigned char)number;
    if (writer >= 0 && write(writer, &byte, 1) < 0) {
        // Full: who reads it has many signals to see already.
    }
    errno = error;
}

static int set_signal(int number, void (*meaning)(int)) {
    struct sigaction action = {.sa_handler = meaning, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0 ? 0 : -errno;
}

int holdfast_catch_signal(int signal_number, int descriptor) {
    if (signal_number < 1 || signal_number > 64) return -EINVAL;
    atomic_store(&signal_writers[signal_number], descriptor + 1);
    return set_signal(signal_number, write_signal);
}

int holdfast_release_signal(int signal_number, int descriptor) {
    if (signal_number < 1 || signal_number > 64) return -EINVAL;
    int writer = descriptor + 1;
    if (!atomic_compare_exchange_strong(&signal_writers[signal_number], &writer, 0)) return 0;
    return set_signal(signal_number, SIG_DFL);
}

int holdfast_ignore_signal(int signal_number) { return set_signal(signal_number, SIG_IGN); }

int holdfast_pipe(int *reader, int *writer) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -errno;
    *reader = ends[0];
    *writer = ends[1];
    return 0;
}

int holdfast_set_blocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) == 0 ? 0 : -errno;
}

static int start(
    pid_t *process, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
    const char *program, char *const *arguments, char *const *environment, const char *directory,
    int output, int errors
) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0) code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (code == 0)
        code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0) code = posix_spawn_file_actions_adddup2(actions, output, 1);
    if (code == 0) code = posix_spawn_file_actions_adddup2(actions, errors, 2);
    if (code == 0 && directory != NULL)
        code = posix_spawn_file_actions_addchdir_np(actions, directory);
    if (code == 0)
        code = posix_spawnp(process, program, actions, attributes, arguments, environment);
    return code;
}

int holdfast_spawn(
    const char *program, char *const *arguments, char *const *environment, const char *directory,
    int output, int errors
) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return -code;
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -code;
    }
    pid_t process = 0;
    code = start(
        &process, &actions, &attributes, program, arguments, environment, directory, output,
        errors);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code != 0 ? -code : process;
}

int holdfast_open_process(int process) {
    int descriptor = pidfd_open(process, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int holdfast_signal_process(int process_descriptor, int signal_number) {
    return pidfd_send_signal(process_descriptor, signal_number, NULL, 0) == 0 ? 0 : -errno;
}

int holdfast_reap(int process, bool *was_signalled, int *status) {
    siginfo_t found = {0};
    int result;
    do result = waitid(P_PID, (id_t)process, &found, WEXITED | WNOHANG);
    while (result != 0 && errno == EINTR);
    if (result != 0) return -errno;
    if (found.si_pid == 0) return 0;
    *was_signalled = found.si_code != CLD_EXITED;
    *status = found.si_status;
    return 1;
}

int holdfast_random(void *bytes, size_t count) {
    unsigned char *next = bytes;
    while (count > 0) {
        ssize_t got = getrandom(next, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        next += got;
        count -= (size_t)got;
    }
    return 0;
}

uint64_t holdfast_monotonic_time(void) {
    struct timespec time;
    // Unlike CLOCK_MONOTONIC it counts the time for which the machine was suspended: lifetimes and
    // leases have run on for everybody else.
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int64_t holdfast_wall_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int holdfast_raise_descriptor_limit(uint64_t *limit) {
    struct rlimit found;
    if (getrlimit(RLIMIT_NOFILE, &found) != 0) return -errno;
    found.rlim_cur = found.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &found) != 0) return -errno;
    *limit = found.rlim_cur;
    return 0;
}

int holdfast_terminal_columns(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

char **holdfast_environment(void) { return environ; }

void holdfast_keep_large_buffers(void) {
    // Above the largest chunk, so that chunks come from the heap; what is free at its end beyond
    // this much goes back to the system.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
}
