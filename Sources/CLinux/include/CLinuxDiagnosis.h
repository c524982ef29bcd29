// Which socket is whose. No logic lives here.
#ifndef CLINUX_DIAGNOSIS_H
#define CLINUX_DIAGNOSIS_H
#include <stdint.h>

/// socket(2) of NETLINK_SOCK_DIAG: a descriptor, or -1.
int linux_diagnosis_socket(void);

/// sock_diag(7), the one TCP socket of this network namespace with these two ends: 0 with its inode and user, or -1.
/// Addresses are 4 or 16 bytes as they travel, ports numbers of this host.
int linux_find_socket(int diagnosis, int family, const uint8_t *own, uint16_t own_port, const uint8_t *peer,
                      uint16_t peer_port, uint64_t *inode, uint32_t *user);

#endif
