/* What every store of the comparison does, and the records that all of them hold. */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_MAX = 64, VALUE_MAX = 16384, BATCH = 500, CACHE_BYTES = 128 << 20 };

/* A store; each call does one thing and ends the program when it cannot. */
struct store {
    const char *name;
    void (*open)(const char *path);
    /* Records from..to, as fast as the store takes them in batches, on disk at the end. */
    void (*fill)(uint64_t from, uint64_t to);
    /* Copies the value out, as each caller needs it for itself. */
    size_t (*get)(const char *key, size_t key_len, char *out);
    /* Returns when the value is on stable storage. */
    void (*put_durable)(const char *key, size_t key_len, const char *value, size_t len);
    /* Returns when the value is with the operating system; NULL where the store has no such thing. */
    void (*put_relaxed)(const char *key, size_t key_len, const char *value, size_t len);
    /* Reads up to so many entries in order, and answers how many. */
    size_t (*scan)(size_t most);
    void (*close)(void);
};

extern const struct store store_statekeep, store_lmdb, store_rocksdb, store_sqlite;

/* Prints what a record in Statekeep's cache takes. */
void statekeep_cache(void);

size_t key_of(uint64_t n, char key[KEY_MAX]);
const char *value_of(uint64_t n);
size_t length_of(uint64_t n);

#define CHECK(ok, ...)                                                                             \
    do {                                                                                           \
        if (!(ok)) {                                                                               \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
