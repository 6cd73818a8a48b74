/* Queries over documents, and the indexes that serve them. */
#include "check.h"

#define QUERY "{\"scope\":\"agent:*\",\"where\":[{\"path\":\"$.status\",\"eq\":\"open\"}]}"

static void create(const statekeep_manager *m, const char *definition, statekeep_status want) {
  statekeep_op *op = NULL;
  statekeep_buf buf;
  statekeep_progress progress = STATEKEEP_PROGRESS_INIT;
  CHECK_OK(statekeep_index_create_start(m, definition, strlen(definition), &op, &err));
  CHECK(statekeep_op_wait(op, -1, &err) == want);
  if (want == STATEKEEP_STATUS_OK) {
    CHECK_JSON(statekeep_op_result_json(op, &buf, &err), &buf, "\"state\":\"ready\"");
    CHECK_OK(statekeep_op_progress(op, &progress, &err));
    CHECK(progress.is_done == 1 && progress.phase == STATEKEEP_OP_PHASE_DONE);
  } else {
    CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
    err = NULL;
  }
  CHECK_OK(statekeep_op_free(op));
}

static void query(const statekeep_manager *m) {
  statekeep_buf buf;
  CHECK_JSON(statekeep_query_json(m, S(QUERY), &buf, &err), &buf,
             "{\"rows\":[{\"scope\":\"agent:1\",\"key\":\"a\",\"value\":{\"status\":\"open\"},"
             "\"sequence\":1}");
  CHECK_JSON(statekeep_query_json(m, S("{\"limit\":1}"), &buf, &err), &buf, "\"next\":\"");
  CHECK_JSON(statekeep_explain_json(m, S(QUERY), &buf, &err), &buf, "\"index\":null");
  create(m, "{\"name\":\"by-status\",\"scope\":\"agent:*\",\"path\":\"$.status\"}",
         STATEKEEP_STATUS_OK);
  CHECK_JSON(statekeep_explain_json(m, S(QUERY), &buf, &err), &buf, "\"index\":\"by-status\"");
  CHECK_JSON(statekeep_query_json(m, S(QUERY), &buf, &err), &buf,
             "\"facts\":{\"examined\":2,\"index\":\"by-status\"}");
  CHECK_JSON(statekeep_index_list_json(m, &buf, &err), &buf,
             "[{\"name\":\"by-status\",\"tenant\":\"\",\"scope\":\"agent:*\",\"path\":\"$.status\","
             "\"state\":\"ready\"");
  create(m, "{\"name\":\"by-status\",\"scope\":\"agent:*\",\"path\":\"$.other\"}",
         STATEKEEP_STATUS_ALREADY_EXISTS);
}

/* A tenant's handle knows the indexes of its tenant only. */
static void tenants(const statekeep_manager *m) {
  statekeep_manager *red = NULL;
  statekeep_op *op = NULL;
  statekeep_buf buf;
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  CHECK_JSON(statekeep_index_list_json(red, &buf, &err), &buf, "[]");
  CHECK_STATUS(statekeep_index_drop(red, S("by-status"), &err), NOT_FOUND);
  CHECK_STATUS(statekeep_index_create_start(
                   red, S("{\"name\":\"x\",\"tenant\":\"blue\",\"scope\":\"*\",\"path\":\"$.a\"}"),
                   &op, &err),
               PERMISSION_DENIED);
  CHECK(op == NULL);
  create(red, "{\"name\":\"reds\",\"scope\":\"*\",\"path\":\"$.a\"}", STATEKEEP_STATUS_OK);
  CHECK_JSON(statekeep_index_list_json(red, &buf, &err), &buf, "\"tenant\":\"red\"");
  CHECK_JSON(statekeep_index_list_json(m, &buf, &err), &buf, "\"name\":\"reds\"");
  CHECK_OK(statekeep_index_drop(red, S("reds"), &err));
  CHECK_OK(statekeep_manager_close(red, &err));
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  statekeep_buf buf;
  CHECK_STATUS(statekeep_query_json(m, S(""), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_query_json(m, S("{\"were\":[]}"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_query_json(m, BAD_UTF8, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_query_json(m, S("{}"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_query_json(NULL, S("{}"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_explain_json(m, S("{}"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_explain_json(NULL, S("{}"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_create_start(m, S("{}"), &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_create_start(m, S("{}"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_create_start(NULL, S("{}"), &op, &err), INVALID_ARGUMENT);
  create(m, "{\"name\":\"no good\",\"scope\":\"*\",\"path\":\"$.a\"}",
         STATEKEEP_STATUS_INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_list_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_list_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_drop(m, NULL, 2, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_index_drop(NULL, S("x"), &err), INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  statekeep_buf buf;
  set_json(m, "agent:1", "a", "{\"status\":\"open\"}");
  set_json(m, "agent:1", "b", "{\"status\":\"done\"}");
  set_json(m, "agent:2", "a", "{\"status\":\"open\"}");
  query(m);
  tenants(m);
  wrong_arguments(m);
  CHECK_OK(statekeep_index_drop(m, S("by-status"), &err));
  CHECK_STATUS(statekeep_index_drop(m, S("by-status"), &err), NOT_FOUND);
  CHECK_JSON(statekeep_index_list_json(m, &buf, &err), &buf, "[]");
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
