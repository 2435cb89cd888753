/* Accuracy models: features of architectures, saved form, reading and fitting tables, once-for-all's predictor, and the
 * model that is shipped. */
#include "alloc_fail.h"
#include "data.h"
#include "server/accuracy_rows.h"
#include "server/space_of_family.h"

#include <math.h>
#include <string.h>

static struct space w10, w12;
static char folder[] = "/tmp/tailor-accuracy-XXXXXX";

static int make(void **state)
{
    (void)state;
    struct tl_err err = {0};
    return space_of_family(net_family_get("ofa-mbv3-w1.0"), &w10, &err) ||
           space_of_family(net_family_get("ofa-mbv3-w1.2"), &w12, &err) || !mkdtemp(folder);
}

static int clean(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* ---- once-for-all's predictor ---------------------------------------------------------------------------------- */

/* Every slot and stage alike. */
static void set_all(const struct space *space, const char *kernel, const char *expand, const char *depth,
                    const char *side, uint8_t *arch)
{
    for (size_t v = 0; v < space->n_variables; v++) {
        const struct space_variable *variable = &space->variables[v];
        const char *label = strstr(variable->name, ".kernel")   ? kernel
                            : strstr(variable->name, ".expand") ? expand
                            : strstr(variable->name, ".depth")  ? depth
                                                                : side;
        const int option = space_option_find(variable, label);
        assert_true(option >= 0);
        arch[v] = (uint8_t)option;
    }
    space_canonical(space, arch);
}

static double predict(const struct accuracy_model *model, const struct space *space, const uint8_t *arch,
                      double *ret_half)
{
    uint16_t row[SPACE_VARIABLES_MAX];
    const struct model_hot hot = {row, 1, accuracy_hot_width(model)};
    struct model_scratch *scratch = NULL;
    double y = 0.0;

    accuracy_hot(model, space, arch, row);
    assert_int_equal(model_scratch_new(accuracy_regression(model), 1, &scratch, NULL), TL_OK);
    model_predict(accuracy_regression(model), scratch, &hot, &y);
    model_half_width(accuracy_regression(model), scratch, &hot, ret_half);
    model_scratch_free(scratch);
    return y;
}

/* Published predictor, values computed from it independently (numpy, float32). */
static void once_for_alls_predictor_gives_its_golden_values(void **state)
{
    static const struct {
        const char *kernel, *expand, *depth, *side;
        double accuracy;
    } golden[] = {{"7", "6", "4", "224", 0.8359277844},
                  {"3", "3", "2", "160", 0.7531186342},
                  {"5", "4", "3", "192", 0.8059279919}};
    char path[DATA_PATH_MAX];
    (void)state;
    data_path("ofa_note10/acc_predictor.safetensors", path);
    TL_AUTO(tl_buf) bytes = {.max = 1 << 24};
    struct accuracy_model *model = NULL;
    struct tl_err err = {0};
    assert_int_equal(tl_file_read(path, &bytes, &err), TL_OK);
    assert_int_equal(accuracy_import_ofa(bytes.data, bytes.len, &w12, &model, &err), TL_OK);
    for (size_t i = 0; i < TL_COUNT_OF(golden); i++) {
        uint8_t arch[SPACE_VARIABLES_MAX];
        double half = 0.0;
        set_all(&w12, golden[i].kernel, golden[i].expand, golden[i].depth, golden[i].side, arch);
        assert_true(fabs(predict(model, &w12, arch, &half) / 100.0 - golden[i].accuracy) < 1e-5);
        assert_true(isinf(half));
    }
    const uint16_t *sides = NULL;
    assert_int_equal(accuracy_resolutions(model, &sides), 5);
    assert_int_equal(sides[0], 160);
    assert_int_equal(sides[4], 224);
    /* Cut anywhere, it is refused. */
    struct accuracy_model *broken = NULL;
    for (size_t n = 0; n < bytes.len; n += 100003) {
        assert_int_not_equal(accuracy_import_ofa(bytes.data, n, &w12, &broken, NULL), TL_OK);
    }
    accuracy_free(model);
}

static void a_space_with_fewer_resolutions_predicts_the_same(void **state)
{
    struct net_family narrow = *net_family_get("ofa-mbv3-w1.2");
    static struct space space;
    char path[DATA_PATH_MAX];
    (void)state;
    data_path("ofa_note10/acc_predictor.safetensors", path);
    TL_AUTO(tl_buf) bytes = {.max = 1 << 24};
    struct accuracy_model *model = NULL;
    uint8_t full[SPACE_VARIABLES_MAX], few[SPACE_VARIABLES_MAX];
    double half = 0.0;
    narrow.n_resolutions = 2;
    narrow.resolutions[0] = 176;
    narrow.resolutions[1] = 224;
    assert_int_equal(space_of_family(&narrow, &space, NULL), TL_OK);
    assert_int_equal(tl_file_read(path, &bytes, NULL), TL_OK);
    assert_int_equal(accuracy_import_ofa(bytes.data, bytes.len, &w12, &model, NULL), TL_OK);
    for (size_t i = 0; i < 2; i++) {
        const char *side = i ? "224" : "176";
        set_all(&w12, "5", "4", "3", side, full);
        set_all(&space, "5", "4", "3", side, few);
        assert_int_not_equal(full[0], few[0]);
        assert_true(predict(model, &w12, full, &half) == predict(model, &space, few, &half));
    }
    accuracy_free(model);
}

static void a_predictor_of_another_space_or_shape_is_refused(void **state)
{
    static struct space macro;
    struct accuracy_model *model = NULL;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(space_of_family(net_family_get("nasbench-macro"), &macro, NULL), TL_OK);
    assert_int_equal(accuracy_import_ofa("", 0, &macro, &model, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "s1.b1.kernel"));
    static const char other[] =
        "\x3c\0\0\0\0\0\0\0{\"0.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} \0\0\0\0";
    err = (struct tl_err){0};
    assert_int_not_equal(accuracy_import_ofa(other, sizeof(other) - 1, &w12, &model, &err), TL_OK);
    assert_null(model);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* Rows of the published table (DyNAS-T, see models/README.md): kernels, expands, depths, top-1. */
#define HEADER "run,ks,e,d,r,params,macs,top1,date\n"
static const char published[] =
    HEADER "a,55553777757333555755,43636633644634364434,33343,224,4761632,297261792,76.03,x\n"
           "a,35757555333555735733,43664663646643346634,32234,224,5215592,261675008,75.74,x\n"
           "a,55557755553553573357,34634444436433443434,23342,224,4148784,228096016,74.906,x\n"
           "a,37575755535535377753,64666446434644346346,33333,224,4549752,278975616,75.732,x\n";

static const struct accuracy_columns columns = {"ks", "e", "d", "r", "top1"};

/* Writes the text to a file, reads it as a table, removes it. */
static enum tl_rc read_text(const char *text, const struct accuracy_columns *names, struct accuracy_rows *ret_rows,
                            struct tl_err *err)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/rows.csv", folder);
    assert_int_equal(tl_file_write(path, text, strlen(text), NULL), TL_OK);
    const enum tl_rc rc = accuracy_rows_read(path, names, &w10, ret_rows, err);
    assert_int_equal(unlink(path), 0);
    return rc;
}

static void a_table_becomes_canonical_architectures(void **state)
{
    struct accuracy_rows rows = {0};
    uint8_t canonical[SPACE_VARIABLES_MAX];
    struct net_pick pick;
    (void)state;
    assert_int_equal(read_text(published, &columns, &rows, NULL), TL_OK);
    assert_int_equal(rows.n, 4);
    assert_true(rows.y[2] == 74.906);
    for (size_t i = 0; i < rows.n; i++) {
        memcpy(canonical, rows.archs + i * w10.n_variables, w10.n_variables);
        space_canonical(&w10, canonical);
        assert_memory_equal(canonical, rows.archs + i * w10.n_variables, w10.n_variables);
    }
    pick_of_arch(net_family_get("ofa-mbv3-w1.0"), &w10, rows.archs + (size_t)2 * w10.n_variables, &pick);
    assert_int_equal(pick.resolution, 224);
    assert_int_equal(pick.depth[0], 2);
    assert_int_equal(pick.depth[3], 4);
    assert_int_equal(pick.choice[1], 1 * 3 + 1);  /* k 5, e 4 */
    assert_int_equal(pick.choice[12], 1 * 3 + 0); /* fourth stage: k 5, e 3 */
    accuracy_rows_done(&rows);
}

static void lines_that_begin_with_a_hash_are_no_rows(void **state)
{
    struct accuracy_rows rows = {0};
    (void)state;
    assert_int_equal(read_text("# of, this supernet\n" HEADER
                               "a,55553777757333555755,43636633644634364434,33343,224,1,1,76.0,x\n#\n",
                               &columns, &rows, NULL),
                     TL_OK);
    assert_int_equal(rows.n, 1);
    accuracy_rows_done(&rows);
    struct tl_err err = {0};
    assert_int_not_equal(read_text("# alone\n", &columns, &rows, &err), TL_OK);
    assert_non_null(strstr(err.text, "is empty"));
}

static void a_broken_table_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *says;
    } broken[] = {
        {"", "is empty"},
        {HEADER, "no rows"},
        {"run,ks,e,d,r,top\n", "no column top1 (did you mean top?)"},
        {HEADER "a,5\n", "line 2 has only 2 fields"},
        {HEADER "a,5555377775733355575,43636633644634364434,33343,224,1,1,76.0,x\n", "line 2"},
        {HEADER "a,555537777573335557555,43636633644634364434,33343,224,1,1,76.0,x\n", "21 digits instead of 20"},
        {HEADER "a,55553777757333555755,43636633644634364434,33346,224,1,1,76.0,x\n", "s5.depth"},
        {HEADER "a,55553777757333555754,43636633644634364434,33343,224,1,1,76.0,x\n", "s5.b4.kernel"},
        {HEADER "a,55553777757333555755,43636633644634364434,33343,225,1,1,76.0,x\n", "resolution"},
        {HEADER "a,55553777757333555755,43636633644634364434,33343,224,1,1,76.0x,x\n", "\"76.0x\" is not a number"},
        {HEADER "a,55553777757333555755,43636633644634364434,33343,224,1,1,nan,x\n", "is not a number"},
    };
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(broken); i++) {
        struct accuracy_rows rows = {0};
        struct tl_err err = {0};
        assert_int_not_equal(read_text(broken[i].text, &columns, &rows, &err), TL_OK);
        if (!strstr(err.text, broken[i].says)) {
            fail_msg("\"%s\" does not say \"%s\"", err.text, broken[i].says);
        }
        assert_null(rows.archs);
    }
    struct accuracy_rows rows = {0};
    assert_int_equal(accuracy_rows_read("/nowhere/rows.csv", &columns, &w10, &rows, NULL), TL_NOT_FOUND);
}

