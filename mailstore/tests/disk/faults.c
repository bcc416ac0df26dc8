/* Stands between a program and its files (LD_PRELOAD): makes the n-th call fail, and keeps a journal of all
 * calls, out of which a test makes what a power cut at any moment would leave.
 *
 *   FAULTS_ROOT     files whose path begins so are watched
 *   FAULTS_KINDS    which calls count: any of w(rite), s(ync), o(pen), t(runcate), r(ename), u(nlink)
 *   FAULTS_AT       the first call that fails, counted from 1; 0 for none
 *   FAULTS_COUNT    how many fail, from that one on
 *   FAULTS_ERRNO    what they fail with
 *   FAULTS_SHORT    a write that fails has written half before
 *   FAULTS_JOURNAL  the file of the journal
 *   FAULTS_CALLS    a file that the number of calls is written into at the end
 *
 * A record of the journal: kind (1), inode (8), offset (8), length (4), octets. Little-endian, as the machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 4096

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char watched[DESCRIPTORS];
static const char *root, *kinds;
static long at, many, calls;
static int error, shortened, journal = -1, ready;

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static int raw_open(const char *path, int flags, mode_t mode) {
    REAL("open64", int, const char *, int, ...);
    return real(path, flags, mode);
}

static ssize_t raw_write(int file, const void *octets, size_t length) {
    REAL("write", ssize_t, int, const void *, size_t);
    return real(file, octets, length);
}

static void finish(void) {
    const char *path = getenv("FAULTS_CALLS");
    int file = path ? raw_open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600) : -1;
    if (file >= 0) {
        char text[32];
        raw_write(file, text, (size_t)snprintf(text, sizeof text, "%ld", calls));
        close(file);
    }
}

static void prepare(void) {
    if (ready) return;
    ready = 1;
    root = getenv("FAULTS_ROOT");
    kinds = getenv("FAULTS_KINDS");
    at = number("FAULTS_AT", 0);
    many = number("FAULTS_COUNT", 1);
    error = (int)number("FAULTS_ERRNO", EIO);
    shortened = (int)number("FAULTS_SHORT", 0);
    const char *path = getenv("FAULTS_JOURNAL");
    if (path) journal = raw_open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    atexit(finish);
}

static int is_watched(int file) { return file >= 0 && file < DESCRIPTORS && watched[file]; }

static int is_below(const char *path) {
    prepare();
    /* The index of the log is made anew at a start, and its octets never come here. */
    size_t length = strlen(path);
    if (length > 4 && !strcmp(path + length - 4, "-shm")) return 0;
    return root && !strncmp(path, root, strlen(root));
}

/* Whether this call is to fail. */
static int fails(char kind) {
    if (!kinds || !strchr(kinds, kind)) return 0;
    calls++;
    return at && calls >= at && calls < at + many;
}

static void note(char kind, uint64_t inode, uint64_t offset, const void *octets, uint32_t length) {
    if (journal < 0) return;
    char head[21];
    head[0] = kind;
    memcpy(head + 1, &inode, 8);
    memcpy(head + 9, &offset, 8);
    memcpy(head + 17, &length, 4);
    raw_write(journal, head, sizeof head);
    if (length) raw_write(journal, octets, length);
}

static uint64_t inode_of(int file) {
    struct stat found;
    return fstat(file, &found) ? 0 : (uint64_t)found.st_ino;
}

static int opening(const char *path, int flags, mode_t mode) {
    if (!is_below(path)) return raw_open(path, flags, mode);
    pthread_mutex_lock(&turn);
    int made = (flags & O_CREAT) && access(path, F_OK);
    int file;
    if ((flags & O_CREAT) && fails('o')) {
        errno = error;
        file = -1;
    } else {
        file = raw_open(path, flags, mode);
    }
    if (file >= 0 && file < DESCRIPTORS) {
        watched[file] = 1;
        uint64_t inode = inode_of(file);
        if (made) note('c', inode, 0, path, (uint32_t)strlen(path));
        else note('n', inode, 0, path, (uint32_t)strlen(path));
        if ((flags & O_TRUNC) && !made) note('t', inode, 0, NULL, 0);
    }
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
    return file;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opening(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    REAL("close", int, int);
    if (file >= 0 && file < DESCRIPTORS) watched[file] = 0;
    return real(file);
}

/* A write at an offset, or, with -1, where the file is. */
static ssize_t writing(int file, const void *octets, size_t length, off_t offset) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off_t);
    if (!is_watched(file)) {
        return offset < 0 ? raw_write(file, octets, length) : real(file, octets, length, offset);
    }
    pthread_mutex_lock(&turn);
    int failed = fails('w');
    size_t some = failed ? (shortened ? length / 2 : 0) : length;
    off_t where = offset;
    if (where < 0) {
        struct stat found;
        int append = fcntl(file, F_GETFL) & O_APPEND;
        where = append && !fstat(file, &found) ? found.st_size : lseek(file, 0, SEEK_CUR);
    }
    ssize_t wrote = 0;
    if (some) wrote = offset < 0 ? raw_write(file, octets, some) : real(file, octets, some, offset);
    if (wrote > 0) note('w', inode_of(file), (uint64_t)where, octets, (uint32_t)wrote);
    if (failed) {
        errno = error;
        wrote = -1;
    }
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
    return wrote;
}

ssize_t write(int file, const void *octets, size_t length) { return writing(file, octets, length, -1); }
ssize_t pwrite(int file, const void *octets, size_t length, off_t offset) {
    return writing(file, octets, length, offset);
}
ssize_t pwrite64(int file, const void *octets, size_t length, off_t offset) {
    return writing(file, octets, length, offset);
}

static int syncing(int file, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (!is_watched(file)) return real(file);
    pthread_mutex_lock(&turn);
    int done = 0;
    if (fails('s')) {
        errno = error;
        done = -1;
    } else {
        note('s', inode_of(file), 0, NULL, 0);
    }
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
    return done;
}

int fsync(int file) { return syncing(file, "fsync"); }
int fdatasync(int file) { return syncing(file, "fdatasync"); }

static int cutting(int file, off_t length) {
    REAL("ftruncate64", int, int, off_t);
    if (!is_watched(file)) return real(file, length);
    pthread_mutex_lock(&turn);
    int done = -1;
    if (fails('t')) {
        errno = error;
    } else {
        done = real(file, length);
        if (!done) note('t', inode_of(file), (uint64_t)length, NULL, 0);
    }
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
    return done;
}

int ftruncate(int file, off_t length) { return cutting(file, length); }
int ftruncate64(int file, off_t length) { return cutting(file, length); }

int rename(const char *from, const char *to) {
    REAL("rename", int, const char *, const char *);
    if (!is_below(from)) return real(from, to);
    pthread_mutex_lock(&turn);
    int done = -1;
    if (fails('r')) {
        errno = error;
    } else {
        done = real(from, to);
        if (!done) {
            char both[8192];
            int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
            note('r', 0, 0, both, (uint32_t)length);
        }
    }
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
    return done;
}

int unlink(const char *path) {
    REAL("unlink", int, const char *);
    if (!is_below(path)) return real(path);
    pthread_mutex_lock(&turn);
    int done = -1;
    if (fails('u')) {
        errno = error;
    } else {
        done = real(path);
        if (!done) note('u', 0, 0, path, (uint32_t)strlen(path));
    }
    int kept = errno;
    pthread_mutex_unlock(&turn);
    errno = kept;
    return done;
}
