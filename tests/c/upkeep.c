/* Upkeep: what expired is removed, the past that nobody needs is forgotten; it can be stopped. */
#include "check.h"

static statekeep_manager *open_kept(char **argv) {
  statekeep_config *config = config_for(in_folder(argv, "state"), "memory");
  statekeep_manager *m = NULL;
  CHECK_OK(statekeep_config_set(config, S("keep.commits"), S("2"), &err));
  CHECK_OK(statekeep_config_set(config, S("upkeep_interval_ms"), S("0"), &err));
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  return m;
}

static void sweep(const statekeep_manager *m) {
  statekeep_buf buf;
  statekeep_set_options o = STATEKEEP_SET_OPTIONS_INIT;
  o.expires_unix_ms = 1;
  for (char key = 'a'; key < 'd'; key++) {
    CHECK_OK(
        statekeep_set_with(m, S("global"), &key, 1, STATEKEEP_VALUE_JSON, U("1"), &o, NULL, &err));
  }
  CHECK_JSON(statekeep_upkeep_sweep_json(m, &buf, &err), &buf, "{\"removed\":3}");
  CHECK_JSON(statekeep_upkeep_sweep_json(m, &buf, &err), &buf, "{\"removed\":0}");
  CHECK_JSON(statekeep_history_json(m, S("global"), S("a"), NULL, 0, &buf, &err), &buf,
             "\"commit_kind\":\"expire\"");
}

static void trim(const statekeep_manager *m) {
  statekeep_buf buf;
  statekeep_snapshot *s = NULL;
  CHECK_OK(statekeep_snapshot_open(m, &s, &err));
  for (int n = 0; n < 5; n++) {
    set_json(m, "global", "k", "1");
  }
  CHECK_JSON(statekeep_upkeep_trim_json(m, S("{\"dry_run\":true}"), &buf, &err), &buf,
             "\"dry_run\":true");
  CHECK_OK(statekeep_upkeep_trim_json(m, NULL, 0, &buf, &err));
  CHECK(buf_has(&buf, "\"floor_before\":0,\"floor\":4") && !buf_has(&buf, "\"held_by\":[]"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_snapshot_close(s));
  CHECK_JSON(statekeep_upkeep_trim_json(m, S("{}"), &buf, &err), &buf,
             "\"floor\":7,\"held_by\":[]");
  CHECK_DETAIL(statekeep_snapshot_open_at(m, 1, &s, &err), COMPACTED, "\"oldest_sequence\":7");
  CHECK_STATUS(statekeep_diff_json(m, 1, 9, NULL, 0, &buf, &err), COMPACTED);
  statekeep_watch *watch = NULL;
  CHECK_DETAIL(statekeep_watch_open(m, S("{\"from\":1}"), &watch, &err), COMPACTED,
               "\"oldest_sequence\":7");
}

static void pause_and_resume(const statekeep_manager *m) {
  statekeep_buf buf;
  CHECK_OK(statekeep_upkeep_status_json(m, &buf, &err));
  CHECK(buf_has(&buf, "\"running\":null,\"paused\":false,\"interval_ms\":0"));
  CHECK(buf_has(&buf, "\"last_sweep\":{\"removed\":0}") && buf_has(&buf, "\"last_run_unix_ms\":"));
  CHECK_OK(statekeep_buf_free(&buf));
  CHECK_OK(statekeep_upkeep_pause(m, &err));
  CHECK_JSON(statekeep_upkeep_status_json(m, &buf, &err), &buf, "\"paused\":true");
  CHECK_STATUS(statekeep_upkeep_sweep_json(m, &buf, &err), CANCELLED);
  CHECK_OK(statekeep_upkeep_resume(m, &err));
  CHECK_JSON(statekeep_upkeep_sweep_json(m, &buf, &err), &buf, "{\"removed\":0}");
}

static void wrong_arguments(const statekeep_manager *m) {
  statekeep_manager *red = NULL;
  statekeep_buf buf;
  CHECK_STATUS(statekeep_upkeep_sweep_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_sweep_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_trim_json(m, S("{\"dry\":true}"), &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_trim_json(m, NULL, 0, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_trim_json(NULL, NULL, 0, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_status_json(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_status_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_pause(NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_upkeep_resume(NULL, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  CHECK_STATUS(statekeep_upkeep_sweep_json(red, &buf, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_upkeep_trim_json(red, NULL, 0, &buf, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_upkeep_status_json(red, &buf, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_upkeep_pause(red, &err), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_upkeep_resume(red, &err), PERMISSION_DENIED);
  CHECK_OK(statekeep_manager_close(red, &err));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_kept(argv);
  sweep(m);
  trim(m);
  pause_and_resume(m);
  wrong_arguments(m);
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
