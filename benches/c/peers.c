/* libstatekeep beside the C APIs of LMDB, RocksDB and SQLite, on the same records in one run.
 *
 * peers [DIRECTORY [RECORDS...]]: each store is filled with agent-like records (100 B to 16 KiB) and
 * asked for the same keys in the same order, at 10,000 and 1,000,000 records unless told otherwise.
 * Rounds of the stores are interleaved; printed are medians a store, and each peer's as a multiple of
 * Statekeep's. A durable put is beside a write and fdatasync of the same bytes. "open" is the time
 * until the first record is read after the process that wrote was killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peers.h"

enum { ROUNDS = 9, GETS = 20000, HOT = 10000, SYNCED = 60, RELAXED = 2000, WRITERS = 64, MORE = 30 };

static const struct store *const STORES[] = {
    &store_statekeep, &store_lmdb, &store_rocksdb, &store_sqlite,
};
enum { PEERS = sizeof STORES / sizeof *STORES };

static char text[VALUE_MAX + 64];
static char buffer[VALUE_MAX];
static uint64_t records;
static uint64_t random_state = 88172645463325252u;

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

size_t key_of(uint64_t n, char key[KEY_MAX]) {
    return (size_t)snprintf(key, KEY_MAX, "message/%08" PRIu64, n);
}

/* 70 % of 100 B, 25 % of 1 KiB, 5 % of 16 KiB; the hot ones are small. */
size_t length_of(uint64_t n) {
    uint64_t state = n * 0x9E3779B97F4A7C15u + 1;
    uint64_t part = next(&state) % 100;
    if (n < HOT || part < 70) return 100;
    return part < 95 ? 1024 : VALUE_MAX;
}

const char *value_of(uint64_t n) { return text + n % 64; }

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, size_t count) {
    qsort(times, count, sizeof *times, by_value);
    return times[count / 2];
}

/* What is measured: microseconds for one of something. */
typedef double measure(const struct store *store);

static double gets(const struct store *store, uint64_t among) {
    char key[KEY_MAX];
    double start = now_us();
    for (int i = 0; i < GETS; i++) {
        uint64_t n = next(&random_state) % among;
        size_t len = key_of(n, key);
        CHECK(store->get(key, len, buffer) == length_of(n), "%s: a wrong value", store->name);
    }
    return (now_us() - start) / GETS;
}

static double hot_get(const struct store *store) { return gets(store, HOT); }
static double any_get(const struct store *store) { return gets(store, records); }

static double scan(const struct store *store) {
    double start = now_us();
    size_t seen = store->scan(HOT);
    return (now_us() - start) / (double)seen;
}

static double durable_put(const struct store *store) {
    char key[KEY_MAX];
    double start = now_us();
    for (int i = 0; i < SYNCED; i++) {
        uint64_t n = next(&random_state) % HOT;
        size_t len = key_of(n, key);
        store->put_durable(key, len, value_of(n), length_of(n));
    }
    return (now_us() - start) / SYNCED;
}

static double relaxed_put(const struct store *store) {
    char key[KEY_MAX];
    if (!store->put_relaxed) return 0;
    double start = now_us();
    for (int i = 0; i < RELAXED; i++) {
        uint64_t n = next(&random_state) % HOT;
        size_t len = key_of(n, key);
        store->put_relaxed(key, len, value_of(n), length_of(n));
    }
    return (now_us() - start) / RELAXED;
}

static void table(const char *what, measure *measure) {
    double times[PEERS][ROUNDS], medians[PEERS];
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < PEERS; i++) times[i][round] = measure(STORES[i]);
    printf("%-14s", what);
    for (int i = 0; i < PEERS; i++) {
        medians[i] = median(times[i], ROUNDS);
        if (medians[i] == 0) printf(" %18s", "-");
        else if (i == 0) printf(" %10.2f us      ", medians[i]);
        else printf(" %9.2f us %5.2fx", medians[i], medians[i] / medians[0]);
    }
    printf("\n");
    fflush(stdout);
}

/* One write and fdatasync of the bytes of a durable put, over and over. */
static void raw_write(const char *directory) {
    char path[4096];
    double times[ROUNDS];
    snprintf(path, sizeof path, "%s/raw", directory);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    CHECK(file >= 0, "cannot create %s", path);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_us();
        for (int i = 0; i < SYNCED; i++) {
            CHECK(write(file, text, 140) == 140 && fdatasync(file) == 0, "cannot write %s", path);
        }
        times[round] = (now_us() - start) / SYNCED;
    }
    close(file);
    unlink(path);
    printf("%-14s %10.2f us        (one write of 140 B and fdatasync)\n", "raw write",
           median(times, ROUNDS));
}

