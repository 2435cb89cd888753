/* search.h - finding the best architecture under limits: controllers behind one ask/tell table, and the loop that runs them.
 *
 * The loop knows no networks, SQL or HTTP. It sees the world through an evaluator (architectures in, metric values out) and
 * is stepped by its caller, who stores its state between steps. Everything random draws from streams numbered by
 * (batch, slot), so the bytes do not depend on the thread count or on where the run was cut and restored.
 *
 *     ask:  controller plans a batch -> each slot proposes until the cheap limits hold (bounded tries)
 *     eval: dear metrics of the whole batch at once
 *     tell: controller learns; front, best, sample and history are updated
 *
 * Threads: a run belongs to one thread; it spreads slots over the pool given to it. Steps allocate nothing.
 */
#ifndef TAILOR_SEARCH_H
#define TAILOR_SEARCH_H

#include "search/space.h"

enum {
    SEARCH_METRICS_MAX = 9,
    SEARCH_LIMITS_MAX = 16,
    SEARCH_BATCH_MAX = 1024,
    SEARCH_EVALUATIONS_MAX = 1000000000,
    SEARCH_FRONT_MAX = 16384,
    SEARCH_STARTS_MAX = 4096,
    SEARCH_SAMPLE_MAX = 1000000
};

/* Where values come from. Metrics are numbered 0..n_metrics-1, cheap ones first. */
struct search_evaluator {
    void *ctx;
    size_t n_metrics;
    size_t n_cheap; /* metrics 0..n_cheap-1 cost well under a microsecond each and may be asked one by one */
    /* values of metrics first..first+n_metrics-1 for n canonical architectures (rows of `stride` bytes) into
     * out[i * SEARCH_METRICS_MAX + metric]. May be called by any pool thread at once with different `thread` numbers.
     * The same architecture has the same values as long as the run lives. NAN or infinite: cannot be valued; where the
     * metric is the objective, limited or of the front, such a candidate is rejected. A failure ends the step. */
    enum tl_rc (*values)(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err);
    /* NULL, or called by the run's thread with all n architectures of a batch before their dear metrics are asked, so that
     * whatever gives these can be asked for all at once. A failure ends the step: values that take hours to come fail so
     * until they are there. */
    enum tl_rc (*prepare)(void *ctx, const uint8_t *archs, size_t stride, size_t n, struct tl_err *err);
    /* 0: every architecture can be asked for. Otherwise the rows of a list alone: `row` is the place of a canonical architecture in it (SIZE_MAX: none), `arch` the canonical and allowed one in a place. Any
     * pool thread; as steady as values. */
    size_t n_rows;
    size_t (*row)(void *ctx, const uint8_t *canonical);
    void (*arch)(void *ctx, size_t row, uint8_t *ret_canonical);
};

/* One bound on one metric. */
struct search_limit {
    uint8_t metric;
    bool is_min; /* value >= bound; otherwise value <= bound */
    double bound;
};

/* How a controller that learns from one number weighs the objective against the limits: reward.h has the formulas. */
enum search_reward {
    SEARCH_REWARD_DEFAULT,   /* the controller's own choice */
    SEARCH_REWARD_ABSOLUTE,  /* TuNAS: a term that falls on both sides of a bound */
    SEARCH_REWARD_SOFT,      /* MnasNet: a gentle power of value over bound, on both sides */
    SEARCH_REWARD_HARD,      /* MnasNet: its inverse beyond a bound, nothing where it holds */
    SEARCH_REWARD_POWER,     /* ProxylessNAS: bound over value to the power 0.1 */
    SEARCH_REWARD_QUADRATIC, /* YOCO-BERT: falls to 0 at the worst value, nothing where the bound holds */
    SEARCH_REWARD_COUNT
};

