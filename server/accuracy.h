/* accuracy.h - a regression that predicts accuracy, with what is needed to use it on architectures: which feature each
 * option of each variable switches on, at which resolutions it holds, and where it came from.
 *
 * Threads: an accuracy model is immutable once made and shared freely.
 */
#ifndef TAILOR_ACCURACY_H
#define TAILOR_ACCURACY_H

#include "base/model/model.h"
#include "search/space.h"

struct accuracy_model;

/* What people should know of a model. */
struct accuracy_facts {
    char source[512];                        /* the rows it was fitted on, or the file it was imported from */
    char command[512];                       /* that made it; empty: imported */
    uint64_t n_rows;                         /* fitted on; 0: imported */
    double rmse;                             /* on held-out architectures, in points; NAN: unknown */
    double spearman;                         /* the same */
    double coverage;                         /* of the 90 % intervals on held-out architectures; NAN: unknown */
    size_t n_resolutions;                    /* at least 1 */
    uint16_t resolutions[SPACE_OPTIONS_MAX]; /* at which the model is valid, ascending */
};

/* Which feature an option switches on while its variable is active; MODEL_NO_FEATURE: none. */
struct accuracy_map {
    uint16_t feature[SPACE_VARIABLES_MAX][SPACE_OPTIONS_MAX];
};

/* Features of an own fit: one for every option of every variable, in the space's order; those of `resolution` only when
 * asked for. Returns their number. */
size_t accuracy_map_all(const struct space *space, bool with_resolution, struct accuracy_map *ret_map);

/* `regression` is taken on success. TL_INVALID: a feature is beyond the regression's. */
TL_MUST_CHECK enum tl_rc accuracy_new(const struct space *space, const struct accuracy_map *map,
                                      const struct accuracy_facts *facts, struct model *regression,
                                      struct accuracy_model **ret_model, struct tl_err *err);
void accuracy_free(struct accuracy_model *model); /* takes NULL */

/* Versioned and little-endian. accuracy_load distrusts its bytes: TL_MALFORMED. */
TL_MUST_CHECK enum tl_rc accuracy_save(const struct accuracy_model *model, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc accuracy_load(const void *bytes, size_t n, struct accuracy_model **ret_model,
                                       struct tl_err *err);

/* Once-for-all's own predictor (the tutorial's acc_predictor) out of a safetensors file, for the space of an OFA
 * MobileNetV3 family. Predictions are made points (times 100); the error is unknown, so it has no interval. TL_INVALID:
 * other tensors, or another space. */
TL_MUST_CHECK enum tl_rc accuracy_import_ofa(const void *bytes, size_t n, const struct space *space,
                                             struct accuracy_model **ret_model, struct tl_err *err);

/* Name of the space it was made for; the facts; the regression to predict with. Borrowed. */
const char *accuracy_space(const struct accuracy_model *model);
const struct accuracy_facts *accuracy_facts(const struct accuracy_model *model);
const struct model *accuracy_regression(const struct accuracy_model *model);

/* The resolutions it is valid at; their number. */
size_t accuracy_resolutions(const struct accuracy_model *model, const uint16_t **ret_list);

/* Places of one hot row: the number of variables of the model's space. */
size_t accuracy_hot_width(const struct accuracy_model *model);

/* The hot row (accuracy_hot_width places) of a canonical architecture. `space` has the model's variables; it may offer
 * fewer resolutions. */
void accuracy_hot(const struct accuracy_model *model, const struct space *space, const uint8_t *arch,
                  uint16_t *ret_row);

#endif
