// Headers and thin shims that Swift cannot import by itself: variadic
// functions, macros, and what glibc declares under _GNU_SOURCE alone.
// No logic lives here.
#ifndef CLINUX_H
#define CLINUX_H
#include "CLinuxDiagnosis.h"
#include "CLinuxLaunch.h"
#include "CLinuxProcess.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

/// epoll(7) bits as plain numbers; the header has some as an enum, some as macros.
extern const uint32_t linux_epoll_in;
extern const uint32_t linux_epoll_pri;
extern const uint32_t linux_epoll_out;
extern const uint32_t linux_epoll_err;
extern const uint32_t linux_epoll_hup;
extern const uint32_t linux_epoll_rdhup;
extern const uint32_t linux_epoll_et;

/// epoll_pwait2(2), which knows times below a millisecond, with no signal mask.
int linux_epoll_wait(int epoll, struct epoll_event *events, int capacity, uint32_t nanoseconds);

/// eventfd(2) with EFD_NONBLOCK and EFD_CLOEXEC.
int linux_event_descriptor(void);

/// accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC.
int linux_accept(int fd, struct sockaddr *address, socklen_t *length);

/// socket(2) with SOCK_NONBLOCK and SOCK_CLOEXEC; `type` is SOCK_STREAM or SOCK_DGRAM.
int linux_stream_socket(int family);
int linux_datagram_socket(int family);

/// pipe2(2) with O_NONBLOCK and O_CLOEXEC.
int linux_pipe(int ends[2]);

/// fcntl(2) F_SETPIPE_SZ: the size got in bytes, or -1.
int linux_set_pipe_size(int fd, int bytes);

/// splice(2) with SPLICE_F_MOVE and SPLICE_F_NONBLOCK, both ends without offset.
ssize_t linux_splice(int from, int to, size_t count);

/// getsockopt(2) SO_PEERCRED.
int linux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

/// getsockopt(2) SO_PROTOCOL: IPPROTO_TCP for a TCP socket, 0 for a Unix one, or -1.
int linux_socket_protocol(int fd);

/// ioctl(2) SIOCOUTQ: bytes in the send queue that the peer has not acknowledged, or -1.
int linux_unsent_bytes(int fd);

/// setsockopt(2) SO_LINGER with zero seconds: close(2) then resets the connection.
int linux_linger_zero(int fd);

/// setsockopt(2) with the value 1.
int linux_set_flag(int fd, int level, int option);

/// setsockopt(2) IP_TRANSPARENT or IPV6_TRANSPARENT: the socket may have addresses that are not this host's.
int linux_set_transparent(int fd, int family);

/// setsockopt(2) SO_BINDTODEVICE; a name without NUL.
int linux_bind_to_device(int fd, const char *name, socklen_t length);

/// getsockopt(2) SO_ORIGINAL_DST or IP6T_SO_ORIGINAL_DST: where a connection went before NAT led it here.
int linux_original_destination(int fd, int family, struct sockaddr *address, socklen_t *length);

/// One datagram of a batch: a buffer, whose it is, and by which local address it came or goes.
struct linux_datagram {
  void *buffer;
  /// In: the room in the buffer (receive) or the bytes to send. Out: the bytes received.
  size_t length;
  struct sockaddr_storage peer;
  socklen_t peer_length;
  /// IP_PKTINFO or IPV6_PKTINFO as received; sent back as it is. 0 bytes: none.
  _Alignas(8) unsigned char control[48];
  size_t control_length;
  /// msg_flags as received; MSG_TRUNC when the datagram did not fit.
  int flags;
};

/// recvmmsg(2) and sendmmsg(2) with MSG_DONTWAIT, of at most LINUX_BATCH datagrams.
#define LINUX_BATCH 32
int linux_receive_batch(int fd, struct linux_datagram *datagrams, unsigned count);
int linux_send_batch(int fd, struct linux_datagram *datagrams, unsigned count);

/// setsockopt(2) SO_RCVBUF, beyond net.core.rmem_max where the process may (SO_RCVBUFFORCE).
int linux_set_receive_buffer(int fd, int bytes);

/// getrandom(2) without flags.
ssize_t linux_random(void *buffer, size_t length);

/// getrlimit(2) and setrlimit(2) of RLIMIT_NOFILE.
int linux_get_descriptor_limit(uint64_t *soft, uint64_t *hard);
int linux_set_descriptor_limit(uint64_t soft, uint64_t hard);

/// environ(7): a bare global, which Swift 6 does not let be read by its name.
char **linux_environment(void);
#endif
