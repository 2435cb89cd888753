/* bench_tables.c - every controller on spaces whose every architecture has a known value: what is found after how many
 * evaluations, over seeds. The peer is the true optimum or front of the table, in the same run.
 *
 *     bench_tables [--csv FILE --digits COLUMN --maximize COLUMN --minimize COLUMN [--quantile Q]] [--part tuning|judging]
 *                  [--controllers a,b,...] [--seeds 20] [--first-seed 1] [--evaluations 500] [--objectives 2|3]
 *
 * A table is a CSV (.gz or not) with a column of digits, one a variable. Each pair of metrics gives two tasks: the
 * largest value where the other is at most its quantile, as regret in the value's unit; and both at once, as
 * hypervolume in shares of the true front's. With three objectives the tasks are fronts of accuracy, latency and MACs on
 * NAS-Bench-201, the same columns. Evaluations are told to be dear, nothing is cheap: a limit is known only
 * after evaluating.
 *
 * Without --csv: NAS-Bench-201 and NAS-Bench-Macro in TAILOR_DATA (default ../shared/data). Controllers were chosen and
 * tuned on the tuning part: CIFAR-10 on every second device column (the first, third, ...), NAS-Bench-Macro by MACs. The
 * judging part is the other columns, with CIFAR-100 and ImageNet16-120 in turn, and NAS-Bench-Macro by parameters.
 */
#include "bench.h"
#include "csv.h"
#include "search/search.h"

enum { EVALUATIONS_MAX = 100000, TASKS_MAX = 128, NAMES_MAX = 32 };

enum { VALUE, COST, THIRD, METRICS };

