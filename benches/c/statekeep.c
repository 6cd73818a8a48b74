/* Statekeep through statekeep.h, on its default backend. A set also writes history and journal. */
#include <string.h>

#include <statekeep.h>

#include "peers.h"

static const char SCOPE[] = "session:000042";
#define SCOPE_LEN (sizeof SCOPE - 1)

static statekeep_manager *manager;

static void check(statekeep_status status, const statekeep_error *error) {
    const char *message = "";
    size_t len = 0;
    if (status == STATEKEEP_STATUS_OK) return;
    if (error) statekeep_error_message(error, &message, &len);
    CHECK(false, "statekeep: %d %.*s", status, (int)len, message);
}

static void open_store(const char *path) {
    statekeep_error *error = NULL;
    statekeep_config *config = NULL;
    check(statekeep_config_new(&config, &error), error);
    check(statekeep_config_set(config, "path", 4, path, strlen(path), &error), error);
    check(statekeep_manager_open(config, &manager, &error), error);
    statekeep_config_free(config);
}

static void fill(uint64_t from, uint64_t to) {
    statekeep_error *error = NULL;
    for (uint64_t n = from; n < to;) {
        statekeep_batch *batch = NULL;
        check(statekeep_batch_new(&batch, &error), error);
        for (int i = 0; i < BATCH && n < to; i++, n++) {
            char key[KEY_MAX];
            size_t len = key_of(n, key);
            check(statekeep_batch_set(batch, SCOPE, SCOPE_LEN, key, len, STATEKEEP_VALUE_BYTES,
                                      (const uint8_t *)value_of(n), length_of(n), &error), error);
        }
        check(statekeep_batch_commit(batch, manager, STATEKEEP_DURABILITY_RELAXED, NULL, &error),
              error);
        statekeep_batch_free(batch);
    }
    check(statekeep_manager_flush(manager, &error), error);
}

static size_t get(const char *key, size_t key_len, char *out) {
    size_t len = 0;
    check(statekeep_get_into(manager, SCOPE, SCOPE_LEN, key, key_len, (uint8_t *)out, VALUE_MAX,
                             NULL, &len, NULL), NULL);
    return len;
}

static void put(const char *key, size_t key_len, const char *value, size_t len, uint32_t how) {
    statekeep_error *error = NULL;
    check(statekeep_set(manager, SCOPE, SCOPE_LEN, key, key_len, STATEKEEP_VALUE_BYTES,
                        (const uint8_t *)value, len, how, NULL, &error), error);
}

static void put_durable(const char *key, size_t key_len, const char *value, size_t len) {
    put(key, key_len, value, len, STATEKEEP_DURABILITY_SYNC);
}

static void put_relaxed(const char *key, size_t key_len, const char *value, size_t len) {
    put(key, key_len, value, len, STATEKEEP_DURABILITY_RELAXED);
}

static size_t scan(size_t most) {
    statekeep_error *error = NULL;
    statekeep_scan *scan = NULL;
    const char *key = NULL;
    const uint8_t *value = NULL;
    size_t key_len = 0, len = 0, seen = 0;
    check(statekeep_scan_open(manager, SCOPE, SCOPE_LEN, NULL, &scan, &error), error);
    while (seen < most) {
        statekeep_status status =
            statekeep_scan_next(scan, &key, &key_len, NULL, &value, &len, &error);
        if (status == STATEKEEP_STATUS_NOT_FOUND) break;
        check(status, error);
        seen++;
    }
    statekeep_scan_close(scan);
    return seen;
}

/* A number of the state's facts about its cache. */
static double cache_fact(const char *json, const char *name) {
    const char *cache = strstr(json, "\"cache\"");
    const char *at = cache ? strstr(cache, name) : NULL;
    CHECK(at, "the state says nothing about %s", name);
    return strtod(at + strlen(name), NULL);
}

void statekeep_cache(void) {
    statekeep_error *error = NULL;
    struct statekeep_buf json = {0};
    char text[8192] = {0};
    check(statekeep_manager_info_json(manager, &json, &error), error);
    memcpy(text, json.ptr, json.len < sizeof text ? json.len : sizeof text - 1);
    statekeep_buf_free(&json);
    double entries = cache_fact(text, "\"entries\":"), bytes = cache_fact(text, "\"bytes\":");
    printf("%-14s %10.0f B a record of 100 B and its key, of %.0f records\n", "cached",
           entries > 0 ? bytes / entries : 0, entries);
}

static void close_store(void) {
    statekeep_error *error = NULL;
    check(statekeep_manager_close(manager, &error), error);
}

const struct store store_statekeep = {
    "statekeep", open_store, fill, get, put_durable, put_relaxed, scan, close_store,
};
