/* Runners of every bad kind, played by /bin/sh: what goes wrong is told, costs one network, and the next block works. */
#include "agent_folder.h"
#include "latency/agent/runner.h"

#include <math.h>

/* A session that does its work, but for what `mode` ($1) says of model 1; model 2 stands for the others. $2: a file that
 * gets a letter for every start. */
static const char SESSION[] =
    "echo x >>$2\n"
    "[ $1 = dumb ] || echo '{\"tailor_runner\":1,\"runtime\":\"played\",\"version\":\"1.0\",\"threads\":'${3:-1}'}'\n"
    "[ $1 = leaves ] && { echo 'no licence' >&2; exit 3; }\n"
    "while read -r q; do\n"
    "  n=${q#*:}; n=${n%%[,\\}]*}\n"
    "  case $1:$q in\n"
    "  refuses:*load*:1,*) echo '{\"error\":\"no such operator\"}' ;;\n"
    "  *:*unload*) echo '{\"unloaded\":'$n'}' ;;\n"
    "  *:*load*) echo some chatter; echo '{\"loaded\":'$n'}' ;;\n"
    "  crashes:*time*:1,*) kill -SEGV $$ ;;\n"
    "  exits:*time*:1,*) echo 'out of memory' >&2; exit 7 ;;\n"
    "  hangs:*time*:1,*) sleep 60 & wait ;;\n"
    "  garbage:*time*:1,*) echo '{\"ns\":[1000' ;;\n"
    "  other:*time*:1,*) echo '{\"loaded\":1}' ;;\n"
    "  none:*time*:1,*) echo '{\"ns\":[]}' ;;\n"
    "  zero:*time*:1,*) echo '{\"ns\":[5000,0,5000]}' ;;\n"
    "  negative:*time*:1,*) echo '{\"ns\":[5000,-5000,5000]}' ;;\n"
    "  jumps:*time*:1,*) echo '{\"ns\":[5000,3600000000000,5000]}' ;;\n"
    "  many:*time*:1,*) echo '{\"ns\":[5000,5000,5000,5000,5000,5000,5000,5000,5000,5000]}' ;;\n"
    "  floods:*time*:1,*) head -c 3000000 /dev/zero ;;\n"
    "  chatters:*time*:1,*) yes ;;\n"
    "  shouts:*time*:1,*) yes >&2 ;;\n"
    "  *) echo '{\"ns\":[5000,6000,5500]}' ;;\n"
    "  esac\n"
    "done\n";

static const struct agent_watch nothing = {0};
static const struct runner_block block = {.min_runs = 3, .max_runs = 8, .ms = 1};

static struct runner_config played(enum runner_kind kind, const char *script, const char *mode, const char *folder)
{
    static char file[FOLDER_PATH_MAX];
    struct runner_config config = {.kind = kind,
                                   .format = "onnx",
                                   .runtime = "played 1.0",
                                   .number_type = "float32",
                                   .timeout_s = 3,
                                   .threads = 1,
                                   .batch = 1};

    (void)snprintf(file, sizeof file, "%s/starts", folder);
    const char *const words[] = {"/bin/sh", "-c", script, "sh", mode, file, kind == RUNNER_COMMAND ? "{model}" : "1"};
    for (size_t i = 0; i < TL_COUNT_OF(words); i++) {
        assert_int_equal(child_words_add(&config.command, words[i], NULL), TL_OK);
    }
    return config;
}