static const uint64_t CHECKPOINTS[] = {50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

struct table {
    struct space space;
    size_t *row_of; /* owned: by the digits as a number, SIZE_MAX: none */
    struct bench_csv csv;
};

struct task {
    char name[160];
    const struct table *table;
    double *value, *cost, *third; /* owned, (n); third: a cost too, NULL where two metrics are all */
    double bound;                 /* of the cost; INFINITY: the front is wanted */
    double best;                  /* value within the bound, or the hypervolume */
    double worst_cost, worst_value, worst_third;
};

struct options {
    const char *csv, *digits, *maximize, *minimize, *part;
    double quantile;
    const char *controllers[NAMES_MAX];
    size_t n_controllers;
    uint64_t seeds, first_seed, evaluations, objectives;
};

/* ---- tables -------------------------------------------------------------------------------------------------- */

static void make_space(struct table *table, size_t n_variables, unsigned n_options)
{
    struct tl_err err = {0};
    (void)snprintf(table->space.name, sizeof table->space.name, "table");
    table->space.n_variables = (uint16_t)n_variables;
    for (size_t v = 0; v < n_variables; v++) {
        struct space_variable *variable = &table->space.variables[v];
        (void)snprintf(variable->name, sizeof variable->name, "v%zu", v);
        variable->n_options = (uint8_t)n_options;
        variable->parent = -1;
        variable->group = (uint16_t)v;
        for (unsigned o = 0; o < n_options; o++) {
            (void)snprintf(variable->labels[o], sizeof variable->labels[o], "%u", o);
            variable->numbers[o] = (double)NAN;
        }
    }
    if (space_finish(&table->space, &err)) {
        bench_die(err.text, "");
    }
}

static size_t index_of(const struct space *space, const uint8_t *arch)
{
    size_t index = 0;
    for (size_t v = 0; v < space->n_variables; v++) {
        index = index * space->variables[0].n_options + arch[v];
    }
    return index;
}

static void index_rows(struct table *table, size_t digits)
{
    const size_t n_variables = strlen(bench_csv_cell(&table->csv, 0, digits));
    unsigned n_options = 1;
    size_t n_all = 1;
    for (size_t i = 0; i < table->csv.n; i++) {
        for (const char *digit = bench_csv_cell(&table->csv, i, digits); *digit; digit++) {
            n_options = (unsigned)(*digit - '0') >= n_options ? (unsigned)(*digit - '0') + 1 : n_options;
        }
    }
    make_space(table, n_variables, n_options);
    for (size_t v = 0; v < n_variables && n_all <= 1 << 26; v++) {
        n_all *= n_options;
    }
    if (n_all > 1 << 26) {
        bench_die("too many architectures for a table:", bench_csv_cell(&table->csv, 0, digits));
    }
    table->row_of = bench_must(malloc(n_all * sizeof *table->row_of));
    memset(table->row_of, 0xff, n_all * sizeof *table->row_of);
    for (size_t i = 0; i < table->csv.n; i++) {
        uint8_t arch[SPACE_VARIABLES_MAX] = {0};
        for (size_t v = 0; v < n_variables; v++) {
            arch[v] = (uint8_t)(bench_csv_cell(&table->csv, i, digits)[v] - '0');
        }
        table->row_of[index_of(&table->space, arch)] = i;
    }
}

static struct table *read_table(const char *path, const char *digits)
{
    struct table *table = bench_must(calloc(1, sizeof *table));
    table->csv = bench_csv_read(path);
    index_rows(table, bench_csv_column(&table->csv, digits));
    return table;
}

/* ---- tasks --------------------------------------------------------------------------------------------------- */

struct point {
    double cost, value, third; /* 0: none */
};

static int by_cost(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->cost != y->cost ? (x->cost > y->cost) - (x->cost < y->cost)
                              : (x->value < y->value) - (x->value > y->value);
}

static int by_third(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return (x->third > y->third) - (x->third < y->third);
}

/* Area above the worst value and below the worst cost that the points dominate. Sorts them. */
static double area_of(const struct task *task, struct point *points, size_t n)
{
    double area = 0, best = task->worst_value;
    qsort(points, n, sizeof *points, by_cost);
    for (size_t i = 0; i < n; i++) {
        if (points[i].value > best && points[i].cost < task->worst_cost) {
            area += (points[i].value - best) * (task->worst_cost - points[i].cost);
            best = points[i].value;
        }
    }
    return area;
}

/* Those that no other dominates come first; how many they are. */
static size_t front_first(struct point *points, size_t n)
{
    size_t n_front = 0;
    for (size_t i = 0; i < n; i++) {
        const struct point own = points[i];
        bool beaten = isnan(own.value);
        for (size_t j = 0; j < n_front && !beaten; j++) {
            beaten = points[j].value >= own.value && points[j].cost <= own.cost && points[j].third <= own.third;
        }
        if (beaten) {
            continue;
        }
        size_t kept = 0;
        for (size_t j = 0; j < n_front; j++) {
            if (points[j].value > own.value || points[j].cost < own.cost || points[j].third < own.third) {
                points[kept++] = points[j];
            }
        }
        points[kept] = own;
        n_front = kept + 1;
    }
    return n_front;
}

/* The same with a third cost: slice by slice along it. Two metrics are one slice of thickness 1. */
static double hypervolume(const struct task *task, struct point *points, size_t n)
{
    static struct point slice[EVALUATIONS_MAX];
    double volume = 0;
    n = front_first(points, n);
    qsort(points, n, sizeof *points, by_third);
    for (size_t i = 0; i < n; i++) {
        const double end = i + 1 < n ? points[i + 1].third : task->worst_third;
        if (end > points[i].third) {
            memcpy(slice, points, (i + 1) * sizeof *slice);
            volume += area_of(task, slice, i + 1) * (end - points[i].third);
        }
    }
    return volume;
}

static struct task *new_task(struct task *tasks, size_t *n_tasks)
{
    if (*n_tasks >= TASKS_MAX) {
        bench_die("too many tasks", "");
    }
    return &tasks[(*n_tasks)++];
}

/* A front of three. */
static void add_front(struct task *tasks, size_t *n_tasks, const struct table *table, const char *maximize,
                      const char *minimize, const char *also)
{
    const size_t v = bench_csv_column(&table->csv, maximize), c = bench_csv_column(&table->csv, minimize);
    const size_t t = bench_csv_column(&table->csv, also), n = table->csv.n;
    struct task *task = new_task(tasks, n_tasks);
    struct point *points = bench_must(malloc(n * sizeof *points));
    *task = (struct task){.table = table, .bound = (double)INFINITY, .worst_value = (double)INFINITY};
    task->value = bench_must(malloc(3 * n * sizeof *task->value));
    task->cost = task->value + n;
    task->third = task->cost + n;
    for (size_t i = 0; i < n; i++) {
        task->value[i] = strtod(bench_csv_cell(&table->csv, i, v), NULL);
        task->cost[i] = strtod(bench_csv_cell(&table->csv, i, c), NULL);
        task->third[i] = strtod(bench_csv_cell(&table->csv, i, t), NULL);
        points[i] = (struct point){.cost = task->cost[i], .value = task->value[i], .third = task->third[i]};
        task->worst_cost = fmax(task->worst_cost, task->cost[i]);
        task->worst_value = fmin(task->worst_value, task->value[i]);
        task->worst_third = fmax(task->worst_third, task->third[i]);
    }
    task->best = hypervolume(task, points, n);
    (void)snprintf(task->name, sizeof task->name, "front of %s, %s and %s", maximize, minimize, also);
    free(points);
}

static void add_task(struct task *tasks, size_t *n_tasks, const struct table *table, const char *maximize,
                     const char *minimize, double quantile)
{
    const size_t v = bench_csv_column(&table->csv, maximize), c = bench_csv_column(&table->csv, minimize);
    struct task *task = new_task(tasks, n_tasks);
    struct point *points = bench_must(malloc(table->csv.n * sizeof *points));
    *task = (struct task){.table = table, .bound = (double)INFINITY, .worst_value = (double)INFINITY, .worst_third = 1};
    task->value = bench_must(malloc(table->csv.n * sizeof *task->value));
    task->cost = bench_must(malloc(table->csv.n * sizeof *task->cost));
    for (size_t i = 0; i < table->csv.n; i++) {
        task->value[i] = strtod(bench_csv_cell(&table->csv, i, v), NULL);
        task->cost[i] = strtod(bench_csv_cell(&table->csv, i, c), NULL);
        points[i] = (struct point){.cost = task->cost[i], .value = task->value[i]};
        task->worst_cost = fmax(task->worst_cost, task->cost[i]);
        task->worst_value = fmin(task->worst_value, task->value[i]);
    }
    task->best = area_of(task, points, table->csv.n); /* sorts by cost */
    if (quantile > 0) {
        task->bound = points[(size_t)(quantile * (double)(table->csv.n - 1))].cost;
        task->best = -(double)INFINITY;
        for (size_t i = 0; i < table->csv.n; i++) {
            task->best = task->cost[i] <= task->bound ? fmax(task->best, task->value[i]) : task->best;
        }
        (void)snprintf(task->name, sizeof task->name, "%s where %s <= %g", maximize, minimize, task->bound);
    } else {
        (void)snprintf(task->name, sizeof task->name, "front of %s and %s", maximize, minimize);
    }
    free(points);
}

static void add_pair(struct task *tasks, size_t *n, const struct table *table, const char *maximize,
                     const char *minimize, double quantile)
{
    add_task(tasks, n, table, maximize, minimize, quantile);
    add_task(tasks, n, table, maximize, minimize, 0);
}

static void public_tasks(struct task *tasks, size_t *n, bool judging, bool of_three)
{
    static const char *const accuracies[] = {"acc_cifar100", "acc_imagenet16"};
    const char *root = getenv("TAILOR_DATA"); /* NOLINT(concurrency-mt-unsafe): one thread */
    char path[1024];
    (void)snprintf(path, sizeof path, "%.900s/nb201/nb201.csv.gz", root ? root : "../shared/data");
    const struct table *table = read_table(path, "ops");
    size_t n_devices = 0;
    for (size_t i = 0; i < table->csv.n_columns; i++) {
        if (strncmp(table->csv.head[i], "lat_", 4) == 0 && n_devices++ % 2 == judging) {
            const char *accuracy = judging ? accuracies[n_devices / 2 % 2] : "acc_cifar10";
            if (of_three) {
                add_front(tasks, n, table, accuracy, table->csv.head[i], "macs");
            } else {
                add_pair(tasks, n, table, accuracy, table->csv.head[i], n_devices % 4 < 2 ? 0.25 : 0.5);
            }
        }
    }
    if (of_three) {
        return;
    }
    (void)snprintf(path, sizeof path, "%.900s/nasbench_macro/nasbench_macro_cifar10.csv.gz",
                   root ? root : "../shared/data");
    table = read_table(path, "arch");
    add_pair(tasks, n, table, "mean_acc", judging ? "params" : "flops", 0.25);
    add_task(tasks, n, table, "mean_acc", judging ? "params" : "flops", 0.5);
}

/* ---- runs ---------------------------------------------------------------------------------------------------- */

struct record {
    const struct task *task;
    struct point points[EVALUATIONS_MAX];
    size_t n;
};

static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    struct record *record = ctx;
    const struct task *task = record->task;
    (void)first, (void)n_metrics, (void)thread, (void)err; /* nothing is cheap: both at once, in order */
    for (size_t i = 0; i < n; i++) {
        const size_t row = task->table->row_of[index_of(&task->table->space, archs + i * stride)];
        double *at = out + i * SEARCH_METRICS_MAX;
        at[VALUE] = row == SIZE_MAX ? (double)NAN : task->value[row];
        at[COST] = row == SIZE_MAX ? (double)NAN : task->cost[row];
        at[THIRD] = row == SIZE_MAX || !task->third ? 0 : task->third[row];
        record->points[record->n++] = (struct point){.cost = at[COST], .value = at[VALUE], .third = at[THIRD]};
    }
    return TL_OK;
}

