/* classes.c - images in folders of their classes: which split and class each path stands for. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum role { ROLE_NONE, ROLE_TRAIN, ROLE_VAL, ROLE_TEST, ROLE_COUNT };

/* A path taken apart: ROOT/SPLIT/CLASS/FILE. Parts that are not there are empty. */
struct parted {
    const char *class_name, *split;
    size_t class_n, split_n;
};

static struct parted part(const char *name)
{
    struct parted parted = {.class_name = name, .split = name};
    const char *base = base_of(name);
    if (base == name) {
        return parted;
    }
    const char *at = base - 1;
    while (at > name && at[-1] != '/') {
        at--;
    }
    parted.class_name = at;
    parted.class_n = (size_t)(base - 1 - at);
    if (at == name) {
        return parted;
    }
    const char *split_end = at - 1;
    at = split_end;
    while (at > name && at[-1] != '/') {
        at--;
    }
    parted.split = at;
    parted.split_n = (size_t)(split_end - at);
    return parted;
}

static enum role role_of(const char *text, size_t n)
{
    static const struct {
        const char *word;
        enum role role;
    } words[] = {{"train", ROLE_TRAIN},    {"training", ROLE_TRAIN}, {"val", ROLE_VAL},     {"valid", ROLE_VAL},
                 {"validation", ROLE_VAL}, {"test", ROLE_TEST},      {"testing", ROLE_TEST}};
    for (size_t i = 0; i < TL_COUNT_OF(words); i++) {
        if (strlen(words[i].word) == n && strncasecmp(text, words[i].word, n) == 0) {
            return words[i].role;
        }
    }
    return ROLE_NONE;
}

/* What the members' folders mean, and how many images are where. */
struct layout {
    const struct catalogue *catalogue;
    bool has[ROLE_COUNT];
    enum role test; /* the role that is tested with; ROLE_NONE: held out */
    size_t root_n;  /* bytes of every path before the split, or before the class */
    const char *first;
};