struct search_spec {
    size_t n_limits;
    struct search_limit limits[SEARCH_LIMITS_MAX];
    /* Metrics that span the front, the objective first; for all others smaller is better unless `front_max` has the bit
     * (a minimised accuracy makes no sense, so callers set it for accuracy). */
    size_t n_front;
    uint8_t front[SEARCH_METRICS_MAX];
    uint32_t front_max;          /* bit m: larger is better for metric m */
    uint32_t sample_size;        /* seeded reservoir of evaluated candidates, 0..SEARCH_SAMPLE_MAX */
    uint64_t budget_evaluations; /* 1..SEARCH_EVALUATIONS_MAX */
    double budget_seconds;       /* 0: none; active time, counted in search_run_step */
    uint64_t seed;
    char controller[32];
    enum search_reward reward; /* other than the default only where the controller's ops->rewards */
    bool dear;                 /* an evaluation costs far more than deciding what to evaluate: a worker's */
    bool front_wanted;         /* the whole front, not only what is best by the objective */
    uint8_t objective;         /* metric */
    bool maximize;
    /* Architectures that are evaluated first, in their order, as part of the budget: (n_starts, n_variables), canonical
     * and allowed; borrowed until search_run_new returns. Only where the evaluator has no rows. A controller whose
     * ops->starts learns from them; the others begin after them as if they had not been. */
    const uint8_t *starts;
    size_t n_starts; /* 0..SEARCH_STARTS_MAX */
};

/* A candidate that was evaluated. */
struct search_candidate {
    uint64_t number;     /* its place in the order of evaluation, from 0 */
    const uint8_t *arch; /* canonical; borrowed until the next step or restore */
    double values[SEARCH_METRICS_MAX];
    double violation; /* 0: every limit holds; else the sum of (value - bound) / |bound| over those that do not */
};

/* Best value so far at some evaluation counts (about 200 points, logarithmic), the last one now. */
struct search_point {
    uint64_t evaluations;
    double best; /* objective; NAN while nothing feasible was seen */
};

/* Of n valued architectures the k (or all) that come nearest to what is wanted, the best first; of equal ones the lower
 * index. values: (n, SEARCH_METRICS_MAX). What could not be valued is left out. Returns how many there are. */
struct search_start {
    uint32_t at;             /* index */
    double violation, score; /* as goal.h says: 0 where every limit holds; larger is better */
};
TL_MUST_CHECK enum tl_rc search_starts(const struct search_spec *spec, const double *values, size_t n, size_t k,
                                       struct search_start *ret_starts, size_t *ret_n, struct tl_err *err);

/* ---- controllers --------------------------------------------------------------------------------------------- */

struct search_batch {
    size_t n;
    const uint8_t *genes;    /* (n, n_variables), as proposed: not canonical */
    const uint8_t *archs;    /* (n, n_variables), the same, canonical */
    const double *values;    /* (n, SEARCH_METRICS_MAX) */
    const double *score;     /* (n) larger is better: the objective with its sign */
    const double *violation; /* (n) 0: feasible; INFINITY: could not be valued, and score and values say nothing */
};

struct search_controller; /* a controller's own state */

/* One controller: how it asks and how it learns. */
struct search_controller_ops {
    const char *name;
    const char *help; /* one line for --help and error messages */
    size_t batch;     /* most slots of a batch; evolution: its population */
    bool rejects;     /* a proposal that breaks a cheap limit is made again; otherwise it is evaluated like any other */
    bool rewards;     /* learns from spec->reward */
    bool starts;      /* learns from spec->starts: tell takes batches that were not planned, of at most 50 */
    /* `space` and `spec` are borrowed for the controller's life. Nothing may depend on the spec's budget. */
    TL_MUST_CHECK enum tl_rc (*make)(const struct space *space, const struct search_spec *spec,
                                     struct search_controller **ret, struct tl_err *err);
    void (*free)(struct search_controller *controller);
    /* Begin batch number `batch` (those of starts count): choose what every slot does. Returns how many slots it has, 1 to ops->batch. A step that
     * failed plans the same batch again. */
    size_t (*plan)(struct search_controller *controller, uint64_t batch);
    /* Propose for one slot. While limits reject it, and if ops->rejects, or when what was proposed may not be evaluated at
     * all (search_run_step), called again with the same slot and generator and the next attempt (from 0). Any thread. */
    void (*propose)(const struct search_controller *controller, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes);
    /* The slots of the batch that was planned; the last ones are missing where the budget ended within it. */
    void (*tell)(struct search_controller *controller, const struct search_batch *batch);
    TL_MUST_CHECK enum tl_rc (*save)(const struct search_controller *controller, struct tl_buf *buf,
                                     struct tl_err *err);
    /* Into a controller just made. TL_MALFORMED: the bytes cannot be a state. */
    TL_MUST_CHECK enum tl_rc (*load)(struct search_controller *controller, struct tl_cursor *state, struct tl_err *err);
};

