/* Retention before it deletes: what is in force, trials of rules, simulations and their pictures. */
#include "check.h"

static statekeep_buf simulated(const statekeep_manager *m, const char *options) {
  statekeep_op *op = NULL;
  statekeep_buf buf;
  CHECK_OK(statekeep_retention_simulate_start(m, options, strlen(options), &op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_result_json(op, &buf, &err));
  CHECK_OK(statekeep_op_free(op));
  return buf;
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  statekeep_buf buf;
  CHECK_STATUS(statekeep_retention_show_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_show_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_set_json(NULL, S("{}"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_set_json(m, S("[]"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_set_json(m, S("{\"path\":\"elsewhere\"}"), &buf, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_set_json(m, S("{\"grace\":\"soon\"}"), NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_test_json(NULL, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_test_json(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_test_json(m, S("{\"keep\":3}"), &buf, &err), INVALID_ARGUMENT);
  /* Nothing is configured. */
  CHECK_STATUS(statekeep_retention_test_json(m, NULL, 0, &buf, &err), UNSUPPORTED);
  CHECK_STATUS(statekeep_retention_simulate_start(NULL, NULL, 0, &op, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_simulate_start(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_simulate_start(m, S("{\"format\":\"png\"}"), &op, &err),
               INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_retention_simulate_start(m, S("{\"every\":1}"), &op, &err), INVALID_ARGUMENT);
  CHECK(op == NULL);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = config_for(in_folder(argv, "state"), "fjall");
  statekeep_manager *m = NULL;
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  wrong_arguments(m);

  statekeep_buf buf;
  CHECK_OK(statekeep_retention_show_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"rule\":null") && buf_has(&buf, "\"retention.grace\""));
  CHECK(buf_has(&buf, "the newest of its series") && buf_has(&buf, "\"keep.age_ms\""));
  CHECK_OK(statekeep_buf_free(&buf));

  /* One wrong setting, and none of them holds. */
  const char *none = "{\"grace\":\"1d\",\"policies\":[{\"policy\":\"nobody\"}]}";
  CHECK_STATUS(statekeep_retention_set_json(m, none, strlen(none), &buf, &err), NOT_FOUND);
  CHECK_OK(statekeep_retention_show_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"rule\":null") && !buf_has(&buf, "\"1d\""));
  CHECK_OK(statekeep_buf_free(&buf));
  const char *set = "{\"grace\":\"1d\",\"max_backups\":9}";
  CHECK_OK(statekeep_retention_set_json(m, set, strlen(set), &buf, &err));
  CHECK(buf_has(&buf, "\"keep\":9") && buf_has(&buf, "\"1d\"") && buf_has(&buf, "\"source\":\"set\""));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_retention_test_json(m, S("{\"backups\":[{\"age_ms\":5}]}"), &buf, &err));
  CHECK(buf_has(&buf, "\"retained\":1"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_retention_set_json(m, S("{\"max_backups\":null}"), NULL, &err));
  CHECK_STATUS(statekeep_retention_test_json(m, NULL, 0, &buf, &err), UNSUPPORTED);

  const char *test = "{\"policies\":[{\"policy\":\"age\",\"max_age\":\"7d\"}],\"backups\":["
                     "{\"id\":\"young\",\"age_ms\":259200000},{\"id\":\"old\",\"age_ms\":864000000}]}";
  CHECK_OK(statekeep_retention_test_json(m, test, strlen(test), &buf, &err));
  CHECK(buf_has(&buf, "\"evaluated\":2") && buf_has(&buf, "\"would_delete\":1"));
  CHECK(buf_has(&buf, "older than 7d"));
  CHECK_OK(statekeep_buf_free(&buf));

  buf = simulated(m, "{\"policies\":[{\"policy\":\"count\",\"keep\":3}],\"every_ms\":86400000,"
                     "\"for_ms\":864000000,\"start_unix_ms\":0,\"full_bytes\":1000}");
  CHECK(buf_has(&buf, "\"made\":11") && buf_has(&buf, "\"kept\":3") && buf_has(&buf, "\"bytes\":3000"));
  CHECK(!buf_has(&buf, "<svg"));
  CHECK_OK(statekeep_buf_free(&buf));
  buf = simulated(m, "{\"policies\":[{\"policy\":\"count\",\"keep\":3}],\"for_ms\":864000000,"
                     "\"format\":\"svg\"}");
  CHECK(buf_has(&buf, "\"picture\":\"<svg"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
