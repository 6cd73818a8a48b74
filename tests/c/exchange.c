/* Export and import: a state as text in a file, and back, as operations. */
#include "check.h"

/* Waits for an operation; its result must have some text in it. */
static void finish(statekeep_op *op, const char *text) {
  CHECK(op != NULL);
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  statekeep_buf json;
  CHECK_OK(statekeep_op_result_json(op, &json, &err));
  CHECK(buf_has(&json, text));
  CHECK_OK(statekeep_buf_free(&json));
  CHECK_OK(statekeep_op_free(op));
}

/* A moment in the history of a backup, and one that it has not. */
static void moments(const statekeep_manager *m, const char *path) {
  statekeep_op *op = NULL;
  statekeep_buf json;
  CHECK_OK(statekeep_backup_create_start(m, S("{\"history\":true}"), &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_result_json(op, &json, &err));
  char *text = malloc(json.len + 1);
  CHECK(text != NULL);
  memcpy(text, json.ptr, json.len);
  text[json.len] = '\0';
  char id[27];
  const char *at = strstr(text, "\"id\":\"");
  CHECK(at != NULL);
  snprintf(id, sizeof(id), "%.26s", at + 6);
  free(text);
  CHECK_OK(statekeep_buf_free(&json));
  CHECK_OK(statekeep_op_free(op));
  char asked[128];
  int len = snprintf(asked, sizeof(asked), "{\"backup\":\"%s\",\"at_sequence\":1}", id);
  CHECK_OK(statekeep_export_start(m, path, strlen(path), asked, (size_t)len, &op, &err));
  finish(op, "\"sequence\":1");
  len = snprintf(asked, sizeof(asked),
                 "{\"backup\":\"%s\",\"at_unix_ms\":1,\"overwrite\":true}", id);
  CHECK_OK(statekeep_export_start(m, path, strlen(path), asked, (size_t)len, &op, &err));
  CHECK_STATUS(statekeep_op_wait(op, -1, &err), NOT_FOUND);
  CHECK_OK(statekeep_op_free(op));
}

static void wrong_arguments(const statekeep_manager *m, const char *path) {
  statekeep_op *op = (statekeep_op *)1;
  size_t len = strlen(path);
  CHECK_STATUS(statekeep_export_start(NULL, path, len, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK(op == NULL);
  CHECK_STATUS(statekeep_export_start(m, NULL, 4, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_export_start(m, path, len, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  const char *exports[] = {"[]", "{\"x\":1}", "{\"format\":\"xml\"}", "{\"scope\":\"agnt:1\"}",
                           "{\"backup\":\"../x\"}", "{\"at_sequence\":1,\"at_unix_ms\":1}",
                           "{\"backup\":\"../x\",\"at_sequence\":1}"};
  for (size_t i = 0; i < sizeof(exports) / sizeof(*exports); i++) {
    CHECK_STATUS(
        statekeep_export_start(m, path, len, exports[i], strlen(exports[i]), &op, &err),
        INVALID_ARGUMENT);
  }
  CHECK_STATUS(statekeep_import_start(NULL, path, len, S("{\"mode\":\"merge\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_import_start(m, path, len, S("{\"mode\":\"merge\"}"), NULL, &err),
               INVALID_ARGUMENT);
  /* The mode is chosen, never guessed. */
  CHECK_STATUS(statekeep_import_start(m, path, len, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_import_start(m, path, len, S("{\"mode\":\"all\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK(op == NULL);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = config_for(in_folder(argv, "state"), "fjall");
  statekeep_manager *m = NULL;
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  set_json(m, "agent:1", "memory", "{\"n\": 1.50}");

  char path[4096];
  snprintf(path, sizeof(path), "%s", in_folder(argv, "all.jsonl.zst"));
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_export_start(m, path, strlen(path), NULL, 0, &op, &err));
  finish(op, "\"records\":1");
  CHECK_OK(statekeep_export_start(m, path, strlen(path), NULL, 0, &op, &err));
  CHECK_STATUS(statekeep_op_wait(op, -1, &err), ALREADY_EXISTS);
  CHECK_OK(statekeep_op_free(op));

  /* An agent ruins its memory; the file brings it back. */
  set_json(m, "agent:1", "memory", "\"ruined\"");
  set_json(m, "agent:2", "stray", "1");
  char then[4096];
  snprintf(then, sizeof(then), "%s", in_folder(argv, "then.jsonl"));
  moments(m, then);
  CHECK_OK(statekeep_import_start(m, path, strlen(path),
                                  S("{\"mode\":\"replace\",\"dry_run\":true}"), &op, &err));
  finish(op, "\"removed\":1");
  CHECK(has_value(m, "agent:1", "memory", "\"ruined\""));
  CHECK_OK(
      statekeep_import_start(m, path, strlen(path), S("{\"mode\":\"replace\"}"), &op, &err));
  finish(op, "\"times_kept\":true");
  CHECK(has_value(m, "agent:1", "memory", "{\"n\": 1.50}"));

  statekeep_manager *acme = NULL;
  CHECK_OK(statekeep_manager_tenant(m, S("acme"), &acme, &err));
  CHECK_STATUS(statekeep_export_start(acme, path, strlen(path), NULL, 0, &op, &err),
               PERMISSION_DENIED);
  CHECK_OK(statekeep_manager_close(acme, &err));
  wrong_arguments(m, path);
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_STATUS(statekeep_export_start(m, path, strlen(path), NULL, 0, &op, &err), CLOSED);
  return 0;
}
