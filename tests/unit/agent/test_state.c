/* The agent's folder: one agent, one key, nobody else's to read. */
#include "agent_folder.h"
#include "latency/agent/agent.h"

static void a_key_is_made_once_and_is_the_owners_alone(void **state)
{
    const char *dir = *state;
    struct agent_state first, second;
    char path[FOLDER_PATH_MAX];
    struct stat status;

    assert_int_equal(agent_state_open(dir, &first, NULL), TL_OK);
    agent_state_done(&first);
    assert_int_equal(strlen(first.key), 32);
    (void)snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(agent_state_open(dir, &second, NULL), TL_OK);
    assert_string_equal(first.key, second.key);
    agent_state_done(&second);
}

static void two_folders_have_two_keys(void **state)
{
    char dirs[2][FOLDER_PATH_MAX];
    struct agent_state states[2];

    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(dirs[i], sizeof dirs[i], "%s/deep/%zu", (const char *)*state, i);
        assert_int_equal(agent_state_open(dirs[i], &states[i], NULL), TL_OK);
    }
    assert_string_not_equal(states[0].key, states[1].key);
    agent_state_done(&states[0]);
    agent_state_done(&states[1]);
}

static void a_second_agent_is_kept_out(void **state)
{
    struct agent_state first, second;
    struct tl_err err = {0};

    assert_int_equal(agent_state_open(*state, &first, NULL), TL_OK);
    assert_int_equal(agent_state_open(*state, &second, &err), TL_CONFLICT);
    assert_non_null(strstr(err.text, "another tailor-agent"));
    agent_state_done(&first);
    assert_int_equal(agent_state_open(*state, &second, NULL), TL_OK);
    agent_state_done(&second);
}

static void a_key_that_is_none_is_not_replaced(void **state)
{
    char path[FOLDER_PATH_MAX];
    struct agent_state opened;
    struct tl_err err = {0};

    (void)snprintf(path, sizeof path, "%s/key", (const char *)*state);
    assert_int_equal(tl_file_write(path, "not a key", 9, NULL), TL_OK);
    assert_int_equal(agent_state_open(*state, &opened, &err), TL_MALFORMED);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_once_and_is_the_owners_alone, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(two_folders_have_two_keys, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_second_agent_is_kept_out, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_key_that_is_none_is_not_replaced, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
