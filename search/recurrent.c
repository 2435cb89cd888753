/* recurrent.c - see recurrent.h. Matrices that meet the hidden state are stored by hidden unit, so that the inner loops run
 * along the gates.
 *
 * Threads: see recurrent.h.
 */
#include "search/recurrent.h"
#include "search/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { H = RECURRENT_HIDDEN, GATES = RECURRENT_GATES };
enum { GATE_INPUT, GATE_FORGET = H, GATE_CANDIDATE = 2 * H, GATE_OUTPUT = 3 * H };

/* The tensors within parameters and gradient, in this order. */
struct tensors {
    double *embeddings;  /* (n_rows + 1, H) */
    double *from_input;  /* (H, GATES): Wx */
    double *from_hidden; /* (H, GATES): Wh */
    double *gate_bias;   /* (GATES) */
    double *heads;       /* (n_rows, H) */
    double *head_bias;   /* (n_rows) */
    double *value;       /* (H) */
    double *value_bias;  /* (1) */
};

/* Place the tensors one after another in `base`; returns how many numbers they are. */
static size_t lay_out(const struct recurrent *net, double *base, struct tensors *ret)
{
    double **const places[] = {&ret->embeddings, &ret->from_input, &ret->from_hidden, &ret->gate_bias,
                               &ret->heads,      &ret->head_bias,  &ret->value,       &ret->value_bias};
    const size_t sizes[] = {
        (net->n_rows + 1) * H, (size_t)H * GATES, (size_t)H * GATES, GATES, net->n_rows * H, net->n_rows, H, 1};
    size_t n = 0;
    for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
        *places[i] = base ? base + n : NULL;
        n += sizes[i];
    }
    return n;
}