/* Regret, or the share of the hypervolume, after the first n evaluations. */
static double quality(const struct record *record, size_t n)
{
    static struct point points[EVALUATIONS_MAX];
    const struct task *task = record->task;
    double best = task->worst_value;
    memcpy(points, record->points, n * sizeof *points);
    if (isinf(task->bound)) {
        return hypervolume(task, points, n) / task->best;
    }
    for (size_t i = 0; i < n; i++) {
        best = points[i].cost <= task->bound && points[i].value > best ? points[i].value : best;
    }
    return task->best - best;
}

static void run(const struct options *o, const struct task *task, const char *controller, uint64_t seed)
{
    static struct record record;
    record = (struct record){.task = task};
    const struct search_evaluator evaluator = {.ctx = &record, .n_metrics = METRICS, .values = values};
    const bool front = isinf(task->bound);
    struct search_spec spec = {.objective = VALUE,
                               .maximize = true,
                               .n_limits = !front,
                               .limits = {{.metric = COST, .bound = front ? 0 : task->bound}},
                               .n_front = task->third ? METRICS : THIRD,
                               .front = {VALUE, COST, THIRD},
                               .front_max = 1U << VALUE,
                               .front_wanted = front,
                               .dear = true,
                               .seed = seed,
                               .budget_evaluations = o->evaluations};
    struct search_run *search = NULL;
    struct tl_err err = {0};
    bool done = false;
    (void)snprintf(spec.controller, sizeof spec.controller, "%s", controller);
    if (search_run_new(&task->table->space, &evaluator, &spec, NULL, &search, &err) ||
        search_run_step(search, UINT64_MAX, &done, &err)) {
        bench_die(err.text, "");
    }
    for (size_t i = 0; i < TL_COUNT_OF(CHECKPOINTS) && CHECKPOINTS[i] <= o->evaluations; i++) {
        printf(
            "{\"bench\": \"tables\", \"case\": \"%s\", \"controller\": \"%s\", \"seed\": %llu, \"evaluations\": %llu, "
            "\"metric\": \"%s\", \"value\": %.6g, \"peer\": \"the table's %s\", \"peer_value\": %.6g, "
            "\"seconds\": %.3g}\n",
            task->name, controller, (unsigned long long)seed, (unsigned long long)CHECKPOINTS[i],
            front ? "hypervolume" : "regret", quality(&record, CHECKPOINTS[i]), front ? "front" : "optimum", task->best,
            search_run_seconds(search));
    }
    search_run_free(search);
}

