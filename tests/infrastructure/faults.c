// A bad disk and a wrong clock, preloaded into a process: calls on files below `prefix` fail with the error that the
// control file names, and wall clocks are shifted. The control file is mapped, so that a fault begins and ends at once
// in every process that has it, also in those forked later. Its layout is that of Control in faults.py.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { PATH = 1024 };

struct control {
    volatile int64_t clock_shift_s;
    volatile int32_t write_error, sync_error, rename_error;
    volatile int32_t hits;
    char prefix[PATH];
};

static struct control calm;
static struct control *control = &calm;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("NUDGE_TEST_FAULTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) control = mapped;
}

static int below(const char *path) {
    size_t length = strlen(control->prefix);
    return length > 0 && strncmp(path, control->prefix, length) == 0;
}

static int strikes(int32_t error, const char *path) {
    if (error == 0 || !below(path)) return 0;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return 1;
}

static int strikes_file(int32_t error, int file) {
    if (error == 0) return 0;
    char link[64], path[PATH];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strikes(error, path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = REAL(ssize_t, write, int, const void *, size_t);
    return strikes_file(control->write_error, file) ? -1 : real(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return strikes_file(control->write_error, file) ? -1 : real(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return strikes_file(control->write_error, file) ? -1 : real(file, bytes, count, offset);
}

// Python copies files with these two.
ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
    static ssize_t (*real)(int, int, off_t *, size_t);
    if (!real) real = REAL(ssize_t, sendfile, int, int, off_t *, size_t);
    return strikes_file(control->write_error, to) ? -1 : real(to, from, offset, count);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
    static ssize_t (*real)(int, int, off64_t *, size_t);
    if (!real) real = REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    return strikes_file(control->write_error, to) ? -1 : real(to, from, offset, count);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = REAL(int, fsync, int);
    return strikes_file(control->sync_error, file) ? -1 : real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = REAL(int, fdatasync, int);
    return strikes_file(control->sync_error, file) ? -1 : real(file);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = REAL(int, rename, const char *, const char *);
    return strikes(control->rename_error, to) ? -1 : real(from, to);
}

// Only the wall clock is shifted: the monotonic one never jumps.
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = REAL(int, clock_gettime, clockid_t, struct timespec *);
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->clock_shift_s;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
