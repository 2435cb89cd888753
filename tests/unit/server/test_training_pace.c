/* Images a second and time left: training alone counts for the one, measuring too for the other. */
#include "server/training_pace.h"

#include <cmocka.h>
#include <math.h>

static void images_a_second_count_the_time_of_training_alone(void **state)
{
    (void)state;
    const struct training_pace pace = {
        .batch = 64, .passes = 60, .train_s = 10, .measure_s = 90, .steps = 20, .work = 40, .measured = 900};
    assert_true(training_pace_images_s(&pace) == 128);
    assert_true(training_pace_images_s(&(struct training_pace){.batch = 64}) == 0);
}

static void the_time_left_holds_the_measurements_to_come(void **state)
{
    (void)state;
    struct training_pace pace = {
        .batch = 64, .passes = 60, .train_s = 10, .measure_s = 90, .steps = 20, .work = 40, .measured = 900};
    assert_true(training_pace_left_s(&pace, 8, 0) == 2);
    assert_true(fabs(training_pace_left_s(&pace, 8, 100) - 12) < 1e-9);
    assert_true(fabs(training_pace_left_s(&pace, 0, 100) - 10) < 1e-9);
    pace.measured = 0; /* before the first one: a third of an image's training, a network */
    assert_true(fabs(training_pace_left_s(&pace, 8, 1152) - 3) < 1e-9);
}

static void without_anything_timed_the_time_left_is_unknown(void **state)
{
    (void)state;
    const struct training_pace pace = {.batch = 64};
    assert_true(isnan(training_pace_left_s(&pace, 1, 0)));
    assert_true(isnan(training_pace_left_s(&pace, 0, 1)));
    assert_true(training_pace_left_s(&pace, 0, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_a_second_count_the_time_of_training_alone),
        cmocka_unit_test(the_time_left_holds_the_measurements_to_come),
        cmocka_unit_test(without_anything_timed_the_time_left_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
