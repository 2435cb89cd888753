/* codec_search.h - searches as JSON: the request, the state kept between steps, candidates and answers.
 *
 * What a person POSTs becomes struct search_request; JSON ends there. The store keeps the request and struct
 * search_progress as JSON made here, and what GET returns is assembled from those rows here.
 */
#ifndef TAILOR_CODEC_SEARCH_H
#define TAILOR_CODEC_SEARCH_H

#include "server/evaluator.h"
#include "storage/storage.h"

enum {
    REQUEST_LABEL_MAX = 120,
    TOP_K_MAX = 16,
    ROUNDS_MAX = 10,
    VERIFICATIONS_MAX = TOP_K_MAX * ROUNDS_MAX * DEVICES_MAX,
    OBJECTIVES_MAX = 4,
    EVALUATIONS_DEFAULT = 50000,
    EVALUATIONS_DEAR =
        500 /* the default where workers value: what a model of what was seen needs to be near the best */
};

#define CONTROLLER_DEFAULT "auto"

struct request_limit {
    enum metric metric;
    uint8_t device; /* its place, of a latency */
    bool is_min;
    double bound;
    uint8_t place; /* in the request's constraints */
};

struct request_goal {
    enum metric metric;
    uint8_t device; /* its place, of a latency */
};

/* A deployment constraint as accepted. */
struct search_request {
    char space[65];
    struct devices devices;
    char label[REQUEST_LABEL_MAX + 1];
    struct request_goal objective;
    bool maximize;
    size_t n_objectives; /* 0: the objective alone; else 2 to OBJECTIVES_MAX, and the front spans exactly these */
    struct request_goal objectives[OBJECTIVES_MAX]; /* each once; [0] is `objective` */
    size_t n_limits;
    struct request_limit limits[SEARCH_LIMITS_MAX];
    char controller[32];
    enum search_reward reward; /* default: not said */
    uint64_t seed;
    uint64_t evaluations;
    double seconds;     /* 0: no limit on time */
    char pool[65];      /* the workers that value; "": none */
    uint32_t evaluated; /* bit m: they value metric m; 0: none */
    int top_k;          /* 0: no verification; -1: not said (3 where the device has an agent) */
    int rounds;
    char snapshot[TL_HASH_TEXT]; /* to search under; "": what is current */
};

/* Read a body of POST /search (or what search_request_encode wrote). Checks all that needs no store: types, ranges,
 * metric names, which way a metric is better, of which device a latency is, that the controller exists and takes the
 * reward, contradictory limits. Errors carry pointers into the body. */
TL_MUST_CHECK enum tl_rc search_request_decode(const char *json, size_t n, struct search_request *ret_request,
                                               struct tl_err *err);
TL_MUST_CHECK enum tl_rc search_request_encode(const struct search_request *request, struct tl_buf *buf,
                                               struct tl_err *err);

/* Columns (evaluator_columns.h) of what is asked for. */
size_t request_limit_column(const struct search_request *request, size_t limit);
size_t request_goal_column(const struct search_request *request, const struct request_goal *goal);

/* {"controllers": [{"name", "help", "rewards"}], "default", "rewards"}: what a request's controller and reward may be. */
TL_MUST_CHECK enum tl_rc controllers_encode(struct tl_buf *buf, struct tl_err *err);

/* What each of several limits, by column, can be where the others hold. n 0: it was not looked for. */
struct limits_together {
    size_t n;
    struct limit_reach reach[SEARCH_LIMITS_MAX];
};

/* The document of impossible limits: a problem with "ranges", and "together" where they are impossible only so. */
TL_MUST_CHECK enum tl_rc search_problem_encode(const struct tl_err *problem, const struct devices *devices,
                                               const struct metric_range ranges[COLUMNS_MAX],
                                               const struct limits_together *together, struct tl_buf *buf,
                                               struct tl_err *err);

/* {"space", "device", "ranges": {column: {"min", "max"}}}: what can be reached; of several devices "devices" instead, of
 * none neither. */
