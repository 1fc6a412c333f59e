/* A disk that fails once: the nth write, sync or name below a place is refused.  See disk.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { NOTHING, WRITE, SYNC, NAME };

static int kind = NOTHING, code;
static long nth;
static char place[PATH_MAX];
static atomic_long count;
static char hit[PATH_MAX];

/* Called by the child itself, before the product runs in it. */
void disk_fails(int what, long which, int with, const char *below) {
    snprintf(place, sizeof place, "%s", below);
    nth = which, code = with, kind = what;
}

/* The path of what was refused, empty as long as nothing was. */
const char *disk_refused(void) { return hit; }

static int refused(int what, const char *path) {
    if (what != kind || strncmp(path, place, strlen(place)) || atomic_fetch_add(&count, 1) + 1 != nth)
        return 0;
    snprintf(hit, sizeof hit, "%s", path);
    errno = code;
    return 1;
}

static int refused_file(int what, int file) {
    if (what != kind)
        return 0;
    char link[40], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    return refused(what, path);
}

static int refused_at(int what, int directory, const char *name) {
    return name[0] == '/' || directory == AT_FDCWD ? refused(what, name)
                                                          : refused_file(what, directory);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    return refused_file(WRITE, file) ? -1 : real(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    return refused_file(WRITE, file) ? -1 : real(file, data, size, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    return refused_file(WRITE, file) ? -1 : real(file, data, size, at);
}
int fsync(int file) {
    REAL(fsync);
    return refused_file(SYNC, file) ? -1 : real(file);
}
int fdatasync(int file) {
    REAL(fdatasync);
    return refused_file(SYNC, file) ? -1 : real(file);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    return refused(NAME, to) ? -1 : real(from, to);
}
int renameat(int from, const char *old, int to, const char *name) {
    REAL(renameat);
    return refused_at(NAME, to, name) ? -1 : real(from, old, to, name);
}
int link(const char *from, const char *to) {
    REAL(link);
    return refused(NAME, to) ? -1 : real(from, to);
}
int linkat(int from, const char *old, int to, const char *name, int flags) {
    REAL(linkat);
    return refused_at(NAME, to, name) ? -1 : real(from, old, to, name, flags);
}
