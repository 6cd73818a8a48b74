/* Errors, statuses, buffers, versions: what every caller needs before anything else works. */
#include "check.h"

static statekeep_error *make_error(void) {
  statekeep_error *error = NULL;
  statekeep_config *config = NULL;
  CHECK(statekeep_config_new(&config, NULL) == STATEKEEP_STATUS_OK);
  CHECK(statekeep_config_set(config, S("nope"), S("x"), &error) ==
        STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK(statekeep_config_free(config) == STATEKEEP_STATUS_OK);
  CHECK(error != NULL);
  return error;
}

static void errors(void) {
  statekeep_error *error = make_error();
  const char *text = NULL, *again = NULL;
  size_t len = 0;
  CHECK(statekeep_error_code(error) == STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK_OK(statekeep_error_message(error, &text, &len));
  CHECK(len > 4 && memcmp(text, "\0", 1) != 0);
  CHECK_OK(statekeep_error_detail_json(error, &text, &len));
  CHECK(len > 2 && text[0] == '{' && text[len - 1] == '}');
  CHECK_OK(statekeep_error_detail_json(error, &again, &len));
  CHECK(text == again);
  CHECK_STATUS(statekeep_error_message(error, NULL, &len), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_error_message(error, &text, NULL), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_error_message(NULL, &text, &len), INVALID_ARGUMENT);
  CHECK(text == NULL && len == 0);
  CHECK_STATUS(statekeep_error_detail_json(error, NULL, &len), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_error_detail_json(error, &text, NULL), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_error_detail_json(NULL, &text, &len), INVALID_ARGUMENT);
  CHECK_OK(statekeep_error_free(error));
  CHECK_STATUS(statekeep_error_free(error), CLOSED);
  CHECK_STATUS(statekeep_error_message(error, &text, &len), CLOSED);
  CHECK(statekeep_error_code(error) == STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK_OK(statekeep_error_code(NULL));
  CHECK_OK(statekeep_error_free(NULL));
}

static void statuses(void) {
  size_t len = 0;
  CHECK(strcmp(statekeep_status_name(STATEKEEP_STATUS_NOT_FOUND, &len), "NOT_FOUND") == 0);
  CHECK(len == 9);
  CHECK(strcmp(statekeep_status_name(STATEKEEP_STATUS_INTERNAL, NULL), "INTERNAL") == 0);
  CHECK(strcmp(statekeep_status_name(-12345, &len), "UNKNOWN") == 0 && len == 7);
  CHECK(statekeep_status_is_retryable(STATEKEEP_STATUS_BUSY) == 1);
  CHECK(statekeep_status_is_retryable(STATEKEEP_STATUS_CONFLICT) == 1);
  CHECK(statekeep_status_is_retryable(STATEKEEP_STATUS_CORRUPT) == 0);
  CHECK(statekeep_status_is_retryable(12345) == 0);
}

static void buffers(void) {
  statekeep_buf empty = {NULL, 0, 0}, wrong = {(uint8_t *)1, 2, 1};
  CHECK_OK(statekeep_buf_free(NULL));
  CHECK_OK(statekeep_buf_free(&empty));
  CHECK_STATUS(statekeep_buf_free(&wrong), INVALID_ARGUMENT);
  CHECK(buf_is_empty(&wrong));
  statekeep_config *config = NULL;
  statekeep_buf toml;
  CHECK_OK(statekeep_config_new(&config, &err));
  CHECK_OK(statekeep_config_set(config, S("backup.codec"), S("lz4"), &err));
  CHECK_OK(statekeep_config_to_toml(config, &toml, &err));
  CHECK_OK(statekeep_buf_free(&toml));
  CHECK(buf_is_empty(&toml));
  CHECK_OK(statekeep_buf_free(&toml));
  CHECK_OK(statekeep_config_free(config));
}

int main(int argc, char **argv) {
  CHECK(argc == 2 && argv != NULL);
  CHECK(strcmp(statekeep_version(), STATEKEEP_VERSION) == 0);
  CHECK(statekeep_abi_version() == STATEKEEP_ABI_VERSION);
  errors();
  statuses();
  buffers();
  /* A slot that is used again is another handle. */
  statekeep_error *old = make_error();
  CHECK_OK(statekeep_error_free(old));
  statekeep_error *new_one = make_error();
  CHECK(old != new_one);
  CHECK_OK(statekeep_error_free(new_one));
  return 0;
}
