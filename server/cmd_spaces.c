/* cmd_spaces.c - `tailor spaces`: what may be searched, without a server. */
#include "server/command.h"
#include "server/space_of_family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers of sub-networks --------------------------------------------------------------------------------- */

/* `space` is scratch; its contents are the family's space afterwards. Without resolutions: at one of them. */
static enum tl_rc count(const struct net_family *family, struct space *space, char ret_one[SPACE_COUNT_TEXT],
                        char ret_all[SPACE_COUNT_TEXT], struct tl_err *err)
{
    struct net_family one = *family;
    enum tl_rc rc = TL_OK;

    one.n_resolutions = 1;
    if ((rc = space_of_family(&one, space, err))) {
        return rc;
    }
    space_count(space, ret_one);
    if ((rc = space_of_family(family, space, err))) {
        return rc;
    }
    space_count(space, ret_all);
    return TL_OK;
}

/* "21819729984000000000 (2.18e+19)"; short numbers alone. */
static void print_count(const char *digits)
{
    if (strlen(digits) > 6) {
        printf("%s (%.3g)", digits, strtod(digits, NULL));
    } else {
        printf("%s", digits);
    }
}

/* ---- one space ----------------------------------------------------------------------------------------------- */

static const char *const act_names[NET_ACT_COUNT] = {"-", "relu", "relu6", "hswish"};

static void print_list(const uint8_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf(" %u", values[i]);
    }
}

/* "16", or "168 208 256" where the width is elastic. */
static void print_part(const struct net_family *family, const char *part, int place, unsigned width, unsigned stride,
                       enum net_act act)
{
    char channels[NET_WIDTHS_MAX * 6] = "";
    size_t n = 0;

    if (place >= 0 && net_family_elastic_width(family, (size_t)place)) {
        for (size_t i = 0; i < family->n_widths; i++) {
            n += (size_t)snprintf(channels + n, sizeof channels - n, i ? " %u" : "%u", family->widths[place][i]);
        }
    } else {
        (void)snprintf(channels, sizeof channels, "%u", width);
    }
    printf("  %-10s %-14s %6u  %-7s", part, channels, stride, act_names[act]);
}

static void print_choice(const struct net_choice *choice)
{
    if (choice->identity) {
        printf(" identity");
        return;
    }
    printf(choice->conv ? " convolution %u" : " kernel %u", choice->kernel);
    if (!choice->conv) {
        printf(" expansion %u", choice->expand);
    }
    printf("%s%s", choice->se ? " SE" : "", choice->plain ? " without residual" : "");
}

static void print_slots(const struct net_family *family)
{
    printf("  %s%s:", family->bottleneck ? "a bottleneck" : "a block",
           family->per_stage ? ", the same in a stage" : "");
    for (size_t i = 0; family->n_kernels == 0 && i < family->n_choices; i++) {
        printf("%s", i ? "\n   " : "");
        print_choice(&family->choices[i]);
    }
    if (family->n_kernels) {
        printf(" kernel");
        print_list(family->kernels, family->n_kernels);
        printf(", expansion");
        for (size_t i = 0; i < family->n_expands; i++) {
            printf(" %g", net_choice_expand(family, &family->choices[i]));
        }
    }
    printf("\n");
}

static void print_stem(const struct net_family *family)
{
    if (family->stem_mid) {
        print_part(family, "stem", NET_PLACE_MID, family->stem_mid, family->stem_stride, family->stem_act);
        printf("      then residual convolutions:");
        print_list(family->stem_depths, family->n_stem_depths);
        printf("\n");
    }
    print_part(family, family->stem_mid ? "" : "stem", NET_PLACE_STEM, family->stem_width,
               family->stem_mid ? 1 : family->stem_stride, family->stem_act);
    printf("%s\n", family->stem_pool ? "      then the largest of 3x3, stride 2" : "");
    if (family->first_width) {
        print_part(family, "first", -1, family->first_width, 1, family->first_act);
        printf("      kernel 3, expansion 1\n");
    }
}

static void print_stages(const struct net_family *family)
{
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        char name[16];
        (void)snprintf(name, sizeof name, "stage %zu", s + 1);
        print_part(family, name, NET_PLACE_STAGE + (int)s, stage->width, stage->stride, stage->act);
        printf(" %-3s ", stage->se ? "SE" : "");
        print_list(stage->n_depths ? stage->depths : &stage->n_slots, stage->n_depths ? stage->n_depths : 1);
        printf("\n");
    }
}