static void without_a_resolution_column_rows_are_at_the_largest(void **state)
{
    const struct accuracy_columns names = {"ks", "e", "d", "", "top1"};
    struct accuracy_rows rows = {0};
    (void)state;
    assert_int_equal(read_text(published, &names, &rows, NULL), TL_OK);
    assert_int_equal(rows.archs[0], w10.variables[0].n_options - 1);
    accuracy_rows_done(&rows);
}

/* ---- fitting ----------------------------------------------------------------------------------------------------- */

/* Random architectures whose accuracy is the share of large options, plus an interaction. Every row twice. */
static struct accuracy_rows made_rows(size_t n)
{
    struct accuracy_rows rows = {
        .space = &w10, .n = n, .archs = calloc(n, w10.n_variables), .y = calloc(n, sizeof(double))};
    uint8_t active[SPACE_VARIABLES_MAX];
    struct tl_rng rng;
    assert_true(rows.archs && rows.y);
    tl_rng_init(&rng, 11, 0, 0);
    for (size_t i = 0; i < n; i++) {
        uint8_t *arch = rows.archs + i * w10.n_variables;
        if (i % 2) {
            memcpy(arch, arch - w10.n_variables, w10.n_variables);
        } else {
            space_sample(&w10, &rng, arch);
            arch[0] = (uint8_t)(w10.variables[0].n_options - 1);
            space_canonical(&w10, arch);
        }
        space_active(&w10, arch, active);
        rows.y[i] = 70.0 + 0.3 * arch[1] * arch[2] + 0.01 * tl_rng_normal(&rng);
        for (size_t v = 1; v < w10.n_variables; v++) {
            rows.y[i] += active[v] ? 0.1 * arch[v] : 0.0;
        }
    }
    return rows;
}

