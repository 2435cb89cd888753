/* The agent's configuration file: what it may say, and what is told of a wrong one. */
#include "agent_folder.h"
#include "latency/agent/agent.h"

static enum tl_rc parse(const char *folder, const char *json, const char *more, struct agent_config *ret_config,
                        struct tl_err *err)
{
    char path[FOLDER_PATH_MAX];
    char words[5][FOLDER_PATH_MAX] = {"tailor-agent", "--config", "", "", ""};
    char *argv[] = {words[0], words[1], words[2], words[3], words[4]};

    (void)snprintf(path, sizeof path, "%s/agent.json", folder);
    assert_int_equal(tl_file_write(path, json, strlen(json), NULL), TL_OK);
    (void)snprintf(words[2], sizeof words[2], "%s", path);
    (void)snprintf(words[3], sizeof words[3], "--threads");
    (void)snprintf(words[4], sizeof words[4], "%s", more != NULL ? more : "1");
    return agent_config_parse(more != NULL ? 5 : 3, argv, NULL, "/home/me", ret_config, err);
}

static void a_file_says_everything_and_options_win(void **state)
{
    struct agent_config config;
    struct tl_err err = {0};
    char script[FOLDER_PATH_MAX];

    if (parse(*state,
              "{\"server\": \"http://h:1\", \"name\": \"pi\", \"state\": \"/s\", \"lock\": \"/l\", \"threads\": 4, "
              "\"batch\": 2, \"runner\": {\"kind\": \"session\", \"command\": [\"node\", \"{here}/ort.mjs\", "
              "\"{threads}\"], \"timeout_s\": 7}}",
              "3", &config, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(config.server, "http://h:1");
    assert_string_equal(config.state_dir, "/s");
    assert_string_equal(config.lock, "/l");
    assert_int_equal(config.runner.threads, 3);
    assert_int_equal(config.runner.batch, 2);
    assert_int_equal(config.runner.kind, RUNNER_SESSION);
    assert_int_equal(config.runner.timeout_s, 7);
    assert_int_equal(config.runner.command.n, 3);
    (void)snprintf(script, sizeof script, "%s/ort.mjs", (const char *)*state);
    assert_string_equal(config.runner.command.text + sizeof "node", script);
}

#define COMMAND "\"kind\": \"command\", \"runtime\": \"tool 1\", "

static void wrong_files_are_told_what_would_be_right(void **state)
{
    static const struct {
        const char *runner, *says;
    } cases[] = {
        {"{}", "/runner/kind"},
        {"{\"kind\": \"natve\"}", "native"},
        {"{\"kind\": \"native\", \"command\": [\"x\"]}", "has no command"},
        {"{\"kind\": \"session\"}", "has a command"},
        {"{\"kind\": \"session\", \"command\": [\"x\", \"{modle}\"]}",
         "/runner/command/1 nothing is put in for {modle}"},
        {"{\"kind\": \"session\", \"command\": [\"x\", 3]}", "a list of words"},
        {"{\"kind\": \"session\", \"command\": [\"x\"], \"convert\": [\"a\"]}", "are for the kind command"},
        {"{" COMMAND "\"command\": [\"x\"]}", "must say {model}"},
        {"{" COMMAND "\"command\": [\"x\", \"{modle}\"]}", "did you mean model"},
        {"{\"kind\": \"command\", \"command\": [\"x\", \"{model}\"]}", "/runner/runtime must name"},
        {"{" COMMAND "\"command\": [\"x\", \"{model}\"], \"parser\": \"trtexc\"}", "trtexec"},
        {"{" COMMAND "\"command\": [\"x\", \"{model}\"], \"parser\": \"trtexec\"}", "--exportTimes={output}"},
        {"{" COMMAND "\"command\": [\"x\", \"{model}\"], \"format\": \"tflite\"}", "\"convert\" them to tflite"},
        {"{" COMMAND "\"command\": [\"x\", \"{model}\"], \"convert\": [\"c\", \"{onnx}\"]}",
         "must say {onnx} and {model}"},
        {"{\"kind\": \"native\", \"timeout\": 3}", "timeout_s"},
    };

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct agent_config config;
        struct tl_err err = {0};
        char json[1024];
        (void)snprintf(json, sizeof json, "{\"server\": \"http://h\", \"name\": \"pi\", \"runner\": %s}",
                       cases[i].runner);
        assert_int_equal(parse(*state, json, NULL, &config, &err), TL_INVALID);
        if (strstr(err.text, cases[i].says) == NULL || strstr(err.text, "agent.json: ") == NULL) {
            fail_msg("%s: %s", cases[i].runner, err.text);
        }
    }
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct agent_config config;
    struct tl_err err = {0};
    char *argv[] = {(char[]){"x"}, (char[]){"--config"}, (char[]){"/nowhere/agent.json"}};

    assert_int_equal(agent_config_parse(3, argv, NULL, "/home/me", &config, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "/nowhere/agent.json"));
}

/* The files in deploy/runners, as people would use them. */
static void the_shipped_files_can_be_read(void **state)
{
    (void)state;
    static const char *const names[] = {"onnxruntime-node", "onnxruntime-wasm", "benchmark_model", "trtexec",
                                        "onnxruntime_perf_test"};

    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        struct agent_config config = {.runner = {.format = "onnx", .timeout_s = 1}};
        struct tl_err err = {0};
        char path[128];
        (void)snprintf(path, sizeof path, "deploy/runners/%s.json", names[i]);
        if (agent_config_read(path, &config, &err) != TL_OK) {
            fail_msg("%s", err.text);
        }
        assert_true(config.runner.kind != RUNNER_NATIVE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_says_everything_and_options_win, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(wrong_files_are_told_what_would_be_right, folder_make, folder_remove),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(the_shipped_files_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