static void print_parts(const struct net_family *family)
{
    printf("\n  %-10s %-14s %6s  %-7s     blocks\n", "part", "channels", "stride", "act");
    print_stem(family);
    print_stages(family);
    if (family->final_width) {
        print_part(family, "final", -1, family->final_width, 1, family->head_act);
        printf("\n");
    }
    if (family->feature_width) {
        print_part(family, "feature", -1, family->feature_width, 1, family->head_act);
        printf("      after the mean of the map\n");
    }
    print_part(family, "classes", -1, family->n_classes, 1, NET_ACT_NONE);
    printf("\n\n");
    print_slots(family);
    printf("  resolutions:");
    for (size_t i = 0; i < family->n_resolutions; i++) {
        printf(" %u", family->resolutions[i]);
    }
    printf("\n  batch norm adds %g to variances\n", (double)family->bn_eps);
}

static void print_variable(const struct space *space, const struct space_variable *variable)
{
    printf("  %-16s", variable->name);
    for (unsigned i = 0; i < variable->n_options; i++) {
        printf(" %s", variable->labels[i]);
    }
    if (variable->parent >= 0) {
        const struct space_variable *parent = &space->variables[variable->parent];
        printf("   (when %s is", parent->name);
        for (unsigned i = 0; i < parent->n_options; i++) {
            if (variable->active_under >> i & 1U) {
                printf(" %s", parent->labels[i]);
            }
        }
        putchar(')');
    }
    putchar('\n');
}

static enum tl_rc print_space(const struct net_family *family, struct space *space, bool in_full, struct tl_err *err)
{
    char one[SPACE_COUNT_TEXT];
    char all[SPACE_COUNT_TEXT];
    const enum tl_rc rc = count(family, space, one, all, err);

    if (rc) {
        return rc;
    }
    printf("%s\n  %s\n  source: %s\n  sub-networks: ", family->name, family->title, family->source);
    print_count(one);
    if (family->n_resolutions > 1) {
        printf(" without resolutions, ");
        print_count(all);
        printf(" with %u", family->n_resolutions);
    }
    printf("\n");
    if (in_full) {
        print_parts(family);
        printf("\n  %u variables\n", space->n_variables);
    }
    for (size_t i = 0; in_full && i < space->n_variables; i++) {
        print_variable(space, &space->variables[i]);
    }
    return TL_OK;
}

/* ---- the command --------------------------------------------------------------------------------------------- */

static enum tl_rc list(struct space *space, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; !rc && i < net_family_count(); i++) {
        rc = print_space(net_family_at(i), space, false, err);
    }
    return rc;
}

static enum tl_rc show(const char *name, struct space *space, struct tl_err *err)
{
    struct net_family family;
    const enum tl_rc rc = net_family_find(name, &family, err);

    return rc ? rc : print_space(&family, space, true, err);
}

/* "show NAME", or nothing at all: *ret_name is then NULL. */
static enum tl_rc parse(int argc, char **argv, const char **ret_name, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv};
    const char *words[2] = {NULL, NULL};
    const char *word = NULL;
    size_t n = 0;
    int which = 0;
    enum tl_rc rc;

    while (!(rc = arguments_next(&arguments, &which, &word, err)) && which != ARGUMENT_END) {
        if (n == TL_COUNT_OF(words)) {
            return tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", word);
        }
        words[n++] = word;
    }
    if (rc || n == 0) {
        return rc;
    }
    if (strcmp(words[0], "show") != 0) {
        return tl_fail(err, TL_INVALID, "wants `show NAME` or nothing, not \"%.80s\"", words[0]);
    }
    if (n < 2) {
        return tl_fail(err, TL_INVALID,
                       "`show` wants the name of a space or a FILE.json; `tailor spaces` lists the names");
    }
    *ret_name = words[1];
    return TL_OK;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    const char *name = NULL;
    enum tl_rc rc = parse(argc, argv, &name, err);

    if (rc) {
        return rc;
    }
    struct space *space = malloc(sizeof *space);
    if (!space) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    }
    rc = name ? show(name, space, err) : list(space, err);
    free(space);
    return rc;
}

const struct command command_spaces = {
    .name = "spaces",
    .summary = "list the spaces of networks, or show one with its parts and variables",
    .help = "usage: tailor spaces\n"
            "       tailor spaces show NAME|FILE.json\n\n"
            "Needs no server. A file describes a family of your own; those of supernet/families/ show the form.\n\n"
            "example: tailor spaces show ofa-mbv3-w1.0\n",
    .run = run,
};