TL_MUST_CHECK enum tl_rc ranges_encode(const char *space, const struct devices *devices,
                                       const struct metric_range ranges[COLUMNS_MAX], struct tl_buf *buf,
                                       struct tl_err *err);

/* ---- progress ------------------------------------------------------------------------------------------------ */

/* One candidate's verification on one device in one round. Those of a candidate stand side by side, in the order of the
 * devices. */
struct verification {
    int64_t candidate;
    uint8_t device; /* its place */
    char arch[TL_HASH_TEXT];
    int round;
    double predicted_ms; /* by the device's model, without the search's own correction */
    double objective;    /* the objective's value, predicted or computed; used when the objective is not latency */
    size_t asked;        /* visits this search asked for */
    size_t visits, stable_visits, blocks; /* that there are, also from earlier searches */
    double median_ms, upper_ms;           /* corrected; NAN until known */
    bool holds;
};

struct search_progress {
    int round;              /* 0 before the first verification, then 1.. */
    char message[240];      /* one sentence for people */
    char warning[240];      /* "": none */
    char unit[16];          /* "evaluations" | "jobs" | "visits" */
    double done, total;     /* in that unit */
    double eta_s;           /* NAN: unknown */
    double seconds;         /* active time of the predicting phases so far */
    struct devices devices; /* of the search, where they are several; none: of one or none */
    struct correction {
        double scale, half_width; /* factor, relative half width (NAN: the model's) */
    } corrections[DEVICES_MAX];   /* the search's own, of each device's latency */
    int64_t answer;               /* candidate id; 0: none yet */
    int64_t nearest;              /* candidate id; 0: none */
    size_t archive_members;       /* of the archive that gave the first answer; 0: none did */
    bool archive_answers;         /* the answer is still that one */
    bool verified;
    double best_accuracy, best_latency_ms[DEVICES_MAX]; /* of the answer, for lists; NAN: unknown */
    bool has_ranges;
    struct metric_range ranges[COLUMNS_MAX];
    struct limits_together together;
    char problem[400]; /* why it failed; "": it did not */
    size_t n_verifications;
    struct verification verifications[VERIFICATIONS_MAX];
};

void search_progress_init(struct search_progress *progress, const struct devices *devices);
TL_MUST_CHECK enum tl_rc search_progress_decode(struct store_bytes json, struct search_progress *ret_progress,
                                                struct tl_err *err);
TL_MUST_CHECK enum tl_rc search_progress_encode(const struct search_progress *progress, struct tl_buf *buf,
                                                struct tl_err *err);

/* ---- values and candidates ----------------------------------------------------------------------------------- */

/* What is known of a candidate's latency on one device beside the value. */
struct candidate_latency {
    bool corrected; /* the prediction carries the search's own correction */
    bool timed;     /* of a table: on the device; else it is a cost model's */
    bool measured;
    double measured_ms, lower_ms, upper_ms;
    size_t n_measurements;
    char measurements[16][TL_UUID_TEXT];
};

/* Values of a candidate as they are stored: measured latency replaces the predicted one. */
struct candidate_values {
    struct devices devices;
    struct metric_value columns[COLUMNS_MAX];
    struct candidate_latency latency[DEVICES_MAX];
    bool tabulated;     /* all are looked up */
    uint32_t evaluated; /* bit m: a worker of the pool valued metric m */
    const char *pool;   /* borrowed; read where `evaluated` has a bit */
};

TL_MUST_CHECK enum tl_rc candidate_values_encode(const struct candidate_values *values, struct tl_buf *buf,
                                                 struct tl_err *err);

/* Does every limit hold by the values of a stored candidate, measured ones before predicted? What it lacks holds none. */
TL_MUST_CHECK enum tl_rc candidate_holds(const struct store_candidate *candidate, const struct devices *devices,
                                         const struct request_limit *limits, size_t n_limits, bool *ret_holds,
                                         struct tl_err *err);

