#define _GNU_SOURCE
#include "CLinuxLaunch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on every architecture; Debian 12's libc has the names, older ones do not. */
enum { open_tree_number = 428, move_mount_number = 429, openat2_number = 437, mount_setattr_number = 442 };

int linux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
  return mount(source, target, type, flags, options);
}

int linux_detach(const char *target) { return umount2(target, MNT_DETACH); }

int linux_mount_set(const char *target, uint64_t attributes, int recursive)
{
  struct {
    uint64_t set, clear, propagation, namespace;
  } change = {.set = attributes};
  return syscall(mount_setattr_number, AT_FDCWD, target, recursive ? AT_RECURSIVE : 0, &change, sizeof change);
}

int linux_open_place(const char *path)
{
  struct {
    uint64_t flags, mode, resolve;
  } how = {.flags = O_PATH | O_CLOEXEC, .resolve = 0x4 /* RESOLVE_NO_SYMLINKS */};
  return syscall(openat2_number, AT_FDCWD, path, &how, sizeof how);
}

int linux_copy_mounts(int place)
{
  return syscall(open_tree_number, place, "", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
}

int linux_set_copied(int tree, uint64_t attributes)
{
  struct {
    uint64_t set, clear, propagation, namespace;
  } change = {.set = attributes};
  return syscall(mount_setattr_number, tree, "", AT_RECURSIVE | AT_EMPTY_PATH, &change, sizeof change);
}

int linux_put_mounts(int tree, int place)
{
  return syscall(move_mount_number, tree, "", place, "", 0x44 /* MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH */);
}

int linux_pivot_root(const char *root, const char *old) { return syscall(SYS_pivot_root, root, old); }

int linux_signal_descriptor(const int *signals, size_t count)
{
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int linux_take_signal(int descriptor)
{
  struct signalfd_siginfo taken;
  return read(descriptor, &taken, sizeof taken) == sizeof taken ? (int)taken.ssi_signo : -1;
}

void linux_reset_signals(void)
{
  sigset_t none;
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

int linux_take_terminal(int terminal) { return ioctl(terminal, TIOCSCTTY, 0); }

int linux_open_terminal(const char *multiplexer, int *leader, int *follower)
{
  int unlocked = 0;
  *leader = open(multiplexer, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*leader < 0) return -1;
  if (ioctl(*leader, TIOCSPTLCK, &unlocked) == 0) {
    *follower = ioctl(*leader, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*follower >= 0) return 0;
  }
  close(*leader);
  return -1;
}

int linux_copy_window_size(int from, int to, int rows)
{
  struct winsize size;
  if (ioctl(from, TIOCGWINSZ, &size)) return -1;
  size.ws_row += rows;
  return ioctl(to, TIOCSWINSZ, &size);
}

static int limit(int resource, uint64_t value)
{
  struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
  return setrlimit(resource, &limit);
}

int linux_limit_processes(uint64_t count) { return limit(RLIMIT_NPROC, count); }

int linux_limit_memory(uint64_t bytes) { return limit(RLIMIT_DATA, bytes); }

int linux_limit_core(uint64_t bytes) { return limit(RLIMIT_CORE, bytes); }
