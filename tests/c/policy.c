/* Retention policies as callbacks: what they see and answer, what they may not do, and that whatever they do
 * no backup is lost by it. */
#include "check.h"

#include <pthread.h>

static statekeep_manager *m;
static int destroyed;
static statekeep_policy_call *dead;

static void destroy(void *user_data) {
  CHECK(user_data == &destroyed);
  destroyed++;
}

/* Callbacks run on threads of the library, so none of them uses `err`. */
#define INSIDE(call, name) CHECK((call) == STATEKEEP_STATUS_##name)

static statekeep_buf result_of(statekeep_op *op) {
  statekeep_buf buf;
  CHECK_OK(statekeep_op_wait(op, -1, &err));
  CHECK_OK(statekeep_op_result_json(op, &buf, &err));
  CHECK_OK(statekeep_op_free(op));
  return buf;
}

static void back_up(const char *options) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_create_start(m, options, strlen(options), &op, &err));
  statekeep_buf buf = result_of(op);
  CHECK_OK(statekeep_buf_free(&buf));
}

static statekeep_buf clean(const char *options) {
  statekeep_op *op = NULL;
  CHECK_OK(statekeep_backup_cleanup_start(m, options, strlen(options), &op, &err));
  return result_of(op);
}

static void reports(const char *options, const char *text, const char *other) {
  statekeep_buf buf = clean(options);
  if (!buf_has(&buf, text) || !buf_has(&buf, other)) {
    fprintf(stderr, "%s and %s: %.*s\n", text, other, (int)buf.len, (const char *)buf.ptr);
    exit(1);
  }
  CHECK_OK(statekeep_buf_free(&buf));
}

static statekeep_status put(const char *name, statekeep_policy_evaluate_fn evaluate) {
  statekeep_policy policy = STATEKEEP_POLICY_INIT;
  policy.name = name;
  policy.name_len = strlen(name);
  policy.evaluate = evaluate;
  policy.user_data = &destroyed;
  policy.destroy = destroy;
  return statekeep_policy_register(m, &policy, &err);
}

static size_t count(const statekeep_policy_call *call) {
  size_t n = 0;
  INSIDE(statekeep_policy_call_count(call, &n, NULL), OK);
  return n;
}

static void all(statekeep_policy_call *call, uint32_t verdict) {
  for (size_t i = 0; i < count(call); i++) {
    INSIDE(statekeep_policy_call_vote(call, i, verdict, 0, S("away"), NULL), OK);
  }
}

static void forgets_all(void *user_data, statekeep_policy_call *call) {
  (void)user_data;
  all(call, STATEKEEP_VERDICT_FORGET);
}

static int is(const char *ptr, size_t len, const char *text) {
  return len == strlen(text) && memcmp(ptr, text, len) == 0;
}

