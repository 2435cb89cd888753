/* optimizer.h - one step of SGD, AdamW or LAMB over the tensors of a supernet; private to train.
 *
 * SGD with Nesterov momentum (Sutskever et al. 2013, as PyTorch words it), weight decay added to the gradient; AdamW
 * (Loshchilov and Hutter 2019); LAMB (You et al. 2020) with the trust ratio ||w|| / ||update|| a tensor. Weights of
 * convolutions and linear layers decay, nothing else does.
 */
#ifndef TAILOR_TRAIN_OPTIMIZER_H
#define TAILOR_TRAIN_OPTIMIZER_H

#include "supernet/train/train.h"

struct optimizer_tensor {
    size_t at, n; /* floats of params */
    bool decays;
};

struct optimizer {
    struct train_optimizer rule;
    float *params, *grads; /* params: the supernet's; grads: owned, as the next two */
    float *first, *second; /* momentum; squares (NULL for SGD) */
    double *norms;         /* a tensor's squared gradient norm */
    struct optimizer_tensor *tensors;
    size_t n_tensors, n_params;
    struct tl_pool *pool; /* borrowed */
};

TL_MUST_CHECK enum tl_rc optimizer_init(struct optimizer *optimizer, const struct supernet *net,
                                        const struct train_optimizer *rule, struct tl_pool *pool, struct tl_err *err);
void optimizer_done(struct optimizer *optimizer);

void optimizer_clear(struct optimizer *optimizer); /* grads = 0 */

/* The norm of all gradients together. */
double optimizer_norm(struct optimizer *optimizer);

/* Apply the gradients times `scale` at learning rate `lr`; step 1, 2, ... corrects the averages of AdamW and LAMB. */
void optimizer_step(struct optimizer *optimizer, double lr, double scale, uint64_t step);

#endif
