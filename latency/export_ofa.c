/* export_ofa.c - a device's model as once-for-all's latency table: what their code, and many others', reads.
 *
 * One idea: the model is a constant and a sum over blocks, and so is a table without the constant; the stem, which every
 * network has, carries it. Threads: pure functions.
 */
#include "latency/lut_keys.h"
#include "latency/model.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = LAT_BLOCKS_MAX };

struct line {
    char key[LUT_KEY_MAX];
    double ms;
};

struct lines {
    struct line *lines; /* owned */
    size_t n, cap;
};

static void lines_done(struct lines *lines)
{
    free(lines->lines);
}

static enum tl_rc add_line(struct lines *lines, const char *key, double ms, struct tl_err *err)
{
    if (lines->n == lines->cap) {
        const size_t cap = lines->cap * 2 + 128;
        struct line *grown = cap <= KEYS_MAX ? realloc(lines->lines, cap * sizeof *grown) : NULL;
        if (grown == NULL) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a table of %zu keys", cap);
        }
        lines->lines = grown;
        lines->cap = cap;
    }
    memcpy(lines->lines[lines->n].key, key, LUT_KEY_MAX);
    lines->lines[lines->n++].ms = ms;
    return TL_OK;
}

/* Blocks of every kind that the family has at this resolution, each once. */
static enum tl_rc add_blocks(const struct lat_model *model, const struct net_family *family, unsigned resolution,
                             enum lat_table_style style, struct network *net, struct lines *lines, struct tl_err *err)
{
    TL_AUTO(lat_profile) profile = {0};
    enum tl_rc rc = lat_profile_make(family, resolution, 0, 0, &profile, err);

    for (size_t i = 0; !rc && i < profile.n; i++) {
        const size_t block = profile.items[i].block;
        struct lut_key keys[LUT_BLOCK_KEYS_MAX];
        double ms = 0;
        size_t n = 0;
        if ((rc = net_build(family, &profile.items[i].pick, net, err)) ||
            (rc = lat_model_block_ms(model, net, block, &ms, err)) ||
            (rc = lut_block_keys(net, block, style, keys, &n, err))) {
            return rc;
        }
        ms += net->blocks[block].first_op == 0 ? model->constant_ms : 0;
        for (size_t k = 0; !rc && k < n; k++) {
            rc = add_line(lines, keys[k].text, ms * keys[k].share, err);
        }
    }
    return rc;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->key, ((const struct line *)b)->key);
}

static enum tl_rc write_lines(struct lines *lines, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    qsort(lines->lines, lines->n, sizeof *lines->lines, compare_lines);
    for (size_t i = 0; !rc && i < lines->n; i++) {
        const struct line *line = &lines->lines[i];
        if (i > 0 && compare_lines(line, line - 1) == 0) {
            return tl_fail(err, TL_INVALID, "such a table has one key for blocks that differ, %s", line->key);
        }
        if (!(line->ms > 0)) { /* a correction below 0: no table can say so */
            return tl_fail(err, TL_INVALID, "the model gives %s the time %g ms, and tables hold times above 0",
                           line->key, line->ms);
        }
        rc = tl_buf_addf(buf, err, "%s:\n  mean: %.9g\n", line->key, line->ms);
    }
    return rc;
}

enum tl_rc lat_model_export(const struct lat_model *model, const struct net_family *family, unsigned resolution,
                            enum lat_table_style style, struct tl_buf *buf, struct tl_err *err)
{
    TL_AUTO(lines) lines = {0};
    const size_t len = buf->len;
    size_t at = 0;

    while (at < model->n_resolutions && model->resolutions[at] != resolution) {
        at++;
    }
    if (at == model->n_resolutions) {
        return tl_fail(err, TL_NOT_FOUND, "the latency model is not valid at resolution %u", resolution);
    }
    struct network *const net = malloc(sizeof *net);
    if (net == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    }
    enum tl_rc rc = add_blocks(model, family, resolution, style, net, &lines, err);
    rc = rc ? rc : write_lines(&lines, buf, err);
    free(net);
    if (rc) {
        buf->len = len;
    }
    return rc;
}