/* The architecture document ({"space","id","options","ofa"}) of genes in the whole space of a family, or (NULL) in one whose
 * networks cannot be built. */
TL_MUST_CHECK enum tl_rc architecture_encode(const struct net_family *family, const struct space *space,
                                             const uint8_t *genes, struct tl_buf *buf, struct tl_err *err);

/* The latency that was measured for a stored candidate, as text in ms; of several devices "a=5.25,b=7", those that
 * were measured. Where none was, *ret_text is left alone. */
void candidate_measured_ms(const struct store_candidate *candidate, const struct devices *devices, char *ret_text,
                           size_t size);

/* What GET /candidates/{id} adds: the network's blocks (latency_ms per block where a model is given), and the names of the
 * files it can be had as. */
struct candidate_detail {
    const struct lat_model *const *latency; /* of each device; NULL: none */
    const struct devices *devices;
    bool weights; /* the space has a supernet */
};

/* A stored candidate as the API shows it. `detail` NULL: as lists do. */
TL_MUST_CHECK enum tl_rc candidate_encode(const struct store_candidate *candidate, const struct net_family *family,
                                          const struct space *space, const struct candidate_detail *detail,
                                          struct tl_buf *buf, struct tl_err *err);

/* ---- searches ------------------------------------------------------------------------------------------------ */

/* A row of GET /search. */
TL_MUST_CHECK enum tl_rc search_item_encode(const struct store_search *search, struct tl_buf *buf, struct tl_err *err);
/* GET /search/{id}. answer and nearest: documents made by candidate_encode, or NULL. */
TL_MUST_CHECK enum tl_rc search_encode(const struct store_search *search, const char *answer, const char *nearest,
                                       struct tl_buf *buf, struct tl_err *err);

/* The predicting phase as canonical JSON, without ids and times: what the determinism promise speaks of. Names: the search's
 * request, snapshot hash, evaluations, best, front, history, sample. */
TL_MUST_CHECK enum tl_rc search_export_encode(const struct search_request *request, const char *snapshot,
                                              const struct search_spec *spec, const struct search_run *run,
                                              const struct evaluator *evaluator, struct tl_buf *buf,
                                              struct tl_err *err);
/* History and chart points out of an export. x and y are names of columns (borrowed); one that the search has no values of is
 * TL_INVALID.
 * `candidates`: rows of the store to add in front of the sample. */
TL_MUST_CHECK enum tl_rc search_history_encode(struct store_bytes exported, struct tl_buf *buf, struct tl_err *err);

struct chart_points; /* columns being collected */
TL_MUST_CHECK enum tl_rc chart_points_new(const char *x, const char *y, struct chart_points **ret_points,
                                          struct tl_err *err);
void chart_points_free(struct chart_points *points);
TL_MUST_CHECK enum tl_rc chart_points_candidate(struct chart_points *points, const struct store_candidate *candidate,
                                                struct tl_err *err);
TL_MUST_CHECK enum tl_rc chart_points_sample(struct chart_points *points, struct store_bytes exported,
                                             struct tl_err *err);
TL_MUST_CHECK enum tl_rc chart_points_encode(struct chart_points *points, struct tl_buf *buf, struct tl_err *err);

TL_MUST_CHECK enum tl_rc search_event_encode(const struct store_event *event, struct tl_buf *buf, struct tl_err *err);

/* Wrap documents already encoded: {"items":[a,b,...],"next_page_token":"..."|null}. */
struct list_writer {
    struct tl_buf buf;
    size_t n;
};
TL_MUST_CHECK enum tl_rc list_begin(struct list_writer *list, size_t max_bytes, struct tl_err *err);
TL_MUST_CHECK enum tl_rc list_add(struct list_writer *list, const struct tl_buf *document, struct tl_err *err);
TL_MUST_CHECK enum tl_rc list_end(struct list_writer *list, int64_t next, struct tl_err *err); /* next 0: last page */
void list_writer_done(struct list_writer *list);

#endif
