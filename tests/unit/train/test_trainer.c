/* test_trainer.c - trainings: they learn, resume to the same bits, do not depend on threads, and stop where they must. */
#include "supernet/train/codec_supernet.h"
#include "unit/train/worlds.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 32 };

/* A training under way. */
struct course {
    struct net_family family;
    struct supernet *net;
    struct trainer *trainer;
    struct train_source source;
    struct small_world *world;
};

static struct train_plan small_plan(enum train_method method, double epochs)
{
    struct train_plan plan = train_plan_default(method);
    plan.epochs = epochs;
    plan.batch = BATCH;
    plan.warmup_epochs = fmin(0.25, train_warmup(epochs));
    return plan;
}

static void course_begin_of(struct course *course, const struct net_family *family, const struct train_plan *plan,
                            struct tl_pool *pool)
{
    struct tl_err err = {0};
    course->family = *family;
    course->world = malloc(sizeof *course->world);
    assert_non_null(course->world);
    course->source = small_source(course->world, plan);
    course->world->family = *family;
    must(supernet_new(&course->family, plan->seed, &course->net, &err), &err);
    must(trainer_new(course->net, plan, &course->source, pool, &course->trainer, &err), &err);
}

static void course_begin(struct course *course, const struct train_plan *plan, struct tl_pool *pool)
{
    const struct net_family family = small_family();
    course_begin_of(course, &family, plan, pool);
}

static void course_end(struct course *course)
{
    trainer_free(course->trainer);
    supernet_free(course->net);
    free(course->world);
}

static struct train_progress steps(struct course *course, uint64_t n)
{
    struct train_progress progress = trainer_progress(course->trainer);
    struct tl_err err = {0};
    for (uint64_t i = 0; i < n; i++) {
        must(trainer_step(course->trainer, &progress, &err), &err);
    }
    return progress;
}

static double accuracy_of(struct course *course, const struct net_pick *pick)
{
    struct evaluation *evaluation = NULL;
    struct tl_err err = {0};
    const float *stats = NULL;
    double accuracy = 0.0;
    must(evaluation_new(course->net, &course->source, NULL, &evaluation, &err), &err);
    must(evaluation_calibrate(evaluation, pick, 200, &stats, &err), &err);
    must(evaluation_accuracy(evaluation, pick, stats, TRAIN_PART_HELD, 0, &accuracy, &err), &err);
    evaluation_free(evaluation);
    return accuracy;
}

static void a_sandwich_teaches_smallest_and_largest(void **state)
{
    (void)state;
    const struct train_plan plan = small_plan(TRAIN_SANDWICH, 6);
    struct course course;
    course_begin(&course, &plan, NULL);
    const struct train_progress progress = steps(&course, 96);
    assert_int_equal(progress.step, progress.n_steps);
    const struct net_pick largest = supernet_largest(&course.family), smallest = supernet_smallest(&course.family);
    assert_true(accuracy_of(&course, &largest) > 0.9);
    assert_true(accuracy_of(&course, &smallest) > 0.8);
    course_end(&course);
}

/* The largest learns by itself first, then all; one cosine runs over both. */
static void a_teacher_comes_before_the_sandwich(void **state)
{
    (void)state;
    struct train_plan plan = small_plan(TRAIN_SANDWICH, 6), whole = plan;
    struct course course, reference;
    plan.teacher_epochs = 3;
    course_begin(&course, &plan, NULL);
    course_begin(&reference, &whole, NULL);
    const double all = trainer_work(course.trainer, 0);
    for (int i = 0; i < 96; i++) {
        const struct train_progress now = steps(&course, 1);
        assert_string_equal(now.phase, i < 48 ? "teacher" : "sandwich");
        assert_int_equal(now.subnets, i < 48 ? 1 : 3);
        assert_true(now.phase_ended == (i == 47 || i == 95));
        assert_true(now.rate == steps(&reference, 1).rate);
        if (i == 47) { /* half of the steps, less than half of the work */
            assert_true(trainer_work(course.trainer, now.step) > 0.55 * all);
        }
    }
    assert_true(trainer_work(course.trainer, 96) == 0.0);
    const struct net_pick largest = supernet_largest(&course.family), smallest = supernet_smallest(&course.family);
    assert_true(accuracy_of(&course, &largest) > 0.9);
    assert_true(accuracy_of(&course, &smallest) > 0.8);
    course_end(&course);
    course_end(&reference);
}

