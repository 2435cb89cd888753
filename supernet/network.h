/* network.h - a sub-network as a list of operators with shapes, and what it costs; the families that make them.
 *
 * A family is data: stages, widths, strides, options. An architecture picks options (search/space.h numbers them); the
 * family turns the pick into a network. Costs are sums over the operator list and nothing else, so that whatever is
 * counted is also what the runtime executes and the agent times.
 *
 * The counting rules are those of the published tables (once-for-all, DyNAS-T, NAS-Bench-Macro): one MAC per
 * multiply-add of convolutions and linear layers, biases and batch norm free of MACs, squeeze-and-excitation counted at
 * 1x1; parameters count biases and two per batch-norm channel.
 *
 * Threads: networks belong to one thread; families are static and shared.
 */
#ifndef TAILOR_NETWORK_H
#define TAILOR_NETWORK_H

#include "base/base.h"

enum {
    NET_OPS_MAX = 512,
    NET_SIDE_MAX = 1024, /* pixels a side */
    NET_CHANNELS_MAX = 8192,
    NET_STAGES_MAX = 8,
    NET_SLOTS_MAX = 32,                 /* over all stages */
    NET_BLOCKS_MAX = NET_SLOTS_MAX + 5, /* the slots, three of a stem, first block, head */
};

enum net_op_kind {
    NET_CONV,      /* k x k, groups 1: stem and 1x1 ("pointwise") convolutions */
    NET_DEPTHWISE, /* k x k, one filter a channel; ci == co */
    NET_SE,        /* squeeze (global mean), 1x1 to `hidden` + ReLU, 1x1 back + hard sigmoid, scale; in place */
    NET_ADD,       /* residual: output += the input of operator `skip_from`; in place */
    NET_POOL,      /* global average: h x w to 1 x 1 */
    NET_LINEAR,    /* fully connected on a 1 x 1 map */
    NET_MAX_POOL,  /* largest of k x k, pixels outside the map left out; ci == co */
    NET_PROJECT, /* residual of another shape: the input of operator `skip_from`, of `hidden` channels, averaged stride x
                      stride (over the pixels inside the map), through a 1x1 convolution, is added; in place */
    NET_OP_KIND_COUNT
};

enum net_act { NET_ACT_NONE, NET_ACT_RELU, NET_ACT_RELU6, NET_ACT_HSWISH, NET_ACT_COUNT };

/* One operator. Padding is k/2 on each side; h_out = (h_in - 1) / stride + 1. */
struct net_op {
    enum net_op_kind kind;
    enum net_act act; /* applied to the output, after batch norm or the addition; not in NET_SE and the pools */
    bool batch_norm;  /* two parameters a channel; folded into the weights when it runs; only of what has weights */
    bool bias;        /* co further parameters; likewise (both layers inside a NET_SE always have one) */
    uint16_t kernel, stride; /* 1 where they mean nothing */
    uint16_t h_in, w_in, ci;
    uint16_t h_out, w_out, co;
    uint16_t hidden;   /* NET_SE and NET_PROJECT only, else 0 */
    int16_t skip_from; /* NET_ADD and NET_PROJECT: the first operator of its block, whose input is added; else -1 */
    int16_t block;     /* index into network.blocks */
};

/* Consecutive operators that are measured and looked up as one: the stem, one inverted residual block, the head. An
 * identity slot without operators has no block. */
struct net_block {
    uint16_t first_op, n_ops; /* at least one operator */
    int8_t stage;             /* -1: stem and first block, n_stages: head */
    int8_t slot;              /* within the stage; -1 outside stages */
};

struct network {
    struct net_op ops[NET_OPS_MAX];
    struct net_block blocks[NET_BLOCKS_MAX];
    uint16_t n_ops, n_blocks;
    uint16_t resolution; /* height of the input, pixels; the input of a whole network is 3 x resolution x resolution */
};

