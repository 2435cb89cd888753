/* How many processors: the affinity mask of this process, and quotas of a made-up cgroup tree. */
#include "base/base.h"
#include "base/cpu.h"

#include <cmocka.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char mount[64];

static void set_quota(const char *group, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", mount, group);
    assert_int_equal(tl_dir_make(path, NULL), TL_OK);
    snprintf(path, sizeof path, "%s%s/cpu.max", mount, group);
    assert_int_equal(tl_file_write(path, text, strlen(text), NULL), TL_OK);
}

static int make_mount(void **state)
{
    (void)state;
    snprintf(mount, sizeof mount, "/tmp/tailor-cpu-XXXXXX");
    return mkdtemp(mount) ? 0 : -1;
}

static int remove_mount(void **state)
{
    (void)state;
    static const char *const names[] = {"/a/b/cpu.max", "/a/b", "/a/cpu.max", "/a", "/cpu.max", ""};
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s%s", mount, names[i]);
        (void)remove(path);
    }
    return access(mount, F_OK) == 0;
}

static void a_quota_is_rounded_up_to_whole_processors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned processors;
    } cases[] = {
        {"max 100000\n", UINT_MAX},
        {"200000 100000\n", 2},
        {"150000 100000\n", 2},
        {"10000 100000\n", 1},
        {"100000 100000\n", 1},
        {"0 100000\n", UINT_MAX},
        {"100000 0\n", UINT_MAX},
        {"", UINT_MAX},
        {"garbage", UINT_MAX},
        {"-1 100000\n", UINT_MAX},
        {"9223372036854775807 1\n", UINT_MAX},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        set_quota("/a", cases[i].text);
        assert_int_equal(tl_cpu_quota(mount, "/a"), cases[i].processors);
    }
}

static void the_tightest_group_counts(void **state)
{
    (void)state;
    set_quota("/a/b", "800000 100000");
    set_quota("/a", "300000 100000");
    set_quota("", "max 100000");
    assert_int_equal(tl_cpu_quota(mount, "/a/b"), 3);
    set_quota("/a/b", "200000 100000");
    assert_int_equal(tl_cpu_quota(mount, "/a/b"), 2);
    assert_int_equal(tl_cpu_quota(mount, "/a"), 3);
    assert_int_equal(tl_cpu_quota(mount, "/"), UINT_MAX);
    assert_int_equal(tl_cpu_quota(mount, "/a/gone"), 3);
    assert_int_equal(tl_cpu_quota("/no/such/mount", "/a/b"), UINT_MAX);
}

static void the_affinity_mask_counts(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_in_range(tl_cpu_count(), 1, CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
        }
    }
    if (sched_setaffinity(0, sizeof one, &one)) {
        print_message("the affinity mask cannot be changed here\n");
        skip();
    }
    assert_int_equal(tl_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota_is_rounded_up_to_whole_processors),
        cmocka_unit_test(the_tightest_group_counts),
        cmocka_unit_test(the_affinity_mask_counts),
    };
    return cmocka_run_group_tests(tests, make_mount, remove_mount);
}