static void shrinking_opens_one_dimension_after_the_other(void **state)
{
    (void)state;
    const struct train_plan plan = small_plan(TRAIN_SHRINK, 24);
    struct course course;
    const char *seen[TRAIN_PHASES_MAX] = {0};
    size_t n = 0;
    course_begin(&course, &plan, NULL);
    struct train_progress progress = {0};
    do {
        progress = steps(&course, 1);
        if (n == 0 || strcmp(seen[n - 1], progress.phase) != 0) {
            assert_true(n < TRAIN_PHASES_MAX);
            seen[n++] = progress.phase;
        }
    } while (progress.step < progress.n_steps);
    static const char *const phases[] = {"teacher", "kernel", "depth-1", "depth-2", "expand-1", "expand-2"};
    assert_int_equal(n, TL_COUNT_OF(phases));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(seen[i], phases[i]);
    }
    const struct net_pick largest = supernet_largest(&course.family), smallest = supernet_smallest(&course.family);
    assert_true(accuracy_of(&course, &largest) > 0.9);
    assert_true(accuracy_of(&course, &smallest) > 0.7);
    course_end(&course);
}

/* With their widths and their stem. */
static void bottlenecks_learn_by_either_rule(void **state)
{
    (void)state;
    static const enum train_method methods[] = {TRAIN_SANDWICH, TRAIN_SHRINK};
    const struct net_family family = resnet_family();
    for (size_t i = 0; i < TL_COUNT_OF(methods); i++) {
        const struct train_plan plan = small_plan(methods[i], i ? 24 : 8);
        struct course course;
        course_begin_of(&course, &family, &plan, NULL);
        struct train_progress progress = steps(&course, 1);
        progress = steps(&course, progress.n_steps - 1);
        assert_int_equal(progress.step, progress.n_steps);
        const struct net_pick largest = supernet_largest(&family), smallest = supernet_smallest(&family);
        assert_true(accuracy_of(&course, &largest) > 0.9);
        assert_true(accuracy_of(&course, &smallest) > 0.7);
        course_end(&course);
    }
}

static void every_optimizer_learns(void **state)
{
    (void)state;
    static const double rates[TRAIN_OPTIMIZER_COUNT] = {0.1, 0.005, 0.02};
    for (int kind = 0; kind < TRAIN_OPTIMIZER_COUNT; kind++) {
        struct train_plan plan = small_plan(TRAIN_SANDWICH, 4);
        struct course course;
        plan.optimizer.kind = (enum train_rule)kind;
        plan.lr = rates[kind];
        plan.dropout = 0.1F;
        course_begin(&course, &plan, NULL);
        (void)steps(&course, 64);
        const struct net_pick largest = supernet_largest(&course.family);
        assert_true(accuracy_of(&course, &largest) > 0.8);
        course_end(&course);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const struct train_plan plan = small_plan(TRAIN_SANDWICH, 1);
    struct tl_err err = {0};
    struct tl_pool *pool = NULL;
    struct course one, three;
    must(tl_pool_new(&pool, 3, &err), &err);
    course_begin(&one, &plan, NULL);
    course_begin(&three, &plan, pool);
    (void)steps(&one, 6);
    (void)steps(&three, 6);
    assert_memory_equal(one.net->params, three.net->params, one.net->n_params * sizeof(float));
    assert_memory_equal(one.net->stats, three.net->stats, one.net->n_stats * sizeof(float));
    course_end(&one);
    course_end(&three);
    tl_pool_free(pool);
}

/* Save after `first` steps, go on in a new process's place, and compare with a training that never stopped. */
static void check_resume(enum train_method method, double epochs, double teacher, uint64_t first, uint64_t more)
{
    struct train_plan plan = small_plan(method, epochs);
    const struct supernet_facts facts = {.deviation = {1, 1, 1}, .made_by = "", .data = "", .plan = "{}", .log = "a\n"};
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct tl_err err = {0};
    struct course whole, before, after;
    struct safetensors *file = NULL;
    const char *log = NULL;
    plan.optimizer.kind = method == TRAIN_SHRINK ? TRAIN_ADAMW : TRAIN_SGD;
    plan.lr = method == TRAIN_SHRINK ? 0.003 : 0.1;
    plan.teacher_epochs = teacher;
    course_begin(&whole, &plan, NULL);
    (void)steps(&whole, first + more);
    course_begin(&before, &plan, NULL);
    (void)steps(&before, first);
    const struct trainer_state saved = trainer_state(before.trainer);
    must(supernet_encode(before.net, &facts, &saved, false, &bytes, &err), &err);
    course_end(&before);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    course_begin(&after, &plan, NULL);
    assert_int_equal(checkpoint_decode(file, after.net, "{\"other\": 1}", after.trainer, &log, NULL), TL_CONFLICT);
    must(checkpoint_decode(file, after.net, "{}", after.trainer, &log, &err), &err);
    assert_string_equal(log, "a\n");
    (void)steps(&after, more);
    assert_memory_equal(whole.net->params, after.net->params, whole.net->n_params * sizeof(float));
    assert_memory_equal(whole.net->stats, after.net->stats, whole.net->n_stats * sizeof(float));
    st_free(file);
    course_end(&whole);
    course_end(&after);
}

static void a_resumed_training_gives_the_same_bits(void **state)
{
    (void)state;
    check_resume(TRAIN_SANDWICH, 2, 0, 5, 4);
    for (uint64_t first = 7; first < 10; first++) { /* the teacher's phase ends at 8 */
        check_resume(TRAIN_SANDWICH, 2, 0.5, first, 3);
    }
}

static void so_does_one_resumed_in_any_phase_of_shrinking(void **state)
{
    (void)state;
    const struct train_plan plan = small_plan(TRAIN_SHRINK, 0.55);
    struct course course;
    course_begin(&course, &plan, NULL);
    const uint64_t n = steps(&course, 1).n_steps;
    course_end(&course);
    assert_true(n >= 10); /* several in a phase, six phases */
    for (uint64_t first = 1; first + 2 <= n; first++) {
        check_resume(TRAIN_SHRINK, 0.55, 0, first, 2);
    }
}

static void a_loss_that_is_no_number_stops_with_its_step(void **state)
{
    (void)state;
    const struct train_plan plan = small_plan(TRAIN_SANDWICH, 1);
    struct course course;
    struct train_progress progress;
    struct tl_err err = {0};
    course_begin(&course, &plan, NULL);
    course.world->poison = NAN;
    course.world->poison_from = 3;
    (void)steps(&course, 3);
    float *kept = malloc(course.net->n_params * sizeof *kept);
    assert_non_null(kept);
    memcpy(kept, course.net->params, course.net->n_params * sizeof *kept);
    assert_int_equal(trainer_step(course.trainer, &progress, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "step 4 "));
    assert_memory_equal(kept, course.net->params, course.net->n_params * sizeof *kept);
    free(kept);
    course_end(&course);
}

static void a_plan_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct course course;
    struct train_plan plan = small_plan(TRAIN_SANDWICH, 1);
    struct trainer *trainer = NULL;
    course_begin(&course, &plan, NULL);
    plan.batch = 1;
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.batch = WORLD_TRAIN + 1;
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.batch = BATCH;
    plan.epochs = (double)NAN;
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.epochs = plan.warmup_epochs = 3;
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.warmup_epochs = 1; /* the first phase of shrinking has 0.9 */
    plan.method = TRAIN_SHRINK;
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.warmup_epochs = 0.5;
    plan.teacher_epochs = 1; /* shrinking has a teacher of its own */
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.method = TRAIN_SANDWICH;
    plan.teacher_epochs = 3; /* none are left */
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    plan.method = TRAIN_SHRINK;
    plan.teacher_epochs = 0;
    plan.random_subnets = 0;
    assert_int_equal(trainer_new(course.net, &plan, &course.source, NULL, &trainer, NULL), TL_INVALID);
    assert_null(trainer);
    course_end(&course);
}

