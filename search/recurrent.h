/* recurrent.h - a policy that decides one variable after another and remembers: an LSTM with a head for each variable.
 *
 * One idea: an architecture is the path of decisions over its active variables, in the space's order. A decision sees the
 * embedding of the one before (a row for each option of each variable, and one for the start) through the hidden state;
 * the head of its variable turns that into a distribution, and a value head says what reward is expected. Inactive variables
 * are passed over: no decision, no input, no gradient.
 *
 *     gates  = b + Wx embedding + Wh hidden_before                i f a o, each (H)
 *     cell   = sigmoid(f) * cell_before + sigmoid(i) * tanh(a)    hidden = sigmoid(o) * tanh(cell)
 *     p      = softmax(head of the variable * hidden + its bias)  value = v * hidden + v0
 *
 * Wx embedding + b is the same for all decisions after one option, so it is a table, made anew by recurrent_prepare.
 *
 * Threads: one thread at a time changes a policy; any number may read it between changes.
 */
#ifndef TAILOR_SEARCH_RECURRENT_H
#define TAILOR_SEARCH_RECURRENT_H

#include "search/space.h"

enum { RECURRENT_HIDDEN = 32, RECURRENT_GATES = 4 * RECURRENT_HIDDEN };

struct recurrent {
    const struct space *space; /* borrowed */
    size_t first_row[SPACE_VARIABLES_MAX];
    size_t n_rows; /* options of all variables; row n_rows is the start */
    size_t n_parameters;
    double *parameters;     /* owned, (n_parameters): recurrent.c has the table of tensors */
    double *gradient;       /* owned, (n_parameters) */
    double *inputs;         /* owned, (n_rows + 1, RECURRENT_GATES): Wx embedding + b */
    double *input_gradient; /* owned, the same */
};

/* One decision, with all that its gradient needs. */
struct recurrent_decision {
    size_t row;      /* of the embedding that came in */
    size_t variable; /* that was decided */
    uint8_t choice;
    double gates[RECURRENT_GATES]; /* behind their sigmoids and tanh */
    double cell[RECURRENT_HIDDEN], squashed[RECURRENT_HIDDEN], hidden[RECURRENT_HIDDEN];
    double probabilities[SPACE_OPTIONS_MAX];
    double log_probability; /* of the choice */
    double value;
};

struct recurrent_path {
    size_t n;
    struct recurrent_decision decisions[SPACE_VARIABLES_MAX];
};

/* Heads at zero, so that it begins uniform; all else drawn from `rng`. */
TL_MUST_CHECK enum tl_rc recurrent_init(struct recurrent *net, const struct space *space, struct tl_rng *rng,
                                        struct tl_err *err);
void recurrent_done(struct recurrent *net);

/* After every change of parameters, before anything below. */
void recurrent_prepare(struct recurrent *net);

/* Draw a canonical architecture. */
void recurrent_sample(const struct recurrent *net, struct tl_rng *rng, uint8_t *ret_arch);

/* The decisions that lead to a canonical architecture. */
void recurrent_forward(const struct recurrent *net, const uint8_t *arch, struct recurrent_path *ret_path);

/* Gradients of a batch: begin, add path after path, end; then net->gradient holds those of the sum over all paths of
 * sum over decisions t of of_log[t] * log_probability + of_value[t] * value + of_entropy * entropy. */
void recurrent_gradient_begin(struct recurrent *net);
void recurrent_backward(struct recurrent *net, const struct recurrent_path *path, const double *of_log,
                        const double *of_value, double of_entropy);
void recurrent_gradient_end(struct recurrent *net);

#endif
