#include "agent_memory.h"

#include <stdio.h>
#include <string.h>

#include <statekeep.h>

static statekeep_manager *memory;

/* Prints what went wrong, frees the error, and answers -1. */
static int failed(const char *what, statekeep_status status, statekeep_error *err) {
    const char *message = "";
    size_t len = 0;
    statekeep_error_message(err, &message, &len);
    fprintf(stderr, "agent_memory: %s: status %d: %.*s\n", what, (int)status, (int)len, message);
    statekeep_error_free(err);
    return -1;
}

int agent_memory_open(const char *config_path) {
    statekeep_error *err = NULL;
    statekeep_config *config = NULL;
    statekeep_status status = statekeep_config_new(&config, &err);
    if (status == STATEKEEP_STATUS_OK)
        status = statekeep_config_load_file(config, config_path, strlen(config_path), &err);
    if (status == STATEKEEP_STATUS_OK)
        status = statekeep_manager_open(config, &memory, &err);
    statekeep_config_free(config);
    return status == STATEKEEP_STATUS_OK ? 0 : failed("open", status, err);
}

int agent_memory_remember(const char *scope, const char *key, const char *json) {
    statekeep_error *err = NULL;
    statekeep_status status =
        statekeep_set(memory, scope, strlen(scope), key, strlen(key), STATEKEEP_VALUE_JSON,
                      (const uint8_t *)json, strlen(json), STATEKEEP_DURABILITY_DEFAULT, NULL, &err);
    return status == STATEKEEP_STATUS_OK ? 0 : failed(key, status, err);
}

long agent_memory_recall(const char *scope, const char *key, char *json, size_t capacity) {
    statekeep_error *err = NULL;
    size_t len = 0;
    statekeep_status status =
        statekeep_get_into(memory, scope, strlen(scope), key, strlen(key), (uint8_t *)json,
                           capacity ? capacity - 1 : 0, NULL, &len, &err);
    if (status == STATEKEEP_STATUS_NOT_FOUND || status == STATEKEEP_STATUS_BUFFER_TOO_SMALL)
        return -1;
    if (status != STATEKEEP_STATUS_OK)
        return failed(key, status, err);
    json[len] = '\0';
    return (long)len;
}

void agent_memory_close(void) {
    statekeep_manager_close(memory, NULL);
    memory = NULL;
}
