/* import_ofa.c - once-for-all's latency tables (reference: mit-han-lab/once-for-all, nas/efficiency_predictor).
 *
 *     expanded_conv-input:28x28x48-output:14x14x96-expand:144-kernel:3-stride:2-idskip:0-se:0-hs:1:
 *       count: 117
 *       mean: 0.87
 *       std: 0.02
 *
 * One idea: the table is not translated but asked: every block of the family spells the keys that table would know it by,
 * and the sum of their means becomes the block's time. Whatever else the table holds is left alone.
 * Threads: pure functions.
 */
#include "latency/lut_keys.h"
#include "latency/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    OFA_ENTRIES_MAX = 4096, /* the published tables have 96 */
    OFA_BYTES_MAX = 1 << 20,
};

static const double MEAN_MAX_MS = 1e9;

struct ofa_entry {
    char key[LUT_KEY_MAX];
    double mean_ms; /* 0: not given */
};

/* One table: entries sorted by key once it is read. */
struct ofa_table {
    unsigned resolution;
    enum lat_table_style style;
    struct ofa_entry *entries; /* owned */
    size_t n, cap;
};

static void ofa_table_done(struct ofa_table *table)
{
    free(table->entries);
}

/* ---- YAML ------------------------------------------------------------------------------------------------------ */

/* libyaml's events, one at a time. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the last one, until the next */
    bool has_event;
    unsigned resolution; /* of the table, for messages */
};

static void reader_done(struct reader *reader)
{
    if (reader->has_event) {
        yaml_event_delete(&reader->event);
    }
    yaml_parser_delete(&reader->parser);
}

static enum tl_rc reader_next(struct reader *reader, struct tl_err *err)
{
    if (reader->has_event) {
        yaml_event_delete(&reader->event);
        reader->has_event = false;
    }
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        const char *problem = reader->parser.problem != NULL ? reader->parser.problem : "not YAML";
        return tl_fail(err, TL_MALFORMED, "table %u, line %zu: %s", reader->resolution,
                       reader->parser.problem_mark.line + 1, problem);
    }
    reader->has_event = true;
    return TL_OK;
}

static enum tl_rc unexpected(const struct reader *reader, const char *wanted, struct tl_err *err)
{
    return tl_fail(err, TL_MALFORMED, "table %u, line %zu: %s is wanted here", reader->resolution,
                   reader->event.start_mark.line + 1, wanted);
}

static enum tl_rc reader_expect(struct reader *reader, yaml_event_type_t type, const char *wanted, struct tl_err *err)
{
    const enum tl_rc rc = reader_next(reader, err);
    return rc || reader->event.type == type ? rc : unexpected(reader, wanted, err);
}

static const char *scalar_of(const struct reader *reader)
{
    return (const char *)reader->event.data.scalar.value;
}

/* The inside of {count, mean, std}: only the mean is kept. */
static enum tl_rc read_values(struct reader *reader, struct ofa_entry *entry, struct tl_err *err)
{
    for (;;) {
        enum tl_rc rc = reader_next(reader, err);
        if (rc || reader->event.type == YAML_MAPPING_END_EVENT) {
            return rc;
        }
        if (reader->event.type != YAML_SCALAR_EVENT) {
            return unexpected(reader, "a name such as mean", err);
        }
        const bool is_mean = strcmp(scalar_of(reader), "mean") == 0;
        if ((rc = reader_expect(reader, YAML_SCALAR_EVENT, "a number", err))) {
            return rc;
        }
        if (is_mean) {
            char *end = NULL;
            entry->mean_ms = strtod(scalar_of(reader), &end);
            if (*end != '\0' || !(entry->mean_ms > 0 && entry->mean_ms <= MEAN_MAX_MS)) {
                return tl_fail(err, TL_INVALID, "table %u, key %s: the mean is no number of milliseconds above 0",
                               reader->resolution, entry->key);
            }
        }
    }
}

