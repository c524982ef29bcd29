"""A clock of the gate's own: a library that shifts what the system's clocks say, by offsets in a shared file."""
import mmap, os, shutil, struct

from .namespaces import run

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { WALL, RUNNING, STOPPED };
static const volatile long none[3];
static const volatile long *shift = none; /* seconds: the time of day, the time since the boot; ms: the time of day that stands still */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char is_known, is_wall; int flags; struct itimerspec wanted; } timers[1024]; /* by descriptor */

/* A time at which to wake is one of the shifted clock; the kernel knows the other. */
static int arm(int fd, struct itimerspec *before) {
  struct itimerspec real = timers[fd].wanted;
  if ((timers[fd].flags & TFD_TIMER_ABSTIME) && (real.it_value.tv_sec || real.it_value.tv_nsec)) {
    real.it_value.tv_sec -= shift[timers[fd].is_wall ? WALL : RUNNING];
    if (real.it_value.tv_sec < 0) real.it_value = (struct timespec){0, 1};
  }
  return (int)syscall(SYS_timerfd_settime, fd, timers[fd].flags, &real, before);
}

/* Sets the timers anew whenever the time was shifted, as the kernel does for clocks of its own. */
static void *keep(void *unused) {
  long seen[2] = {shift[WALL], shift[RUNNING]};
  while (1) {
    syscall(SYS_nanosleep, &(struct timespec){0, 10000000}, 0);
    if (seen[WALL] == shift[WALL] && seen[RUNNING] == shift[RUNNING]) continue;
    seen[WALL] = shift[WALL], seen[RUNNING] = shift[RUNNING];
    pthread_mutex_lock(&lock);
    for (int fd = 0; fd < 1024; fd++)
      if (timers[fd].is_known && (timers[fd].flags & TFD_TIMER_ABSTIME)) arm(fd, 0);
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("CLOCK_SHIFT");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = fd < 0 ? MAP_FAILED : mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) abort();
  shift = page;
  close(fd);
}

/* With the first timer: before that the gate has one thread, and wants to. */
static void attend(void) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_t keeper;
  if (pthread_create(&keeper, 0, keep, 0) != 0) abort();
  pthread_sigmask(SIG_SETMASK, &old, 0);
}

static long of(clockid_t clock) {
  switch (clock) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE: case CLOCK_REALTIME_ALARM: case CLOCK_TAI: return shift[WALL];
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_COARSE: case CLOCK_MONOTONIC_RAW: case CLOCK_BOOTTIME: case CLOCK_BOOTTIME_ALARM: return shift[RUNNING];
    default: return 0;
  }
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (syscall(SYS_clock_gettime, clock, now) != 0) return -1;
  now->tv_sec += of(clock);
  if (shift[STOPPED] && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    *now = (struct timespec){shift[STOPPED] / 1000, shift[STOPPED] % 1000 * 1000000};
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec wall;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &wall) != 0) return -1;
  now->tv_sec = wall.tv_sec;
  now->tv_usec = wall.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  if (result) *result = wall.tv_sec;
  return wall.tv_sec;
}

static pthread_once_t attended = PTHREAD_ONCE_INIT;

int timerfd_create(int clock, int flags) {
  pthread_once(&attended, attend);
  int fd = (int)syscall(SYS_timerfd_create, clock, flags);
  if (fd >= 1024) abort();
  if (fd >= 0) {
    pthread_mutex_lock(&lock);
    timers[fd].is_known = 1, timers[fd].flags = 0;
    timers[fd].is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
    pthread_mutex_unlock(&lock);
  }
  return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *wanted, struct itimerspec *before) {
  if (fd < 0 || fd >= 1024 || !timers[fd].is_known) abort();
  pthread_mutex_lock(&lock);
  timers[fd].flags = flags, timers[fd].wanted = *wanted;
  int result = arm(fd, before);
  pthread_mutex_unlock(&lock);
  return result;
}
"""


class Clock:
    """`environment` is what a gate is started with whose time is told here."""

    def __init__(self, directory):
        source, library, page = directory / "clock.c", directory / "clock.so", directory / "shift"
        source.write_text(SOURCE)
        run(shutil.which("gcc") or "clang", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-pthread", "-o", str(library), str(source))
        page.write_bytes(bytes(4096))
        file = os.open(page, os.O_RDWR)
        self._page = mmap.mmap(file, 4096)
        os.close(file)
        self._passed = 0
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(page)}

    def turn(self, seconds):
        """Somebody sets the time of day this far from what it is."""
        self._page[0:8] = struct.pack("q", int(seconds))

    def stop(self, milliseconds):
        """The time of day is this, since 1970, and stays so."""
        self._page[16:24] = struct.pack("q", milliseconds)

    def elapse(self, seconds):
        """This much time has passed in all for those who do not ask for the time of day."""
        self._passed = int(seconds)
        self._page[8:16] = struct.pack("q", self._passed)

    def skip(self, seconds):
        """This much more time passes."""
        self.elapse(self._passed + seconds)
