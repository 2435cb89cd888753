/* Once-for-all's latency tables from outside: what is imported has a time for every network of the family. */
/* links: tailor_latency */
#include "fuzz.h"
#include "latency/latency.h"

#include <math.h>

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
    lat_model_free(model);
    return 0;
}
