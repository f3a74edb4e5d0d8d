#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

int holdfast_duplicate(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

int holdfast_open(const char *path, int flags, unsigned mode) {
    int descriptor;
    do descriptor = open(path, flags | O_CLOEXEC, mode);
    while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

// By way of /proc, because the name may be another file's by now.
int holdfast_reopen_direct(int descriptor) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return holdfast_open(path, O_RDWR | O_DIRECT, 0);
}

// Huge pages, where the buffer fills any: a direct write pins its memory page by page.
void *holdfast_map_memory(size_t count) {
    void *base = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    madvise(base, count, MADV_HUGEPAGE);
    return base;
}

void holdfast_unmap_memory(void *base, size_t count) { munmap(base, count); }

int holdfast_lock(int descriptor) {
    return flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static int allocate(int descriptor, int mode, off_t offset, off_t length) {
    int result;
    do result = fallocate(descriptor, mode, offset, length);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int holdfast_preallocate(int descriptor, off_t offset, off_t length) {
    return allocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, length);
}

int holdfast_punch_hole(int descriptor, off_t offset, off_t length) {
    return allocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int holdfast_start_writeback(int descriptor, off_t offset, off_t length) {
    int result = sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE);
    return result == 0 ? 0 : -errno;
}

int holdfast_file_status(const char *path, bool follow, holdfast_status *status) {
    struct stat found;
    if ((follow ? stat(path, &found) : lstat(path, &found)) != 0) return -errno;
    *status = (holdfast_status){
        .is_directory = S_ISDIR(found.st_mode),
        .is_regular = S_ISREG(found.st_mode),
        .is_symbolic_link = S_ISLNK(found.st_mode),
        .size_bytes = (uint64_t)found.st_size,
        .modified_seconds = found.st_mtim.tv_sec,
        .modified_nanoseconds = found.st_mtim.tv_nsec,
        .permissions = found.st_mode & 07777,
    };
    return 0;
}

int holdfast_file_size(int descriptor, uint64_t *size_bytes) {
    struct stat found;
    if (fstat(descriptor, &found) != 0) return -errno;
    *size_bytes = (uint64_t)found.st_size;
    return 0;
}

int holdfast_file_system_space(const char *path, uint64_t *total_bytes, uint64_t *free_bytes) {
    struct statvfs found;
    if (statvfs(path, &found) != 0) return -errno;
    *total_bytes = (uint64_t)found.f_blocks * found.f_frsize;
    *free_bytes = (uint64_t)found.f_bavail * found.f_frsize;
    return 0;
}