static enum tl_rc add_entry(struct ofa_table *table, const struct ofa_entry *entry, struct tl_err *err)
{
    if (table->n == table->cap) {
        const size_t cap = table->cap * 2 + 128;
        struct ofa_entry *entries = realloc(table->entries, cap * sizeof *entries);
        if (entries == NULL) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a table of %zu keys", cap);
        }
        table->entries = entries;
        table->cap = cap;
    }
    table->entries[table->n++] = *entry;
    return TL_OK;
}

/* The map of all entries, up to its end. */
static enum tl_rc read_entries(struct reader *reader, struct ofa_table *table, struct tl_err *err)
{
    for (;;) {
        struct ofa_entry entry = {0};
        enum tl_rc rc = reader_next(reader, err);
        if (rc || reader->event.type == YAML_MAPPING_END_EVENT) {
            return rc;
        }
        if (reader->event.type != YAML_SCALAR_EVENT) {
            return unexpected(reader, "a key", err);
        }
        if (table->n == OFA_ENTRIES_MAX || strlen(scalar_of(reader)) >= LUT_KEY_MAX) {
            return tl_fail(err, TL_TOO_LARGE, "table %u, line %zu: over %d keys, or a key over %d characters",
                           reader->resolution, reader->event.start_mark.line + 1, OFA_ENTRIES_MAX, LUT_KEY_MAX - 1);
        }
        (void)snprintf(entry.key, sizeof entry.key, "%s", scalar_of(reader));
        if ((rc = reader_expect(reader, YAML_MAPPING_START_EVENT, "{count, mean, std}", err)) ||
            (rc = read_values(reader, &entry, err)) || (rc = add_entry(table, &entry, err))) {
            return rc;
        }
    }
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct ofa_entry *)a)->key, ((const struct ofa_entry *)b)->key);
}

/* Keys of MobileNetV3's tables say whether a block squeezes; those of ProxylessNAS' end before. */
static enum lat_table_style style_of(const struct ofa_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        if (strstr(table->entries[i].key, "-idskip:") != NULL) {
            return strstr(table->entries[i].key, "-se:") != NULL ? LAT_TABLE_MOBILENETV3 : LAT_TABLE_PROXYLESS;
        }
    }
    return LAT_TABLE_MOBILENETV3;
}

static enum tl_rc read_table(const struct lat_table_text *text, struct ofa_table *table, struct tl_err *err)
{
    TL_AUTO(reader) reader = {.resolution = text->resolution};
    enum tl_rc rc;

    if (text->n > OFA_BYTES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "table %u has %zu bytes; the limit is %d", text->resolution, text->n,
                       OFA_BYTES_MAX);
    }
    if (!yaml_parser_initialize(&reader.parser)) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read YAML");
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text->yaml, text->n);
    if ((rc = reader_expect(&reader, YAML_STREAM_START_EVENT, "YAML", err)) ||
        (rc = reader_expect(&reader, YAML_DOCUMENT_START_EVENT, "a document", err)) ||
        (rc = reader_expect(&reader, YAML_MAPPING_START_EVENT, "a map of keys", err)) ||
        (rc = read_entries(&reader, table, err)) ||
        (rc = reader_expect(&reader, YAML_DOCUMENT_END_EVENT, "the end", err)) ||
        (rc = reader_expect(&reader, YAML_STREAM_END_EVENT, "the end", err))) {
        return rc;
    }
    if (table->n == 0) {
        return tl_fail(err, TL_INVALID, "table %u is empty", text->resolution);
    }
    qsort(table->entries, table->n, sizeof *table->entries, compare_entries);
    for (size_t i = 1; i < table->n; i++) {
        if (compare_entries(&table->entries[i - 1], &table->entries[i]) == 0) {
            return tl_fail(err, TL_INVALID, "table %u has the key %s twice", text->resolution, table->entries[i].key);
        }
    }
    table->resolution = text->resolution;
    table->style = style_of(table);
    return TL_OK;
}

/* ---- the model ------------------------------------------------------------------------------------------------- */

static enum tl_rc add_mean(const struct ofa_table *table, const struct ofa_entry *wanted, double *sum_ms,
                           struct tl_err *err)
{
    assert(table->n > 0); /* read_table refuses an empty one */
    const struct ofa_entry *entry = bsearch(wanted, table->entries, table->n, sizeof *table->entries, compare_entries);