static void *writer(void *argument) {
    uint64_t state = (uintptr_t)argument * 7919 + 1;
    char key[KEY_MAX];
    for (int i = 0; i < MORE; i++) {
        uint64_t n = next(&state) % HOT;
        size_t len = key_of(n, key);
        store_statekeep.put_durable(key, len, value_of(n), length_of(n));
    }
    return NULL;
}

/* Durable writers at once against one; only Statekeep's committer groups callers of one process. */
static void writers(void) {
    double one[ROUNDS], many[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[WRITERS];
        one[round] = 1e6 / durable_put(&store_statekeep);
        double start = now_us();
        for (uintptr_t i = 0; i < WRITERS; i++)
            CHECK(pthread_create(&threads[i], NULL, writer, (void *)(i + 1)) == 0, "no thread");
        for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
        many[round] = WRITERS * MORE * 1e6 / (now_us() - start);
    }
    double single = median(one, ROUNDS), together = median(many, ROUNDS);
    printf("%-14s %10.0f /s: %.1f x one writer's %.0f /s\n", "64 writers", together,
           together / single, single);
}

static void place(char *path, size_t size, const char *directory, const struct store *store) {
    snprintf(path, size, "%s/%s-%" PRIu64, directory, store->name, records);
}

/* The child: opens, writes and dies. */
static void write_and_die(const struct store *store, const char *path) {
    store->open(path);
    durable_put(store);
    if (store->put_relaxed) relaxed_put(store);
    raise(SIGKILL);
}

static void open_after_kill(const char *self, const char *directory) {
    printf("%-14s", "open");
    double first = 0;
    for (int i = 0; i < PEERS; i++) {
        char path[4096], number[32], count[32];
        double times[3];
        place(path, sizeof path, directory, STORES[i]);
        snprintf(number, sizeof number, "%d", i);
        snprintf(count, sizeof count, "%" PRIu64, records);
        for (int round = 0; round < 3; round++) {
            pid_t child = fork();
            CHECK(child >= 0, "cannot fork");
            if (child == 0) {
                execl(self, self, "--die", number, path, count, (char *)NULL);
                _exit(1);
            }
            int status = 0;
            waitpid(child, &status, 0);
            CHECK(WIFSIGNALED(status), "%s: the writer did not die", STORES[i]->name);
            double start = now_us();
            STORES[i]->open(path);
            CHECK(STORES[i]->get("message/00000001", 16, buffer) == 100, "a wrong value");
            times[round] = (now_us() - start) / 1e3;
            STORES[i]->close();
        }
        double time = median(times, 3);
        if (i == 0) printf(" %10.2f ms      ", first = time);
        else printf(" %9.2f ms %5.2fx", time, time / first);
        fflush(stdout);
    }
    printf("\n");
}

static void compare(const char *self, const char *directory) {
    printf("\n%" PRIu64 " records %12s", records, "");
    for (int i = 0; i < PEERS; i++) printf(" %-18s", STORES[i]->name);
    printf("\n%-14s", "fill");
    double first = 0;
    for (int i = 0; i < PEERS; i++) {
        char path[4096];
        place(path, sizeof path, directory, STORES[i]);
        STORES[i]->open(path);
        double start = now_us();
        STORES[i]->fill(0, records);
        double time = (now_us() - start) / (double)records;
        if (i == 0) printf(" %10.2f us      ", first = time);
        else printf(" %9.2f us %5.2fx", time, time / first);
        fflush(stdout);
    }
    printf("\n");
    table("get, hot", hot_get);
    statekeep_cache();
    table("get, any", any_get);
    table("scan", scan);
    table("put, durable", durable_put);
    raw_write(directory);
    table("put, relaxed", relaxed_put);
    writers();
    for (int i = 0; i < PEERS; i++) STORES[i]->close();
    open_after_kill(self, directory);
}

int main(int argc, char **argv) {
    static const uint64_t sizes[] = {10000, 1000000};
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i * 7 % 26);
    if (argc == 5 && strcmp(argv[1], "--die") == 0) {
        records = strtoull(argv[4], NULL, 10);
        write_and_die(STORES[atoi(argv[2])], argv[3]);
    }
    char directory[] = "/tmp/statekeep-peers-XXXXXX";
    const char *place_of = argc > 1 ? argv[1] : mkdtemp(directory);
    CHECK(place_of, "no directory");
    printf("%d hot keys of 100 B; medians of %d interleaved rounds; in %s\n", HOT, ROUNDS, place_of);
    if (argc <= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            records = sizes[i];
            compare(argv[0], place_of);
        }
    }
    for (int i = 2; i < argc; i++) {
        records = strtoull(argv[i], NULL, 10);
        CHECK(records >= HOT, "at least %d records", HOT);
        compare(argv[0], place_of);
    }
    return 0;
}
