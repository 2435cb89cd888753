/* Spaces from outside: of what is let in, samples are valid, canonical and allowed, and it is read again as the same. */
/* links: tailor_server */
#include "fuzz.h"
#include "server/codec_space_file.h"
#include <string.h>

static void draw(const struct space *space)
{
    static struct space_odds odds;
    uint8_t arch[SPACE_VARIABLES_MAX], canonical[SPACE_VARIABLES_MAX];
    struct tl_rng rng;

    tl_rng_init(&rng, space->n_variables, 0, 0);
    space_odds_init(space, &odds);
    space_sample_active(space, &odds, &rng, arch);
    (void)space_mutate(space, &rng, arch);
    memcpy(canonical, arch, sizeof arch);
    space_canonical(space, canonical);
    must(space_valid(space, arch) && space_allowed(space, arch));
    must(memcmp(arch, canonical, space->n_variables) == 0);
    space_sample(space, &rng, arch);
    must(space_valid(space, arch) && space_allowed(space, arch));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct space space, again;
    struct space_about about, about_again;
    struct tl_buf text = {0}, twice = {0};
    struct tl_err err = {0};

    (void)space_file_is((const char *)data, n);
    if (space_file_decode((const char *)data, n, &space, &about, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    draw(&space);
    must(space_file_encode(&space, &about, &text, NULL) == TL_OK);
    must(space_file_decode(text.data, text.len, &again, &about_again, NULL) == TL_OK);
    must(tl_hash_equal(&space.id, &again.id));
    must(space_file_encode(&again, &about_again, &twice, NULL) == TL_OK);
    must(strcmp(text.data, twice.data) == 0);
    tl_buf_done(&text);
    tl_buf_done(&twice);
    return 0;
}
