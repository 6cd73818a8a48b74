/* LMDB: a read transaction renewed for each get, and the durability that is its default. */
#include <string.h>
#include <sys/stat.h>

#include <lmdb.h>

#include "peers.h"

static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reader;

#define OK(call)                                                                                   \
    do {                                                                                           \
        int code_ = (call);                                                                        \
        CHECK(code_ == 0, "lmdb: %s", mdb_strerror(code_));                                        \
    } while (0)

static void open_store(const char *path) {
    MDB_txn *txn;
    mkdir(path, 0700);
    OK(mdb_env_create(&env));
    OK(mdb_env_set_mapsize(env, (size_t)64 << 30));
    OK(mdb_env_open(env, path, MDB_NOTLS, 0600));
    OK(mdb_txn_begin(env, NULL, 0, &txn));
    OK(mdb_dbi_open(txn, NULL, 0, &dbi));
    OK(mdb_txn_commit(txn));
    OK(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader));
    mdb_txn_reset(reader);
}

static void put_in(MDB_txn *txn, const char *key, size_t key_len, const char *value, size_t len) {
    MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)value};
    OK(mdb_put(txn, dbi, &k, &v, 0));
}

static void fill(uint64_t from, uint64_t to) {
    OK(mdb_env_set_flags(env, MDB_NOSYNC, 1));
    for (uint64_t n = from; n < to;) {
        MDB_txn *txn;
        OK(mdb_txn_begin(env, NULL, 0, &txn));
        for (int i = 0; i < BATCH && n < to; i++, n++) {
            char key[KEY_MAX];
            size_t len = key_of(n, key);
            put_in(txn, key, len, value_of(n), length_of(n));
        }
        OK(mdb_txn_commit(txn));
    }
    OK(mdb_env_sync(env, 1));
    OK(mdb_env_set_flags(env, MDB_NOSYNC, 0));
}

static size_t get(const char *key, size_t key_len, char *out) {
    MDB_val k = {key_len, (void *)(uintptr_t)key}, v;
    OK(mdb_txn_renew(reader));
    OK(mdb_get(reader, dbi, &k, &v));
    memcpy(out, v.mv_data, v.mv_size);
    mdb_txn_reset(reader);
    return v.mv_size;
}

static void put_durable(const char *key, size_t key_len, const char *value, size_t len) {
    MDB_txn *txn;
    OK(mdb_txn_begin(env, NULL, 0, &txn));
    put_in(txn, key, key_len, value, len);
    OK(mdb_txn_commit(txn));
}

static size_t scan(size_t most) {
    MDB_cursor *cursor;
    MDB_val k, v;
    size_t seen = 0;
    OK(mdb_txn_renew(reader));
    OK(mdb_cursor_open(reader, dbi, &cursor));
    while (seen < most && mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) seen++;
    mdb_cursor_close(cursor);
    mdb_txn_reset(reader);
    return seen;
}

static void close_store(void) {
    mdb_txn_abort(reader);
    mdb_env_close(env);
}

const struct store store_lmdb = {
    "LMDB", open_store, fill, get, put_durable, NULL, scan, close_store,
};