static void count_fits(void *ctx, const char *what)
{
    (void)what;
    ++*(unsigned *)ctx;
}

static void a_fitted_model_says_what_it_is_and_survives_saving(void **state)
{
    struct accuracy_rows rows = made_rows(120);
    unsigned n_fits = 0;
    const struct accuracy_plan plan = {.n_inducing = 64, .seed = 3, .progress = count_fits, .progress_ctx = &n_fits};
    struct accuracy_score score = {0}, again = {0}, linear = {0};
    struct accuracy_model *model = NULL, *loaded = NULL;
    TL_AUTO(tl_buf) bytes = {.max = 1 << 24};
    double half = 0.0, half2 = 0.0;
    (void)state;
    assert_int_equal(accuracy_judge(&rows, MODEL_KERNEL, 3, &plan, &score, NULL), TL_OK);
    assert_int_equal(accuracy_judge(&rows, MODEL_KERNEL, 3, &plan, &again, NULL), TL_OK);
    assert_int_equal(accuracy_judge_linear(&rows, 3, &plan, &linear, NULL), TL_OK);
    assert_memory_equal(&score, &again, sizeof(score));
    assert_int_equal(n_fits, 6);
    print_message("rmse %.3f, spearman %.3f, coverage %.3f, half width %.3f\n", score.rmse, score.spearman,
                  score.coverage, score.half_width);
    assert_true(score.rmse < 0.8 && score.spearman > 0.6 && score.coverage > 0.7 && score.half_width < 1.5);
    assert_true(linear.rmse < 0.8 && isnan(linear.coverage));
    assert_int_equal(accuracy_fit(&rows, MODEL_KERNEL, &plan, &score, "made up", "by a test", &model, NULL), TL_OK);
    assert_int_equal(accuracy_save(model, &bytes, NULL), TL_OK);
    assert_int_equal(accuracy_load(bytes.data, bytes.len, &loaded, NULL), TL_OK);
    const struct accuracy_facts *facts = accuracy_facts(loaded);
    assert_string_equal(accuracy_space(loaded), "ofa-mbv3-w1.0");
    assert_string_equal(facts->source, "made up");
    assert_string_equal(facts->command, "by a test");
    assert_int_equal(facts->n_rows, 120);
    assert_true(facts->rmse == score.rmse && facts->coverage == score.coverage);
    assert_int_equal(facts->n_resolutions, 1);
    assert_int_equal(facts->resolutions[0], 224);
    for (size_t i = 0; i < rows.n; i++) {
        const uint8_t *arch = rows.archs + i * w10.n_variables;
        assert_true(predict(model, &w10, arch, &half) == predict(loaded, &w10, arch, &half2));
        assert_true(half == half2);
    }
    for (size_t n = 0; n < bytes.len; n += n < 1500 ? 1 : 499) {
        struct accuracy_model *broken = NULL;
        assert_int_equal(accuracy_load(bytes.data, n, &broken, NULL), TL_MALFORMED);
    }
    accuracy_free(model);
    accuracy_free(loaded);
    accuracy_rows_done(&rows);
}

