#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <limits.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>

const uint32_t linux_epoll_in = EPOLLIN;
const uint32_t linux_epoll_pri = EPOLLPRI;
const uint32_t linux_epoll_out = EPOLLOUT;
const uint32_t linux_epoll_err = EPOLLERR;
const uint32_t linux_epoll_hup = EPOLLHUP;
const uint32_t linux_epoll_rdhup = EPOLLRDHUP;
const uint32_t linux_epoll_et = EPOLLET;

int linux_epoll_wait(int epoll, struct epoll_event *events, int capacity, uint32_t nanoseconds)
{
  struct timespec wait = {.tv_sec = 0, .tv_nsec = nanoseconds};
  int count = epoll_pwait2(epoll, events, capacity, &wait, NULL);
  if (count >= 0 || errno != ENOSYS) return count;
  return epoll_wait(epoll, events, capacity, (int)(nanoseconds / 1000000 + (nanoseconds % 1000000 != 0)));
}

int linux_event_descriptor(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

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

int linux_set_transparent(int fd, int family)
{
  return family == AF_INET6 ? linux_set_flag(fd, SOL_IPV6, IPV6_TRANSPARENT) : linux_set_flag(fd, SOL_IP, IP_TRANSPARENT);
}

int linux_bind_to_device(int fd, const char *name, socklen_t length)
{
  return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, length);
}

int linux_original_destination(int fd, int family, struct sockaddr *address, socklen_t *length)
{
  return family == AF_INET6 ? getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, address, length)
                            : getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, address, length);
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

static void fill(struct mmsghdr *header, struct iovec *part, struct linux_datagram *datagram, size_t control)
{
  part->iov_base = datagram->buffer;
  part->iov_len = datagram->length;
  header->msg_hdr = (struct msghdr){
      .msg_name = &datagram->peer,
      .msg_namelen = datagram->peer_length,
      .msg_iov = part,
      .msg_iovlen = 1,
      .msg_control = control ? datagram->control : NULL,
      .msg_controllen = control,
  };
}

int linux_receive_batch(int fd, struct linux_datagram *datagrams, unsigned count)
{
  struct mmsghdr headers[LINUX_BATCH];
  struct iovec parts[LINUX_BATCH];
  for (unsigned i = 0; i < count; i++) {
    datagrams[i].peer_length = sizeof datagrams[i].peer;
    fill(&headers[i], &parts[i], &datagrams[i], sizeof datagrams[i].control);
  }
  int received = recvmmsg(fd, headers, count, MSG_DONTWAIT, NULL);
  for (int i = 0; i < received; i++) {
    datagrams[i].length = headers[i].msg_len;
    datagrams[i].peer_length = headers[i].msg_hdr.msg_namelen;
    datagrams[i].control_length = headers[i].msg_hdr.msg_controllen;
    datagrams[i].flags = headers[i].msg_hdr.msg_flags;
  }
  return received;
}

int linux_send_batch(int fd, struct linux_datagram *datagrams, unsigned count)
{
  struct mmsghdr headers[LINUX_BATCH];
  struct iovec parts[LINUX_BATCH];
  for (unsigned i = 0; i < count; i++) fill(&headers[i], &parts[i], &datagrams[i], datagrams[i].control_length);
  return sendmmsg(fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int linux_set_receive_buffer(int fd, int bytes)
{
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0) return 0;
  return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

ssize_t linux_random(void *buffer, size_t length)
{
  return getrandom(buffer, length, 0);
}
