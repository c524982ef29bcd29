/* A TLS client on memory, as much of OpenSSL 3 as DNS over TLS and shipping the log need.
 *
 * The library is not linked: `openssl_load` opens libssl.so.3 with dlopen(3)
 * when the first TLS peer is configured. Linked, it would cost every gate
 * 1.7 MB of resident memory at its start (relocations of libcrypto), whether it
 * speaks TLS or not.
 *
 * No function touches a socket. One session belongs to one thread at a time;
 * settings may be shared. */
#ifndef COPENSSL_H
#define COPENSSL_H

#include <stddef.h>

struct ssl_ctx_st;
struct ssl_st;

/* What a step came to. */
enum openssl_step {
  /* It is done, or so many bytes are. */
  OPENSSL_DONE = 1,
  /* It goes on when more has come from the peer. */
  OPENSSL_WAITS = 0,
  /* The session is broken: `openssl_reason` says why. */
  OPENSSL_FAILED = -1,
  /* The peer has ended it. */
  OPENSSL_ENDED = -2,
};

/* Loads the library. Returns NULL, or why it cannot be used. Any thread, any number of times. */
const char *openssl_load(void);

/* Settings of a client that checks its peer's certificate: TLS 1.2 and later, no
 * session is kept. `authorities` is a PEM file; NULL takes the system's.
 * Returns NULL when it cannot be read, or holds no certificate. */
struct ssl_ctx_st *openssl_settings_new(const char *authorities);
void openssl_settings_free(struct ssl_ctx_st *settings);
/* The client's own certificate, a PEM file with its chain, and its key, a PEM file that is not encrypted.
 * Returns whether both could be read and belong together. */
int openssl_settings_identity(struct ssl_ctx_st *settings, const char *certificates, const char *key);

/* A session with the server that is to be `name`, an address unless `is_name`. Returns NULL without memory. */
struct ssl_st *openssl_session_new(struct ssl_ctx_st *settings, const char *name, int is_name);
void openssl_session_free(struct ssl_st *session);

/* Gives what came from the peer. Returns whether there was memory for it. */
int openssl_put(struct ssl_st *session, const void *bytes, int count);
/* Takes what is to be sent to the peer. Returns the number of bytes, 0 for none. */
int openssl_take(struct ssl_st *session, void *bytes, int count);

/* Goes on with the handshake: DONE, WAITS or FAILED. */
int openssl_handshake(struct ssl_st *session);
/* Reads what the peer said: a number of bytes, WAITS, FAILED or ENDED. */
int openssl_read(struct ssl_st *session, void *bytes, int count);
/* Says something to the peer, all of it: DONE, WAITS or FAILED. */
int openssl_write(struct ssl_st *session, const void *bytes, int count);
/* Says goodbye. */
void openssl_goodbye(struct ssl_st *session);

/* Whether it was the peer's certificate that made the handshake fail. */
int openssl_refused_certificate(const struct ssl_st *session);
/* Why the last step failed, in OpenSSL's words; lives as long as the library. */
const char *openssl_reason(const struct ssl_st *session);

#endif
