/* cmd_spaces.c - `tailor spaces`: what may be searched, shown without a server, and brought to one. */
#include "server/cli.h"
#include "server/codec_space_file.h"
#include "server/command.h"
#include "server/space_of_family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20 }; /* what a server takes */

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

/* ---- a space of a file ---------------------------------------------------------------------------------------- */

static void print_rule(const struct space *space, const struct space_rule *rule)
{
    printf("  never");
    for (size_t i = 0; i < rule->n_terms; i++) {
        const struct space_variable *variable = &space->variables[rule->terms[i].variable];
        printf("%s %s", i ? " with" : "", variable->name);
        for (unsigned option = 0; option < variable->n_options; option++) {
            if (rule->terms[i].options >> option & 1U) {
                printf(" %s", variable->labels[option]);
            }
        }
    }
    putchar('\n');
}

static void print_brought(const struct space *space, const struct space_about *about, bool in_full)
{
    char count[SPACE_COUNT_TEXT];

    space_count(space, count);
    printf("%s\n", space->name);
    if (about->title[0]) {
        printf("  %s\n", about->title);
    }
    if (about->source[0]) {
        printf("  source: %s\n", about->source);
    }
    printf("  architectures: ");
    print_count(count);
    printf("\n");
    if (!in_full) {
        return;
    }
    printf("\n  %u variables\n", space->n_variables);
    for (size_t i = 0; i < space->n_variables; i++) {
        print_variable(space, &space->variables[i]);
    }
    for (size_t i = 0; i < space->n_rules; i++) {
        print_rule(space, &space->rules[i]);
    }
}

/* ---- the command --------------------------------------------------------------------------------------------- */

static enum tl_rc list(struct space *space, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; !rc && i < net_family_count(); i++) {
        rc = print_space(net_family_at(i), space, false, err);
    }
    for (const char *text = space_file_texts; !rc && *text; text += strlen(text) + 1) {
        struct space_about about;
        if (!(rc = space_file_decode(text, strlen(text), space, &about, err))) {
            print_brought(space, &about, false);
        }
    }
    return rc;
}

