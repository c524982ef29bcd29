/* As much of SQLite 3 as an index of a log needs.
 *
 * The library is not linked: `sqlite_load` opens libsqlite3.so.0 with dlopen(3)
 * when a log is reviewed that has, or is large enough for, an index. Linked, it
 * would be loaded and relocated at every start of every command, and none would
 * start without it; so reviews go without an index where it is missing.
 *
 * One database belongs to one thread at a time. Functions that return an int
 * return SQLite's result codes: 0 (SQLITE_OK) unless said otherwise. */
#ifndef CSQLITE_H
#define CSQLITE_H

#include <stddef.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

/* The result codes that are told apart (sqlite3.h holds the same numbers; CSQLite.c checks it). */
enum sqlite_code {
  SQLITE_CODE_OK = 0,
  SQLITE_CODE_ERROR = 1,
  SQLITE_CODE_BUSY = 5,
  SQLITE_CODE_CORRUPT = 11,
  SQLITE_CODE_FULL = 13,
  SQLITE_CODE_NOT_A_DATABASE = 26,
  SQLITE_CODE_ROW = 100,
  SQLITE_CODE_DONE = 101,
};

/* Loads the library. Returns NULL, or why it cannot be used. Any thread, any number of times. */
const char *sqlite_load(void);

/* Opens a file that exists, for reading and writing. No link is followed; no
 * statement can change the schema table; no value may be longer than
 * `longest` bytes; a lock is waited for `wait` milliseconds. `*database` must be
 * closed even when it fails, unless it is NULL. */
int sqlite_open(const char *path, int longest, int wait, struct sqlite3 **database);
void sqlite_close(struct sqlite3 *database);

/* Runs statements that have no values. */
int sqlite_run(struct sqlite3 *database, const char *statements);
/* Lets the file grow to that many bytes at most; what is behind that fails with FULL. */
int sqlite_limit_size(struct sqlite3 *database, int64_t bytes);
/* Why the last call failed, in SQLite's words; lives until the next call. */
const char *sqlite_reason(struct sqlite3 *database);

/* Compiles one statement; a NULL result with SQLITE_CODE_OK is an empty one. */
int sqlite_prepare(struct sqlite3 *database, const char *statement, struct sqlite3_stmt **result);
void sqlite_finish(struct sqlite3_stmt *statement);
/* ROW, DONE or a failure. */
int sqlite_step(struct sqlite3_stmt *statement);
/* Makes ready for the next run, without values. */
void sqlite_reset(struct sqlite3_stmt *statement);

/* Values by their number, from 1; bytes are copied. */
int sqlite_bind_number(struct sqlite3_stmt *statement, int place, int64_t value);
int sqlite_bind_words(struct sqlite3_stmt *statement, int place, const char *bytes, size_t count);
int sqlite_bind_bytes(struct sqlite3_stmt *statement, int place, const void *bytes, size_t count);

/* Columns by their number, from 0. Bytes live until the next step; NULL for an SQL NULL, and for no bytes. */
int sqlite_is_null(struct sqlite3_stmt *statement, int place);
int64_t sqlite_number(struct sqlite3_stmt *statement, int place);
const void *sqlite_bytes(struct sqlite3_stmt *statement, int place, size_t *count);

#endif
