/* latency.h - from raw repeats to a verdict, and from verdicts to a model of one device.
 *
 * Two ideas. First, on a shared machine only the ratio to an anchor network timed right beside repeats; every time used
 * here is such a ratio times the anchor's reference time (DESIGN.md, "Verified"). Second, a network's latency is close to
 * the sum of its blocks, so a table of measured blocks plus a small fitted correction predicts it.
 *
 * Never learns where rows came from: no SQL, HTTP or JSON here.
 *
 * Threads: models are immutable once made and shared freely; everything else belongs to one thread.
 */
#ifndef TAILOR_LATENCY_H
#define TAILOR_LATENCY_H

#include "base/base.h"
#include "supernet/network.h"

/* ---- one visit ----------------------------------------------------------------------------------------------- */

enum {
    LAT_ROUNDS_MIN = 3,
    LAT_ROUNDS_MAX = 64,
    LAT_RUNS_MIN = 3,   /* in a block, for its median to mean something */
    LAT_RUNS_MAX = 256, /* in a block; the shortest blocks of a network take some 20 us, so that these are 5 ms */
};
#define LAT_NS_MIN INT64_C(1000)          /* 1 us: below, the clock is timed */
#define LAT_NS_MAX INT64_C(3600000000000) /* 1 h */

/* Raw nanoseconds of one item in one visit. Round r timed the item item_n[r] times between anchor blocks r and r+1:
 * anchor_ns holds rounds + 1 blocks. Borrowed. */
struct lat_visit {
    size_t rounds;
    const uint16_t *item_n;   /* (rounds) runs in each item block, 1..LAT_RUNS_MAX */
    const int64_t *item_ns;   /* all runs, block after block */
    const uint16_t *anchor_n; /* (rounds + 1) */
    const int64_t *anchor_ns;
    double others_cpu;            /* CPU used by other processes during the visit, in processors; NAN: unknown */
    double steal;                 /* share of time stolen by the hypervisor; NAN: unknown */
    double khz_before, khz_after; /* clock of processor 0; NAN: unknown */
    bool means; /* a run here is the mean (or median) of one invocation of the runner, which tells no single runs */
};

/* A visit is stable unless a block is short or the ratios spread by more than LAT_SPREAD_MAX; then the first of these that
 * is true says why. */
enum lat_reason {
    LAT_STABLE,
    LAT_SHORT,  /* a block of fewer than LAT_RUNS_MIN runs; means stand for many, so that one is enough */
    LAT_LOADED, /* other processes used over LAT_OTHERS_MAX of a processor, or the hypervisor stole over LAT_STEAL_MAX */
    LAT_THROTTLED, /* the clock fell by more than LAT_CLOCK_MAX */
    LAT_DRIFT,     /* the ratios rise or fall with time: Kendall's tau of at least LAT_DRIFT_TAU */
    LAT_BIMODAL,   /* two states: splitting the ratios in two leaves less than LAT_MODES_LEFT of their variance */
    LAT_NOISY,     /* none of these is seen */
    LAT_REASON_COUNT
};
const char *
lat_reason_text(enum lat_reason reason); /* "", "short", "loaded", "throttled", "drift", "bimodal", "noisy" */

#define LAT_SPREAD_MAX 0.03
#define LAT_OTHERS_MAX 0.25
#define LAT_STEAL_MAX  0.02
#define LAT_CLOCK_MAX  0.1
#define LAT_DRIFT_TAU  0.6     /* 12 ratios in random order reach it once in 150 visits */
#define LAT_MODES_LEFT 0.12    /* of evenly spread ratios a split leaves a quarter, of normal ones 0.36 */
enum { LAT_SHAPE_ROUNDS = 8 }; /* fewer ratios have no shape to speak of */

struct lat_verdict {
    enum lat_reason reason; /* LAT_STABLE or why not */
    size_t n_ratios;
    double ratios[LAT_ROUNDS_MAX]; /* item block median / mean of the medians of the anchor blocks beside it */
    double ratio;                  /* their median */
    double spread;                 /* relative MAD of the ratios; stable: at most LAT_SPREAD_MAX */
    double anchor_ms;              /* median over anchor blocks */
    double median_ms, p90_ms;      /* of the raw single runs of the item; p90_ms NAN: means tell no quantiles */
};

/* Judge. TL_INVALID: rounds outside LAT_ROUNDS_MIN..MAX, runs of a block outside 1..LAT_RUNS_MAX, a time outside
 * LAT_NS_MIN..MAX. */
