/* SQLite: WAL, prepared statements, a table without row ids; FULL where a commit must last. */
#include <string.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "peers.h"

static sqlite3 *db;
static sqlite3_stmt *getter, *setter, *scanner;

#define OK(call) CHECK((call) == SQLITE_OK, "sqlite: %s", sqlite3_errmsg(db))

static void run(const char *sql) { OK(sqlite3_exec(db, sql, NULL, NULL, NULL)); }

static void open_store(const char *path) {
    char file[4096];
    mkdir(path, 0700);
    snprintf(file, sizeof file, "%s/rows.db", path);
    OK(sqlite3_open(file, &db));
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-131072");
    run("CREATE TABLE IF NOT EXISTS rows(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
    OK(sqlite3_prepare_v2(db, "SELECT value FROM rows WHERE key=?", -1, &getter, NULL));
    OK(sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO rows VALUES(?,?)", -1, &setter, NULL));
    OK(sqlite3_prepare_v2(db, "SELECT key, value FROM rows ORDER BY key", -1, &scanner, NULL));
}

static void put(const char *key, size_t key_len, const char *value, size_t len) {
    OK(sqlite3_bind_blob(setter, 1, key, (int)key_len, SQLITE_STATIC));
    OK(sqlite3_bind_blob(setter, 2, value, (int)len, SQLITE_STATIC));
    CHECK(sqlite3_step(setter) == SQLITE_DONE, "sqlite: %s", sqlite3_errmsg(db));
    sqlite3_reset(setter);
}

static void fill(uint64_t from, uint64_t to) {
    run("PRAGMA synchronous=NORMAL");
    for (uint64_t n = from; n < to;) {
        run("BEGIN");
        for (int i = 0; i < BATCH && n < to; i++, n++) {
            char key[KEY_MAX];
            size_t len = key_of(n, key);
            put(key, len, value_of(n), length_of(n));
        }
        run("COMMIT");
    }
    run("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous=FULL");
}

static size_t get(const char *key, size_t key_len, char *out) {
    OK(sqlite3_bind_blob(getter, 1, key, (int)key_len, SQLITE_STATIC));
    CHECK(sqlite3_step(getter) == SQLITE_ROW, "sqlite: %.*s is not there", (int)key_len, key);
    size_t len = (size_t)sqlite3_column_bytes(getter, 0);
    memcpy(out, sqlite3_column_blob(getter, 0), len);
    sqlite3_reset(getter);
    return len;
}

static bool is_relaxed;

static void put_durable(const char *key, size_t key_len, const char *value, size_t len) {
    if (is_relaxed) run("PRAGMA synchronous=FULL");
    is_relaxed = false;
    put(key, key_len, value, len);
}

static void put_relaxed(const char *key, size_t key_len, const char *value, size_t len) {
    if (!is_relaxed) run("PRAGMA synchronous=NORMAL");
    is_relaxed = true;
    put(key, key_len, value, len);
}

static size_t scan(size_t most) {
    size_t seen = 0;
    while (seen < most && sqlite3_step(scanner) == SQLITE_ROW) {
        (void)sqlite3_column_blob(scanner, 0);
        (void)sqlite3_column_blob(scanner, 1);
        seen++;
    }
    sqlite3_reset(scanner);
    return seen;
}

static void close_store(void) {
    sqlite3_finalize(getter);
    sqlite3_finalize(setter);
    sqlite3_finalize(scanner);
    OK(sqlite3_close(db));
}

const struct store store_sqlite = {
    "SQLite", open_store, fill, get, put_durable, put_relaxed, scan, close_store,
};