struct net_cost {
    uint64_t macs;
    uint64_t params;
    uint64_t size_bytes;        /* params x 4: float32 weights */
    uint64_t peak_memory_bytes; /* largest sum of live float32 activations while any operator runs, batch 1: its input
                                   and output (one buffer where it works in place), and a block input that a later
                                   NET_ADD or NET_PROJECT still needs; weights not counted */
};

/* The most MACs that net_check lets pass: 100 times the largest shipped network. */
#define NET_MACS_MAX 100000000000U

/* Costs of operators first..first+n-1 where they stand in the network: the input of the part is live at its start, and
 * a block input that a residual behind the part needs stays live. */
void net_cost_of(const struct network *net, size_t first, size_t n, struct net_cost *ret_cost);
void net_cost_total(const struct network *net, struct net_cost *ret_cost);
uint64_t net_op_macs(const struct net_op *op);
uint64_t net_op_params(const struct net_op *op);

/* TL_INVALID, naming the operator or block (pointer "/ops/5", as in codec_network.h), unless shapes chain from an input
 * `resolution` high, sizes are within the limits above, strides are 1 or 2, kernels odd and at most 7, blocks cover the
 * operators in order, residuals add the input of their block's first operator (which does not work in place) at equal
 * shapes (NET_PROJECT: at those that its stride and `hidden` say), and total MACs are at most NET_MACS_MAX. For operator
 * lists from outside: nothing in *net is trusted. */
TL_MUST_CHECK enum tl_rc net_check(const struct network *net, struct tl_err *err);

/* A block's key: input shape, then the operators, "56x56x24-pw96.relu-dwk5s2.relu-se24-pw40". Blocks have equal keys if
 * and only if they run the same operators on the same shapes, so that equal keys cost the same on one device: where the
 * block stands, and batch norm and bias (folded when it runs), are not part of it. For checked networks of any family;
 * a list too long to write out ends in a hash of the rest. Characters of tl_name_valid. */
enum { NET_KEY_MAX = 96 };
void net_block_key(const struct network *net, size_t block, char ret_key[NET_KEY_MAX]);

/* The block alone as a network of its own: its operators, skip_from rebased, the block's input as the input. */
void net_block_cut(const struct network *net, size_t block, struct network *ret_cut);

/* ---- parameters ---------------------------------------------------------------------------------------------- */

/* Parameters of one layer of an operator: NET_SE has two (0: squeeze, 1: back), a convolution, linear layer or
 * NET_PROJECT (the 1x1 of its residual) one, others none. Weights are in the order (co, kernel, kernel, ci), depthwise
 * (co, kernel, kernel). All borrowed from the arena of their net_params. */
struct net_layer {
    size_t co, inputs;                     /* outputs; weights of one output; 0: there is no such layer */
    float *w;                              /* (co, inputs) */
    float *bias;                           /* (co); NULL: none */
    float *gamma, *beta, *mean, *variance; /* (co) of batch norm; NULL: none */
};

enum { NET_LAYERS_MAX = 2 };

/* The parameters of a network. */
struct net_params {
    struct net_layer layers[NET_OPS_MAX][NET_LAYERS_MAX];
    float bn_eps; /* added to variances */
    struct tl_arena arena;
};

/* Sizes of layer `layer` of an operator, without memory; co 0: the operator has no such layer. */
struct net_layer net_layer_of(const struct net_op *op, unsigned layer);

/* Room for the parameters of a checked network, all zero. TL_NO_MEMORY: *params is as it was. */
TL_MUST_CHECK enum tl_rc net_params_init(struct net_params *params, const struct network *net, float bn_eps,
                                         struct tl_err *err);
void net_params_done(struct net_params *params);

/* The layer with batch norm folded in: w (co, inputs) and bias (co). */
void net_layer_fold(const struct net_layer *layer, float bn_eps, float *restrict w, float *restrict bias);

/* Name of an operator's layer, "s2.b1.expand": stem, first.depthwise, first.project, sS.bB.expand | depthwise |
 * se.reduce | se.expand | project, head.final, head.feature, head.classifier. Operators without parameters are named
 * likewise: sS.bB.add, head.pool. */
