/* What a machine tells, from a /proc and a /sys made up here. */
#include "agent_folder.h"
#include "latency/agent/agent.h"

#include <math.h>

static void put(const char *root, const char *name, const char *text)
{
    char path[FOLDER_PATH_MAX];

    (void)snprintf(path, sizeof path, "%s%s", root, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(tl_dir_make(path, NULL), TL_OK);
    *slash = '/';
    assert_int_equal(tl_file_write(path, text, strlen(text), NULL), TL_OK);
}

static void a_machine_that_tells_everything_is_understood(void **state)
{
    const char *root = *state;
    struct agent_machine machine;
    char stat[128];
    const long hz = sysconf(_SC_CLK_TCK);

    (void)snprintf(stat, sizeof stat, "cpu  %ld %ld 0 %ld %ld 0 0 %ld 0 0\ncpu0 1 2 3\n", 10 * hz, 5 * hz, 70 * hz,
                   10 * hz, 5 * hz);
    put(root, "/proc/stat", stat);
    put(root, "/proc/loadavg", "1.25 0.5 0.1 1/200 77\n");
    put(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n");
    put(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    put(root, "/sys/class/thermal/thermal_zone0/temp", "41000\n");
    put(root, "/sys/class/thermal/thermal_zone3/temp", "57500\n");
    agent_machine_look(root, &machine);
    assert_true(machine.busy_s == 15 && machine.steal_s == 5 && machine.total_s == 100);
    assert_true(machine.load1 == 1.25 && machine.khz == 2400000 && machine.temp_c == 57.5);
    assert_string_equal(machine.governor, "powersave");
    assert_true(machine.mono_ns > 0 && machine.own_s >= 0);
}

static void what_is_not_told_is_unknown_and_not_zero(void **state)
{
    struct agent_machine machine;

    agent_machine_look(*state, &machine);
    assert_true(isnan(machine.busy_s) && isnan(machine.steal_s) && isnan(machine.total_s));
    assert_true(isnan(machine.load1) && isnan(machine.khz) && isnan(machine.temp_c));
    assert_string_equal(machine.governor, "");
    assert_true(isnan(agent_others_cpu(&machine, &machine)) && isnan(agent_steal(&machine, &machine)));
    put(*state, "/proc/stat", "cpu 1 2\n"); /* fewer columns than any kernel of this century has */
    put(*state, "/proc/loadavg", "none\n");
    agent_machine_look(*state, &machine);
    assert_true(isnan(machine.busy_s) && isnan(machine.load1));
}

static void others_are_counted_without_ourselves(void **state)
{
    (void)state;
    const struct agent_machine before = {.mono_ns = 0, .busy_s = 100, .steal_s = 4, .total_s = 200, .own_s = 10};
    struct agent_machine after = {.mono_ns = 2000000000, .busy_s = 103, .steal_s = 5, .total_s = 204, .own_s = 12};

    assert_true(agent_others_cpu(&before, &after) == 0.5);
    assert_true(agent_steal(&before, &after) == 0.25);
    after.own_s = 13.01; /* ticks lag behind */
    assert_true(agent_others_cpu(&before, &after) == 0);
}

static void a_host_says_what_it_is(void **state)
{
    struct agent_host host;

    put(*state, "/proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC \"9\" 64-Core\nflags\t: x\n");
    put(*state, "/etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n");
    agent_host_look(*state, &host);
    assert_string_equal(host.cpu, "AMD EPYC ");
    assert_string_equal(host.os, "Debian GNU/Linux 12");
    assert_true(host.cores >= 1);
    assert_non_null(strstr(host.kernel, "Linux"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_machine_that_tells_everything_is_understood, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(what_is_not_told_is_unknown_and_not_zero, folder_make, folder_remove),
        cmocka_unit_test(others_are_counted_without_ourselves),
        cmocka_unit_test_setup_teardown(a_host_says_what_it_is, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