/* random; evolution (once-for-all's, algorithms: population 100, parents 25 kept, 50 mutants, 50 crossovers, mutation
 * probability 0.1 per group); reinforce (TuNAS'); ppo (MnasNet's). NULL: unknown. Static. */
const struct search_controller_ops *search_controller_get(const char *name);
size_t search_controller_count(void);
const struct search_controller_ops *search_controller_at(size_t index);

/* "absolute", "soft", "hard", "power", "quadratic"; "" for the default, NULL beyond the last. Static. */
const char *search_reward_name(enum search_reward reward);

/* ---- a run --------------------------------------------------------------------------------------------------- */

struct search_run;

/* Everything is allocated here. `space`, `evaluator` and `pool` (NULL: one thread) are borrowed for the run's life, `spec`
 * is copied. TL_INVALID: the spec contradicts itself or the evaluator. */
TL_MUST_CHECK enum tl_rc search_run_new(const struct space *space, const struct search_evaluator *evaluator,
                                        const struct search_spec *spec, struct tl_pool *pool,
                                        struct search_run **ret_run, struct tl_err *err);
void search_run_free(struct search_run *run);

/* Run whole batches until at least n_evaluations more are done or the budget is spent, which may end inside a batch;
 * *ret_done: it is. Seconds are counted only inside this call. On failure the batch at hand has not happened.
 *
 * What rules of the space forbid is never evaluated: each try lets the controller propose up to 32 times, also one that
 * does not reject, and then takes a sample (space_sample). So with the rows of an evaluator: only those are evaluated that
 * hold every limit on a cheap metric (where none does, any) and were in no batch before, and when there is no such row any more the search
 * is over. A space of one architecture has a budget of one evaluation.
 *
 * If the controller rejects, a proposal that cheap limits reject is made again, and the budget counts only what is evaluated. Tries are bounded: a slot
 * has 4,000, the run 400,000 and 100 an evaluation; then the proposal that violates least is evaluated. Whatever is
 * evaluated is ordered by violation first, so a corner of the space where hardly anything is feasible is approached step by
 * step. Limits on dear metrics work only so. */
TL_MUST_CHECK enum tl_rc search_run_step(struct search_run *run, uint64_t n_evaluations, bool *ret_done,
                                         struct tl_err *err);

uint64_t search_run_evaluations(const struct search_run *run);
uint64_t search_run_proposals(const struct search_run *run); /* including those that cheap limits rejected */
double search_run_seconds(const struct search_run *run);

/* The best feasible candidate; false: none yet. */
bool search_run_best(const struct search_run *run, struct search_candidate *ret_best);
/* The candidate with the smallest violation, of equal ones the best, of equal ones the first; it is the best where there is
 * one. false: nothing evaluated. */
bool search_run_nearest(const struct search_run *run, struct search_candidate *ret_nearest);
/* Feasible and not dominated over spec.front, from the best of the second front metric on (a front of one metric has one
 * member). Of candidates that are equal in all front metrics the first is a member, so no architecture is there twice.
 * Beyond SEARCH_FRONT_MAX members every second one is dropped, the best of each metric kept. */
size_t search_run_front_count(const struct search_run *run);
void search_run_front_at(const struct search_run *run, size_t index, struct search_candidate *ret_candidate);
/* The reservoir: uniform over all evaluated candidates. */
size_t search_run_sample_count(const struct search_run *run);
void search_run_sample_at(const struct search_run *run, size_t index, struct search_candidate *ret_candidate);
size_t search_run_history(const struct search_run *run, const struct search_point **ret_points);

/* State of the run. Restored into a new run of the same space, evaluator and spec (the budget may differ), it goes on to the
 * same bytes. The last eight bytes are the active seconds, all others follow from space, evaluator and spec. About 100
 * bytes for each candidate of front and sample. TL_CONFLICT: the state of another search. TL_MALFORMED: not a state. On
 * failure the run is as it was, and `buf` too. */
TL_MUST_CHECK enum tl_rc search_run_save(const struct search_run *run, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc search_run_restore(struct search_run *run, const void *state, size_t n, struct tl_err *err);

#endif
