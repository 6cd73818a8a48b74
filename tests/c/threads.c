/* Many threads on one manager, and handles that are closed while others use them. */
#include "check.h"

#include <pthread.h>

#define THREADS 8
#define ROUNDS 50

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
  return 0;
}
