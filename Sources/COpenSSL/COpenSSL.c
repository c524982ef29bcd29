#include "COpenSSL.h"

#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>

/* Every function that is called, with the type of its declaration. */
#define FUNCTIONS(each) \
  each(BIO_new) each(BIO_read) each(BIO_s_mem) each(BIO_write) each(ERR_clear_error) each(ERR_peek_last_error) \
  each(ERR_reason_error_string) each(SSL_CTX_ctrl) each(SSL_CTX_free) each(SSL_CTX_load_verify_locations) \
  each(SSL_CTX_check_private_key) each(SSL_CTX_new) each(SSL_CTX_set_default_passwd_cb) \
  each(SSL_CTX_set_default_verify_paths) each(SSL_CTX_set_options) each(SSL_CTX_set_verify) \
  each(SSL_ctrl) each(SSL_do_handshake) each(SSL_free) each(SSL_get_error) each(SSL_get_rbio) \
  each(SSL_get_verify_result) each(SSL_get_wbio) each(SSL_new) each(SSL_read) each(SSL_set1_host) \
  each(SSL_set_bio) each(SSL_set_connect_state) each(SSL_set_hostflags) each(SSL_shutdown) each(SSL_write) \
  each(SSL_CTX_use_certificate_chain_file) \
  each(SSL_CTX_use_PrivateKey_file) each(TLS_client_method) each(X509_verify_cert_error_string) each(BIO_free)

#define POINTER(name) __typeof__(&name) name;
static struct { FUNCTIONS(POINTER) } lib;

static const char *problem;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
  void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    problem = "libssl.so.3 cannot be loaded";
    return;
  }
#define FIND(name) \
  if ((*(void **)&lib.name = dlsym(library, #name)) == NULL) { problem = "libssl.so.3 lacks " #name; return; }
  FUNCTIONS(FIND)
}

const char *openssl_load(void)
{
  pthread_once(&once, load);
  return problem;
}

struct ssl_ctx_st *openssl_settings_new(const char *authorities)
{
  lib.ERR_clear_error();
  SSL_CTX *settings = lib.SSL_CTX_new(lib.TLS_client_method());
  if (settings == NULL) return NULL;
  int are_set = lib.SSL_CTX_ctrl(settings, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) == 1
    && (authorities != NULL ? lib.SSL_CTX_load_verify_locations(settings, authorities, NULL)
                            : lib.SSL_CTX_set_default_verify_paths(settings)) == 1;
  if (!are_set) {
    lib.SSL_CTX_free(settings);
    return NULL;
  }
  lib.SSL_CTX_set_verify(settings, SSL_VERIFY_PEER, NULL);
  lib.SSL_CTX_set_options(settings, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  lib.SSL_CTX_ctrl(settings, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
  lib.SSL_CTX_ctrl(settings, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL);
  return settings;
}

/* An encrypted key is no key: nobody is asked for its password. */
static int no_password(char *buffer, int size, int is_written, void *context)
{
  (void)buffer, (void)size, (void)is_written, (void)context;
  return -1;
}

int openssl_settings_identity(struct ssl_ctx_st *settings, const char *certificates, const char *key)
{
  lib.ERR_clear_error();
  lib.SSL_CTX_set_default_passwd_cb(settings, no_password);
  return lib.SSL_CTX_use_certificate_chain_file(settings, certificates) == 1
    && lib.SSL_CTX_use_PrivateKey_file(settings, key, SSL_FILETYPE_PEM) == 1
    && lib.SSL_CTX_check_private_key(settings) == 1;
}

void openssl_settings_free(struct ssl_ctx_st *settings)
{
  lib.SSL_CTX_free(settings);
}

struct ssl_st *openssl_session_new(struct ssl_ctx_st *settings, const char *name, int is_name)
{
  lib.ERR_clear_error();
  SSL *session = lib.SSL_new(settings);
  if (session == NULL) return NULL;
  BIO *incoming = lib.BIO_new(lib.BIO_s_mem()), *outgoing = lib.BIO_new(lib.BIO_s_mem());
  if (incoming == NULL || outgoing == NULL) {
    lib.BIO_free(incoming);
    lib.BIO_free(outgoing);
    lib.SSL_free(session);
    return NULL;
  }
  lib.SSL_set_bio(session, incoming, outgoing);
  lib.SSL_set_connect_state(session);
  /* RFC 9525 §6.3: no '*' inside a label; §2: the subject's common name is no name. */
  lib.SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  /* An address is compared with the certificate's addresses; only a name may be told to the server (RFC 6066 §3). */
  if (lib.SSL_set1_host(session, name) != 1
      || (is_name
          && lib.SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)name) != 1)) {
    lib.SSL_free(session);
    return NULL;
  }
  return session;
}

void openssl_session_free(struct ssl_st *session)
{
  lib.SSL_free(session);
}

int openssl_put(struct ssl_st *session, const void *bytes, int count)
{
  return lib.BIO_write(lib.SSL_get_rbio(session), bytes, count) == count;
}

int openssl_take(struct ssl_st *session, void *bytes, int count)
{
  int taken = lib.BIO_read(lib.SSL_get_wbio(session), bytes, count);
  return taken > 0 ? taken : 0;
}

static int step(const SSL *session, int result)
{
  switch (lib.SSL_get_error(session, result)) {
  case SSL_ERROR_NONE: return OPENSSL_DONE;
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE: return OPENSSL_WAITS;
  case SSL_ERROR_ZERO_RETURN: return OPENSSL_ENDED;
  default: return OPENSSL_FAILED;
  }
}

int openssl_handshake(struct ssl_st *session)
{
  lib.ERR_clear_error();
  int result = step(session, lib.SSL_do_handshake(session));
  /* Checked by the handshake itself; here so that no change of a flag can undo it. */
  if (result == OPENSSL_DONE && lib.SSL_get_verify_result(session) != X509_V_OK) return OPENSSL_FAILED;
  return result == OPENSSL_ENDED ? OPENSSL_FAILED : result;
}

int openssl_read(struct ssl_st *session, void *bytes, int count)
{
  lib.ERR_clear_error();
  int result = lib.SSL_read(session, bytes, count);
  return result > 0 ? result : step(session, result);
}

int openssl_write(struct ssl_st *session, const void *bytes, int count)
{
  lib.ERR_clear_error();
  int result = lib.SSL_write(session, bytes, count);
  return result > 0 ? OPENSSL_DONE : step(session, result);
}

void openssl_goodbye(struct ssl_st *session)
{
  lib.ERR_clear_error();
  lib.SSL_shutdown(session);
}

int openssl_refused_certificate(const struct ssl_st *session)
{
  return lib.SSL_get_verify_result(session) != X509_V_OK;
}

const char *openssl_reason(const struct ssl_st *session)
{
  if (openssl_refused_certificate(session))
    return lib.X509_verify_cert_error_string(lib.SSL_get_verify_result(session));
  const char *reason = lib.ERR_reason_error_string(lib.ERR_peek_last_error());
  return reason != NULL ? reason : "unknown";
}
