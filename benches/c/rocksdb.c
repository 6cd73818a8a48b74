/* RocksDB through its C API, with a block cache as large as the caches of the others. */
#include <string.h>

#include <rocksdb/c.h>

#include "peers.h"

static rocksdb_t *db;
static rocksdb_readoptions_t *reads;
static rocksdb_writeoptions_t *synced, *relaxed;

#define OK(error) CHECK((error) == NULL, "rocksdb: %s", error)

static void open_store(const char *path) {
    char *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(CACHE_BYTES));
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_increase_parallelism(options, 2);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    db = rocksdb_open(options, path, &error);
    OK(error);
    reads = rocksdb_readoptions_create();
    relaxed = rocksdb_writeoptions_create();
    synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(synced, 1);
}

static void fill(uint64_t from, uint64_t to) {
    char *error = NULL;
    for (uint64_t n = from; n < to;) {
        rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
        for (int i = 0; i < BATCH && n < to; i++, n++) {
            char key[KEY_MAX];
            size_t len = key_of(n, key);
            rocksdb_writebatch_put(batch, key, len, value_of(n), length_of(n));
        }
        rocksdb_write(db, relaxed, batch, &error);
        OK(error);
        rocksdb_writebatch_destroy(batch);
    }
    rocksdb_flush_wal(db, 1, &error);
    OK(error);
}

static size_t get(const char *key, size_t key_len, char *out) {
    char *error = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(db, reads, key, key_len, &error);
    OK(error);
    CHECK(slice, "rocksdb: %.*s is not there", (int)key_len, key);
    size_t len = 0;
    const char *value = rocksdb_pinnableslice_value(slice, &len);
    memcpy(out, value, len);
    rocksdb_pinnableslice_destroy(slice);
    return len;
}

static void put(const char *key, size_t key_len, const char *value, size_t len,
                const rocksdb_writeoptions_t *how) {
    char *error = NULL;
    rocksdb_put(db, how, key, key_len, value, len, &error);
    OK(error);
}

static void put_durable(const char *key, size_t key_len, const char *value, size_t len) {
    put(key, key_len, value, len, synced);
}

static void put_relaxed(const char *key, size_t key_len, const char *value, size_t len) {
    put(key, key_len, value, len, relaxed);
}

static size_t scan(size_t most) {
    rocksdb_iterator_t *rows = rocksdb_create_iterator(db, reads);
    size_t seen = 0, len;
    for (rocksdb_iter_seek_to_first(rows); seen < most && rocksdb_iter_valid(rows);
         rocksdb_iter_next(rows), seen++) {
        rocksdb_iter_key(rows, &len);
        rocksdb_iter_value(rows, &len);
    }
    rocksdb_iter_destroy(rows);
    return seen;
}

static void close_store(void) { rocksdb_close(db); }

const struct store store_rocksdb = {
    "RocksDB", open_store, fill, get, put_durable, put_relaxed, scan, close_store,
};