/* A space that comes with the program. */
static bool find_shipped(const char *name, struct space *ret_space, struct space_about *ret_about)
{
    for (const char *text = space_file_texts; *text; text += strlen(text) + 1) {
        if (space_file_decode(text, strlen(text), ret_space, ret_about, NULL) == TL_OK &&
            strcmp(ret_space->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A file is a family's or a space's. */
static enum tl_rc show_file(const char *path, struct space *space, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = FILE_MAX_BYTES};
    struct net_family family;
    struct space_about about;
    enum tl_rc rc = tl_file_read(path, &text, err);

    if (rc || !text.data || !space_file_is(text.data, text.len)) {
        rc = rc ? rc : net_family_load(path, &family, err);
        return rc ? rc : print_space(&family, space, true, err);
    }
    if ((rc = space_file_decode(text.data, text.len, space, &about, err))) {
        return tl_fail_in(err, rc, path);
    }
    print_brought(space, &about, true);
    return TL_OK;
}

static enum tl_rc show(const char *name, struct space *space, struct tl_err *err)
{
    struct net_family family;

    struct space_about about;

    if (net_family_is_path(name)) {
        return show_file(name, space, err);
    }
    if (find_shipped(name, space, &about)) {
        print_brought(space, &about, true);
        return TL_OK;
    }
    const enum tl_rc rc = net_family_find(name, &family, err);
    return rc ? rc : print_space(&family, space, true, err);
}

/* Checked here first, where the file can be named. */
static enum tl_rc add(const char *server, const char *path, struct space *space, struct tl_err *err)
{
    TL_AUTO(cli) cli = {0};
    TL_AUTO(tl_buf) text = {.max = FILE_MAX_BYTES};
    TL_AUTO(http_answer) answer = {0};
    struct space_about about;
    char count[SPACE_COUNT_TEXT];
    enum tl_rc rc = tl_file_read(path, &text, err);

    if (rc) {
        return rc;
    }
    if ((rc = space_file_decode(text.data ? text.data : "", text.len, space, &about, err))) {
        return tl_fail_in(err, rc, path);
    }
    if ((rc = cli_open(&cli, server, err)) || (rc = cli_call(&cli, "POST", "/spaces", NULL, &text, &answer, err))) {
        return rc;
    }
    space_count(space, count);
    printf("%s %s: ", space->name, answer.status == 201 ? "is known now" : "was known already");
    print_count(count);
    puts(" architectures");
    return TL_OK;
}

struct words {
    const char *server, *verb, *object; /* verb NULL: list */
};

/* Nothing at all, or "show NAME" or "add FILE". */
static enum tl_rc parse(int argc, char **argv, struct words *ret_words, struct tl_err *err)
{
    static const struct argument known[] = {{"server", false}};
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = TL_COUNT_OF(known)};
    const char *words[2] = {NULL, NULL}, *word = NULL;
    size_t n = 0;
    int which = 0;
    enum tl_rc rc;

    while (!(rc = arguments_next(&arguments, &which, &word, err)) && which != ARGUMENT_END) {
        if (which != ARGUMENT_WORD) {
            ret_words->server = word;
        } else if (n == TL_COUNT_OF(words)) {
            return tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", word);
        } else {
            words[n++] = word;
        }
    }
    if (rc || n == 0) {
        return rc;
    }
    if (strcmp(words[0], "show") != 0 && strcmp(words[0], "add") != 0) {
        return tl_fail(err, TL_INVALID, "wants `show NAME`, `add FILE.json` or nothing, not \"%.80s\"", words[0]);
    }
    if (n < 2) {
        return words[0][0] == 's'
                   ? tl_fail(err, TL_INVALID,
                             "`show` wants the name of a space or a FILE.json; `tailor spaces` lists the names")
                   : tl_fail(err, TL_INVALID, "`add` wants a FILE.json; --help shows the form");
    }
    ret_words->verb = words[0];
    ret_words->object = words[1];
    return TL_OK;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct words words = {0};
    enum tl_rc rc = parse(argc, argv, &words, err);

    if (rc) {
        return rc;
    }
    struct space *space = malloc(sizeof *space);
    if (!space) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    }
    if (!words.verb) {
        rc = list(space, err);
    } else {
        rc = words.verb[0] == 's' ? show(words.object, space, err) : add(words.server, words.object, space, err);
    }
    free(space);
    return rc;
}

const struct command command_spaces = {
    .name = "spaces",
    .summary = "list the spaces of networks, show one with its parts and variables, or bring one to a server",
    .help =
        "usage: tailor spaces\n"
        "       tailor spaces show NAME|FILE.json\n"
        "       tailor spaces add [--server URL] FILE.json\n\n"
        "A file describes a family of your own (supernet/families/ shows the form; `tailor serve --family` takes it), or\n"
        "any space, whose networks need not be buildable; its values come from a table (`tailor import table`):\n\n"
        "  {\"name\": \"my-space\", \"title\": \"..\", \"source\": \"..\",\n"
        "   \"variables\": [{\"name\": \"depth\", \"options\": [1, 2]},\n"
        "                 {\"name\": \"op1\", \"options\": [\"skip\", \"conv3x3\"]},\n"
        "                 {\"name\": \"op2\", \"options\": [\"skip\", \"conv3x3\"], \"group\": \"layer2\",\n"
        "                  \"active_when\": {\"variable\": \"depth\", \"options\": [2]}}],\n"
        "   \"forbid\": [{\"op1\": [\"skip\"], \"op2\": [\"skip\"]}]}\n\n"
        "search/spaces/ has more of them. `show` needs no server. `add` tells a server of a space; it stays there as it is.\n\n"
        "example: tailor spaces show ofa-mbv3-w1.0\n",
    .run = run,
};