/* Looks at everything, keeps what has a tag. */
static void looks(void *user_data, statekeep_policy_call *call) {
  CHECK(user_data == &destroyed);
  CHECK(count(call) == 3);
  statekeep_policy_context context = STATEKEEP_POLICY_CONTEXT_INIT;
  INSIDE(statekeep_policy_call_context(call, &context, NULL), OK);
  CHECK(is(context.options, context.options_len, "{\"keep\":\"tagged\"}"));
  CHECK(context.storage_bytes > 0 && context.storage_bytes_max == UINT64_MAX);
  CHECK(is(context.time_zone, context.time_zone_len, "Europe/Paris"));
  statekeep_policy_backup backup = STATEKEEP_POLICY_BACKUP_INIT;
  for (size_t i = 0; i < 3; i++) {
    INSIDE(statekeep_policy_call_backup(call, i, &backup, NULL), OK);
    CHECK(backup.struct_size == sizeof backup && backup.id_len == 26 && backup.series_len > 0);
    CHECK(backup.kind == STATEKEEP_BACKUP_FULL && backup.parent == -1);
    CHECK(backup.created_unix_ms > 0 && backup.created_unix_ms <= context.now_unix_ms);
    CHECK(backup.records == 1 && backup.raw_bytes > 0 && backup.stored_bytes > 0);
    CHECK(backup.sequence > 0 && backup.restores == 0);
    CHECK((backup.flags & STATEKEEP_BACKUP_PINNED) == 0);
    const char *tag = NULL;
    size_t len = 0;
    if (backup.tags_len == 0) {
      INSIDE(statekeep_policy_call_tag(call, i, 0, &tag, &len, NULL), INVALID_ARGUMENT);
      INSIDE(statekeep_policy_call_vote(call, i, STATEKEEP_VERDICT_KEEP, 0, S(""), NULL), OK);
      INSIDE(statekeep_policy_call_vote(call, i, STATEKEEP_VERDICT_FORGET, 7, S("no tag"), NULL), OK);
    } else {
      CHECK(is(backup.label, backup.label_len, "the label"));
      INSIDE(statekeep_policy_call_tag(call, i, 1, &tag, &len, NULL), OK);
      CHECK(is(tag, len, "release-2"));
      INSIDE(statekeep_policy_call_vote(call, i, STATEKEEP_VERDICT_KEEP, 0, tag, len, NULL), OK);
    }
  }
  /* An older caller knows less of the struct; nothing behind it is written. */
  unsigned char bytes[sizeof backup + 8];
  memset(bytes, 0x5a, sizeof bytes);
  size_t size = sizeof(size_t) + sizeof(char *);
  memcpy(bytes, &size, sizeof size);
  INSIDE(statekeep_policy_call_backup(call, 0, (statekeep_policy_backup *)(void *)bytes, NULL), OK);
  CHECK(bytes[size] == 0x5a && memcmp(bytes, &size, sizeof size) == 0);
  backup.struct_size = 3;
  INSIDE(statekeep_policy_call_backup(call, 0, &backup, NULL), INVALID_ARGUMENT);
  backup = (statekeep_policy_backup)STATEKEEP_POLICY_BACKUP_INIT;
  INSIDE(statekeep_policy_call_backup(call, 3, &backup, NULL), INVALID_ARGUMENT);
  CHECK(backup.id == NULL);
  dead = call;
}

/* Reads answer, writes of the state and of its backups do not, and nobody waits for itself. */
static void calls_back(void *user_data, statekeep_policy_call *call) {
  (void)user_data;
  statekeep_buf buf;
  uint32_t kind = 0;
  statekeep_op *op = NULL;
  statekeep_error *error = NULL;
  INSIDE(statekeep_get(m, S("global"), S("k"), &kind, &buf, NULL), OK);
  CHECK(buf_is(&buf, "1"));
  INSIDE(statekeep_buf_free(&buf), OK);
  INSIDE(statekeep_backup_list_json(m, &buf, NULL), OK);
  INSIDE(statekeep_buf_free(&buf), OK);
  INSIDE(statekeep_set(m, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("2"), 0, NULL, &error), REENTRANT);
  INSIDE(statekeep_error_code(error), REENTRANT);
  INSIDE(statekeep_error_free(error), OK);
  INSIDE(statekeep_delete(m, S("global"), S("k"), 0, NULL, NULL), REENTRANT);
  INSIDE(statekeep_scope_clear(m, S("global"), NULL, NULL), REENTRANT);
  INSIDE(statekeep_backup_create_start(m, NULL, 0, &op, NULL), REENTRANT);
  INSIDE(statekeep_backup_cleanup_start(m, NULL, 0, &op, NULL), REENTRANT);
  INSIDE(statekeep_backup_delete_json(m, S("{\"backups\":[\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"]}"), &buf,
                                      NULL),
         REENTRANT);
  INSIDE(statekeep_backup_undelete(m, S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), NULL), REENTRANT);
  INSIDE(statekeep_policy_remove(m, S("calls_back"), NULL), REENTRANT);
  INSIDE(statekeep_policy_remove(m, S("looks"), NULL), REENTRANT);
  INSIDE(statekeep_manager_close(m, NULL), REENTRANT);
  statekeep_txn *txn = NULL;
  INSIDE(statekeep_txn_begin(m, NULL, 0, &txn, NULL), OK);
  INSIDE(statekeep_txn_set(txn, S("global"), S("k"), STATEKEEP_VALUE_JSON, U("3"), NULL), OK);
  INSIDE(statekeep_txn_commit(txn, NULL, NULL), REENTRANT);
  INSIDE(statekeep_txn_close(txn), OK);
  all(call, STATEKEEP_VERDICT_KEEP);
}

