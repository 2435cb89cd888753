/* The spool: bounded, sorted, and complete after being killed at any moment. (What a power cut does: tests/agent.) */
#include "agent_folder.h"
#include "latency/agent/agent.h"

#include <signal.h>
#include <sys/wait.h>

static struct agent_spool open_spool(const char *dir)
{
    struct agent_spool spool;

    assert_int_equal(agent_spool_open(dir, &spool, NULL), TL_OK);
    return spool;
}

static size_t count(const struct agent_spool *spool)
{
    char uuids[SPOOL_FILES_MAX][TL_UUID_TEXT];
    size_t n = 0;

    assert_int_equal(agent_spool_list(spool, uuids, &n, NULL), TL_OK);
    return n;
}

static void measurements_come_out_in_the_order_they_went_in(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    char put[5][TL_UUID_TEXT], got[SPOOL_FILES_MAX][TL_UUID_TEXT];
    size_t n = 0;

    for (size_t i = 0; i < 5; i++) {
        tl_uuid(put[i]);
        assert_int_equal(agent_spool_add(&spool, put[i], "{}", 2, NULL), TL_OK);
    }
    assert_int_equal(agent_spool_list(&spool, got, &n, NULL), TL_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(got, put, sizeof put);
    assert_int_equal(agent_spool_remove(&spool, put[1], NULL), TL_OK);
    assert_int_equal(agent_spool_remove(&spool, put[1], NULL), TL_OK);
    assert_int_equal(count(&spool), 4);
}

static void the_same_bytes_come_back(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    TL_AUTO(tl_buf) body = {0};
    char uuid[TL_UUID_TEXT];

    tl_uuid(uuid);
    assert_int_equal(agent_spool_add(&spool, uuid, "a\0b\n", 4, NULL), TL_OK);
    assert_int_equal(agent_spool_read(&spool, uuid, &body, NULL), TL_OK);
    assert_int_equal(body.len, 4);
    assert_memory_equal(body.data, "a\0b\n", 4);
}

static void a_full_spool_says_so(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    char uuid[TL_UUID_TEXT];
    char path[FOLDER_PATH_MAX];
    struct tl_err err = {0};
    bool room = true;

    for (size_t i = 0; i < SPOOL_FILES_MAX; i++) { /* without the disk's say: this is about counting */
        tl_uuid(uuid);
        (void)snprintf(path, sizeof path, "%.700s/%s.json", spool.dir, uuid);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fclose(file);
    }
    tl_uuid(uuid);
    assert_int_equal(agent_spool_room(&spool, 1, &room, NULL), TL_OK);
    assert_false(room);
    assert_int_equal(agent_spool_add(&spool, uuid, "{}", 2, &err), TL_BUSY);
    assert_non_null(strstr(err.text, "full"));
    assert_int_equal(count(&spool), SPOOL_FILES_MAX);
}

static void one_measurement_is_bounded(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    char uuid[TL_UUID_TEXT];

    tl_uuid(uuid);
    assert_int_equal(agent_spool_add(&spool, uuid, NULL, SPOOL_FILE_MAX + 1, NULL), TL_TOO_LARGE);
    assert_int_equal(count(&spool), 0);
}

static void what_is_refused_is_kept_aside_with_the_answer(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    TL_AUTO(tl_buf) body = {0};
    TL_AUTO(tl_buf) answer = {0};
    char uuid[TL_UUID_TEXT], path[FOLDER_PATH_MAX];

    tl_uuid(uuid);
    assert_int_equal(agent_spool_add(&spool, uuid, "{\"a\":1}", 7, NULL), TL_OK);
    assert_int_equal(agent_spool_reject(&spool, uuid, "no such device", NULL), TL_OK);
    assert_int_equal(count(&spool), 0);
    (void)snprintf(path, sizeof path, "%.700s/%s.json", spool.rejected, uuid);
    assert_int_equal(tl_file_read(path, &body, NULL), TL_OK);
    assert_string_equal(body.data, "{\"a\":1}");
    (void)snprintf(path, sizeof path, "%.700s/%s.answer", spool.rejected, uuid);
    assert_int_equal(tl_file_read(path, &answer, NULL), TL_OK);
    assert_string_equal(answer.data, "no such device");
}

static void only_the_newest_refused_ones_are_kept(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    char first[TL_UUID_TEXT] = "", uuid[TL_UUID_TEXT], path[FOLDER_PATH_MAX];

    for (size_t i = 0; i <= SPOOL_REJECTED_MAX; i++) {
        tl_uuid(uuid);
        memcpy(first, i == 0 ? uuid : first, sizeof first);
        assert_int_equal(agent_spool_add(&spool, uuid, "{}", 2, NULL), TL_OK);
        assert_int_equal(agent_spool_reject(&spool, uuid, "", NULL), TL_OK);
    }
    (void)snprintf(path, sizeof path, "%.700s/%s.json", spool.rejected, first);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "%.700s/%s.json", spool.rejected, uuid);
    assert_int_equal(access(path, F_OK), 0);
}

