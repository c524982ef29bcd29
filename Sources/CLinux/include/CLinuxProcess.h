// What a process may do, and how it starts another: system calls that glibc
// has no function for, variadic ones, and macros. No logic lives here.
#ifndef CLINUX_PROCESS_H
#define CLINUX_PROCESS_H
#include <elf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/types.h>

/// syscall(2): the result, or -1 and errno.
long linux_syscall(long number, long a, long b, long c, long d, long e, long f);

/// prctl(2).
int linux_prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

/// dl_iterate_phdr(3): each PT_LOAD segment of the program and what it loaded, with its PF_ flags.
typedef void (*linux_segment_visitor)(uintptr_t address, size_t length, uint32_t flags);
void linux_visit_segments(linux_segment_visitor visit);

/// malloc_trim(3): gives freed memory back to the kernel.
void linux_trim_heap(void);

/// SCHED_BATCH of sched(7).
extern const int linux_sched_batch;

/// mallopt(3), M_ARENA_MAX: how many heaps the threads share.
void linux_limit_heaps(int count);

/// Three sets of capabilities, one bit each, by their numbers in <linux/capability.h>.
struct linux_capabilities {
  uint64_t effective, permitted, inheritable;
};

/// capget(2) and capset(2) of the calling thread, version 3.
int linux_get_capabilities(struct linux_capabilities *sets);
int linux_set_capabilities(const struct linux_capabilities *sets);

/// setgroups(2), setresgid(2), setresuid(2), getresuid(2), getresgid(2).
int linux_set_groups(const gid_t *groups, size_t count);
int linux_set_group_ids(gid_t real, gid_t effective, gid_t saved);
int linux_set_user_ids(uid_t real, uid_t effective, uid_t saved);
int linux_get_user_ids(uid_t *real, uid_t *effective, uid_t *saved);
int linux_get_group_ids(gid_t *real, gid_t *effective, gid_t *saved);

/// seccomp(2) SECCOMP_SET_MODE_FILTER; `flags` are SECCOMP_FILTER_FLAG_*.
int linux_install_filter(const struct sock_filter *program, unsigned short count, unsigned flags);

/// struct landlock_ruleset_attr of ABI 6; an older kernel takes fewer of its bytes.
struct linux_landlock_ruleset {
  uint64_t files, network, scopes;
};

/// landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION: the ABI, or -1.
int linux_landlock_abi(void);
/// landlock_create_ruleset(2) of the first `size` bytes: a descriptor, or -1.
int linux_landlock_create(const struct linux_landlock_ruleset *ruleset, size_t size);
/// landlock_add_rule(2): beneath the directory, or on the file, open as `path`; TCP port `port`.
int linux_landlock_allow_path(int ruleset, int path, uint64_t rights);
int linux_landlock_allow_port(int ruleset, uint64_t port, uint64_t rights);
/// landlock_restrict_self(2).
int linux_landlock_restrict(int ruleset);

/// open(2) with O_PATH and O_CLOEXEC.
int linux_open_path(const char *path);

/// fork(2). Only of a process with one thread may the child do more than signal-safety(7) lists.
pid_t linux_fork(void);

/// unshare(2) with some of LINUX_NEW_*.
int linux_unshare(int namespaces);
#define LINUX_NEW_USER 0x10000000
/// Network, mounts, processes, IPC and host names.
#define LINUX_NEW_OTHERS 0x6C020000

/// close_range(2) of all from `first` to `last`, both included.
int linux_close_range(unsigned first, unsigned last);

/// socketpair(2) AF_UNIX, SOCK_SEQPACKET, SOCK_CLOEXEC.
int linux_packet_pair(int ends[2]);

/// How many descriptors one message carries at most (unix(7) allows 253).
#define LINUX_MESSAGE_DESCRIPTORS 64

/// sendmsg(2) of a header and a body as one message with SCM_RIGHTS, MSG_NOSIGNAL and `flags`: bytes, or -1.
ssize_t linux_send_message(int fd, const void *header, size_t header_length, const void *body,
                           size_t body_length, const int *descriptors, size_t count, int flags);
/// recvmsg(2) with MSG_CMSG_CLOEXEC and `flags`: bytes, 0 at the end, or -1. `descriptors` has room for
/// LINUX_MESSAGE_DESCRIPTORS. `cut` is msg_flags & (MSG_TRUNC | MSG_CTRUNC).
ssize_t linux_receive_message(int fd, void *buffer, size_t capacity, int *descriptors, size_t *count,
                              int *cut, int flags);
#endif