/* What is in force is told also while that is set; to set it then would wait for this very call. */
static void asks(void *user_data, statekeep_policy_call *call) {
  (void)user_data;
  statekeep_buf buf;
  INSIDE(statekeep_retention_show_json(m, &buf, NULL), OK);
  CHECK(buf_has(&buf, "\"retention.grace\""));
  INSIDE(statekeep_buf_free(&buf), OK);
  INSIDE(statekeep_retention_set_json(m, S("{}"), NULL, NULL), REENTRANT);
  all(call, STATEKEEP_VERDICT_KEEP);
}

static void abstains(void *user_data, statekeep_policy_call *call) { (void)user_data, (void)call; }

static void errs(void *user_data, statekeep_policy_call *call) {
  forgets_all(user_data, call);
  INSIDE(statekeep_policy_call_set_error(call, S("the calendar is away"), NULL), OK);
  INSIDE(statekeep_policy_call_set_error(call, S("a later one"), NULL), OK);
}
static void unreadable_error(void *user_data, statekeep_policy_call *call) {
  forgets_all(user_data, call);
  INSIDE(statekeep_policy_call_set_error(call, BAD_UTF8, NULL), INVALID_ARGUMENT);
}
static void wrong_index(void *user_data, statekeep_policy_call *call) {
  forgets_all(user_data, call);
  INSIDE(statekeep_policy_call_vote(call, 3, STATEKEEP_VERDICT_KEEP, 0, S(""), NULL), INVALID_ARGUMENT);
}
static void wrong_verdict(void *user_data, statekeep_policy_call *call) {
  forgets_all(user_data, call);
  INSIDE(statekeep_policy_call_vote(call, 0, 3, 0, S(""), NULL), INVALID_ARGUMENT);
}
static void wrong_reason(void *user_data, statekeep_policy_call *call) {
  forgets_all(user_data, call);
  INSIDE(statekeep_policy_call_vote(call, 0, STATEKEEP_VERDICT_FORGET, 0, BAD_UTF8, NULL),
         INVALID_ARGUMENT);
}
static void huge_reason(void *user_data, statekeep_policy_call *call) {
  forgets_all(user_data, call);
  INSIDE(statekeep_policy_call_vote(call, 0, STATEKEEP_VERDICT_FORGET, 0, ABSURD("x"), NULL),
         INVALID_ARGUMENT);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int hangs = 1, asked;

static void stuck(void *user_data, statekeep_policy_call *call) {
  CHECK(pthread_mutex_lock(&lock) == 0);
  asked++;
  while (hangs) {
    CHECK(pthread_cond_wait(&wake, &lock) == 0);
  }
  CHECK(pthread_mutex_unlock(&lock) == 0);
  /* Its context lives as long as it runs. */
  forgets_all(user_data, call);
}

/* What hangs is left alone until it is back; others are asked meanwhile. */
static void hanging(void) {
  const char *alone = "{\"dry_run\":true,\"policies\":[{\"policy\":\"stuck\"}]}";
  CHECK_OK(put("stuck", stuck));
  reports(alone, "policy stuck did not answer within", "\"evaluated\":0");
  reports(alone, "was asked before and has not answered", "\"evaluated\":0");
  CHECK(pthread_mutex_lock(&lock) == 0);
  CHECK(asked == 1);
  hangs = 0;
  CHECK(pthread_cond_broadcast(&wake) == 0);
  CHECK(pthread_mutex_unlock(&lock) == 0);
  /* A machine may be too busy for the short limit: asked until it is not. */
  for (int done = 0; !done;) {
    statekeep_buf buf = clean(alone);
    done = buf_has(&buf, "\"would_delete\":2");
    CHECK(done || buf_has(&buf, "stuck"));
    CHECK_OK(statekeep_buf_free(&buf));
  }
  destroyed = 0;
  CHECK_OK(statekeep_policy_remove(m, S("stuck"), &err));
  CHECK(destroyed == 1);
}

/* `destroy` runs exactly once, whatever is wrong. */
static void refused(void) {
  statekeep_policy policy = STATEKEEP_POLICY_INIT;
  CHECK_STATUS(statekeep_policy_register(m, NULL, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_policy_register(m, &policy, &err), INVALID_ARGUMENT);
  CHECK_STATUS(put("none", NULL), INVALID_ARGUMENT);
  CHECK_STATUS(put("", forgets_all), INVALID_ARGUMENT);
  CHECK_STATUS(put("Large", forgets_all), INVALID_ARGUMENT);
  CHECK_STATUS(put("org.example.mine", forgets_all), INVALID_ARGUMENT);
  CHECK_STATUS(put("count", forgets_all), ALREADY_EXISTS);
  CHECK_STATUS(put("looks", forgets_all), ALREADY_EXISTS);
  CHECK(destroyed == 6);
  struct {
    statekeep_policy policy;
    size_t later;
  } newer = {STATEKEEP_POLICY_INIT, 1};
  newer.policy.struct_size = sizeof newer;
  newer.policy.user_data = &destroyed;
  newer.policy.destroy = destroy;
  CHECK_STATUS(statekeep_policy_register(m, &newer.policy, &err), UNSUPPORTED);
  CHECK(destroyed == 7);
  statekeep_manager *tenant = NULL, *whole = m;
  CHECK_OK(statekeep_manager_tenant(m, S("acme"), &tenant, &err));
  m = tenant;
  CHECK_STATUS(put("mine", forgets_all), PERMISSION_DENIED);
  CHECK_STATUS(statekeep_policy_remove(m, S("looks"), &err), PERMISSION_DENIED);
  m = whole;
  CHECK_OK(statekeep_manager_close(tenant, &err));
  CHECK(destroyed == 8);
  CHECK_STATUS(statekeep_policy_remove(m, S("nobody"), &err), NOT_FOUND);
  CHECK_STATUS(statekeep_policy_remove(NULL, S("looks"), &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_policy_remove(m, NULL, 3, &err), INVALID_ARGUMENT);
}

/* The context of a call that has ended, and none at all. */
static void without_a_call(void) {
  statekeep_policy_backup backup = STATEKEEP_POLICY_BACKUP_INIT;
  statekeep_policy_context context = STATEKEEP_POLICY_CONTEXT_INIT;
  const char *text = "x";
  size_t n = 7;
  CHECK_STATUS(statekeep_policy_call_count(dead, &n, &err), CLOSED);
  CHECK(n == 0);
  CHECK_STATUS(statekeep_policy_call_backup(dead, 0, &backup, &err), CLOSED);
  CHECK_STATUS(statekeep_policy_call_tag(dead, 0, 0, &text, &n, &err), CLOSED);
  CHECK(text == NULL);
  CHECK_STATUS(statekeep_policy_call_context(dead, &context, &err), CLOSED);
  CHECK_STATUS(statekeep_policy_call_vote(dead, 0, STATEKEEP_VERDICT_FORGET, 0, S(""), &err), CLOSED);
  CHECK_STATUS(statekeep_policy_call_set_error(dead, S("late"), &err), CLOSED);
  CHECK_STATUS(statekeep_policy_call_count(NULL, &n, &err), INVALID_ARGUMENT);
  CHECK_STATUS(statekeep_policy_call_count((statekeep_policy_call *)(void *)m, &n, &err), INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  statekeep_config *config = config_for(in_folder(argv, "state"), "fjall");
  CHECK_OK(statekeep_config_set(config, S("retention.time_zone"), S("Europe/Paris"), &err));
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  set_json(m, "global", "k", "1");
  back_up("");
  back_up("{\"label\":\"the label\",\"tags\":[\"nightly\",\"release-2\"]}");
  back_up("");

  CHECK_OK(put("looks", looks));
  reports("{\"dry_run\":true,\"policies\":[{\"policy\":\"looks\",\"keep\":\"tagged\"}]}",
          "looks: release-2", "looks: no tag");
  without_a_call();
  refused();
  CHECK_OK(put("calls_back", calls_back));
  reports("{\"policies\":[{\"policy\":\"calls_back\"}]}", "\"failure\":null", "\"retained\":3");
  CHECK_OK(put("asks", asks));
  CHECK_OK(statekeep_retention_set_json(m, S("{\"policies\":[{\"policy\":\"asks\"}]}"), NULL, &err));
  CHECK_OK(statekeep_retention_set_json(m, S("{\"grace\":\"1d\"}"), NULL, &err));
  reports("", "\"failure\":null", "\"retained\":3");
  CHECK_OK(statekeep_retention_set_json(m, S("{\"policies\":null}"), NULL, &err));
  CHECK_OK(put("abstains", abstains));
  reports("{\"policies\":[{\"policy\":\"abstains\"}]}", "no policy has an opinion", "\"retained\":3");

  struct {
    const char *name;
    statekeep_policy_evaluate_fn evaluate;
    const char *why;
  } hostile[] = {
      {"errs", errs, "the calendar is away"},
      {"unreadable_error", unreadable_error, "cannot be read"},
      {"wrong_index", wrong_index, "3 of 3 backups"},
      {"wrong_verdict", wrong_verdict, "3 is not ABSTAIN"},
      {"wrong_reason", wrong_reason, "not UTF-8"},
      {"huge_reason", huge_reason, "more than memory can hold"},
  };
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
    char options[128];
    (void)snprintf(options, sizeof options, "{\"policies\":[{\"policy\":\"%s\"}]}", hostile[i].name);
    CHECK_OK(put(hostile[i].name, hostile[i].evaluate));
    reports(options, hostile[i].why, "\"deleted\":0");
    reports(options, hostile[i].name, "\"evaluated\":0");
    reports("{\"dry_run\":true,\"policies\":[{\"policy\":\"count\",\"keep\":2}]}", "\"failure\":null",
            "\"would_delete\":1");
    CHECK_OK(statekeep_policy_remove(m, hostile[i].name, strlen(hostile[i].name), &err));
    reports(options, "nobody registered it in this program", "\"evaluated\":0");
  }

  /* Floors hold: the newest stays. */
  CHECK_OK(put("forgets_all", forgets_all));
  reports("{\"dry_run\":true,\"policies\":[{\"policy\":\"forgets_all\"}]}", "\"would_delete\":2",
          "newest_full");

  /* What is registered when the state is closed ends with it, once. */
  destroyed = 0;
  CHECK_OK(statekeep_manager_close(m, &err));
  CHECK(destroyed == 5);

  CHECK_OK(statekeep_config_set(config, S("retention.policy_timeout"), S("100ms"), &err));
  CHECK_OK(statekeep_manager_open(config, &m, &err));
  CHECK_OK(statekeep_config_free(config));
  hanging();
  CHECK_OK(statekeep_manager_close(m, &err));
  return 0;
}