/* Whatever the length: the rate rises to its peak, and is near zero at the last step. */
static void the_learning_rate_ends_at_zero_however_short_the_training(void **state)
{
    (void)state;
    static const double epochs[] = {0.25, 0.5, 1, 2, 5, 5.5, 34};
    for (size_t i = 0; i < TL_COUNT_OF(epochs); i++) {
        struct train_plan plan = train_plan_default(TRAIN_SANDWICH);
        const struct net_family family = small_family();
        struct train_phase phases[TRAIN_PHASES_MAX];
        const double an_epoch = 100;
        struct tl_err err = {0};
        plan.epochs = epochs[i];
        plan.warmup_epochs = train_warmup(epochs[i]);
        must(train_plan_check(&plan, &err), &err);
        assert_int_equal(train_phases(&plan, &family, phases), 1);
        const uint64_t n = (uint64_t)(epochs[i] * an_epoch), warmup = (uint64_t)(phases[0].warmup_epochs * an_epoch);
        assert_true(warmup == 100 || epochs[i] < 5);
        assert_true(train_rate(&phases[0], warmup, n, warmup) == plan.lr);
        assert_true(train_rate(&phases[0], n - 1, n, warmup) < 0.01 * plan.lr);
    }
}

static void a_finished_training_has_no_more_steps(void **state)
{
    (void)state;
    const struct train_plan plan = small_plan(TRAIN_SANDWICH, 0.1);
    struct course course;
    struct train_progress progress;
    course_begin(&course, &plan, NULL);
    progress = steps(&course, 2);
    assert_true(progress.phase_ended);
    assert_int_equal(trainer_step(course.trainer, &progress, NULL), TL_NOT_FOUND);
    course_end(&course);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sandwich_teaches_smallest_and_largest),
        cmocka_unit_test(a_teacher_comes_before_the_sandwich),
        cmocka_unit_test(shrinking_opens_one_dimension_after_the_other),
        cmocka_unit_test(bottlenecks_learn_by_either_rule),
        cmocka_unit_test(every_optimizer_learns),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(a_resumed_training_gives_the_same_bits),
        cmocka_unit_test(so_does_one_resumed_in_any_phase_of_shrinking),
        cmocka_unit_test(a_loss_that_is_no_number_stops_with_its_step),
        cmocka_unit_test(a_plan_that_cannot_be_is_refused),
        cmocka_unit_test(the_learning_rate_ends_at_zero_however_short_the_training),
        cmocka_unit_test(a_finished_training_has_no_more_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
