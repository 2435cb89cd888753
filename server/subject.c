#include "server/subject.h"
#include <stdlib.h>
#include <string.h>

static const char letters[SPACE_OPTIONS_MAX + 1] = "0123456789abcdefghijklmnopqrstuv";
static const char prefix[] = "net-";

void subject_of_arch(const struct space *space, const uint8_t *canonical, char ret_text[SUBJECT_TEXT])
{
    char *at = ret_text + sizeof(prefix) - 1;

    memcpy(ret_text, prefix, sizeof(prefix) - 1);
    for (size_t v = 0; v < space->n_variables; v++) {
        *at++ = letters[canonical[v]];
    }
    *at = '\0';
}

bool subject_parse(const struct space *space, const char *text, uint8_t *ret_arch)
{
    size_t skip = sizeof(prefix) - 1;

    if (strncmp(text, prefix, skip) != 0 || strlen(text) != skip + space->n_variables) {
        return false;
    }
    for (size_t v = 0; v < space->n_variables; v++) {
        const char *letter = strchr(letters, text[skip + v]);
        if (!letter) {
            return false;
        }
        ret_arch[v] = (uint8_t)(letter - letters);
    }
    return space_valid(space, ret_arch);
}

/* Option `number` of a variable; 0 when it has none such. */
static uint8_t option_of(const struct space_variable *variable, double number)
{
    for (uint8_t i = 0; i < variable->n_options; i++) {
        if (variable->numbers[i] == number) {
            return i;
        }
    }
    return 0;
}

/* "op", "kernel" or "expand" of a slot. */
static uint8_t of_slot(const struct net_family *family, const struct space_variable *variable, unsigned choice,
                       const char *what)
{
    const struct net_choice *taken = &family->choices[choice];

    if (strcmp(what, "op") == 0) {
        return (uint8_t)choice;
    }
    return option_of(variable, what[0] == 'k' ? taken->kernel : net_choice_expand(family, taken));
}

/* "depth" or "width" of a stage, or what all its slots hold. */
static uint8_t of_stage(const struct net_family *family, const struct space_variable *variable,
                        const struct net_pick *pick, size_t stage, const char *what)
{
    if (strcmp(what, "depth") == 0) {
        return option_of(variable, pick->depth[stage]);
    }
    return strcmp(what, "width") == 0 ? pick->width[NET_PLACE_STAGE + stage]
                                      : of_slot(family, variable, pick->choice[net_family_slots(family, stage)], what);
}

/* "s2.b1.kernel" is stage 1, slot 0 and "kernel"; "s2.width" is stage 1 and "width". */
struct place {
    size_t stage, slot;
    bool in_slot;
    const char *what; /* borrowed from the name */
};

static bool read_place(const char *name, struct place *ret_place)
{
    struct place place = {.what = ""};
    char *end = NULL;

    if (name[0] != 's' || name[1] < '1' || name[1] > '9') {
        return false;
    }
    place.stage = strtoul(name + 1, &end, 10) - 1;
    if (end[0] == '.' && end[1] == 'b' && end[2] >= '1' && end[2] <= '9') {
        place.in_slot = true;
        place.slot = strtoul(end + 2, &end, 10) - 1;
    }
    place.what = end[0] == '.' ? end + 1 : end;
    *ret_place = place;
    return true;
}

static uint8_t of_stem(const struct space_variable *variable, const struct net_pick *pick)
{
    if (strcmp(variable->name, "resolution") == 0) {
        return option_of(variable, pick->resolution);
    }
    if (strcmp(variable->name, "stem.depth") == 0) {
        return option_of(variable, pick->stem_depth);
    }
    return pick->width[strcmp(variable->name, "stem.mid") == 0 ? NET_PLACE_MID : NET_PLACE_STEM];
}

void arch_of_pick(const struct net_family *family, const struct space *space, const struct net_pick *pick,
                  uint8_t *ret_arch)
{
    for (size_t v = 0; v < space->n_variables; v++) {
        const struct space_variable *variable = &space->variables[v];
        struct place place;
        if (!read_place(variable->name, &place)) {
            ret_arch[v] = of_stem(variable, pick);
        } else if (place.in_slot) {
            const size_t at = net_family_slots(family, place.stage) + place.slot;
            ret_arch[v] = of_slot(family, variable, pick->choice[at], place.what);
        } else {
            ret_arch[v] = of_stage(family, variable, pick, place.stage, place.what);
        }
    }
    space_canonical(space, ret_arch);
}