/* ---- arguments ----------------------------------------------------------------------------------------------- */

static void take_controllers(struct options *o, char *names)
{
    o->n_controllers = 0;
    for (char *name = names; name && o->n_controllers < NAMES_MAX;) {
        char *comma = strchr(name, ',');
        o->controllers[o->n_controllers++] = name;
        if (comma) {
            *comma = '\0';
        }
        name = comma ? comma + 1 : NULL;
    }
}

static bool parse(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        const char **text;
        uint64_t *number;
    } known[] = {{"--csv", &o->csv, NULL},
                 {"--digits", &o->digits, NULL},
                 {"--maximize", &o->maximize, NULL},
                 {"--minimize", &o->minimize, NULL},
                 {"--part", &o->part, NULL},
                 {"--seeds", NULL, &o->seeds},
                 {"--first-seed", NULL, &o->first_seed},
                 {"--objectives", NULL, &o->objectives},
                 {"--evaluations", NULL, &o->evaluations}};
    for (int i = 1; i + 1 < argc; i += 2) {
        bool found = true;
        if (strcmp(argv[i], "--controllers") == 0) {
            take_controllers(o, argv[i + 1]);
        } else if (strcmp(argv[i], "--quantile") == 0) {
            o->quantile = strtod(argv[i + 1], NULL);
        } else {
            found = false;
            for (size_t k = 0; k < TL_COUNT_OF(known) && !found; k++) {
                found = strcmp(argv[i], known[k].name) == 0;
                if (found && known[k].text) {
                    *known[k].text = argv[i + 1];
                } else if (found) {
                    *known[k].number = strtoull(argv[i + 1], NULL, 10);
                }
            }
        }
        if (!found) {
            return false;
        }
    }
    return argc % 2 == 1 && o->seeds >= 1 && o->evaluations >= 1 && o->evaluations < EVALUATIONS_MAX - 1000 &&
           (o->objectives == 2 || (o->objectives == 3 && !o->csv)) &&
           (strcmp(o->part, "tuning") == 0 || strcmp(o->part, "judging") == 0) &&
           (!o->csv || (o->digits && o->maximize && o->minimize));
}