TL_MUST_CHECK enum tl_rc lat_judge(const struct lat_visit *visit, struct lat_verdict *ret_verdict, struct tl_err *err);

/* What people ask of the raw single runs of an item. They are not corrected by the anchor, and runs in a row are alike, so that
 * the bounds, which take them for independent, are those of a quiet machine. */
struct lat_summary {
    size_t n;
    double min_ms, median_ms, p90_ms;
    double mad_ms;                           /* median absolute deviation from the median, not scaled */
    double median_lower_ms, median_upper_ms; /* each with 95 % confidence, by order statistics; NAN: too few runs */
    double p90_upper_ms;                     /* likewise, of the 90th percentile: what MLPerf calls early stopping */
};

/* Of a visit that lat_judge takes. */
TL_MUST_CHECK enum tl_rc lat_summarise(const struct lat_visit *visit, struct lat_summary *ret_summary,
                                       struct tl_err *err);

/* The anchor's reference time: the lower quartile of anchor_ms over the first LAT_REFERENCE_VISITS stable visits; 0 while
 * there are fewer. `anchor_ms` (n) in order of arrival, one for each lease: items of one lease share their anchor blocks. */
enum { LAT_REFERENCE_VISITS = 8 };
double lat_reference(const double *anchor_ms, size_t n);

/* ---- verification -------------------------------------------------------------------------------------------- */

enum { LAT_VERIFY_VISITS = 2, LAT_VERIFY_BLOCKS = 20 };

struct lat_verification {
    bool enough; /* at least LAT_VERIFY_VISITS stable visits and LAT_VERIFY_BLOCKS blocks in them */
    bool holds;  /* enough, and upper_ms within the limit */
    size_t visits, blocks;
    double median_ms; /* corrected: ratio x reference, over all blocks */
    double upper_ms;  /* order-statistic one-sided 95 % upper bound of the median; HUGE_VAL when not enough */
};

/* `ratios` (n): those of all stable visits of the candidate, pooled; reordered. limit_ms HUGE_VAL: no limit. */
void lat_verify(double *ratios, size_t n, size_t stable_visits, double reference_ms, double limit_ms,
                struct lat_verification *ret_verification);

/* ---- what to measure ----------------------------------------------------------------------------------------- */

enum lat_job_kind { LAT_PROFILE_BLOCKS, LAT_PROFILE_NETWORKS, LAT_VERIFY, LAT_JOB_KIND_COUNT };

/* How one job times its items: warm up, then rounds of anchor block, item blocks in turn, and a last anchor block. */
struct lat_protocol {
    uint16_t rounds;
    uint16_t min_runs; /* a block ends when it has this many runs and has lasted its time, or at LAT_RUNS_MAX runs */
    uint32_t block_ms, anchor_block_ms;
    uint32_t warmup_ms; /* of the anchor, once a job; items are warmed up by two runs each */
    uint16_t threads, batch;
    uint16_t items; /* a job holds at most this many; not told to the device */
};

/* The defaults for each kind of job, one thread, batch 1; profile.c says where the numbers come from. */
struct lat_protocol lat_protocol_default(enum lat_job_kind kind);

enum { LAT_THREADS_MAX = 1024, LAT_BATCH_MAX = 1024 };
enum { LAT_PROFILE_NETWORKS_N = 40 }; /* whole networks in a profile */

/* The anchor of a family: its smallest network at `resolution`. */
void lat_anchor_pick(const struct net_family *family, unsigned resolution, struct net_pick *ret_pick);

/* A profile: whole networks drawn to spread over the family, every distinct block of it at the resolution, and the same
 * networks again: a visit differs from a later one by more than its rounds from each other, and the model should know. */
struct lat_profile_item {
    bool is_block;
    struct net_pick pick;  /* whole: the network; block: a network that contains it */
    uint16_t block;        /* block: its index there */
    char key[NET_KEY_MAX]; /* block key, or "" */
};

struct lat_profile {
    struct lat_profile_item *items; /* owned */
    size_t n;
};

/* The items in the order to measure them. n_networks seeded whole networks (twice, each time in an order of its own),
 * from smallest to largest spread evenly over MACs; fewer where the family has not so many. Same seed, same profile. */
TL_MUST_CHECK enum tl_rc lat_profile_make(const struct net_family *family, unsigned resolution, size_t n_networks,
                                          uint64_t seed, struct lat_profile *ret_profile, struct tl_err *err);