    if (entry == NULL) {
        return tl_fail(err, TL_INVALID, "table %u lacks the key %s", table->resolution, wanted->key);
    }
    if (entry->mean_ms <= 0) {
        return tl_fail(err, TL_INVALID, "table %u, key %s: there is no mean", table->resolution, wanted->key);
    }
    *sum_ms += entry->mean_ms;
    return TL_OK;
}

static enum tl_rc block_ms(const struct ofa_table *table, const struct network *net, size_t block, double *ret_ms,
                           struct tl_err *err)
{
    struct lut_key keys[LUT_BLOCK_KEYS_MAX];
    double sum_ms = 0;
    size_t n = 0;
    enum tl_rc rc = lut_block_keys(net, block, table->style, keys, &n, err);

    for (size_t i = 0; !rc && i < n; i++) {
        struct ofa_entry wanted;
        memcpy(wanted.key, keys[i].text, sizeof wanted.key);
        rc = add_mean(table, &wanted, &sum_ms, err);
    }
    if (!rc) {
        *ret_ms = sum_ms;
    }
    return rc;
}

/* Add the blocks of one table to a model that has room for them. */
static enum tl_rc add_table(struct lat_model *model, const struct net_family *family, const struct ofa_table *table,
                            struct network *net, struct tl_err *err)
{
    TL_AUTO(lat_profile) profile = {0};
    enum tl_rc rc = lat_profile_make(family, table->resolution, 0, 0, &profile, err);

    for (size_t i = 0; !rc && i < profile.n; i++) {
        const struct lat_profile_item *item = &profile.items[i];
        struct lat_time *time = &model->times[model->n_times];
        if (!(rc = net_build(family, &item->pick, net, err)) &&
            !(rc = block_ms(table, net, item->block, &time->ms, err))) {
            time->resolution = (uint16_t)table->resolution;
            memcpy(time->key, item->key, sizeof time->key);
            model->n_times++;
        }
    }
    return rc ? rc : lat_resolution_add(model, table->resolution, err);
}

static enum tl_rc add_tables(struct lat_model *model, const struct net_family *family,
                             const struct lat_table_text *texts, size_t n_texts, struct tl_err *err)
{
    struct network *const net = malloc(sizeof *net);
    enum tl_rc rc = TL_OK;

    if (net == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    }
    for (size_t i = 0; !rc && i < n_texts; i++) {
        TL_AUTO(ofa_table) table = {0};
        if (!(rc = read_table(&texts[i], &table, err))) {
            rc = add_table(model, family, &table, net, err);
        }
        if (!rc && model->n_resolutions != i + 1) {
            rc = tl_fail(err, TL_INVALID, "there are two tables for resolution %u", texts[i].resolution);
        }
    }
    free(net);
    return rc;
}

enum tl_rc lat_model_import(const struct net_family *family, const struct lat_table_text *tables, size_t n_tables,
                            struct lat_model **ret_model, struct tl_err *err)
{
    enum { FAMILY_BLOCKS_MAX = NET_SLOTS_MAX * 16 + 3 }; /* every choice of every slot, stem, first block, head */
    struct lat_model *model = NULL;

    if (n_tables < 1 || n_tables > LAT_RESOLUTIONS_MAX) {
        return tl_fail(err, TL_INVALID, "%zu tables; there must be 1 to %d", n_tables, LAT_RESOLUTIONS_MAX);
    }
    enum tl_rc rc = lat_model_new(family->n_stages, n_tables * FAMILY_BLOCKS_MAX, &model, err);
    if (rc) {
        return rc;
    }
    model->n_times = 0;
    if ((rc = add_tables(model, family, tables, n_tables, err))) {
        lat_model_free(model);
        return rc;
    }
    qsort(model->times, model->n_times, sizeof *model->times, lat_time_compare);
    model->error.n_blocks = model->n_times;
    *ret_model = model;
    return TL_OK;
}
