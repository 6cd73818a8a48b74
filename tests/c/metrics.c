/* Metrics: text for Prometheus of the whole state, from a handle that may see all of it. */
#include "check.h"

static int says(const statekeep_manager *m, const char *line_start, const char *line_end) {
  statekeep_buf buf;
  CHECK_OK(statekeep_metrics_text(m, &buf, &err));
  int found = 0;
  char *text = (char *)malloc(buf.len + 1);
  CHECK(text != NULL);
  memcpy(text, buf.ptr, buf.len);
  text[buf.len] = '\0';
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    size_t len = strlen(line), end = strlen(line_end);
    if (strncmp(line, line_start, strlen(line_start)) == 0 && len >= end &&
        strcmp(line + len - end, line_end) == 0) {
      found++;
    }
  }
  free(text);
  CHECK_OK(statekeep_buf_free(&buf));
  return found;
}

int main(int argc, char **argv) {
  (void)argc;
  statekeep_buf buf;
  statekeep_manager *m = open_state(argv, "state"), *red = NULL;
  CHECK(says(m, "statekeep_cache_hit_ratio{", "") == 0);
  set_json(m, "agent:1", "plan", "1");
  for (int n = 0; n < 4; n++) {
    CHECK(has_value(m, "agent:1", "plan", "1"));
  }
  CHECK(says(m, "statekeep_cache_hit_ratio{state_id=\"", "\"} 0.75") == 1);
  CHECK(says(m, "statekeep_commits_total{", "outcome=\"committed\"} 1") == 1);
  CHECK(says(m, "# EOF", "") == 1);
  CHECK_STATUS(statekeep_metrics_text(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_metrics_text(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_manager_tenant(m, S("red"), &red, &err));
  CHECK_STATUS(statekeep_metrics_text(red, &buf, &err), PERMISSION_DENIED);
  CHECK(buf_is_empty(&buf));
  CHECK_OK(statekeep_manager_close(red, &err));
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_STATUS(statekeep_metrics_text(m, &buf, &err), CLOSED);
  return 0;
}