enum { NET_NAME_MAX = 48 };
void net_layer_name(const struct network *net, size_t op, unsigned layer, char ret_name[NET_NAME_MAX]);

/* ---- families ------------------------------------------------------------------------------------------------ */

/* What one slot of a stage may hold. */
struct net_choice {
    bool identity;  /* nothing (in slot 0, where shapes change: 1x1 convolution + batch norm) */
    uint8_t kernel; /* of the depthwise or, in bottlenecks and `conv`, full convolution */
    uint8_t expand; /* ratio over the block's input channels; bottlenecks: hundredths of its output channels */
    bool conv;      /* a full convolution is the whole block; no expansion */
    bool se;        /* squeeze-and-excitation, also where the stage has none */
    bool plain;     /* no residual even where the shapes allow one */
};

struct net_stage {
    uint16_t width; /* output channels; of an elastic width the largest */
    uint8_t stride; /* of slot 0 */
    enum net_act act;
    bool se;
    uint8_t n_slots;
    uint8_t n_depths, depths[4]; /* ascending; the largest equals n_slots. n_depths 0: every slot is used */
};

/* Elastic widths: one index into the family's multipliers for each of these places. */
enum { NET_WIDTHS_MAX = 4, NET_PLACE_MID = 0, NET_PLACE_STEM = 1, NET_PLACE_STAGE = 2 /* and on */ };
enum { NET_PLACES_MAX = NET_PLACE_STAGE + NET_STAGES_MAX, NET_CHOICES_MAX = 32 };

/* A family of MobileNet-like networks: a 3x3 stem, stages of inverted residual blocks (middle channels
 * net_divisible(expand x ci), a residual wherever the shapes allow), a head, a classifier with bias.
 *
 * Or of ResNets: a deep stem (3x3 to `stem_mid` with the stride, up to one 3x3 with a residual, 3x3, each with the
 * activation; then perhaps a pool, the largest of 3x3 at stride 2), stages of bottlenecks (middle channels
 * net_divisible(expand / 100 x width); the activation behind each residual, which is projected where shapes change).
 *
 * Families with elastic kernels and expansions have choices = kernels x expands, choice index = kernel index *
 * n_expands + expand index; others (n_kernels 0) list their choices. Depth d keeps the first d slots of a stage. */
struct net_family {
    char name[65];    /* also the space's name, e.g. "ofa-mbv3-w1.0" */
    char title[121];  /* for people */
    char source[241]; /* where the numbers come from */
    float bn_eps;     /* added to variances by every batch norm */
    uint16_t n_classes;
    bool bottleneck;   /* what slots hold; else inverted residual blocks */
    bool per_stage;    /* all slots of a stage hold the choice of its first slot; the others' are ignored */
    bool stem_pool;    /* the largest of 3x3 at stride 2 ends the stem */
    uint16_t stem_mid; /* first channels of a deep stem; 0: the stem is one convolution */
    uint8_t n_stem_depths, stem_depths[2];           /* residual convolutions inside a deep stem: 0, 1, or a choice */
    uint8_t n_widths;                                /* multipliers; 0: no width is elastic */
    uint16_t multipliers[NET_WIDTHS_MAX];            /* hundredths, rising; names of the elastic widths, no more */
    uint16_t widths[NET_PLACES_MAX][NET_WIDTHS_MAX]; /* never falling; [..][0] == 0: that place has its one width */
    uint16_t stem_width;
    uint8_t stem_stride;
    enum net_act stem_act;
    uint16_t first_width; /* fixed k3 e1 block after the stem; 0: none */
    enum net_act first_act;
    uint8_t n_stages;
    struct net_stage stages[NET_STAGES_MAX];
    uint8_t n_kernels, kernels[4];
    uint8_t n_expands, expands[4];
    uint8_t n_choices;
    struct net_choice choices[NET_CHOICES_MAX];
    uint16_t final_width;   /* 1x1 convolution + batch norm + act before the pool; 0: none */
    uint16_t feature_width; /* 1x1 convolution + act, without batch norm or bias, after the pool; 0: none */
    enum net_act head_act;
    uint8_t n_resolutions;
    uint16_t resolutions[32]; /* ascending */
};

