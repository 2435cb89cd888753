/* Once-for-all's latency tables from outside: what is imported has a time for every network of the
 * family, and leaves as a table that gives the same. */
/* links: tailor_latency */
#include "fuzz.h"
#include "latency/latency.h"

#include <math.h>

static bool worth_writing(const struct lat_model *model, const struct network *net)
{
    for (size_t b = 0; b < net->n_blocks; b++) {
        double ms = 0;
        must(lat_model_block_ms(model, net, b, &ms, NULL) == TL_OK);
        if (ms < 1e-6) {
            return false;
        }
    }
    return true;
}

static void must_come_back(const struct net_family *family, const struct lat_model *model, double ms)
{
    TL_AUTO(tl_buf) text = {0};
    static struct network net;
    struct lat_model *again = NULL;
    struct net_pick pick;
    double again_ms = 0;

    must(lat_model_export(model, family, 32, LAT_TABLE_MOBILENETV3, &text, NULL) == TL_OK);
    must(lat_model_import(family, &(struct lat_table_text){32, text.data, text.len}, 1, &again, NULL) == TL_OK);
    lat_anchor_pick(family, 32, &pick);
    must(net_build(family, &pick, &net, NULL) == TL_OK);
    must(lat_model_network_ms(again, &net, &again_ms, NULL) == TL_OK && fabs(again_ms - ms) <= 1e-6 * ms);
    lat_model_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct network net;
    struct net_family family = *net_family_get("ofa-mbv3-w1.2");
    const struct lat_table_text table = {32, (const char *)data, n};
    struct lat_model *model = NULL;
    struct net_pick pick;
    struct tl_err err = {0};
    double ms = 0;

    family.n_stages = 1; /* small, so that a table of few keys is whole */
    family.stages[0].n_slots = 1;
    family.stages[0].n_depths = 1;
    family.stages[0].depths[0] = 1;
    family.n_choices = 1;
    family.resolutions[0] = 32;
    if (lat_model_import(&family, &table, 1, &model, &err)) {
        must(err.text[0] != '\0' && model == NULL);
        return 0;
    }
    lat_anchor_pick(&family, 32, &pick);
    must(net_build(&family, &pick, &net, &err) == TL_OK);
    must(lat_model_network_ms(model, &net, &ms, &err) == TL_OK && isfinite(ms) && ms > 0);
    if (ms < 1e6 && worth_writing(model, &net)) { /* else the parts of a block may leave what a table can hold */
        must_come_back(&family, model, ms);
    }
    lat_model_free(model);
    return 0;
}