static void half_written_files_are_cleared_and_others_left_alone(void **state)
{
    const struct agent_spool spool = open_spool(*state);
    char half[FOLDER_PATH_MAX], other[FOLDER_PATH_MAX];

    (void)snprintf(half, sizeof half, "%.700s/x.json.y.tmp", spool.dir);
    (void)snprintf(other, sizeof other, "%.700s/note.json", spool.dir);
    assert_int_equal(tl_file_write(half, "{", 1, NULL), TL_OK);
    assert_int_equal(tl_file_write(other, "{}", 2, NULL), TL_OK);
    (void)open_spool(*state);
    assert_int_not_equal(access(half, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(count(&spool), 0);
}

/* ---- killed at any moment -------------------------------------------------------------------------------------- */

/* What the child tells: '+' when a measurement is spooled, '-' before it is taken out. */
struct word {
    char what;
    char uuid[TL_UUID_TEXT];
};

static void body_of(const char *uuid, struct tl_buf *body)
{
    for (int i = 0; i < 50; i++) {
        assert_int_equal(tl_buf_addf(body, NULL, "%s %d\n", uuid, i), TL_OK);
    }
}

static void tell(int fd, char what, const char *uuid)
{
    struct word word = {.what = what};

    memcpy(word.uuid, uuid, TL_UUID_TEXT);
    if (write(fd, &word, sizeof word) != (ssize_t)sizeof word) {
        _exit(1);
    }
}

/* Spool two, take the older one out again, for ever. */
static _Noreturn void spool_until_killed(const char *dir, int fd)
{
    const struct agent_spool spool = open_spool(dir);
    char before[TL_UUID_TEXT] = "";

    for (;;) {
        TL_AUTO(tl_buf) body = {0};
        char uuid[TL_UUID_TEXT];
        tl_uuid(uuid);
        body_of(uuid, &body);
        if (agent_spool_add(&spool, uuid, body.data, body.len, NULL) != TL_OK) {
            _exit(1);
        }
        tell(fd, '+', uuid);
        if (before[0] != '\0') {
            tell(fd, '-', before);
            if (agent_spool_remove(&spool, before, NULL) != TL_OK) {
                _exit(1);
            }
        }
        memcpy(before, uuid, sizeof before);
    }
}

/* Kill a child after `words` words and read what it still said. Those spooled and not taken out are in `promised`. */
static size_t kill_after(const char *dir, unsigned words, char promised[][TL_UUID_TEXT], size_t max)
{
    int ends[2], status = 0;
    struct word word;
    size_t n = 0;

    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        spool_until_killed(dir, ends[1]);
    }
    (void)close(ends[1]);
    for (unsigned i = 0; read(ends[0], &word, sizeof word) == (ssize_t)sizeof word; i++) {
        if (i == words) {
            assert_int_equal(kill(child, SIGKILL), 0);
        }
        if (word.what == '+' && n < max) {
            memcpy(promised[n++], word.uuid, TL_UUID_TEXT);
        }
        for (size_t p = 0; word.what == '-' && p < n; p++) {
            if (strcmp(promised[p], word.uuid) == 0) {
                memmove(promised[p], promised[p + 1], (n - p - 1) * sizeof *promised);
                n--;
            }
        }
    }
    (void)close(ends[0]);
    assert_true(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    return n;
}

static void a_killed_agent_loses_nothing_it_spooled(void **state)
{
    enum { TIMES = 50, PROMISED_MAX = 1024 };
    struct tl_rng rng;

    tl_rng_init(&rng, 5, 0, 0);
    for (unsigned time = 0; time < TIMES; time++) {
        static char promised[PROMISED_MAX + 1][TL_UUID_TEXT], found[SPOOL_FILES_MAX][TL_UUID_TEXT];
        const size_t n = kill_after(*state, tl_rng_below(&rng, 24), promised, PROMISED_MAX);
        const struct agent_spool spool = open_spool(*state);
        size_t n_found = 0;
        for (size_t i = 0; i < n; i++) {
            TL_AUTO(tl_buf) body = {0};
            assert_int_equal(agent_spool_read(&spool, promised[i], &body, NULL), TL_OK);
        }
        assert_int_equal(agent_spool_list(&spool, found, &n_found, NULL), TL_OK);
        for (size_t i = 0; i < n_found; i++) {
            TL_AUTO(tl_buf) body = {0};
            TL_AUTO(tl_buf) expected = {0};
            assert_int_equal(agent_spool_read(&spool, found[i], &body, NULL), TL_OK);
            body_of(found[i], &expected);
            assert_string_equal(body.data, expected.data);
            assert_int_equal(agent_spool_remove(&spool, found[i], NULL), TL_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(measurements_come_out_in_the_order_they_went_in, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(the_same_bytes_come_back, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_full_spool_says_so, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(one_measurement_is_bounded, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(what_is_refused_is_kept_aside_with_the_answer, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(only_the_newest_refused_ones_are_kept, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(half_written_files_are_cleared_and_others_left_alone, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_killed_agent_loses_nothing_it_spooled, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
