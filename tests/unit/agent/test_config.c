/* The agent's command line. */
#include "latency/agent/agent.h"

#include <cmocka.h>
#include <string.h>

enum { ARGS_MAX = 16 };

/* Parse "a b c" as the words after the program's name. */
static enum tl_rc parse(const char *line, struct agent_config *ret_config, struct tl_err *err)
{
    static char words[1024];
    char *argv[ARGS_MAX + 1];
    int argc = 0;

    (void)snprintf(words, sizeof words, "tailor-agent %s", line);
    for (char *at = words; *at != '\0' && argc < ARGS_MAX;) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    return agent_config_parse(argc, argv, NULL, "/home/me", ret_config, err);
}

static void a_full_command_line_is_taken(void **state)
{
    (void)state;
    struct agent_config config;

    assert_int_equal(
        parse("--server http://h:1 --name rack3-pi --threads 4 --state /var/t --once-idle 5 --token-file /t --ca /c",
              &config, NULL),
        TL_OK);
    assert_int_equal(config.action, AGENT_RUN);
    assert_string_equal(config.server, "http://h:1");
    assert_string_equal(config.name, "rack3-pi");
    assert_string_equal(config.state_dir, "/var/t");
    assert_int_equal(config.runner.threads, 4);
    assert_true(config.once_idle_s == 5);
    assert_string_equal(config.token_file, "/t");
    assert_string_equal(config.ca_file, "/c");
}

static void the_state_folder_follows_xdg(void **state)
{
    (void)state;
    struct agent_config config;
    char *argv[] = {(char[]){"x"}, (char[]){"--server"}, (char[]){"http://h"}, (char[]){"--name"}, (char[]){"pi"}};

    assert_int_equal(parse("--server http://h --name pi", &config, NULL), TL_OK);
    assert_string_equal(config.state_dir, "/home/me/.local/state/tailor-agent/pi");
    assert_int_equal(config.runner.threads, 1);
    assert_true(config.once_idle_s == -1);
    assert_int_equal(agent_config_parse(5, argv, "/state", "/home/me", &config, NULL), TL_OK);
    assert_string_equal(config.state_dir, "/state/tailor-agent/pi");
    assert_int_equal(agent_config_parse(5, argv, NULL, NULL, &config, NULL), TL_INVALID);
}

static void all_agents_of_a_machine_share_a_lock_unless_told_otherwise(void **state)
{
    (void)state;
    struct agent_config one, other;

    assert_int_equal(parse("--server http://h --name pi", &one, NULL), TL_OK);
    assert_int_equal(parse("--server http://h --name pi-wasm --batch 4", &other, NULL), TL_OK);
    assert_true(one.lock[0] == '/');
    assert_string_equal(one.lock, other.lock);
    assert_int_equal(other.runner.batch, 4);
    assert_int_equal(parse("--server http://h --name pi --lock /run/gpu0", &one, NULL), TL_OK);
    assert_string_equal(one.lock, "/run/gpu0");
    assert_int_equal(parse("--server http://h --name pi --lock none", &one, NULL), TL_OK);
    assert_string_equal(one.lock, "");
}

static void help_and_version_need_nothing_else(void **state)
{
    (void)state;
    struct agent_config config;

    assert_int_equal(parse("--help", &config, NULL), TL_OK);
    assert_int_equal(config.action, AGENT_SHOW_HELP);
    assert_int_equal(parse("--name pi --version", &config, NULL), TL_OK);
    assert_int_equal(config.action, AGENT_SHOW_VERSION);
    assert_non_null(strstr(agent_help(), "--once-idle"));
}

static void wrong_options_are_told_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"--server http://h", "--name NAME is missing"},
        {"--name pi", "--server URL is missing"},
        {"--server http://h --name Pi!", "--name takes"},
        {"--server http://h --name pi --treads 2", "did you mean --threads"},
        {"--server http://h --name pi --threads 0", "1 to 256"},
        {"--server http://h --name pi --threads two", "\"two\""},
        {"--server http://h --name pi --batch 0", "1 to 1024"},
        {"--server http://h --name pi --config", "--config takes"},
        {"--server http://h --name pi --threads", "--threads takes"},
        {"--server http://h --name pi --once-idle -1", "0 to"},
        {"http://h", "unknown option http://h"},
    };

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct agent_config config;
        struct tl_err err = {0};
        assert_int_equal(parse(cases[i].line, &config, &err), TL_INVALID);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].line, err.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_command_line_is_taken),
        cmocka_unit_test(the_state_folder_follows_xdg),
        cmocka_unit_test(all_agents_of_a_machine_share_a_lock_unless_told_otherwise),
        cmocka_unit_test(help_and_version_need_nothing_else),
        cmocka_unit_test(wrong_options_are_told_what_would_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
