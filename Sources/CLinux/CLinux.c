#define _GNU_SOURCE
#include "CLinux.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

const uint32_t linux_epoll_in = EPOLLIN;
const uint32_t linux_epoll_pri = EPOLLPRI;
const uint32_t linux_epoll_out = EPOLLOUT;
const uint32_t linux_epoll_err = EPOLLERR;
const uint32_t linux_epoll_hup = EPOLLHUP;
const uint32_t linux_epoll_rdhup = EPOLLRDHUP;
const uint32_t linux_epoll_et = EPOLLET;
const uint32_t linux_epoll_exclusive = EPOLLEXCLUSIVE;

int linux_accept(int fd, struct sockaddr *address, socklen_t *length)
{
  return accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int linux_stream_socket(int family)
{
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int linux_datagram_socket(int family)
{
  return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int linux_pipe(int ends[2])
{
  return pipe2(ends, O_NONBLOCK | O_CLOEXEC);
}

int linux_set_pipe_size(int fd, int bytes)
{
  return fcntl(fd, F_SETPIPE_SZ, bytes);
}

ssize_t linux_splice(int from, int to, size_t count)
{
  return splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

int linux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid)
{
  struct ucred peer;
  socklen_t length = sizeof peer;
  int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  if (result == 0) {
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
  }
  return result;
}

int linux_socket_protocol(int fd)
{
  int protocol;
  socklen_t length = sizeof protocol;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) ? -1 : protocol;
}

int linux_unsent_bytes(int fd)
{
  int bytes;
  return ioctl(fd, SIOCOUTQ, &bytes) ? -1 : bytes;
}

int linux_linger_zero(int fd)
{
  struct linger zero = {.l_onoff = 1, .l_linger = 0};
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &zero, sizeof zero);
}

int linux_set_flag(int fd, int level, int option)
{
  int one = 1;
  return setsockopt(fd, level, option, &one, sizeof one);
}

int linux_get_descriptor_limit(uint64_t *soft, uint64_t *hard)
{
  struct rlimit limit;
  int result = getrlimit(RLIMIT_NOFILE, &limit);
  *soft = limit.rlim_cur;
  *hard = limit.rlim_max;
  return result;
}

int linux_set_descriptor_limit(uint64_t soft, uint64_t hard)
{
  struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
  return setrlimit(RLIMIT_NOFILE, &limit);
}

char **linux_environment(void) { return environ; }
