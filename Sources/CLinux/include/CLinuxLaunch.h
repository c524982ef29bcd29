// What a sandbox is made of: mounts, terminals, signals. No logic lives here.
#ifndef CLINUX_LAUNCH_H
#define CLINUX_LAUNCH_H
#include <stdint.h>
#include <sys/types.h>

/// mount(2) and umount2(2) with MNT_DETACH.
int linux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options);
int linux_detach(const char *target);
#define LINUX_MOUNT_BIND_ALL 0x5000
#define LINUX_MOUNT_PRIVATE_ALL 0x44000
#define LINUX_MOUNT_NO_SUID 0x2
#define LINUX_MOUNT_NO_DEVICES 0x4
#define LINUX_MOUNT_NO_EXEC 0x8
#define LINUX_MOUNT_READ_ONLY 0x1

/// mount_setattr(2): sets MOUNT_ATTR_* on the mount at `target`, and with `recursive` on all beneath.
int linux_mount_set(const char *target, uint64_t attributes, int recursive);
#define LINUX_ATTRIBUTE_READ_ONLY 0x1
#define LINUX_ATTRIBUTE_NO_SUID 0x2
#define LINUX_ATTRIBUTE_NO_DEVICES 0x4

/// openat2(2) with O_PATH and RESOLVE_NO_SYMLINKS: a descriptor, or -1; ELOOP where a link is on the way.
int linux_open_place(const char *path);
/// open_tree(2) with OPEN_TREE_CLONE and AT_RECURSIVE: the mounts from `place` on, put nowhere yet.
int linux_copy_mounts(int place);
/// As linux_mount_set, of all that was copied.
int linux_set_copied(int tree, uint64_t attributes);
/// move_mount(2): puts what was copied over `place`.
int linux_put_mounts(int tree, int place);

/// pivot_root(2).
int linux_pivot_root(const char *root, const char *old);

/// unshare(2) with CLONE_NEWCGROUP.
#define LINUX_NEW_CGROUP 0x02000000

/// signalfd(2) of these signals, which are blocked, with SFD_CLOEXEC and SFD_NONBLOCK: a descriptor, or -1.
int linux_signal_descriptor(const int *signals, size_t count);
/// Takes one signal from it: its number, or -1.
int linux_take_signal(int descriptor);
/// Every signal does what it does by default, and none is blocked, as a new program expects.
void linux_reset_signals(void);

/// ioctl(2) TIOCSCTTY: the terminal becomes the session's.
int linux_take_terminal(int terminal);
/// posix_openpt(3), grantpt(3), unlockpt(3) and TIOCGPTPEER: 0, or -1. The slave is a new instance's own.
int linux_open_terminal(const char *multiplexer, int *leader, int *follower);
/// ioctl(2) TIOCGWINSZ of one terminal and TIOCSWINSZ of another, with so many rows more or less.
int linux_copy_window_size(int from, int to, int rows);

/// setrlimit(2) of both limits: RLIMIT_NPROC, RLIMIT_DATA, RLIMIT_CORE.
int linux_limit_processes(uint64_t count);
int linux_limit_memory(uint64_t bytes);
int linux_limit_core(uint64_t bytes);
#endif
