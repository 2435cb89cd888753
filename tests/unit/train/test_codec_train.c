/* test_codec_train.c - plans held against one another, and a log that says what is still to be measured. */
#include "supernet/train/codec_train.h"
#include "unit/train/worlds.h"

static void encode(const struct train_plan *plan, const struct net_family *family, const char *data,
                   struct tl_buf *ret_text)
{
    const struct train_images_plan images = {.holdout = 0.1, .augment = {.mirror = true, .pad = 4}};
    const struct tl_hash hash = tl_hash_of(data, strlen(data));
    struct tl_err err = {0};
    must(train_plan_encode(plan, family, &images, &hash, ret_text, &err), &err);
}

/* What is said where the plan, the family or the data are others than those of a default training. */
static void check_said(const struct train_plan *plan, const struct net_family *family, const char *data,
                       const char *expected)
{
    const struct train_plan usual = train_plan_default(TRAIN_SANDWICH);
    const struct net_family usual_family = small_family();
    TL_AUTO(tl_buf) then = {0};
    TL_AUTO(tl_buf) now = {0};
    struct tl_err err = {0};
    encode(&usual, &usual_family, "images", &then);
    encode(plan, family, data, &now);
    assert_int_equal(train_plan_compare(then.data, now.data, &err), TL_CONFLICT);
    if (!strstr(err.text, expected)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, expected);
    }
}

static void each_option_that_differs_is_named_with_both_values(void **state)
{
    (void)state;
    const struct net_family family = small_family();
    struct train_plan plan = train_plan_default(TRAIN_SANDWICH);
    plan.lr = 0.2;
    check_said(&plan, &family, "images", "other options: --lr (0.1 then, 0.2 now); give");
    plan.smoothing = 0.0F;
    plan.optimizer.weight_decay = 0.1 + 0.2;
    check_said(&plan, &family, "images", "--smoothing (0.1 then, 0 now)");
    plan = train_plan_default(TRAIN_SANDWICH);
    plan.epochs = 30.00000000000001; /* alike in seven digits */
    check_said(&plan, &family, "images", "--epochs (30 then, 30.0000000000000");
    plan = train_plan_default(TRAIN_ALONE);
    plan.alone = supernet_smallest(&family);
    check_said(&plan, &family, "images", "--method (sandwich then, alone now)");
    check_said(&plan, &family, "images", "the network of --architecture");
}

static void other_images_and_another_family_of_the_same_name_are_told_apart(void **state)
{
    (void)state;
    const struct train_plan plan = train_plan_default(TRAIN_SANDWICH);
    struct net_family family = small_family();
    check_said(&plan, &family, "others", "other options: the images of --data; give");
    family.final_width = 40;
    check_said(&plan, &family, "images", "other options: the description of the family; give");
}

static void everything_may_differ_at_once(void **state)
{
    (void)state;
    struct net_family family = small_family();
    struct train_plan plan = {.method = TRAIN_SHRINK, .optimizer = {.kind = TRAIN_LAMB, .momentum = 0.7}, .seed = 77};
    family.final_width = 40;
    check_said(&plan, &family, "others", "the images of --data");
    check_said(&plan, &family, "others", "the description of the family");
    check_said(&plan, &family, "others", "..; give the same, or another --output");
}

static void the_plan_of_an_older_program_is_refused_in_words(void **state)
{
    (void)state;
    const struct train_plan plan = train_plan_default(TRAIN_SANDWICH);
    const struct net_family family = small_family();
    TL_AUTO(tl_buf) now = {0};
    struct tl_err err = {0};
    encode(&plan, &family, "images", &now);
    must(train_plan_compare(now.data, now.data, &err), &err);
    assert_int_equal(train_plan_compare("{\"family\":\"small\",\"lr\":0.1}", now.data, &err), TL_CONFLICT);
    assert_non_null(strstr(err.text, "another version"));
    assert_int_equal(train_plan_compare("", now.data, NULL), TL_MALFORMED);
    assert_int_equal(train_plan_compare("{\"lr\":", now.data, NULL), TL_MALFORMED);
    assert_int_equal(train_plan_compare("[]", now.data, NULL), TL_CONFLICT);
}

static void names_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"caf\xc3\xa9", "caf\xe9"};
    struct tl_err err = {0};
    must(train_names_check("set", names, 1, &err), &err);
    assert_int_equal(train_names_check("set", names, 2, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "its folder"));
    err = (struct tl_err){0};
    assert_int_equal(train_names_check("s\xff", NULL, 0, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "--data"));
}