static size_t starts(const char *folder)
{
    TL_AUTO(tl_buf) text = {0};
    char path[FOLDER_PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/starts", folder);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    return text.len / 2;
}

static void a_session_tells_what_it_is_and_times_blocks(void **state)
{
    const struct runner_config config = played(RUNNER_SESSION, SESSION, "good", *state);
    const struct runner_model model = {.path = "/m.onnx"};
    struct runner *runner = NULL;
    int64_t ns[8];
    uint16_t n = 0;
    struct tl_err err = {0};

    if (runner_new(&config, NULL, &nothing, &runner, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(runner->runtime, "played 1.0");
    assert_string_equal(runner->number_type, "float32");
    assert_true(runner->wants_files && !runner->means && !runner->warms_up);
    assert_int_equal(runner_load(runner, 2, &model, &nothing, NULL), TL_OK);
    assert_int_equal(runner_run(runner, 2, &block, ns, &n, &nothing, NULL), TL_OK);
    assert_true(n == 3 && ns[0] == 5000 && ns[1] == 6000 && ns[2] == 5500);
    assert_true(runner_cpu_s(runner) >= 0);
    runner_free(runner);
    assert_int_equal(starts(*state), 1);
}

/* Everything that can be wrong with a block of model 1: told so, and the blocks of model 2 go on. */
static void whatever_a_session_does_costs_one_block(void **state)
{
    static const struct {
        const char *mode, *says;
        bool restarts;
    } cases[] = {
        {"crashes", "was killed by signal 11", true},
        {"exits", "ended with status 7; it last said: out of memory", true},
        {"hangs", "was not done after 4 s", true},
        {"garbage", "no JSON object: {\"ns\":[1000", true},
        {"other", "ns", true},
        {"none", "ns", true},
        {"zero", "a time of 0 ns", false},
        {"negative", "a time of -5000 ns", false},
        {"jumps", "its clock jumps", false},
        {"many", "ns", true},
        {"floods", "writes without end", true},
        {"chatters", "the runner writes ", true},
        {"shouts", "was not done after 4 s; it last said: y", true},
    };

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        char folder[FOLDER_PATH_MAX];
        (void)snprintf(folder, sizeof folder, "%s/%zu", (const char *)*state, i);
        assert_int_equal(tl_dir_make(folder, NULL), TL_OK);
        const struct runner_config config = played(RUNNER_SESSION, SESSION, cases[i].mode, folder);
        const struct runner_model model = {.path = "/m.onnx"};
        struct runner *runner = NULL;
        int64_t ns[8];
        uint16_t n = 0;
        struct tl_err err = {0};
        assert_int_equal(runner_new(&config, NULL, &nothing, &runner, NULL), TL_OK);
        assert_int_equal(runner_load(runner, 1, &model, &nothing, NULL), TL_OK);
        assert_int_equal(runner_load(runner, 2, &model, &nothing, NULL), TL_OK);
        const enum tl_rc rc = runner_run(runner, 1, &block, ns, &n, &nothing, &err);
        if (rc == TL_OK || strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: %d %s", cases[i].mode, rc, err.text);
        }
        runner_drop(runner, 1);
        assert_int_equal(runner_run(runner, 2, &block, ns, &n, &nothing, NULL), TL_OK);
        assert_int_equal(n, 3);
        assert_int_equal(starts(folder), cases[i].restarts ? 2 : 1);
        runner_free(runner);
    }
}

static void a_model_that_cannot_be_loaded_leaves_the_session_alone(void **state)
{
    const struct runner_config config = played(RUNNER_SESSION, SESSION, "refuses", *state);
    const struct runner_model model = {.path = "/m.onnx"};
    struct runner *runner = NULL;
    int64_t ns[8];
    uint16_t n = 0;
    struct tl_err err = {0};

    assert_int_equal(runner_new(&config, NULL, &nothing, &runner, NULL), TL_OK);
    assert_int_equal(runner_load(runner, 2, &model, &nothing, NULL), TL_OK);
    assert_int_equal(runner_load(runner, 1, &model, &nothing, &err), TL_IO);
    assert_non_null(strstr(err.text, "no such operator"));
    assert_int_equal(runner_run(runner, 2, &block, ns, &n, &nothing, NULL), TL_OK);
    assert_int_equal(starts(*state), 1);
    runner_free(runner);
}

static void a_session_that_is_none_is_refused_at_the_start(void **state)
{
    static const struct {
        const char *mode, *says;
    } cases[] = {{"dumb", "was not done after 3 s"}, {"leaves", NULL}};
    struct runner_config config;
    struct runner *runner = NULL;
    struct tl_err err = {0};

    config = played(RUNNER_SESSION, SESSION, cases[0].mode, *state);
    assert_int_equal(runner_new(&config, NULL, &nothing, &runner, &err), TL_IO);
    assert_non_null(strstr(err.text, cases[0].says));

    config = played(RUNNER_SESSION, SESSION, "good", *state);
    config.threads = 4;
    err = (struct tl_err){0};
    assert_int_equal(runner_new(&config, NULL, &nothing, &runner, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "on 1 threads, not on 4"));

    config.command = (struct child_words){0};
    assert_int_equal(child_words_add(&config.command, "no-such-program-anywhere", NULL), TL_OK);
    err = (struct tl_err){0};
    assert_int_equal(runner_new(&config, NULL, &nothing, &runner, &err), TL_IO);
    assert_non_null(strstr(err.text, "cannot run no-such-program-anywhere"));
    assert_null(runner);
}

/* A process that has ended and is not waited for has no command line. */
static bool runs(long pid)
{
    TL_AUTO(tl_buf) text = {0};
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    return tl_file_read(path, &text, NULL) == TL_OK && text.len > 0;
}

/* The hanging shell has a sleeping child: the whole group goes. */
static void a_stop_ends_the_wait_and_everything_that_was_started(void **state)
{
    static atomic_int stop;
    const struct agent_watch watch = {.stop = &stop};
    const struct runner_config config = played(RUNNER_COMMAND, "sleep 60 & echo $! >$2; wait", "hangs", *state);
    const struct runner_model model = {.path = "/tmp/none.onnx"};
    struct runner *runner = NULL;
    TL_AUTO(tl_buf) text = {0};
    char path[FOLDER_PATH_MAX];
    int64_t ns[8];
    uint16_t n = 0;

    assert_int_equal(runner_new(&config, NULL, &watch, &runner, NULL), TL_OK);
    assert_int_equal(runner_load(runner, 1, &model, &watch, NULL), TL_OK);
    assert_int_equal(runner_run(runner, 1, &block, ns, &n, &watch, NULL), TL_IO); /* 4 s */
    stop = 1;
    const int64_t from_ns = tl_clock_mono_ns();
    assert_int_equal(runner_run(runner, 1, &block, ns, &n, &watch, NULL), TL_UNAVAILABLE);
    assert_true(tl_clock_mono_ns() - from_ns < 1500000000);
    runner_free(runner);
    (void)snprintf(path, sizeof path, "%s/starts", (const char *)*state);
    if (tl_file_read(path, &text, NULL) == TL_OK && text.len > 1) {
        const long sleeper = strtol(text.data, NULL, 10);
        assert_true(sleeper > 1);
        for (int tries = 0; runs(sleeper) && tries < 100; tries++) {
            tl_sleep_ns(10000000);
        }
        assert_false(runs(sleeper));
    }
}

static enum tl_rc run_command(const char *script, const char *folder, enum runner_parser parser, bool converts,
                              bool *ret_means, struct tl_err *err)
{
    struct runner_config config = played(RUNNER_COMMAND, script, "x", folder);
    struct runner_model model = {0};
    struct runner *runner = NULL;
    char path[FOLDER_PATH_MAX];
    int64_t ns[8];
    uint16_t n = 0;

    (void)snprintf(path, sizeof path, "%s/3.onnx", folder);
    assert_int_equal(tl_file_write(path, "model", 5, NULL), TL_OK);
    model.path = path;
    config.parser = parser;
    for (size_t i = 0; converts && i < 5; i++) {
        const char *const words[] = {"/bin/sh", "-c", "tr a-z A-Z <$1 >$2", "sh", "{onnx}"};
        assert_int_equal(child_words_add(&config.convert, words[i], NULL), TL_OK);
    }
    assert_int_equal(converts ? child_words_add(&config.convert, "{model}", NULL) : TL_OK, TL_OK);
    assert_int_equal(child_words_add(&config.command, "{output}", NULL), TL_OK);
    assert_int_equal(runner_new(&config, NULL, &nothing, &runner, NULL), TL_OK);
    enum tl_rc rc = runner_load(runner, 3, &model, &nothing, err);
    rc = rc ? rc : runner_run(runner, 3, &block, ns, &n, &nothing, err);
    *ret_means = runner->means;
    runner_free(runner);
    return rc;
}

static void a_command_is_run_for_every_block_on_a_converted_model(void **state)
{
    bool means = false;
    struct tl_err err = {0};

    /* $3 is {model}, $4 {output} */
    if (run_command("[ $(cat $3) = MODEL ] && echo '{\"mean_ns\": 5000}' && echo >$4", *state, PARSE_JSON_LINES, true,
                    &means, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(means);
    char path[FOLDER_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/3.onnx.onnx", (const char *)*state);
    assert_int_equal(access(path, F_OK), -1); /* what was converted goes with the runner */
}

static void whatever_a_command_does_is_told(void **state)
{
    static const struct {
        const char *script, *says;
        enum runner_parser parser;
    } cases[] = {
        {"echo sick >&2; exit 9", "ended with status 9; it last said: sick", PARSE_JSON_LINES},
        {"kill -ABRT $$", "was killed by signal 6", PARSE_JSON_LINES},
        {"echo >$4", "no line {\"ns\"", PARSE_JSON_LINES},
        {"echo '{\"ns\": [5000]}'", "left no file {output}", PARSE_JSON_LINES},
        {"echo >$4; yes", "writes without end", PARSE_JSON_LINES},
        {"echo >$4; echo '{\"mean_ns\": -3}'", "a time of -3 ns", PARSE_JSON_LINES},
        {"echo >$4; echo '{\"mean_ns\": 9e12}'", "a time of 9000000000000 ns", PARSE_JSON_LINES},
        {"echo >$4; echo '{\"mean_ns\": 9e11}'", "its clock jumps", PARSE_JSON_LINES},
        {"echo >$4; echo hello", "second line with count=", PARSE_BENCHMARK_MODEL},
    };
    bool means = false;

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct tl_err err = {0};
        const enum tl_rc rc = run_command(cases[i].script, *state, cases[i].parser, false, &means, &err);
        if (rc == TL_OK || strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: %d %s", cases[i].script, rc, err.text);
        }
    }
}

static void a_converter_that_makes_nothing_is_told(void **state)
{
    struct runner_config config = played(RUNNER_COMMAND, "true", "x", *state);
    const struct runner_model model = {.path = "/nowhere/3.onnx"};
    struct runner *runner = NULL;
    struct tl_err err = {0};

    assert_int_equal(child_words_add(&config.convert, "true", NULL), TL_OK);
    assert_int_equal(runner_new(&config, NULL, &nothing, &runner, NULL), TL_OK);
    assert_int_equal(runner_load(runner, 3, &model, &nothing, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "made no file"));
    runner_free(runner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_tells_what_it_is_and_times_blocks, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(whatever_a_session_does_costs_one_block, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_model_that_cannot_be_loaded_leaves_the_session_alone, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_session_that_is_none_is_refused_at_the_start, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_stop_ends_the_wait_and_everything_that_was_started, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_command_is_run_for_every_block_on_a_converted_model, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(whatever_a_command_does_is_told, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_converter_that_makes_nothing_is_told, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
