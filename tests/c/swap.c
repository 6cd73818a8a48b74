/* Live swap: the state moves under open handles; what it replaced is gone back to and released. */
#include "check.h"

static statekeep_status swap(const statekeep_manager *m, const char *backend, const char *options,
                             statekeep_buf *result) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_swap_start(m, backend, strlen(backend), options, strlen(options), &op, &err));
  statekeep_status status = statekeep_op_wait(op, -1, &err);
  if (status == STATEKEEP_STATUS_OK) {
    CHECK_OK(statekeep_op_result_json(op, result, &err));
  } else {
    CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
    err = NULL;
  }
  CHECK_OK(statekeep_op_free(op));
  return status;
}

/* The text behind `"name":"` in a document. */
static const char *text_of(const statekeep_buf *document, const char *name) {
  static char text[64];
  char start[64];
  int len = snprintf(start, sizeof(start), "\"%s\":\"", name);
  for (size_t at = 0; at + (size_t)len < document->len; at++) {
    if (memcmp(document->ptr + at, start, (size_t)len) == 0) {
      size_t used = 0;
      for (at += (size_t)len; at < document->len && document->ptr[at] != '"'; at++) {
        CHECK(used + 1 < sizeof(text));
        text[used++] = (char)document->ptr[at];
      }
      text[used] = 0;
      return text;
    }
  }
  CHECK(!"the name is in the document");
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = config_for(in_folder(argv, "state"), "fjall");
  statekeep_manager *m = NULL, *red = NULL;
  statekeep_snapshot *s = NULL;
  statekeep_op *op = NULL;
  statekeep_buf buf;
  uint64_t sequence = 0;
  char replaced[64];
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  set_json(m, "agent:1", "a", "1");
  set_json(m, "agent:1", "b", "1");
  CHECK_OK(statekeep_snapshot_open_at(m, 1, &s, &err));
  CHECK(swap(m, "sqlite", "", &buf) == STATEKEEP_STATUS_OK);
  CHECK(buf_has(&buf, "\"from\":\"fjall\"") && buf_has(&buf, "\"to\":\"sqlite\""));
  CHECK(buf_has(&buf, "\"records\":2") && buf_has(&buf, "\"sequence\":2"));
  snprintf(replaced, sizeof(replaced), "%s", text_of(&buf, "replaced"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK(has_value(m, "agent:1", "a", "1"));
  CHECK_JSON(statekeep_manager_info_json(m, &buf, &err), &buf, "\"backend\":\"sqlite\"");

  CHECK_OK(statekeep_namespace_list_json(m, &buf, &err));
  CHECK(buf_has(&buf, replaced) && buf_has(&buf, "\"is_current\":true"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_namespace_release(m, replaced, strlen(replaced), &err), BUSY);
  CHECK(statekeep_snapshot_exists(s, S("agent:1"), S("b"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_OK(statekeep_snapshot_close(s));

  /* Going back loses the commits since, so it must be allowed to. */
  set_json(m, "agent:1", "c", "1");
  CHECK_STATUS(statekeep_namespace_undo(m, replaced, strlen(replaced), NULL, 0, NULL, &err),
               CONFLICT);
  CHECK_OK(statekeep_namespace_undo(m, replaced, strlen(replaced), S("{\"commits_lost_max\":1}"),
                                    &sequence, &err));
  CHECK(sequence == 4);
  CHECK(has_value(m, "agent:1", "b", "1"));
  CHECK(statekeep_exists(m, S("agent:1"), S("c"), &err) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_OK(statekeep_namespace_list_json(m, &buf, &err));
  const char *oldest = text_of(&buf, "namespace");
  CHECK(strcmp(oldest, replaced) == 0);
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_STATUS(statekeep_namespace_release(m, replaced, strlen(replaced), &err), CONFLICT);

  /* And on to a third one; the first is then let go of. */
  CHECK(swap(m, "fjall", "{}", &buf) == STATEKEEP_STATUS_OK);
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_namespace_release(m, replaced, strlen(replaced), &err));
  CHECK_STATUS(statekeep_namespace_release(m, replaced, strlen(replaced), &err), NOT_FOUND);
  CHECK_STATUS(statekeep_namespace_undo(m, replaced, strlen(replaced), NULL, 0, NULL, &err),
               NOT_FOUND);

  CHECK(swap(m, "nothing-of-that-name", "", &buf) == STATEKEEP_STATUS_NOT_FOUND);
  CHECK_STATUS(statekeep_swap_start(m, S("fjall"), S("[]"), &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_swap_start(m, BAD_UTF8, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_swap_start(m, S("fjall"), NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_swap_start(NULL, S("fjall"), NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_namespace_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_namespace_list_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_namespace_undo(m, S("x"), NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(
      statekeep_namespace_undo(m, replaced, strlen(replaced), S("{\"lost\":1}"), NULL, &err),
      INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_namespace_release(m, S(""), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_namespace_release(NULL, S("x"), &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  CHECK_STATUS(statekeep_swap_start(red, S("fjall"), NULL, 0, &op, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_namespace_list_json(red, &buf, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_namespace_undo(red, S("x"), NULL, 0, NULL, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_namespace_release(red, S("x"), &err), PERMISSION_DENIED);
  CHECK(op == NULL);
  CHECK_OK(statekeep_manager_close(red, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  /* What it is on now is what the configuration must say. */
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK(has_value(m, "agent:1", "b", "1"));
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_OK(statekeep_config_free(config));
  return 0;
}
