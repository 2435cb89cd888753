/* block.c - a block's name for lookup, and a block as a network of its own.
 *
 * One idea: the name is the operators themselves, written out, so that equal names mean equal work in any family.
 * Threads: pure functions.
 */
#include "supernet/network.h"

#include <stdio.h>
#include <string.h>

/* Room for one operator's text: "-conv8192k7s2.hswish" is the longest. */
enum { TOKEN_MAX = 32 };

static const char *act_text(enum net_act act)
{
    static const char *const texts[NET_ACT_COUNT] = {"", ".relu", ".relu6", ".hswish"};
    return texts[act];
}

static void op_text(const struct net_op *op, char ret_text[TOKEN_MAX])
{
    const char *act = act_text(op->act);

    switch (op->kind) {
    case NET_CONV:
        if (op->kernel == 1 && op->stride == 1) {
            (void)snprintf(ret_text, TOKEN_MAX, "-pw%u%s", op->co, act);
        } else {
            (void)snprintf(ret_text, TOKEN_MAX, "-conv%uk%us%u%s", op->co, op->kernel, op->stride, act);
        }
        return;
    case NET_DEPTHWISE:
        (void)snprintf(ret_text, TOKEN_MAX, "-dwk%us%u%s", op->kernel, op->stride, act);
        return;
    case NET_SE:
        (void)snprintf(ret_text, TOKEN_MAX, "-se%u", op->hidden);
        return;
    case NET_ADD:
        (void)snprintf(ret_text, TOKEN_MAX, "-add%s", act);
        return;
    case NET_PROJECT: /* onto as many channels as there are, from those of the block's input */
        (void)snprintf(ret_text, TOKEN_MAX, "-projects%u%s", op->stride, act);
        return;
    case NET_MAX_POOL:
        (void)snprintf(ret_text, TOKEN_MAX, "-maxk%us%u", op->kernel, op->stride);
        return;
    case NET_POOL:
        (void)snprintf(ret_text, TOKEN_MAX, "-pool");
        return;
    case NET_LINEAR:
        (void)snprintf(ret_text, TOKEN_MAX, "-fc%u%s", op->co, act);
        return;
    case NET_OP_KIND_COUNT:
        break;
    }
    ret_text[0] = '\0';
}

/* Hash of the operators' texts in order, each chained to the hash of those before it. */
static void tail_hash(const struct net_op *ops, size_t n, char ret_text[TL_HASH_TEXT])
{
    struct tl_hash hash = {0};

    for (size_t i = 0; i < n; i++) {
        char text[TOKEN_MAX];
        op_text(&ops[i], text);
        hash = tl_hash_of2(hash.bytes, sizeof hash.bytes, text, strlen(text));
    }
    tl_hash_format(&hash, ret_text);
}

void net_block_key(const struct network *net, size_t block, char ret_key[NET_KEY_MAX])
{
    const struct net_op *ops = &net->ops[net->blocks[block].first_op];
    const size_t n = net->blocks[block].n_ops;
    size_t len = (size_t)snprintf(ret_key, NET_KEY_MAX, "%ux%ux%u", ops->h_in, ops->w_in, ops->ci);
    const size_t shape_len = len;

    for (size_t i = 0; i < n; i++) {
        char text[TOKEN_MAX];
        op_text(&ops[i], text);
        const size_t text_len = strlen(text);
        if (len + text_len >= NET_KEY_MAX) {
            char hash[TL_HASH_TEXT];
            tail_hash(ops, n, hash);
            (void)snprintf(ret_key + shape_len, NET_KEY_MAX - shape_len, "-%zuops-%s", n, hash);
            return;
        }
        memcpy(ret_key + len, text, text_len + 1);
        len += text_len;
    }
}

void net_block_cut(const struct network *net, size_t block, struct network *ret_cut)
{
    const struct net_block *from = &net->blocks[block];

    ret_cut->n_ops = from->n_ops;
    ret_cut->n_blocks = 1;
    ret_cut->resolution = net->ops[from->first_op].h_in;
    ret_cut->blocks[0] = *from;
    ret_cut->blocks[0].first_op = 0;
    for (size_t i = 0; i < from->n_ops; i++) {
        struct net_op *op = &ret_cut->ops[i];
        *op = net->ops[from->first_op + i];
        op->block = 0;
        if (op->skip_from >= 0) {
            op->skip_from = (int16_t)(op->skip_from - (int)from->first_op);
        }
    }
}
