#define _GNU_SOURCE
#include "CLinuxDiagnosis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int linux_diagnosis_socket(void)
{
  int diagnosis = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  struct timeval limit = {.tv_sec = 1};
  if (diagnosis >= 0) setsockopt(diagnosis, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return diagnosis;
}

int linux_find_socket(int diagnosis, int family, const uint8_t *own, uint16_t own_port, const uint8_t *peer,
                      uint16_t peer_port, uint64_t *inode, uint32_t *user)
{
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } ask = {
      .header = {.nlmsg_len = sizeof ask, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
      .request = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = -1},
  };
  size_t size = family == AF_INET6 ? 16 : 4;
  memcpy(ask.request.id.idiag_src, own, size);
  memcpy(ask.request.id.idiag_dst, peer, size);
  ask.request.id.idiag_sport = htons(own_port);
  ask.request.id.idiag_dport = htons(peer_port);
  ask.request.id.idiag_cookie[0] = ask.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(diagnosis, &ask, sizeof ask, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -1;
  union {
    struct nlmsghdr header;
    char bytes[4096];
  } answer;
  ssize_t length = recv(diagnosis, &answer, sizeof answer, 0);
  if (length < (ssize_t)(NLMSG_HDRLEN + sizeof(struct inet_diag_msg))) return -1;
  if (!NLMSG_OK(&answer.header, length) || answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) return -1;
  const struct inet_diag_msg *found = NLMSG_DATA(&answer.header);
  if (found->idiag_inode == 0) return -1;
  *inode = found->idiag_inode;
  *user = found->idiag_uid;
  return 0;
}