int main(int argc, char **argv)
{
    static struct task tasks[TASKS_MAX];
    struct options o = {
        .part = "judging", .quantile = 0.25, .seeds = 20, .first_seed = 1, .evaluations = 500, .objectives = 2};
    size_t n_tasks = 0;
    while (o.n_controllers < search_controller_count()) {
        o.controllers[o.n_controllers] = search_controller_at(o.n_controllers)->name;
        o.n_controllers++;
    }
    if (!parse(argc, argv, &o)) {
        bench_die("see the head of tests/bench/bench_tables.c for its arguments", "");
    }
    if (o.csv) {
        add_pair(tasks, &n_tasks, read_table(o.csv, o.digits), o.maximize, o.minimize, o.quantile);
    } else {
        public_tasks(tasks, &n_tasks, strcmp(o.part, "judging") == 0, o.objectives == 3);
    }
    for (size_t t = 0; t < n_tasks; t++) {
        (void)fprintf(stderr, "task %zu of %zu: %s\n", t + 1, n_tasks, tasks[t].name);
        for (size_t c = 0; c < o.n_controllers; c++) {
            for (uint64_t seed = 0; seed < o.seeds; seed++) {
                run(&o, &tasks[t], o.controllers[c], o.first_seed + seed);
            }
        }
        (void)fflush(stdout);
    }
    return 0;
}
