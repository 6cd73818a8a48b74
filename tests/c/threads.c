/* Many threads on one manager, and handles that are closed while others use them. */
#define _DEFAULT_SOURCE
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 50
#define LONG_ROUNDS 8
#define LONG_BYTES ((size_t)4 << 20)

static statekeep_manager *shared;
static char **arguments;

static void *work(void *argument) {
  int number = *(int *)argument;
  char key[32], json[32];
  for (int round = 0; round < ROUNDS; round++) {
    snprintf(key, sizeof(key), "k%d-%d", number, round);
    snprintf(json, sizeof(json), "%d", round);
    statekeep_error *error = NULL;
    CHECK(statekeep_set(shared, S("global"), key, strlen(key), STATEKEEP_VALUE_JSON,
                        (const uint8_t *)json, strlen(json), STATEKEEP_DURABILITY_RELAXED, NULL,
                        &error) == STATEKEEP_STATUS_OK);
    CHECK(has_value(shared, "global", key, json));
    /* Each error belongs to its caller. */
    CHECK(statekeep_get(shared, S("planet:9"), S("x"), NULL, &(statekeep_buf){NULL, 0, 0},
                        &error) == STATEKEEP_STATUS_INVALID_ARGUMENT);
    CHECK(statekeep_error_code(error) == STATEKEEP_STATUS_INVALID_ARGUMENT);
    CHECK(statekeep_error_free(error) == STATEKEEP_STATUS_OK);
  }
  return NULL;
}

/* Opens the same state over and over while others do the same: always the same manager. */
static void *reopen(void *argument) {
  (void)argument;
  for (int round = 0; round < ROUNDS; round++) {
    statekeep_config *config = NULL;
    statekeep_manager *manager = NULL;
    char path[4096];
    snprintf(path, sizeof(path), "%s/reopened", arguments[1]);
    CHECK(statekeep_config_new(&config, NULL) == STATEKEEP_STATUS_OK);
    CHECK(statekeep_config_set(config, S("path"), path, strlen(path), NULL) == STATEKEEP_STATUS_OK);
    CHECK(statekeep_config_set(config, S("backend"), S("memory"), NULL) == STATEKEEP_STATUS_OK);
    CHECK(statekeep_manager_open(config, &manager, NULL) == STATEKEEP_STATUS_OK);
    CHECK(statekeep_manager_flush(manager, NULL) == STATEKEEP_STATUS_OK);
    CHECK(statekeep_manager_close(manager, NULL) == STATEKEEP_STATUS_OK);
    CHECK(statekeep_config_free(config) == STATEKEEP_STATUS_OK);
  }
  return NULL;
}

/* Uses the shared handle until somebody closes it. */
static void *use_until_closed(void *argument) {
  (void)argument;
  statekeep_status status;
  do {
    status = statekeep_exists(shared, S("global"), S("k0-0"), NULL);
    CHECK(status == STATEKEEP_STATUS_OK || status == STATEKEEP_STATUS_CLOSED);
  } while (status == STATEKEEP_STATUS_OK);
  return NULL;
}

/* Sets values that take long until somebody closes the handle; `argument` counts them. */
static void *set_until_closed(void *argument) {
  uint8_t *value = calloc(1, LONG_BYTES);
  CHECK(value != NULL);
  for (;;) {
    statekeep_status status = statekeep_set(shared, S("global"), S("k"), STATEKEEP_VALUE_BYTES,
                                            value, LONG_BYTES, 0, NULL, NULL);
    CHECK(status == STATEKEEP_STATUS_OK || status == STATEKEEP_STATUS_CLOSED);
    if (status == STATEKEEP_STATUS_CLOSED) {
      break;
    }
    __atomic_add_fetch((int *)argument, 1, __ATOMIC_SEQ_CST);
  }
  free(value);
  return NULL;
}

/* Closing a handle that another thread was using once answered OK while the state was still open:
 * that thread closed it later, and what went wrong then was told to nobody. */
static void close_while_set(void) {
  for (int round = 0; round < LONG_ROUNDS; round++) {
    pthread_t id;
    int sets = 0;
    shared = open_state(arguments, "long");
    CHECK(pthread_create(&id, NULL, set_until_closed, &sets) == 0);
    while (__atomic_load_n(&sets, __ATOMIC_SEQ_CST) < 2) {
    }
    CHECK_OK(statekeep_manager_close(shared, &err));
    int lock = open(in_folder(arguments, "long/LOCK"), O_RDWR | O_CREAT, 0600);
    CHECK(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
    CHECK(close(lock) == 0);
    CHECK(pthread_join(id, NULL) == 0);
  }
}

static void run(void *(*body)(void *), int threads) {
  pthread_t ids[THREADS];
  int numbers[THREADS];
  for (int n = 0; n < threads; n++) {
    numbers[n] = n;
    CHECK(pthread_create(&ids[n], NULL, body, &numbers[n]) == 0);
  }
  if (body == use_until_closed) {
    CHECK(statekeep_manager_close(shared, NULL) == STATEKEEP_STATUS_OK);
  }
  for (int n = 0; n < threads; n++) {
    CHECK(pthread_join(ids[n], NULL) == 0);
  }
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  arguments = argv;
  shared = open_state(argv, "state");
  run(work, THREADS);
  statekeep_buf info;
  CHECK_OK(statekeep_manager_info_json(shared, &info, &err));
  CHECK(buf_has(&info, "\"head\":400"));
  CHECK_OK(statekeep_buf_free(&info));
  run(reopen, 4);
  run(use_until_closed, 4);
  CHECK_STATUS(statekeep_manager_close(shared, &err), CLOSED);
  close_while_set();
  return 0;
}
