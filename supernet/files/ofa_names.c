/* ofa_names.c - what once-for-all's checkpoints call the tensors of a supernet.
 *
 * Names as in mit-han-lab/once-for-all, ofa/imagenet_classification: "blocks.5.mobile_inverted_conv.depth_conv.conv.conv
 * .weight" (published checkpoints) or "blocks.5.conv.depth_conv.." (the later library); dynamic layers hold a layer of
 * the same kind ("conv.conv", "bn.bn"), fixed ones do not. Block 0 is the fixed one, the slots follow stage by stage.
 * ResNets have "input_stem.1.conv.conv.conv.weight" and "blocks.5.conv2.conv.conv.weight", and no fixed block.
 * Threads: see files.h.
 */
#include "supernet/files/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 10, WORD_MAX = 24, BLOCK_NAME_MAX = 48 };

struct words {
    char of[WORDS_MAX][WORD_MAX];
    size_t n;
};

/* The words between dots; false: more, or longer, than any name has. */
static bool split(const char *name, struct words *ret_words)
{
    *ret_words = (struct words){0};
    for (;;) {
        const size_t n = strcspn(name, ".");
        if (ret_words->n == WORDS_MAX || n == 0 || n >= WORD_MAX) {
            return false;
        }
        memcpy(ret_words->of[ret_words->n++], name, n);
        if (name[n] == '\0') {
            return true;
        }
        name += n + 1;
    }
}

static bool has(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->n; i++) {
        if (strcmp(words->of[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* What is behind the layer's name; "": nothing of ours. */
static const char *kind_of(const struct words *words)
{
    static const struct {
        const char *last, *plain, *norm;
    } kinds[] = {
        {"weight", ".weight", ".bn.weight"},      {"bias", ".bias", ".bn.bias"},
        {"running_mean", "", ".bn.running_mean"}, {"running_var", "", ".bn.running_var"},
        {"7to5_matrix", ".transform_7to5", ""},   {"5to3_matrix", ".transform_5to3", ""},
    };
    const char *last = words->of[words->n - 1];
    for (size_t i = 0; i < TL_COUNT_OF(kinds); i++) {
        if (strcmp(last, kinds[i].last) == 0) {
            return has(words, "bn") ? kinds[i].norm : kinds[i].plain;
        }
    }
    return "";
}

/* The layer of a block; "": none of ours. */
static const char *role_of(const struct words *words)
{
    if (has(words, "se")) {
        return has(words, "reduce") ? "se.reduce" : has(words, "expand") ? "se.expand" : "";
    }
    static const struct {
        const char *theirs, *ours;
    } roles[] = {
        {"inverted_bottleneck", "expand"},
        {"depth_conv", "depthwise"},
        {"point_linear", "project"},
        {"downsample", "shortcut"},
        {"conv1", "conv1"},
        {"conv2", "conv2"},
        {"conv3", "conv3"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(roles); i++) {
        if (has(words, roles[i].theirs)) {
            return roles[i].ours;
        }
    }
    return "";
}

/* "first", or "s2.b3" for the block of this number; false: the family has fewer. */
static bool block_name(const struct net_family *family, const char *number, char ret_name[BLOCK_NAME_MAX])
{
    char *end = NULL;
    const unsigned long block = strtoul(number, &end, 10);
    const bool fixed = family->first_width != 0;
    if (end == number || *end) {
        return false;
    }
    if (block == 0 && fixed) {
        (void)snprintf(ret_name, BLOCK_NAME_MAX, "first");
        return true;
    }
    size_t slot = block - fixed;
    for (size_t s = 0; s < family->n_stages; s++) {
        if (slot < family->stages[s].n_slots) {
            (void)snprintf(ret_name, BLOCK_NAME_MAX, "s%zu.b%zu", s + 1, slot + 1);
            return true;
        }
        slot -= family->stages[s].n_slots;
    }
    return false;
}

/* MobileNetV3 mixes its features behind the pool, ProxylessNAS has that layer alone and before it. A deep stem is a list. */
static const char *outer_name(const struct net_family *family, const struct words *words)
{
    static const char *const stem[] = {"stem", "stem2", "stem3"};
    const char *word = words->of[0], *number = words->of[1];
    if (strcmp(word, "input_stem") == 0) {
        return number[0] >= '0' && number[0] <= '2' && number[1] == '\0' ? stem[number[0] - '0'] : "";
    }
    if (strcmp(word, "first_conv") == 0) {
        return "stem";
    }
    if (strcmp(word, "final_expand_layer") == 0) {
        return "head.final";
    }
    if (strcmp(word, "feature_mix_layer") == 0) {
        return family->feature_width ? "head.feature" : "head.final";
    }
    return strcmp(word, "classifier") == 0 ? "head.classifier" : "";
}

bool ofa_tensor_name(const struct net_family *family, const char *theirs, char ret_ours[OFA_NAME_MAX])
{
    struct words words;
    char block[BLOCK_NAME_MAX];
    if (!split(theirs, &words) || words.n < 2) {
        return false;
    }
    const char *kind = kind_of(&words);
    if (strcmp(words.of[0], "blocks") != 0) {
        const char *layer = outer_name(family, &words);
        (void)snprintf(ret_ours, OFA_NAME_MAX, "%s%s", layer, kind);
        return layer[0] && kind[0];
    }
    const char *role = role_of(&words);
    if (!kind[0] || !role[0] || !block_name(family, words.of[1], block)) {
        return false;
    }
    (void)snprintf(ret_ours, OFA_NAME_MAX, "%s.%s%s", block, role, kind);
    return true;
}
