/* Faults by LD_PRELOAD: the n-th call on files below some folders fails, tears or kills; the clock is set.
 *
 * FAULT_PATHS   folders, absolute, with a colon between; without it no file is looked at
 * FAULT_CALLS   letters: r read, w write, s fsync, t ftruncate, n names (create, rename, unlink)
 * FAULT_NTH     which of these calls, from 1, in each process by itself
 * FAULT_ACTION  eio: fails; eio-on: this and all after it fail; kill: the process is killed instead of the call;
 *               torn: half of a write is done, and the process killed; none (default)
 * FAULT_COUNT   file to which a process adds one line at its end: how many calls of r, w, s, t and n it made
 * FAULT_CLOCK   seconds to add to the time of day
 * FAULT_STEP    the first so many readings of the clock are right, only those after them are not
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char letters[] = "rwstn";
static long all[sizeof letters];
static long counted; /* of FAULT_CALLS */
static long readings;

static const char *setting(const char *name)
{
    const char *found = getenv(name);
    return found ? found : "";
}

static int below(const char *path)
{
    const char *folder = setting("FAULT_PATHS");
    while (*folder) {
        size_t length = strcspn(folder, ":");
        if (length && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0))
            return 1;
        folder += length + (folder[length] == ':');
    }
    return 0;
}

static void end(void) { kill(getpid(), SIGKILL); }

/* Counts a call on a path; returns 1 where it has to fail. */
static int fault(char call, const char *path, int fd, const void *bytes, size_t length)
{
    const char *action = setting("FAULT_ACTION");
    long nth = atol(setting("FAULT_NTH"));
    if (!path || !below(path))
        return 0;
    all[strchr(letters, call) - letters]++;
    if (!strchr(setting("FAULT_CALLS"), call))
        return 0;
    counted++;
    if (counted == nth && strcmp(action, "torn") == 0) {
        if (call == 'w' && length > 1)
            (void)!REAL(write)(fd, bytes, length / 2);
        end();
    }
    if (counted == nth && strcmp(action, "kill") == 0)
        end();
    return (counted == nth && strcmp(action, "eio") == 0) || (nth && counted >= nth && strcmp(action, "eio-on") == 0);
}

static int fault_of(char call, int fd, const void *bytes, size_t length)
{
    char name[64], path[PATH_MAX];
    ssize_t size;
    if (!*setting("FAULT_PATHS"))
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    size = readlink(name, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return fault(call, path, fd, bytes, length);
}

static int fault_at(char call, int folder, const char *name)
{
    char path[PATH_MAX], base[64];
    ssize_t size = 0;
    if (!*setting("FAULT_PATHS") || !name)
        return 0;
    if (name[0] == '/')
        return fault(call, name, -1, NULL, 0);
    if (folder == AT_FDCWD) {
        if (!getcwd(path, sizeof path))
            return 0;
        size = (ssize_t)strlen(path);
    } else {
        snprintf(base, sizeof base, "/proc/self/fd/%d", folder);
        size = readlink(base, path, sizeof path - 1);
        if (size < 0)
            return 0;
    }
    snprintf(path + size, sizeof path - (size_t)size, "/%s", name);
    return fault(call, path, -1, NULL, 0);
}

#define FAIL do { errno = EIO; return -1; } while (0)

ssize_t read(int fd, void *to, size_t n) { if (fault_of('r', fd, 0, 0)) FAIL; return REAL(read)(fd, to, n); }
ssize_t pread(int fd, void *to, size_t n, off_t at) { if (fault_of('r', fd, 0, 0)) FAIL; return REAL(pread)(fd, to, n, at); }
ssize_t pread64(int fd, void *to, size_t n, off64_t at) { if (fault_of('r', fd, 0, 0)) FAIL; return REAL(pread64)(fd, to, n, at); }
ssize_t write(int fd, const void *from, size_t n) { if (fault_of('w', fd, from, n)) FAIL; return REAL(write)(fd, from, n); }

static int torn_at(int fd, const void *from, size_t n, off64_t at)
{
    /* A torn write must go where the whole one would have gone. */
    if (strcmp(setting("FAULT_ACTION"), "torn") == 0)
        lseek64(fd, at, SEEK_SET);
    return fault_of('w', fd, from, n);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { if (torn_at(fd, from, n, at)) FAIL; return REAL(pwrite)(fd, from, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { if (torn_at(fd, from, n, at)) FAIL; return REAL(pwrite64)(fd, from, n, at); }
int fsync(int fd) { if (fault_of('s', fd, 0, 0)) FAIL; return REAL(fsync)(fd); }
int fdatasync(int fd) { if (fault_of('s', fd, 0, 0)) FAIL; return REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { if (fault_of('t', fd, 0, 0)) FAIL; return REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { if (fault_of('t', fd, 0, 0)) FAIL; return REAL(ftruncate64)(fd, n); }

int unlink(const char *path) { if (fault_at('n', AT_FDCWD, path)) FAIL; return REAL(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) { if (fault_at('n', folder, path)) FAIL; return REAL(unlinkat)(folder, path, flags); }
int rename(const char *from, const char *to) { if (fault_at('n', AT_FDCWD, to)) FAIL; return REAL(rename)(from, to); }

int renameat(int a, const char *from, int b, const char *to) { if (fault_at('n', b, to)) FAIL; return REAL(renameat)(a, from, b, to); }

#define OPENS(name, folder, ...)                                             \
    {                                                                        \
        va_list more;                                                        \
        mode_t mode = 0;                                                     \
        if (flags & (O_CREAT | O_TMPFILE)) {                                 \
            va_start(more, flags);                                           \
            mode = va_arg(more, mode_t);                                     \
            va_end(more);                                                    \
            if ((flags & O_CREAT) && fault_at('n', folder, path))            \
                FAIL;                                                        \
        }                                                                    \
        return REAL(name)(__VA_ARGS__ path, flags, mode);                    \
    }
int open(const char *path, int flags, ...) OPENS(open, AT_FDCWD, )
int open64(const char *path, int flags, ...) OPENS(open64, AT_FDCWD, )
int openat(int folder, const char *path, int flags, ...) OPENS(openat, folder, folder, )
int openat64(int folder, const char *path, int flags, ...) OPENS(openat64, folder, folder, )

static long shift(void)
{
    const char *by = setting("FAULT_CLOCK");
    return *by && ++readings > atol(setting("FAULT_STEP")) ? atol(by) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int done = REAL(clock_gettime)(clock, now);
    if (done == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += shift();
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int done = REAL(gettimeofday)(now, zone);
    if (done == 0)
        now->tv_sec += shift();
    return done;
}

time_t time(time_t *to)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = setting("FAULT_COUNT");
    if (*path) {
        int fd = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dprintf(fd, "%ld %ld %ld %ld %ld\n", all[0], all[1], all[2], all[3], all[4]);
        close(fd);
    }
}