void lat_profile_done(struct lat_profile *profile);

/* The job that begins with item `first`: how many items it holds (all blocks or all networks), and its kind. */
size_t lat_profile_job(const struct lat_profile *profile, size_t first, enum lat_job_kind *ret_kind);

/* ---- the model ----------------------------------------------------------------------------------------------- */

/* One visit of a whole network. */
struct lat_row {
    struct net_pick pick; /* unused depths and slots 0, so that visits of one network are known as such */
    double ms;            /* anchor-corrected */
};

struct lat_block_row {
    char key[NET_KEY_MAX];
    double ms; /* anchor-corrected, alone */
};

struct lat_model;

struct lat_error {
    size_t n_networks, n_blocks;
    double mape;     /* held-out, over visits of whole networks, in per cent; NAN: unknown (imported) */
    double spearman; /* held-out */
    double
        half_width; /* relative half width of the 90 % interval (0.05: +-5 %), conformal on held-out rows; NAN: unknown */
};

/* Fit on rows of one device: block table (the median where a key comes again), then ridge on per-stage sums with prior 1
 * (correction), judged by repeated cross-validation split by network. Needs every block key of the family at every
 * resolution of the rows, and visits of LAT_FIT_NETWORKS networks; TL_INVALID says what is missing. Same rows and seed, same model. */
enum { LAT_FIT_NETWORKS = 10 };
TL_MUST_CHECK enum tl_rc lat_model_fit(const struct net_family *family, const struct lat_block_row *blocks,
                                       size_t n_blocks, const struct lat_row *rows, size_t n_rows, uint64_t seed,
                                       struct lat_model **ret_model, struct tl_err *err);

/* Once-for-all's lookup tables: a YAML map from an operator or block to {count, mean, std or var}, in ms, one a resolution. Two
 * styles: MobileNetV3's write the middle channels after `expand:` and end in se and hs, ProxylessNAS' write the ratio. */
enum lat_table_style { LAT_TABLE_MOBILENETV3, LAT_TABLE_PROXYLESS };

/* A model from such tables; which style they have shows. No known error. TL_MALFORMED: no such YAML, with the line.
 * TL_INVALID names the table's resolution and the key that is missing, twice there, or without a mean above 0. */
struct lat_table_text {
    unsigned resolution;
    const char *yaml; /* borrowed */
    size_t n;
};
TL_MUST_CHECK enum tl_rc lat_model_import(const struct net_family *family, const struct lat_table_text *tables,
                                          size_t n_tables, struct lat_model **ret_model, struct tl_err *err);
/* The table of a model at one of its resolutions, appended to `buf`: times of blocks as the model corrects them, its constant
 * with the stem's, so that the means of a network's keys sum up to what the model says. A block that tables know by several
 * keys is divided among them by their work. TL_NOT_FOUND: the model has no such resolution. TL_INVALID: the style has no names
 * for this family's blocks, or one name for blocks that differ. */
TL_MUST_CHECK enum tl_rc lat_model_export(const struct lat_model *model, const struct net_family *family,
                                          unsigned resolution, enum lat_table_style style, struct tl_buf *buf,
                                          struct tl_err *err);
void lat_model_free(struct lat_model *model);

const struct lat_error *lat_model_error(const struct lat_model *model);
/* Resolutions the model is valid for, ascending, borrowed. */
size_t lat_model_resolutions(const struct lat_model *model, const uint16_t **ret_resolutions);

/* The model is additive over blocks: latency of a network = constant + sum over blocks, both in ms. TL_NOT_FOUND names the missing key.
 * The evaluator turns this into tables by (resolution, stage, slot, choice). */
double lat_model_constant_ms(const struct lat_model *model);
TL_MUST_CHECK enum tl_rc lat_model_block_ms(const struct lat_model *model, const struct network *net, size_t block,
                                            double *ret_ms, struct tl_err *err);
TL_MUST_CHECK enum tl_rc lat_model_network_ms(const struct lat_model *model, const struct network *net, double *ret_ms,
                                              struct tl_err *err);

/* Opaque, versioned bytes; lat_model_load distrusts them. */
TL_MUST_CHECK enum tl_rc lat_model_save(const struct lat_model *model, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc lat_model_load(const void *bytes, size_t n, struct lat_model **ret_model, struct tl_err *err);

#endif