/* ---- the log ------------------------------------------------------------------------------------------------- */

static void add(struct tl_buf *log, uint64_t step, double images_s, const struct train_due *due)
{
    const struct train_log_line line = {
        .progress = {.phase = "sandwich", .step = step, .n_steps = 9, .loss = 1.0 / 3.0, .right = 1.0, .rate = 0.1},
        .images_s = images_s,
        .eta_s = images_s / 7};
    struct tl_err err = {0};
    must(train_log_add(&line, due, log, &err), &err);
}

static void what_is_due_is_found_in_turn_and_gives_way_to_what_was_measured(void **state)
{
    (void)state;
    static const struct train_measured measured[] = {{"k3 e3 d2", 24, 0.5}, {"k5 e6 d4", 32, 1.0 / 3.0}};
    const struct train_due held = {.part = TRAIN_PART_HELD, .images = 1000},
                           test = {.part = TRAIN_PART_TEST, .whole = true};
    TL_AUTO(tl_buf) log = {0};
    struct train_due due = {0};
    struct tl_err err = {0};
    must(train_log_due(&log, 0, &due, &err), &err);
    assert_int_equal(due.at, 0);
    add(&log, 4, 100, &held);
    add(&log, 4, 100, &test);
    must(train_log_due(&log, 0, &due, &err), &err);
    assert_true(due.at == 0 && due.part == TRAIN_PART_HELD && due.images == 1000 && !due.whole);
    must(train_log_measured(&log, &due, measured, 2, &err), &err);
    must(train_log_due(&log, 0, &due, &err), &err);
    assert_true(due.at > 0 && due.end == log.len && due.part == TRAIN_PART_TEST && due.images == 0 && due.whole);
    must(train_log_measured(&log, &due, measured, 1, &err), &err);
    must(train_log_due(&log, 0, &due, &err), &err);
    assert_true(due.at == log.len && due.end == log.len);
    assert_non_null(
        strstr(log.data, "\"part\":\"held-out\",\"accuracy\":[{\"network\":\"k3 e3 d2\",\"resolution\":24,"));
    assert_null(strstr(log.data, "\"due\""));
}

static void without_its_times_the_log_of_a_training_is_always_the_same(void **state)
{
    (void)state;
    static const struct train_measured measured[] = {{"k3 e3 d2", 24, 0.1}};
    const struct train_due held = {.part = TRAIN_PART_HELD};
    TL_AUTO(tl_buf) slow = {0};
    TL_AUTO(tl_buf) quick = {0};
    TL_AUTO(tl_buf) one = {0};
    TL_AUTO(tl_buf) other = {0};
    struct tl_err err = {0};
    add(&slow, 4, 10, &held);
    add(&quick, 4, 1000, &held);
    must(train_log_measured(&slow, &held, measured, 1, &err), &err);
    must(train_log_measured(&quick, &held, measured, 1, &err), &err);
    must(train_log_timeless(&slow, &one, &err), &err);
    must(train_log_timeless(&quick, &other, &err), &err);
    assert_string_not_equal(slow.data, quick.data);
    assert_string_equal(one.data, other.data);
    assert_non_null(strstr(one.data, "\"loss\":0.333333333333333,"));
}

static void a_log_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"x\n", "[]\n", "{\"due\":1,\"part\":\"test\"}\n",
                                        "{\"due\":{\"whole\":true,\"images\":-1},\"part\":\"test\"}\n",
                                        "{\"due\":{\"whole\":true,\"images\":1},\"part\":\"all\"}\n"};
    for (size_t i = 0; i < TL_COUNT_OF(texts); i++) {
        TL_AUTO(tl_buf) log = {0};
        struct train_due due = {0};
        struct tl_err err = {0};
        must(tl_buf_add(&log, texts[i], strlen(texts[i]), &err), &err);
        assert_int_not_equal(train_log_due(&log, 0, &due, &err), TL_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_that_differs_is_named_with_both_values),
        cmocka_unit_test(other_images_and_another_family_of_the_same_name_are_told_apart),
        cmocka_unit_test(everything_may_differ_at_once),
        cmocka_unit_test(the_plan_of_an_older_program_is_refused_in_words),
        cmocka_unit_test(names_that_are_not_utf8_are_refused),
        cmocka_unit_test(what_is_due_is_found_in_turn_and_gives_way_to_what_was_measured),
        cmocka_unit_test(without_its_times_the_log_of_a_training_is_always_the_same),
        cmocka_unit_test(a_log_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