/* One sub-network in the family's own terms. depths as counts, slots as choice indices (slots beyond the depth are
 * ignored). No padding: picks are compared as bytes. */
struct net_pick {
    uint16_t resolution;
    uint8_t depth[NET_STAGES_MAX]; /* ignored for a stage without elastic depth */
    uint8_t choice[NET_SLOTS_MAX]; /* stage by stage, slot by slot */
    uint16_t stem_depth;           /* ignored without a deep stem, or one of fixed depth */
    uint8_t width[NET_PLACES_MAX]; /* indices of multipliers; ignored where the width is not elastic */
};

/* The known families: those of supernet/families/, compiled in and read before main, then what net_family_add added.
 * NULL: unknown name. Static. */
const struct net_family *net_family_get(const char *name);
size_t net_family_count(void);
const struct net_family *net_family_at(size_t index);

/* Families as JSON files; supernet/families/ shows the form. TL_INVALID and TL_MALFORMED name the field and what would be
 * right. A family that was read can be built whatever its picks: no limit above is passed. */
enum { NET_FAMILY_BYTES_MAX = 65536, NET_FAMILIES_MAX = 64 };
TL_MUST_CHECK enum tl_rc net_family_parse(const char *text, size_t n, struct net_family *ret_family,
                                          struct tl_err *err);
TL_MUST_CHECK enum tl_rc net_family_load(const char *path, struct net_family *ret_family, struct tl_err *err);

/* Append the description of a family, from which net_family_parse gives the same family back. */
TL_MUST_CHECK enum tl_rc net_family_write(const struct net_family *family, struct tl_buf *buf, struct tl_err *err);

/* Whether two families make the same networks of the same picks: everything but title and source. */
bool net_family_equal(const struct net_family *a, const struct net_family *b);

/* Make a family known to the functions above (copied). Call before threads start. TL_CONFLICT: the name is taken.
 * TL_TOO_LARGE: there are NET_FAMILIES_MAX. */
TL_MUST_CHECK enum tl_rc net_family_add(const struct net_family *family, struct tl_err *err);

/* Does it end in .json, as paths of family files do, and no name of a family? */
bool net_family_is_path(const char *name_or_path);

/* The family of a name, or of a file whose path ends in .json. TL_INVALID: there is none of that name; the nearest is
 * suggested. */
TL_MUST_CHECK enum tl_rc net_family_find(const char *name_or_path, struct net_family *ret_family, struct tl_err *err);

/* Once-for-all's rule: the multiple of 8 nearest to v, not below 0.9 v, at least 8. */
unsigned net_divisible(double v);

/* Slots before stage `stage` (stage == n_stages: all). */
size_t net_family_slots(const struct net_family *family, size_t stage);

/* Is there a choice of widths at a place, of depths of the stem? */
bool net_family_elastic_width(const struct net_family *family, size_t place);
bool net_family_elastic_stem(const struct net_family *family);
/* The ratio that a choice expands by, as people write it. */
double net_choice_expand(const struct net_family *family, const struct net_choice *choice);

/* Slots of a stage that a pick uses. */
unsigned net_family_used(const struct net_family *family, const struct net_pick *pick, size_t stage);

/* The smallest (false) or largest (true) network: choices and depths run from small to large. Unused slots stay 0, so that
 * equal networks are equal bytes. */
void net_family_extreme(const struct net_family *family, unsigned resolution, bool largest, struct net_pick *ret_pick);

/* Build the operators of a pick. TL_INVALID naming the part that is outside the family; *ret_net is then as it was. It
 * is large (about 16 KiB): do not put many on a stack. Allocates nothing. */
TL_MUST_CHECK enum tl_rc net_build(const struct net_family *family, const struct net_pick *pick,
                                   struct network *ret_net, struct tl_err *err);

#endif
