#define _GNU_SOURCE
#include "CLinuxProcess.h"

#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers that are the same on every architecture; Debian 12's libc knows none of them by name. */
enum { create_ruleset = 444, add_rule = 445, restrict_self = 446 };
/* enum landlock_rule_type; the second is of ABI 4. */
enum { path_beneath = 1, net_port = 2 };

long linux_syscall(long number, long a, long b, long c, long d, long e, long f)
{
  return syscall(number, a, b, c, d, e, f);
}

int linux_prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  return prctl(operation, a, b, c, d);
}

int linux_get_capabilities(struct linux_capabilities *sets)
{
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return -1;
  *sets = (struct linux_capabilities){
      .effective = (uint64_t)data[1].effective << 32 | data[0].effective,
      .permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted,
      .inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable,
  };
  return 0;
}

int linux_set_capabilities(const struct linux_capabilities *sets)
{
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  for (int i = 0; i < 2; i++) {
    data[i].effective = (uint32_t)(sets->effective >> (32 * i));
    data[i].permitted = (uint32_t)(sets->permitted >> (32 * i));
    data[i].inheritable = (uint32_t)(sets->inheritable >> (32 * i));
  }
  return syscall(SYS_capset, &header, data);
}

int linux_set_groups(const gid_t *groups, size_t count) { return setgroups(count, groups); }

int linux_set_group_ids(gid_t real, gid_t effective, gid_t saved) { return setresgid(real, effective, saved); }

int linux_set_user_ids(uid_t real, uid_t effective, uid_t saved) { return setresuid(real, effective, saved); }

int linux_get_user_ids(uid_t *real, uid_t *effective, uid_t *saved) { return getresuid(real, effective, saved); }

int linux_get_group_ids(gid_t *real, gid_t *effective, gid_t *saved) { return getresgid(real, effective, saved); }

int linux_install_filter(const struct sock_filter *program, unsigned short count, unsigned flags)
{
  struct sock_fprog whole = {.len = count, .filter = (struct sock_filter *)program};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &whole);
}

int linux_landlock_abi(void) { return syscall(create_ruleset, NULL, 0, 1U); }

int linux_landlock_create(const struct linux_landlock_ruleset *ruleset, size_t size)
{
  return syscall(create_ruleset, ruleset, size, 0U);
}

int linux_landlock_allow_path(int ruleset, int path, uint64_t rights)
{
  struct {
    uint64_t rights;
    int32_t parent;
  } __attribute__((packed)) rule = {rights, path};
  return syscall(add_rule, ruleset, path_beneath, &rule, 0U);
}

int linux_landlock_allow_port(int ruleset, uint64_t port, uint64_t rights)
{
  uint64_t rule[2] = {rights, port};
  return syscall(add_rule, ruleset, net_port, rule, 0U);
}

int linux_landlock_restrict(int ruleset) { return syscall(restrict_self, ruleset, 0U); }

int linux_open_path(const char *path) { return open(path, O_PATH | O_CLOEXEC); }

pid_t linux_fork(void) { return fork(); }

int linux_close_range(unsigned first, unsigned last) { return syscall(SYS_close_range, first, last, 0U); }

int linux_packet_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

/* The control part of a message, aligned as cmsg(3) wants it. */
union rights {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int) * LINUX_MESSAGE_DESCRIPTORS)];
};

ssize_t linux_send_message(int fd, const void *header, size_t header_length, const void *body,
                           size_t body_length, const int *descriptors, size_t count, int flags)
{
  struct iovec parts[2] = {{(void *)header, header_length}, {(void *)body, body_length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  union rights rights;
  if (count > 0) {
    memset(&rights, 0, sizeof rights);
    message.msg_control = rights.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(control), descriptors, sizeof(int) * count);
  }
  return sendmsg(fd, &message, flags | MSG_NOSIGNAL);
}

ssize_t linux_receive_message(int fd, void *buffer, size_t capacity, int *descriptors, size_t *count,
                              int *cut, int flags)
{
  struct iovec part = {buffer, capacity};
  union rights rights;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
  ssize_t length = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
  *count = 0;
  *cut = 0;
  if (length < 0) return length;
  *cut = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
  for (struct cmsghdr *control = CMSG_FIRSTHDR(&message); control != NULL; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    size_t held = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(descriptors + *count, CMSG_DATA(control), held * sizeof(int));
    *count += held;
  }
  return length;
}

int linux_unshare(int namespaces)
{
  return unshare(namespaces);
}

static int visit_segments_of(struct dl_phdr_info *object, size_t size, void *visit)
{
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    if (segment->p_type == PT_LOAD)
      ((linux_segment_visitor)visit)(object->dlpi_addr + segment->p_vaddr, segment->p_memsz, segment->p_flags);
  }
  return 0;
}

void linux_visit_segments(linux_segment_visitor visit)
{
  dl_iterate_phdr(visit_segments_of, visit);
}

void linux_trim_heap(void)
{
  malloc_trim(0);
}

const int linux_sched_batch = SCHED_BATCH;

void linux_limit_heaps(int count)
{
  mallopt(M_ARENA_MAX, count);
}
