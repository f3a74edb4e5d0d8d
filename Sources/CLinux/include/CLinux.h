// What Swift cannot reach in Linux's C interface: macros, variadic calls, unions, packed structures,
// and declarations behind _GNU_SOURCE (which must never be defined in a header: it changes types of
// the C library between modules).
//
// Unless a comment says otherwise a function returns 0 or more, or the negative error number.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

// --- Threads

/// The mark that the current thread carries; NULL until it is set.
void *_Nullable holdfast_thread_mark(void);
void holdfast_set_thread_mark(void *_Nullable mark);
/// Names the current thread; at most 15 bytes.
void holdfast_name_thread(const char *_Nonnull name);

// --- Readiness: epoll(7), eventfd(2)

#define HOLDFAST_READABLE 1u
#define HOLDFAST_WRITABLE 2u
/// The peer has ended its side, or the descriptor has failed: reads find out which.
#define HOLDFAST_ENDED 4u
/// The descriptor has failed in both directions.
#define HOLDFAST_FAILED 8u

typedef struct {
    uint64_t token;
    uint32_t events;
} holdfast_readiness;

int holdfast_epoll_create(void);
/// Watches for all events, edge-triggered; each is reported with `token`.
int holdfast_epoll_add(int epoll, int descriptor, uint64_t token);
int holdfast_epoll_remove(int epoll, int descriptor);
/// Waits up to `nanoseconds` (negative: without end) and returns how many events it has stored.
int holdfast_epoll_wait(
    int epoll, holdfast_readiness *_Nonnull ready, int capacity, int64_t nanoseconds);

/// A counter that adds, or (`semaphore`) a blocking one that each read takes 1 from.
int holdfast_eventfd(bool semaphore);
void holdfast_eventfd_add(int descriptor, uint64_t count);
/// Takes 1, blocking while there is none.
void holdfast_eventfd_take(int descriptor);

// --- Sockets: ip(7), tcp(7)

/// A `sockaddr_in` or a `sockaddr_in6`.
typedef struct {
    uint8_t bytes[28];
    uint32_t length;
} holdfast_address;

/// Stores up to `capacity` addresses of `host`; with `numeric`, never asks anyone. Returns how many,
/// or a negative `EAI_` code.
int holdfast_resolve(
    const char *_Nonnull host, uint16_t port, bool numeric, holdfast_address *_Nonnull addresses,
    int capacity);
/// The numeric host, as text of at most 63 bytes, and the port.
int holdfast_address_text(
    const holdfast_address *_Nonnull address, char *_Nonnull host, size_t capacity,
    uint16_t *_Nonnull port);

/// A listening socket. `joins`: other listeners of this process have the address already.
int holdfast_listen(const holdfast_address *_Nonnull address, int backlog, bool joins);
/// A connected socket, with TCP_NODELAY.
int holdfast_accept(int listener, holdfast_address *_Nonnull peer);
/// A socket with TCP_NODELAY on its way to `address`; `holdfast_connected` tells how it ended.
int holdfast_connect(const holdfast_address *_Nonnull address);
/// 0 when the connection stands. ECONNREFUSED also for a socket that has connected to itself, which
/// happens to a port of the ephemeral range that nobody listens on.
int holdfast_connected(int socket);
int holdfast_local_address(int socket, holdfast_address *_Nonnull address);
/// sendmsg(2) without SIGPIPE.
ssize_t holdfast_send(int socket, const struct iovec *_Nonnull buffers, int count);

// --- Files

int holdfast_duplicate(int descriptor);
int holdfast_open(const char *_Nonnull path, int flags, unsigned mode);
/// The same file once more, for writes past the system's cache (O_DIRECT); EINVAL where its file
/// system has no such thing.
int holdfast_reopen_direct(int descriptor);
/// Fresh pages of memory, zeros; NULL when there are none.
void *_Nullable holdfast_map_memory(size_t count);
void holdfast_unmap_memory(void *_Nonnull base, size_t count);
int holdfast_lock(int descriptor);
int holdfast_preallocate(int descriptor, off_t offset, off_t length);
int holdfast_punch_hole(int descriptor, off_t offset, off_t length);
int holdfast_start_writeback(int descriptor, off_t offset, off_t length);

typedef struct {
    bool is_directory;
    bool is_regular;
    bool is_symbolic_link;
    uint64_t size_bytes;
    int64_t modified_seconds;
    int64_t modified_nanoseconds;
    uint16_t permissions;
} holdfast_status;

/// With `follow`, of what a symbolic link points to.
int holdfast_file_status(const char *_Nonnull path, bool follow, holdfast_status *_Nonnull status);
int holdfast_file_size(int descriptor, uint64_t *_Nonnull size_bytes);
int holdfast_file_system_space(
    const char *_Nonnull path, uint64_t *_Nonnull total_bytes, uint64_t *_Nonnull free_bytes);

// --- Processes

/// Delivers each of `signal_number` to this process as one byte, its number, in `descriptor`.
int holdfast_catch_signal(int signal_number, int descriptor);
/// Gives the signal its default meaning again, if `descriptor` is where it still goes.
int holdfast_release_signal(int signal_number, int descriptor);
int holdfast_ignore_signal(int signal_number);
/// A pipe whose ends do not block and do not survive exec.
int holdfast_pipe(int *_Nonnull reader, int *_Nonnull writer);
int holdfast_set_blocking(int descriptor);

/// Starts a program with default signal handling, /dev/null as its input and the two descriptors as
/// output and errors. `directory` NULL: ours. Returns the process id.
int holdfast_spawn(
    const char *_Nonnull program, char *_Nullable const *_Nonnull arguments,
    char *_Nullable const *_Nonnull environment, const char *_Nullable directory, int output,
    int errors);
/// A descriptor that becomes readable when the process has ended.
int holdfast_open_process(int process);
int holdfast_signal_process(int process_descriptor, int signal_number);
/// Takes an ended child's status: 1 when it was taken, 0 while the child runs.
int holdfast_reap(int process, bool *_Nonnull was_signalled, int *_Nonnull status);
/// Whether the descriptor is readable at this moment.
bool holdfast_is_readable(int descriptor);
/// Whether a write of up to PIPE_BUF (4096) bytes would not block.
bool holdfast_is_writable(int descriptor);

// --- System

/// Fills the buffer with unpredictable bytes (getrandom(2)).
int holdfast_random(void *_Nonnull bytes, size_t count);
/// Nanoseconds of CLOCK_BOOTTIME.
uint64_t holdfast_monotonic_time(void);
/// Milliseconds of CLOCK_REALTIME.
int64_t holdfast_wall_time(void);
/// Raises RLIMIT_NOFILE to its hard limit and stores what it is now.
int holdfast_raise_descriptor_limit(uint64_t *_Nonnull limit);
/// Lets the allocator keep freed buffers of a chunk's size instead of giving them to the system and
/// taking them back, page fault by page fault.
void holdfast_keep_large_buffers(void);
/// The columns of the terminal, or 0.
int holdfast_terminal_columns(int descriptor);
char *_Nullable *_Nonnull holdfast_environment(void);
