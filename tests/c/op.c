/* statekeep_op: wait, progress, limit, cancel, result, on_done, on_progress, free. */
#include "check.h"

#include <stddef.h>

_Static_assert(sizeof(statekeep_progress) == 88, "grows only, with a new test");
_Static_assert(offsetof(statekeep_progress, struct_size) == 0, "the size stands first");

static int called, destroyed;
static statekeep_status told;

static void on_done(void *user_data, statekeep_status status) {
  CHECK(user_data == &called);
  told = status;
  __atomic_add_fetch(&called, 1, __ATOMIC_SEQ_CST);
}

static void destroy(void *user_data) {
  CHECK(user_data == &called);
  __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

/* Closes a handle of the state, which is open through another one. */
static int closed;

static void close_other(void *user_data, statekeep_status status) {
  CHECK(status == STATEKEEP_STATUS_OK);
  CHECK(statekeep_manager_close(user_data, NULL) == STATEKEEP_STATUS_OK);
  __atomic_add_fetch(&closed, 1, __ATOMIC_SEQ_CST);
}

static statekeep_op *start(const statekeep_manager *m) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_create_start(m, NULL, 0, &op, &err));
  return op;
}

static void outcome(const statekeep_manager *m) {
  statekeep_op *op = start(m);
  statekeep_progress progress = STATEKEEP_PROGRESS_INIT;
  CHECK_OK(statekeep_op_progress(op, &progress, &err));
  CHECK(progress.struct_size == sizeof(progress));
  statekeep_status status = statekeep_op_wait(op, 0, &err);
  CHECK(status == STATEKEEP_STATUS_OK || status == STATEKEEP_STATUS_PENDING);
  CHECK(err == NULL);
  CHECK_OK(statekeep_op_wait(op, 600000, &err));
  CHECK_OK(statekeep_op_wait(op, INT64_MAX, &err));
  CHECK_OK(statekeep_op_wait(op, INT64_MIN, &err));
  CHECK_OK(statekeep_op_progress(op, &progress, &err));
  CHECK(progress.is_done == 1 && progress.phase == STATEKEEP_OP_PHASE_DONE);
  statekeep_buf json;
  CHECK_OK(statekeep_op_result_json(op, &json, &err));
  CHECK(json.len > 2 && json.ptr[0] == '{');
  CHECK_OK(statekeep_buf_free(&json));
  /* Cancelling what has ended changes nothing. */
  CHECK_OK(statekeep_op_cancel(op, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));

  /* An older caller's struct is not written beyond its size. */
  struct {
    size_t struct_size;
    uint32_t phase, is_done;
    uint64_t canary;
  } older = {offsetof(statekeep_progress, records), 0, 0, 42};
  CHECK_OK(statekeep_op_progress(op, (statekeep_progress *)(void *)&older, &err));
  CHECK(older.is_done == 1 && older.canary == 42);
  progress.struct_size = 3;
  CHECK_STATUS(statekeep_op_progress(op, &progress, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_op_progress(op, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_op_result_json(op, NULL, &err), INVALID_ARGUMENT);

  CHECK_OK(statekeep_op_free(op));
  progress.struct_size = sizeof(progress);
  CHECK_STATUS(statekeep_op_free(op), CLOSED);
  CHECK_STATUS(statekeep_op_wait(op, 0, &err), CLOSED);
  CHECK_STATUS(statekeep_op_progress(op, &progress, &err), CLOSED);
}

static void callbacks(const statekeep_manager *m) {
  statekeep_op *op = start(m);
  CHECK_OK(statekeep_op_on_done(op, on_done, &called, destroy, &err));
  CHECK_STATUS(statekeep_op_on_done(op, on_done, &called, destroy, &err), ALREADY_EXISTS);
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  while (__atomic_load_n(&destroyed, __ATOMIC_SEQ_CST) < 2) {
  }
  CHECK(called == 1 && told == STATEKEEP_STATUS_OK);
  CHECK_OK(statekeep_op_free(op));
  CHECK(called == 1 && destroyed == 2);

  /* One that has ended calls at once. */
  op = start(m);
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_on_done(op, on_done, &called, destroy, &err));
  CHECK(called == 2 && destroyed == 3);
  CHECK_OK(statekeep_op_free(op));

  /* Also a registration that fails runs destroy. */
  CHECK_STATUS(statekeep_op_on_done(NULL, on_done, &called, destroy, &err), INVALID_ARGUMENT);
  CHECK(destroyed == 4);
  CHECK_STATUS(statekeep_op_on_done(op, on_done, &called, destroy, &err), CLOSED);
  CHECK(destroyed == 5);
  op = start(m);
  CHECK_STATUS(statekeep_op_on_done(op, NULL, &called, destroy, &err), INVALID_ARGUMENT);
  CHECK(destroyed == 6);
  CHECK_OK(statekeep_op_on_done(op, on_done, &called, NULL, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_free(op));

  /* Freed before its end: told nothing, but the data is given back. */
  int before = __atomic_load_n(&destroyed, __ATOMIC_SEQ_CST);
  op = start(m);
  CHECK_OK(statekeep_op_on_done(op, on_done, &called, destroy, &err));
  CHECK_OK(statekeep_op_free(op));
  while (__atomic_load_n(&destroyed, __ATOMIC_SEQ_CST) == before) {
  }
}

/* A callback may close handles, on the operation's thread as well as at once on this one. */
static void closing(char **argv, const statekeep_manager *m) {
  statekeep_op *op = start(m);
  CHECK_OK(statekeep_op_on_done(op, close_other, open_state(argv, "state"), NULL, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  while (__atomic_load_n(&closed, __ATOMIC_SEQ_CST) == 0) {
  }
  CHECK_OK(statekeep_op_free(op));
  op = start(m);
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_on_done(op, close_other, open_state(argv, "state"), NULL, &err));
  CHECK(closed == 2);
  CHECK_OK(statekeep_op_free(op));
}

/* What a progress function is given, and the operation that it is to cancel or to free. */
struct watching {
  statekeep_op *op;
  int calls, destroyed, frees;
};

static void watch(void *user_data, const statekeep_progress *info) {
  struct watching *watching = user_data;
  CHECK(info->struct_size == sizeof(*info) && info->is_done == 0 && info->left_ms >= -1);
  CHECK(__atomic_load_n(&watching->destroyed, __ATOMIC_SEQ_CST) == 0);
  if (__atomic_add_fetch(&watching->calls, 1, __ATOMIC_SEQ_CST) == 3) {
    CHECK(statekeep_op_cancel(watching->op, NULL) == STATEKEEP_STATUS_OK);
    if (watching->frees)
      CHECK(statekeep_op_free(watching->op) == STATEKEEP_STATUS_OK);
  }
}

static void unwatch(void *user_data) {
  __atomic_add_fetch(&((struct watching *)user_data)->destroyed, 1, __ATOMIC_SEQ_CST);
}

/* A backup at one byte a second does not end of itself. */
static void watched(char **argv) {
  statekeep_config *config = config_for(in_folder(argv, "slow"), "memory");
  CHECK_OK(statekeep_config_set(config, S("backup.bytes_per_second_max"), S("1"), &err));
  statekeep_manager *m = NULL;
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  set_json(m, "global", "k", "1");

  struct watching watching = {start(m), 0, 0, 0};
  CHECK_OK(statekeep_op_on_progress(watching.op, watch, &watching, unwatch, &err));
  CHECK_STATUS(statekeep_op_wait(watching.op, -1, &err), CANCELLED);
  /* Its end is told after the last call, and after destroy. */
  CHECK(watching.calls >= 3 && watching.destroyed == 1);

  /* It takes one; after its end there is no call, but destroy runs at once. */
  struct watching late = {watching.op, 0, 0, 0};
  CHECK_STATUS(statekeep_op_on_progress(watching.op, watch, &late, unwatch, &err), ALREADY_EXISTS);
  CHECK_OK(statekeep_op_free(watching.op));
  CHECK_STATUS(statekeep_op_on_progress(watching.op, watch, &late, unwatch, &err), CLOSED);
  CHECK_STATUS(statekeep_op_on_progress(NULL, watch, &late, unwatch, &err), INVALID_ARGUMENT);
  CHECK(late.calls == 0 && late.destroyed == 3);

  /* The function may free the operation that it is told of. */
  struct watching freeing = {start(m), 0, 0, 1};
  CHECK_OK(statekeep_op_on_progress(freeing.op, watch, &freeing, unwatch, &err));
  while (__atomic_load_n(&freeing.destroyed, __ATOMIC_SEQ_CST) == 0) {
  }
  CHECK(freeing.calls == 3);

  /* A limit that is raised lets it end. */
  struct watching ended = {start(m), 0, 0, 0};
  CHECK_OK(statekeep_op_limit_rate(ended.op, UINT64_C(1) << 40, &err));
  CHECK_STATUS(statekeep_op_limit_rate(NULL, 0, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_op_wait(ended.op, -1, &err));
  CHECK_OK(statekeep_op_on_progress(ended.op, watch, &ended, unwatch, &err));
  CHECK(ended.calls == 0 && ended.destroyed == 1);
  CHECK_OK(statekeep_op_free(ended.op));

  statekeep_buf json;
  CHECK_OK(statekeep_backup_schedule_json(m, &json, &err));
  CHECK(buf_has(&json, "\"enabled\":false") && buf_has(&json, "\"warning\":null"));
  CHECK(buf_has(&json, "\"cleanups\":{\"enabled\":false,"));
  CHECK_OK(statekeep_buf_free(&json));
  CHECK_OK(statekeep_manager_close(m, &err));
}

static void cancel(const statekeep_manager *m) {
  statekeep_op *op = start(m);
  CHECK_OK(statekeep_op_cancel(op, &err));
  statekeep_status status = statekeep_op_wait(op, -1, &err);
  CHECK(status == STATEKEEP_STATUS_CANCELLED || status == STATEKEEP_STATUS_OK);
  CHECK((status == STATEKEEP_STATUS_OK) == (err == NULL));
  CHECK(statekeep_error_free(err) == STATEKEEP_STATUS_OK);
  err = NULL;
  CHECK_OK(statekeep_op_free(op));
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_manager *m = open_state(argv, "state");
  set_json(m, "global", "k", "1");
  outcome(m);
  callbacks(m);
  closing(argv, m);
  cancel(m);
  watched(argv);
  statekeep_progress progress = STATEKEEP_PROGRESS_INIT;
  statekeep_buf buf;
  CHECK_STATUS(statekeep_op_wait(NULL, 0, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_op_progress(NULL, &progress, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_op_cancel(NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_op_result_json(NULL, &buf, &err), INVALID_ARGUMENT);
  CHECK_OK(statekeep_op_free(NULL));

  /* A running operation keeps the state open after the last handle is closed. */
  statekeep_op *op = start(m);
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_free(op));
  return 0;
}