static struct tensors tensors_of(const struct recurrent *net, double *base)
{
    struct tensors tensors;
    (void)lay_out(net, base, &tensors);
    return tensors;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void draw(struct tl_rng *rng, double *to, size_t n)
{
    double most = 1 / sqrt((double)H); /* as PyTorch begins an LSTM */
    for (size_t i = 0; i < n; i++) {
        to[i] = most * (2 * tl_rng_unit(rng) - 1);
    }
}

enum tl_rc recurrent_init(struct recurrent *net, const struct space *space, struct tl_rng *rng, struct tl_err *err)
{
    struct tensors tensors;
    *net = (struct recurrent){.space = space};
    for (size_t i = 0; i < space->n_variables; i++) {
        net->first_row[i] = net->n_rows;
        net->n_rows += space->variables[i].n_options;
    }
    net->n_parameters = lay_out(net, NULL, &tensors);
    net->parameters = calloc(net->n_parameters, sizeof *net->parameters);
    net->gradient = calloc(net->n_parameters, sizeof *net->gradient);
    net->inputs = calloc((net->n_rows + 1) * GATES, sizeof *net->inputs);
    net->input_gradient = calloc((net->n_rows + 1) * GATES, sizeof *net->input_gradient);
    if (!net->parameters || !net->gradient || !net->inputs || !net->input_gradient) {
        recurrent_done(net);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a recurrent policy of %zu parameters", net->n_parameters);
    }
    tensors = tensors_of(net, net->parameters);
    draw(rng, tensors.embeddings, (net->n_rows + 1) * H);
    draw(rng, tensors.from_input, (size_t)H * GATES);
    draw(rng, tensors.from_hidden, (size_t)H * GATES);
    for (size_t k = 0; k < H; k++) {
        tensors.gate_bias[GATE_FORGET + k] = 1; /* remember at first: Jozefowicz et al. 2015 */
    }
    recurrent_prepare(net);
    return TL_OK;
}

void recurrent_done(struct recurrent *net)
{
    free(net->parameters);
    free(net->gradient);
    free(net->inputs);
    free(net->input_gradient);
    *net = (struct recurrent){0};
}

/* ---- forward ------------------------------------------------------------------------------------------------- */

/* y[g] += sum over k of x[k] * w[k, g].  x (H)  w (H, GATES)  y (GATES) */
static void multiply_add(double *restrict y, const double *restrict x, const double *restrict w)
{
    for (size_t k = 0; k < H; k += 4) { /* four rows a pass: y is read and written a quarter as often */
        const double *second = w + (k + 1) * GATES, *third = second + GATES, *fourth = third + GATES;
        for (size_t g = 0; g < GATES; g++) {
            y[g] += x[k] * w[k * GATES + g] + x[k + 1] * second[g] + x[k + 2] * third[g] + x[k + 3] * fourth[g];
        }
    }
}

void recurrent_prepare(struct recurrent *net)
{
    struct tensors tensors = tensors_of(net, net->parameters);
    for (size_t row = 0; row <= net->n_rows; row++) {
        double *gates = net->inputs + row * GATES;
        memcpy(gates, tensors.gate_bias, GATES * sizeof *gates);
        multiply_add(gates, tensors.embeddings + row * H, tensors.from_input);
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* tanh by exp, of which the C library makes several in the time of one tanh; 1e-16 off, absolutely. */
static double squash(double x)
{
    return 2 * sigmoid(2 * x) - 1;
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (size_t k = 0; k < H; k++) {
        sum += a[k] * b[k];
    }
    return sum;
}

/* The state after `before` (NULL: at the start) took its choice. */
static void advance(const struct recurrent *net, const struct tensors *tensors, const struct recurrent_decision *before,
                    struct recurrent_decision *decision)
{
    double *gates = decision->gates;
    decision->row = before ? net->first_row[before->variable] + before->choice : net->n_rows;
    memcpy(gates, net->inputs + decision->row * GATES, sizeof decision->gates);
    if (before) {
        multiply_add(gates, before->hidden, tensors->from_hidden);
    }
    for (size_t k = 0; k < H; k++) {
        gates[GATE_INPUT + k] = sigmoid(gates[GATE_INPUT + k]);
        gates[GATE_FORGET + k] = sigmoid(gates[GATE_FORGET + k]);
        gates[GATE_CANDIDATE + k] = squash(gates[GATE_CANDIDATE + k]);
        gates[GATE_OUTPUT + k] = sigmoid(gates[GATE_OUTPUT + k]);
        double kept = before ? gates[GATE_FORGET + k] * before->cell[k] : 0;
        decision->cell[k] = kept + gates[GATE_INPUT + k] * gates[GATE_CANDIDATE + k];
        decision->squashed[k] = squash(decision->cell[k]);
        decision->hidden[k] = gates[GATE_OUTPUT + k] * decision->squashed[k];
    }
}

static void distribute(const struct recurrent *net, const struct tensors *tensors, size_t variable,
                       struct recurrent_decision *decision)
{
    size_t n = net->space->variables[variable].n_options;
    const double *heads = tensors->heads + net->first_row[variable] * H;
    const double *bias = tensors->head_bias + net->first_row[variable];
    decision->variable = variable;
    for (size_t o = 0; o < n; o++) {
        decision->probabilities[o] = bias[o] + dot(heads + o * H, decision->hidden);
    }
    policy_softmax(decision->probabilities, n, decision->probabilities);
}

/* Is the variable active, given the earlier ones? */
static bool is_active(const struct space_variable *v, const uint8_t *arch, const uint8_t *active)
{
    return v->parent < 0 || (active[v->parent] && (v->active_under >> arch[v->parent] & 1));
}

void recurrent_sample(const struct recurrent *net, struct tl_rng *rng, uint8_t *ret_arch)
{
    struct tensors tensors = tensors_of(net, net->parameters);
    struct recurrent_decision two[2];
    uint8_t active[SPACE_VARIABLES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < net->space->n_variables; i++) {
        const struct space_variable *v = &net->space->variables[i];
        struct recurrent_decision *decision = &two[n % 2];
        active[i] = is_active(v, ret_arch, active);
        ret_arch[i] = 0;
        if (active[i]) {
            advance(net, &tensors, n > 0 ? &two[(n - 1) % 2] : NULL, decision);
            distribute(net, &tensors, i, decision);
            decision->choice = policy_draw(decision->probabilities, v->n_options, tl_rng_unit(rng));
            ret_arch[i] = decision->choice;
            n++;
        }
    }
}

void recurrent_forward(const struct recurrent *net, const uint8_t *arch, struct recurrent_path *ret_path)
{
    struct tensors tensors = tensors_of(net, net->parameters);
    uint8_t active[SPACE_VARIABLES_MAX];
    space_active(net->space, arch, active);
    ret_path->n = 0;
    for (size_t i = 0; i < net->space->n_variables; i++) {
        if (!active[i]) {
            continue;
        }
        struct recurrent_decision *decision = &ret_path->decisions[ret_path->n];
        advance(net, &tensors, ret_path->n > 0 ? decision - 1 : NULL, decision);
        distribute(net, &tensors, i, decision);
        decision->choice = arch[i];
        decision->log_probability =
            log(fmax(decision->probabilities[arch[i]], 1e-300)); /* finite whatever the logits */
        decision->value = *tensors.value_bias + dot(tensors.value, decision->hidden);
        ret_path->n++;
    }
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

void recurrent_gradient_begin(struct recurrent *net)
{
    memset(net->gradient, 0, net->n_parameters * sizeof *net->gradient);
    memset(net->input_gradient, 0, (net->n_rows + 1) * GATES * sizeof *net->input_gradient);
}

/* x_gradient[k] += sum over g of w[k, g] * of[g];  w_gradient[k, g] += x[k] * of[g].  x (H)  w (H, GATES)  of (GATES) */
static void multiply_backward(double *restrict x_gradient, double *restrict w_gradient, const double *restrict x,
                              const double *restrict w, const double *restrict of)
{
    for (size_t k = 0; k < H; k++) {
        double sums[4] = {0}; /* independent of each other, so that they overlap */
        for (size_t g = 0; g < GATES; g += 4) {
            for (size_t j = 0; j < 4; j++) {
                sums[j] += w[k * GATES + g + j] * of[g + j];
            }
        }
        for (size_t g = 0; g < GATES; g++) {
            w_gradient[k * GATES + g] += x[k] * of[g];
        }
        x_gradient[k] += sums[0] + sums[1] + sums[2] + sums[3];
    }
}

/* y[k] += a * x[k] */
static void add_scaled(double *restrict y, double a, const double *restrict x)
{
    for (size_t k = 0; k < H; k++) {
        y[k] += a * x[k];
    }
}

/* Head and value of one decision: their gradients, and what they pass to its hidden state. */
static void backward_heads(const struct recurrent *net, const struct tensors *tensors, const struct tensors *gradient,
                           const struct recurrent_decision *decision, double of_log, double of_value, double of_entropy,
                           double *of_hidden)
{
    size_t n = net->space->variables[decision->variable].n_options, row = net->first_row[decision->variable];
    double of_logits[SPACE_OPTIONS_MAX] = {0};
    policy_pull(decision->probabilities, n, decision->choice, of_log, of_entropy, of_logits);
    for (size_t o = 0; o < n; o++) {
        gradient->head_bias[row + o] += of_logits[o];
        add_scaled(gradient->heads + (row + o) * H, of_logits[o], decision->hidden);
        add_scaled(of_hidden, of_logits[o], tensors->heads + (row + o) * H);
    }
    *gradient->value_bias += of_value;
    add_scaled(gradient->value, of_value, decision->hidden);
    add_scaled(of_hidden, of_value, tensors->value);
}

/* Through the cell of one decision: of_cell comes in as what later decisions want of this cell, and goes out as what this one
 * wants of the cell before. of_gates: before their sigmoids and tanh. */
static void backward_cell(const struct recurrent_decision *decision, const double *cell_before, const double *of_hidden,
                          double *of_cell, double *of_gates)
{
    const double *gates = decision->gates;
    for (size_t k = 0; k < H; k++) {
        double in = gates[GATE_INPUT + k], forget = gates[GATE_FORGET + k], candidate = gates[GATE_CANDIDATE + k];
        double out = gates[GATE_OUTPUT + k], squashed = decision->squashed[k];
        double of = of_cell[k] + of_hidden[k] * out * (1 - squashed * squashed);
        of_gates[GATE_INPUT + k] = of * candidate * in * (1 - in);
        of_gates[GATE_FORGET + k] = of * (cell_before ? cell_before[k] : 0) * forget * (1 - forget);
        of_gates[GATE_CANDIDATE + k] = of * in * (1 - candidate * candidate);
        of_gates[GATE_OUTPUT + k] = of_hidden[k] * squashed * out * (1 - out);
        of_cell[k] = of * forget;
    }
}

void recurrent_backward(struct recurrent *net, const struct recurrent_path *path, const double *of_log,
                        const double *of_value, double of_entropy)
{
    struct tensors tensors = tensors_of(net, net->parameters), gradient = tensors_of(net, net->gradient);
    double of_hidden[H] = {0}, of_cell[H] = {0}, of_gates[GATES];
    for (size_t t = path->n; t-- > 0;) {
        const struct recurrent_decision *decision = &path->decisions[t];
        backward_heads(net, &tensors, &gradient, decision, of_log[t], of_value[t], of_entropy, of_hidden);
        backward_cell(decision, t > 0 ? decision[-1].cell : NULL, of_hidden, of_cell, of_gates);
        double *of_input = net->input_gradient + decision->row * GATES;
        for (size_t g = 0; g < GATES; g++) {
            of_input[g] += of_gates[g];
        }
        memset(of_hidden, 0, sizeof of_hidden);
        if (t > 0) {
            multiply_backward(of_hidden, gradient.from_hidden, decision[-1].hidden, tensors.from_hidden, of_gates);
        }
    }
}

void recurrent_gradient_end(struct recurrent *net)
{
    struct tensors tensors = tensors_of(net, net->parameters), gradient = tensors_of(net, net->gradient);
    for (size_t row = 0; row <= net->n_rows; row++) {
        const double *of_input = net->input_gradient + row * GATES;
        multiply_backward(gradient.embeddings + row * H, gradient.from_input, tensors.embeddings + row * H,
                          tensors.from_input, of_input);
        for (size_t g = 0; g < GATES; g++) {
            gradient.gate_bias[g] += of_input[g];
        }
    }
}
