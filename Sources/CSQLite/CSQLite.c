#include "CSQLite.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

_Static_assert(SQLITE_CODE_OK == SQLITE_OK && SQLITE_CODE_ERROR == SQLITE_ERROR, "codes are SQLite's");
_Static_assert(SQLITE_CODE_BUSY == SQLITE_BUSY && SQLITE_CODE_CORRUPT == SQLITE_CORRUPT, "codes are SQLite's");
_Static_assert(SQLITE_CODE_FULL == SQLITE_FULL, "codes are SQLite's");
_Static_assert(SQLITE_CODE_NOT_A_DATABASE == SQLITE_NOTADB, "codes are SQLite's");
_Static_assert(SQLITE_CODE_ROW == SQLITE_ROW && SQLITE_CODE_DONE == SQLITE_DONE, "codes are SQLite's");

/* Every function that is called, with the type of its declaration. */
#define FUNCTIONS(each) \
  each(sqlite3_bind_blob64) each(sqlite3_bind_int64) each(sqlite3_bind_text64) each(sqlite3_busy_timeout) \
  each(sqlite3_clear_bindings) each(sqlite3_close_v2) each(sqlite3_column_blob) each(sqlite3_column_bytes) \
  each(sqlite3_column_int64) each(sqlite3_column_type) each(sqlite3_db_config) each(sqlite3_errmsg) each(sqlite3_exec) \
  each(sqlite3_finalize) each(sqlite3_limit) each(sqlite3_open_v2) each(sqlite3_prepare_v2) each(sqlite3_reset) \
  each(sqlite3_step)

#define POINTER(name) __typeof__(&name) name;
static struct { FUNCTIONS(POINTER) } lib;

static const char *problem;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
  void *library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    problem = "libsqlite3.so.0 cannot be loaded";
    return;
  }
#define FIND(name) \
  if ((*(void **)&lib.name = dlsym(library, #name)) == NULL) { problem = "libsqlite3.so.0 lacks " #name; return; }
  FUNCTIONS(FIND)
}

const char *sqlite_load(void)
{
  pthread_once(&once, load);
  return problem;
}

int sqlite_open(const char *path, int longest, int wait, struct sqlite3 **database)
{
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int code = lib.sqlite3_open_v2(path, database, flags, NULL);
  if (code != SQLITE_OK) return code;
  lib.sqlite3_limit(*database, SQLITE_LIMIT_LENGTH, longest);
  code = lib.sqlite3_db_config(*database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
  if (code == SQLITE_OK) code = lib.sqlite3_db_config(*database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
  return code != SQLITE_OK ? code : lib.sqlite3_busy_timeout(*database, wait);
}

void sqlite_close(struct sqlite3 *database)
{
  lib.sqlite3_close_v2(database);
}

int sqlite_run(struct sqlite3 *database, const char *statements)
{
  return lib.sqlite3_exec(database, statements, NULL, NULL, NULL);
}

int sqlite_limit_size(struct sqlite3 *database, int64_t bytes)
{
  /* Pages of 4 KiB, as SQLite makes them (sqlite.org/pragma.html#pragma_page_size). */
  char statement[64];
  snprintf(statement, sizeof statement, "PRAGMA max_page_count = %lld", (long long)(bytes / 4096 + 1));
  return sqlite_run(database, statement);
}

const char *sqlite_reason(struct sqlite3 *database)
{
  return lib.sqlite3_errmsg(database);
}

int sqlite_prepare(struct sqlite3 *database, const char *statement, struct sqlite3_stmt **result)
{
  return lib.sqlite3_prepare_v2(database, statement, -1, result, NULL);
}

void sqlite_finish(struct sqlite3_stmt *statement)
{
  lib.sqlite3_finalize(statement);
}

int sqlite_step(struct sqlite3_stmt *statement)
{
  return lib.sqlite3_step(statement);
}

void sqlite_reset(struct sqlite3_stmt *statement)
{
  lib.sqlite3_reset(statement);
  lib.sqlite3_clear_bindings(statement);
}

int sqlite_bind_number(struct sqlite3_stmt *statement, int place, int64_t value)
{
  return lib.sqlite3_bind_int64(statement, place, value);
}

int sqlite_bind_words(struct sqlite3_stmt *statement, int place, const char *bytes, size_t count)
{
  return lib.sqlite3_bind_text64(statement, place, bytes != NULL ? bytes : "", count, SQLITE_TRANSIENT, SQLITE_UTF8);
}

int sqlite_bind_bytes(struct sqlite3_stmt *statement, int place, const void *bytes, size_t count)
{
  return lib.sqlite3_bind_blob64(statement, place, bytes != NULL ? bytes : "", count, SQLITE_TRANSIENT);
}

int sqlite_is_null(struct sqlite3_stmt *statement, int place)
{
  return lib.sqlite3_column_type(statement, place) == SQLITE_NULL;
}

int64_t sqlite_number(struct sqlite3_stmt *statement, int place)
{
  return lib.sqlite3_column_int64(statement, place);
}

const void *sqlite_bytes(struct sqlite3_stmt *statement, int place, size_t *count)
{
  const void *bytes = lib.sqlite3_column_blob(statement, place);
  *count = bytes != NULL ? (size_t)lib.sqlite3_column_bytes(statement, place) : 0;
  return bytes;
}