static void too_few_architectures_are_refused(void **state)
{
    struct accuracy_rows rows = made_rows(16);
    const struct accuracy_plan plan = {.n_inducing = 16, .seed = 3};
    struct accuracy_score score = {0};
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(accuracy_judge(&rows, MODEL_KERNEL, 3, &plan, &score, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "8 architectures"));
    assert_int_equal(accuracy_judge(&rows, MODEL_KERNEL, 1, &plan, &score, NULL), TL_INVALID);
    accuracy_rows_done(&rows);
}

static enum tl_rc a_table_is_read(void *ctx, struct tl_err *err)
{
    struct accuracy_rows rows = {0};
    const enum tl_rc rc = accuracy_rows_read(ctx, &columns, &w10, &rows, err);
    accuracy_rows_done(&rows);
    return rc;
}

static void reading_survives_every_failing_allocation(void **state)
{
    char path[64];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/rows.csv", folder);
    assert_int_equal(tl_file_write(path, published, sizeof(published) - 1, NULL), TL_OK);
    (void)alloc_fail_each(a_table_is_read, path);
    assert_int_equal(unlink(path), 0);
}

/* ---- the shipped model ------------------------------------------------------------------------------------------- */

static void the_shipped_model_knows_published_networks_and_doubts_others(void **state)
{
    TL_AUTO(tl_buf) bytes = {.max = 600 << 10};
    struct accuracy_model *model = NULL;
    struct accuracy_rows rows = {0};
    struct tl_err err = {0};
    double known = 0.0, random = 0.0, half = 0.0;
    struct tl_rng rng;
    (void)state;
    assert_int_equal(tl_file_read("models/ofa-mbv3-w1.0-accuracy.bin", &bytes, &err), TL_OK);
    assert_int_equal(accuracy_load(bytes.data, bytes.len, &model, &err), TL_OK);
    assert_string_equal(accuracy_space(model), w10.name);
    const struct accuracy_facts *facts = accuracy_facts(model);
    assert_true(facts->rmse <= 0.08 && facts->spearman >= 0.997);
    assert_true(facts->coverage > 0.88 && facts->coverage < 0.93);
    assert_int_equal(facts->n_resolutions, 1);
    assert_int_equal(facts->resolutions[0], 224);
    assert_int_equal(read_text(published, &columns, &rows, NULL), TL_OK);
    for (size_t i = 0; i < rows.n; i++) {
        assert_true(fabs(predict(model, &w10, rows.archs + i * w10.n_variables, &half) - rows.y[i]) < 0.1);
        known += half / (double)rows.n;
    }
    tl_rng_init(&rng, 1, 0, 0);
    for (size_t i = 0; i < 50; i++) {
        uint8_t arch[SPACE_VARIABLES_MAX];
        space_sample(&w10, &rng, arch);
        space_canonical(&w10, arch);
        (void)predict(model, &w10, arch, &half);
        random += half / 50.0;
    }
    assert_true(random > 1.5 * known);
    accuracy_free(model);
    accuracy_rows_done(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_for_alls_predictor_gives_its_golden_values),
        cmocka_unit_test(a_space_with_fewer_resolutions_predicts_the_same),
        cmocka_unit_test(a_predictor_of_another_space_or_shape_is_refused),
        cmocka_unit_test(a_table_becomes_canonical_architectures),
        cmocka_unit_test(lines_that_begin_with_a_hash_are_no_rows),
        cmocka_unit_test(a_broken_table_is_refused_with_its_line),
        cmocka_unit_test(without_a_resolution_column_rows_are_at_the_largest),
        cmocka_unit_test(a_fitted_model_says_what_it_is_and_survives_saving),
        cmocka_unit_test(too_few_architectures_are_refused),
        cmocka_unit_test(reading_survives_every_failing_allocation),
        cmocka_unit_test(the_shipped_model_knows_published_networks_and_doubts_others),
    };
    model_blas_single_thread();
    return cmocka_run_group_tests(tests, make, clean);
}