/* The split of a member: ROLE_TRAIN, layout->test, or ROLE_NONE: passed over. */
static enum tl_rc place(struct layout *layout, const char *name, const struct parted *parted, enum role *ret_role,
                        struct tl_err *err)
{
    const bool splits = layout->has[ROLE_TRAIN];
    const enum role bare = role_of(parted->class_name, parted->class_n);
    enum role role = splits ? role_of(parted->split, parted->split_n) : ROLE_TRAIN;
    if (role == ROLE_NONE && bare == ROLE_TEST && layout->test == ROLE_VAL) {
        role = bare; /* ImageNet's test images have no classes, and are not used */
    } else if (role == ROLE_NONE || !parted->class_n || (!splits && bare)) {
        return tl_fail(err, TL_INVALID, WHO_F "lies in no class folder; images lie in %s", WHO(layout->catalogue, name),
                       splits ? "train/CLASS and val/CLASS or test/CLASS" : "train/CLASS and test/CLASS, or in CLASS");
    }
    *ret_role = role == ROLE_TRAIN || role == layout->test ? role : ROLE_NONE;
    const size_t root_n = (size_t)((splits ? parted->split : parted->class_name) - name);
    if (*ret_role == ROLE_NONE) {
        return TL_OK;
    }
    if (!layout->first) {
        layout->first = name;
        layout->root_n = root_n;
    }
    if (root_n != layout->root_n || strncmp(name, layout->first, root_n) != 0) {
        return tl_fail(err, TL_INVALID, "%.140s has more than one data set: %.100s and %.100s", layout->catalogue->path,
                       layout->first, name);
    }
    return TL_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t unique(const char **names, size_t n)
{
    size_t kept = 0;
    if (n) {
        qsort(names, n, sizeof *names, by_text);
    }
    for (size_t i = 0; i < n; i++) {
        if (!kept || strcmp(names[kept - 1], names[i]) != 0) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

/* What each member is, as the paths say; both lists are as long as the catalogue. */
struct sorted {
    struct layout layout;
    uint8_t *roles;     /* owned */
    const char **names; /* owned; room to collect class names */
    uint32_t *runs;     /* owned; the run that a member belongs to */
    const char **texts; /* owned; of the runs */
    size_t n_runs;
    size_t n_train, n_test;
};

static void sorted_done(struct sorted *sorted)
{
    free(sorted->roles);
    free(sorted->runs);
    free(sorted->names);
    free(sorted->texts);
}

static enum tl_rc find_splits(struct layout *layout, struct tl_err *err)
{
    const struct catalogue *catalogue = layout->catalogue;
    for (size_t i = 0; i < catalogue->n; i++) {
        const struct parted parted = part(catalogue->members[i].name);
        layout->has[role_of(parted.split, parted.split_n)] = true;
    }
    layout->test = layout->has[ROLE_VAL] ? ROLE_VAL : layout->has[ROLE_TEST] ? ROLE_TEST : ROLE_NONE;
    if (!layout->has[ROLE_TRAIN] && layout->test) {
        return tl_fail(err, TL_INVALID, "%.200s has a folder %s with classes, but no folder train", catalogue->path,
                       layout->test == ROLE_VAL ? "val" : "test");
    }
    return TL_OK;
}

/* Role and class of every member. Members are ordered by path: one class of one split is one run. */
static enum tl_rc sort_members(struct img_set *set, struct sorted *sorted, struct tl_err *err)
{
    struct catalogue *catalogue = &set->catalogue;
    struct parted last = {0};
    enum role last_role = ROLE_NONE;
    for (size_t i = 0; i < catalogue->n; i++) {
        const char *name = catalogue->members[i].name;
        const struct parted parted = part(name);
        enum role role = ROLE_NONE;
        const enum tl_rc rc = place(&sorted->layout, name, &parted, &role, err);
        if (rc) {
            return rc;
        }
        sorted->roles[i] = (uint8_t)role;
        sorted->n_train += role == ROLE_TRAIN;
        sorted->n_test += role != ROLE_TRAIN && role != ROLE_NONE;
        if (role == ROLE_NONE) {
            continue;
        }
        if (!sorted->n_runs || role != last_role || parted.class_n != last.class_n ||
            strncmp(parted.class_name, last.class_name, last.class_n) != 0) {
            const char *text = catalogue_text(catalogue, parted.class_name, parted.class_n);
            if (!text) {
                return tl_fail(err, TL_NO_MEMORY, "no memory for class names");
            }
            sorted->texts[sorted->n_runs++] = text;
        }
        sorted->runs[i] = (uint32_t)(sorted->n_runs - 1);
        last = parted;
        last_role = role;
    }
    return TL_OK;
}

static int32_t label_of(const struct img_set *set, const char *name)
{
    const char **found = bsearch(&name, set->class_names, set->n_classes, sizeof *set->class_names, by_text);
    return found ? (int32_t)(found - set->class_names) : -1;
}

/* The set's classes are those of the train split; the test split must have the same. */
static enum tl_rc name_classes(struct img_set *set, struct sorted *sorted, struct tl_err *err)
{
    size_t n_names = 0;
    for (size_t i = 0; i < set->catalogue.n; i++) {
        if (sorted->roles[i] == ROLE_TRAIN &&
            (!n_names || sorted->names[n_names - 1] != sorted->texts[sorted->runs[i]])) {
            sorted->names[n_names++] = sorted->texts[sorted->runs[i]];
        }
    }
    const size_t n = unique(sorted->names, n_names);
    if (n > IMG_CLASSES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "%.200s has %zu classes; at most %d", set->catalogue.path, n,
                       IMG_CLASSES_MAX);
    }
    const enum tl_rc rc = set_classes_new(set, n, err);
    if (!rc) {
        memcpy(set->class_names, sorted->names, n * sizeof *set->class_names);
    }
    return rc;
}

static enum tl_rc check_test(struct img_set *set, struct sorted *sorted, struct tl_err *err)
{
    size_t n_names = 0;
    for (size_t i = 0; i < set->catalogue.n; i++) {
        const char *text = sorted->roles[i] == ROLE_NONE ? "" : sorted->texts[sorted->runs[i]];
        if (sorted->roles[i] == ROLE_NONE || sorted->roles[i] == ROLE_TRAIN ||
            (n_names && sorted->names[n_names - 1] == text)) {
            continue;
        }
        sorted->names[n_names++] = text;
    }
    const size_t n = unique(sorted->names, n_names);
    for (size_t i = 0; i < n || i < set->n_classes; i++) {
        const int order = i >= n ? 1 : i >= set->n_classes ? -1 : strcmp(sorted->names[i], set->class_names[i]);
        if (order) {
            return tl_fail(err, TL_INVALID,
                           "%.140s: %zu classes to train on and %zu to test with: class %.100s is only in the %s split",
                           set->catalogue.path, set->n_classes, n, order < 0 ? sorted->names[i] : set->class_names[i],
                           order < 0 ? "test" : "train");
        }
    }
    return TL_OK;
}

/* Without a test split: the last of every `held_out` images of a run, and at least one of two. */
static void hold_out(struct img_set *set, struct sorted *sorted)
{
    const size_t every = set->catalogue.limits.held_out;
    size_t nth = 0;
    for (size_t i = 0; i < set->catalogue.n; i++) {
        if (sorted->roles[i] == ROLE_NONE) {
            continue;
        }
        const bool last = i + 1 == set->catalogue.n || sorted->runs[i + 1] != sorted->runs[i];
        nth++;
        if (nth % every == 0 || (last && nth > 1 && nth < every)) {
            sorted->roles[i] = ROLE_TEST;
            sorted->n_train--;
            sorted->n_test++;
        }
        nth = last ? 0 : nth;
    }
}

static enum tl_rc fill_splits(struct img_set *set, const struct sorted *sorted, struct tl_err *err)
{
    size_t at[IMG_SPLIT_COUNT] = {0};
    enum tl_rc rc = split_new(&set->splits[IMG_TRAIN], sorted->n_train, true, err);
    rc = rc ? rc : split_new(&set->splits[IMG_TEST], sorted->n_test, true, err);
    for (size_t i = 0; !rc && i < set->catalogue.n; i++) {
        if (sorted->roles[i] != ROLE_NONE) {
            const enum img_split which = sorted->roles[i] == ROLE_TRAIN ? IMG_TRAIN : IMG_TEST;
            set->splits[which].members[at[which]] = (uint32_t)i;
            set->splits[which].labels[at[which]++] = label_of(set, sorted->texts[sorted->runs[i]]);
        }
    }
    return rc;
}

enum tl_rc classes_read(struct img_set *set, struct tl_err *err)
{
    const size_t n = set->catalogue.n; /* at least 1 */
    TL_AUTO(sorted)
    sorted = {
        .layout = {.catalogue = &set->catalogue},
        .roles = calloc(n, sizeof *sorted.roles),
        .names = calloc(n, sizeof *sorted.names),
        .runs = calloc(n, sizeof *sorted.runs),
        .texts = calloc(n, sizeof *sorted.texts),
    };
    if (!sorted.roles || !sorted.names || !sorted.runs || !sorted.texts) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to sort %zu images", n);
    }
    enum tl_rc rc = find_splits(&sorted.layout, err);
    rc = rc ? rc : sort_members(set, &sorted, err);
    rc = rc ? rc : name_classes(set, &sorted, err);
    if (!rc && sorted.layout.test) {
        rc = check_test(set, &sorted, err);
    } else if (!rc) {
        hold_out(set, &sorted);
    }
    return rc ? rc : fill_splits(set, &sorted, err);
}
