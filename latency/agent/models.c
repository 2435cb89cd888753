/* models.c - the model files of the job at hand, in the state folder.
 *
 * One idea: files of one job, one for each of its networks, gone when it ends; the anchor's, the same for every job, stays
 * until another one is wanted. A file is complete or absent, and is what the server said it is.
 *
 * Threads: the agent's one.
 */
#include "latency/agent/agent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ALL_MAX_MIB = 2048 };

static void path_of(const struct agent_models *models, size_t slot, char ret_path[AGENT_PATH_MAX])
{
    (void)snprintf(ret_path, AGENT_PATH_MAX, "%s/%zu.onnx", models->dir, slot);
}

static void forget(struct agent_models *models, size_t slot)
{
    char path[AGENT_PATH_MAX];

    path_of(models, slot, path);
    (void)unlink(path); /* what stays is overwritten */
    models->bytes[slot] = 0;
    models->hashes[slot][0] = '\0';
}

enum tl_rc agent_models_open(const char *state_dir, struct agent_models *ret_models, struct tl_err *err)
{
    *ret_models = (struct agent_models){0};
    (void)snprintf(ret_models->dir, sizeof ret_models->dir, "%.760s/models", state_dir);
    const enum tl_rc rc = tl_dir_make(ret_models->dir, err);
    return rc ? rc : agent_folder_sweep(ret_models->dir, "", err);
}

bool agent_models_have_anchor(const struct agent_models *models, const struct tl_hash *network)
{
    return models->hashes[0][0] != '\0' && tl_hash_equal(&models->anchor, network);
}

enum tl_rc agent_models_put(struct agent_models *models, size_t slot, const struct http_answer *answer,
                            struct tl_err *err)
{
    const struct tl_hash hash = tl_hash_of(answer->body.data, answer->body.len);
    char path[AGENT_PATH_MAX], text[TL_HASH_TEXT], etag[TL_HASH_TEXT + 2];
    size_t all = answer->body.len;

    tl_hash_format(&hash, text);
    (void)snprintf(etag, sizeof etag, "\"%s\"", text);
    if (strcmp(etag, answer->etag) != 0) {
        return tl_fail(err, TL_INVALID, "the model that came has the hash %s; the server says %s", etag, answer->etag);
    }
    forget(models, slot);
    for (size_t i = 0; i < RUNNER_SLOTS; i++) {
        all += models->bytes[i];
    }
    if (all >> 20 >= ALL_MAX_MIB) {
        return tl_fail(err, TL_TOO_LARGE, "the models of the job take over %d MiB", ALL_MAX_MIB);
    }
    path_of(models, slot, path);
    const enum tl_rc rc = tl_file_write(path, answer->body.data, answer->body.len, err);
    if (!rc) {
        models->bytes[slot] = answer->body.len;
        memcpy(models->hashes[slot], text, sizeof text);
    }
    return rc;
}

void agent_models_path(const struct agent_models *models, size_t slot, char ret_path[AGENT_PATH_MAX])
{
    path_of(models, slot, ret_path);
}

void agent_models_clear(struct agent_models *models)
{
    for (size_t slot = 1; slot < RUNNER_SLOTS; slot++) {
        if (models->bytes[slot] > 0) {
            forget(models, slot);
        }
    }
}
