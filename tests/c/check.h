/*
 * check.h - what every C test uses: checks that name file and line, text literals as (pointer,
 * length), and a state in the folder that the driver gives as the first argument.
 */
#ifndef CHECK_H
#define CHECK_H

#include <statekeep.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition);                \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

/* The call answers with this status; `err` is freed and set to NULL. */
#define CHECK_STATUS(call, name)                                                                   \
  check_status((call), STATEKEEP_STATUS_##name, #call, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK_STATUS(call, OK)

/* A literal as pointer and length. */
#define S(literal) ("" literal), (sizeof(literal) - 1)
#define U(literal) ((const uint8_t *)("" literal)), (sizeof(literal) - 1)
#define BAD_UTF8 ("\xff\xfe"), ((size_t)2)
#define ABSURD(literal) ("" literal), ((size_t)-1)

static statekeep_error *err;

static inline void check_status(statekeep_status got, statekeep_status want, const char *call,
                                const char *file, int line) {
  const char *text = "";
  size_t len = 0;
  if (err != NULL) {
    statekeep_error_message(err, &text, &len);
  }
  if (got != want) {
    fprintf(stderr, "%s:%d: %s answered %s, not %s: %.*s\n", file, line, call,
            statekeep_status_name(got, NULL), statekeep_status_name(want, NULL), (int)len, text);
    exit(1);
  }
  if (err != NULL) {
    /* The object says the same as the status, and only failures have one. */
    CHECK(got != STATEKEEP_STATUS_OK);
    CHECK(statekeep_error_code(err) == got);
    CHECK(len > 0);
    CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
    err = NULL;
  }
}

/* The call answers with this status, and the JSON detail of its error has this in it. */
#define CHECK_DETAIL(call, name, text)                                                             \
  do {                                                                                             \
    CHECK((call) == STATEKEEP_STATUS_##name);                                                      \
    check_detail(text, __FILE__, __LINE__);                                                        \
  } while (0)

static inline void check_detail(const char *want, const char *file, int line) {
  const char *text = NULL;
  size_t len = 0, wanted = strlen(want), at = 0;
  CHECK(err != NULL && statekeep_error_detail_json(err, &text, &len) == STATEKEEP_STATUS_OK);
  while (at + wanted <= len && memcmp(text + at, want, wanted) != 0) {
    at++;
  }
  if (at + wanted > len) {
    fprintf(stderr, "%s:%d: %s is not in %.*s\n", file, line, want, (int)len, text);
    exit(1);
  }
  CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
  err = NULL;
}

static inline int buf_is(const statekeep_buf *buf, const char *text) {
  return buf->len == strlen(text) && memcmp(buf->ptr, text, buf->len) == 0;
}

static inline int buf_has(const statekeep_buf *buf, const char *text) {
  size_t len = strlen(text);
  for (size_t at = 0; at + len <= buf->len; at++) {
    if (memcmp(buf->ptr + at, text, len) == 0) {
      return 1;
    }
  }
  return 0;
}

/* Checks what a document says and frees it. */
#define CHECK_JSON(call, buf, text)                                                                \
  do {                                                                                             \
    CHECK_OK(call);                                                                                \
    if (!buf_has(buf, text)) {                                                                     \
      fprintf(stderr, "%s:%d: %s is not in %.*s\n", __FILE__, __LINE__, text, (int)(buf)->len,      \
              (const char *)(buf)->ptr);                                                           \
      exit(1);                                                                                     \
    }                                                                                              \
    CHECK_OK(statekeep_buf_free(buf));                                                             \
  } while (0)

static inline int buf_is_empty(const statekeep_buf *buf) {
  return buf->ptr == NULL && buf->len == 0 && buf->cap == 0;
}

/* The path `name` in the test's folder. */
static inline const char *in_folder(char **argv, const char *name) {
  static char path[4096];
  CHECK(argv[1] != NULL);
  snprintf(path, sizeof(path), "%s/%s", argv[1], name);
  return path;
}

static inline statekeep_config *config_for(const char *path, const char *backend) {
  statekeep_config *config = NULL;
  CHECK_OK(statekeep_config_new(&config, &err));
  CHECK_OK(statekeep_config_set(config, S("path"), path, strlen(path), &err));
  CHECK_OK(statekeep_config_set(config, S("backend"), backend, strlen(backend), &err));
  return config;
}

/* Opens the state `name` of the test's folder on the memory backend. */
static inline statekeep_manager *open_state(char **argv, const char *name) {
  statekeep_config *config = config_for(in_folder(argv, name), "memory");
  statekeep_manager *manager = NULL;
  CHECK_OK(statekeep_manager_open(config, &manager, &err));
  CHECK_OK(statekeep_config_free(config));
  return manager;
}

static inline void set_json(const statekeep_manager *manager, const char *scope, const char *key,
                            const char *json) {
  CHECK_OK(statekeep_set(manager, scope, strlen(scope), key, strlen(key), STATEKEEP_VALUE_JSON,
                         (const uint8_t *)json, strlen(json), STATEKEEP_DURABILITY_DEFAULT, NULL,
                         &err));
}

static inline int has_value(const statekeep_manager *manager, const char *scope, const char *key,
                            const char *json) {
  statekeep_buf buf;
  uint32_t kind = 0;
  statekeep_status status = statekeep_get(manager, scope, strlen(scope), key, strlen(key), &kind,
                                          &buf, NULL);
  int is_equal = status == STATEKEEP_STATUS_OK && buf_is(&buf, json);
  statekeep_buf_free(&buf);
  return is_equal;
}

#endif
