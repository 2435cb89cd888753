/* cmd_devices.c - `tailor devices`: which devices a server knows, one of them in detail, its lookup table. */
#include "server/cli.h"
#include "server/codec_cli.h"
#include "server/command.h"
#include "supernet/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *agent_text(const struct cli_device *device)
{
    return device->online ? "online" : device->seen[0] ? "away" : "none";
}

static void print_row(void *ctx, const struct cli_device *device)
{
    size_t *n = ctx;
    if ((*n)++ == 0) {
        printf("%-24s %-8s %-25s %6s %5s  models\n", "device", "agent", "last seen", "queued", "done");
    }
    printf("%-24s %-8s %-25s %6lld %5lld ", device->name, agent_text(device), device->seen[0] ? device->seen : "never",
           (long long)device->queued + device->leased, (long long)device->done);
    for (size_t i = 0; i < device->n_models; i++) {
        printf(" %s", device->models[i].space);
    }
    printf("%s\n", device->n_models ? "" : device->is_worker ? " (workers, which value architectures)" : " none");
}

static void print_device(const struct cli_device *device)
{
    printf("%s\n  agent       %s%s%s\n", device->name, agent_text(device), device->seen[0] ? ", last seen " : "",
           device->seen);
    if (device->is_worker) {
        puts("  workers     value architectures, and measure nothing");
    } else if (isfinite(device->anchor_ms)) {
        printf("  anchor      %.4g ms\n", device->anchor_ms);
    } else {
        puts("  anchor      not fixed yet: it takes eight stable visits");
    }
    printf("  jobs        %lld queued, %lld leased, %lld done, %lld failed\n", (long long)device->queued,
           (long long)device->leased, (long long)device->done, (long long)device->failed);
    for (size_t i = 0; i < device->n_models; i++) {
        printf("  model       %s: ", device->models[i].space);
        if (isfinite(device->models[i].mape)) {
            printf("held-out error %.2f %%, rank correlation %.3f, from %lld networks and %lld blocks\n",
                   device->models[i].mape, device->models[i].spearman, (long long)device->models[i].networks,
                   (long long)device->models[i].blocks);
        } else {
            puts("imported, its error is unknown");
        }
    }
}

static enum tl_rc list_devices(struct cli *cli, struct tl_err *err)
{
    char path[96] = "/devices?page_size=1000", next[32] = "";
    size_t n = 0;
    enum tl_rc rc = TL_OK;
    do {
        TL_AUTO(http_answer) answer = {0};
        if ((rc = cli_call(cli, "GET", path, NULL, NULL, &answer, err)) ||
            (rc = cli_devices_decode(answer.body.data, answer.body.len, print_row, &n, next, err))) {
            return rc;
        }
        snprintf(path, sizeof path, "/devices?page_size=1000&page_token=%s", next);
    } while (next[0]);
    if (n == 0) {
        printf("No device is known. On the device: tailor-agent --server %s --name NAME\n", cli->server);
    }
    return rc;
}

static enum tl_rc check_name(const char *name, struct tl_err *err)
{
    return tl_name_valid(name)
               ? TL_OK
               : tl_fail(err, TL_INVALID,
                         "\"%.80s\" cannot be the name of a device: 1 to 64 of a-z, 0-9, '.', '_', '-'", name);
}

static enum tl_rc show_device(struct cli *cli, const char *name, struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    struct cli_device device;
    char path[96];
    enum tl_rc rc;
    if ((rc = check_name(name, err))) {
        return rc;
    }
    snprintf(path, sizeof path, "/devices/%s", name);
    if ((rc = cli_call(cli, "GET", path, NULL, NULL, &answer, err)) ||
        (rc = cli_device_decode(answer.body.data, answer.body.len, &device, err))) {
        return rc;
    }
    print_device(&device);
    return TL_OK;
}

/* Print the lookup table of a device's model. */
static enum tl_rc print_lut(struct cli *cli, const char *name, const char *space, const char *resolution,
                            struct tl_err *err)
{
    char space_name[ARGUMENT_SPACE], path[256];
    TL_AUTO(http_answer) answer = {0};
    int64_t pixels = 0;
    enum tl_rc rc;
    if (!space) {
        return tl_fail(err, TL_INVALID, "`lut` wants --space NAME");
    }
    if ((rc = check_name(name, err)) || (rc = argument_space(space, space_name, err)) ||
        (resolution && (rc = argument_int("--resolution", resolution, 1, NET_SIDE_MAX, &pixels, err)))) {
        return rc;
    }
    int n = snprintf(path, sizeof path, "/devices/%s/lut?space=%s", name, space_name);
    if (resolution) {
        snprintf(path + n, sizeof path - (size_t)n, "&resolution=%lld", (long long)pixels);
    }
    if ((rc = cli_call(cli, "GET", path, NULL, NULL, &answer, err))) {
        return rc;
    }
    (void)fwrite(answer.body.data, 1, answer.body.len, stdout);
    return TL_OK;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    enum { SERVER, SPACE, RESOLUTION };
    static const struct argument known[] = {{"server", false}, {"space", false}, {"resolution", false}};
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = TL_COUNT_OF(known)};
    const char *options[TL_COUNT_OF(known)] = {NULL}, *words[2] = {"list", NULL}, *value = NULL;
    size_t n = 0;
    int which = 0;
    TL_AUTO(cli) cli = {0};
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if (which != ARGUMENT_WORD) {
            options[which] = value;
        } else if (n == TL_COUNT_OF(words)) {
            return tl_fail(err, TL_INVALID, "\"%.80s\" is one word too many", value);
        } else {
            words[n++] = value;
        }
    }
    bool lists = strcmp(words[0], "list") == 0 && !words[1], shows = strcmp(words[0], "show") == 0 && words[1];
    bool writes = strcmp(words[0], "lut") == 0 && words[1];
    if (rc == TL_OK && !lists && !shows && !writes) {
        return tl_fail(err, TL_INVALID, "wants `list`, `show NAME` or `lut NAME`");
    }
    if (rc != TL_OK || (rc = cli_open(&cli, options[SERVER], err)) != TL_OK) {
        return rc;
    }
    return lists    ? list_devices(&cli, err)
           : writes ? print_lut(&cli, words[1], options[SPACE], options[RESOLUTION], err)
                    : show_device(&cli, words[1], err);
}

const struct command command_devices = {
    .name = "devices",
    .summary = "list the devices of a server, show one, or write its lookup table",
    .help =
        "usage: tailor devices [--server URL] [list | show NAME]\n"
        "       tailor devices [--server URL] --space SPACE [--resolution PIXELS] lut NAME\n\n"
        "A device is a machine with a runtime; it appears when tailor-agent registers it, or when a latency table of\n"
        "it is imported. --server: default the variable TAILOR_SERVER, else http://127.0.0.1:8080.\n\n"
        "lut: the device's latency model as once-for-all's lookup table (YAML), for other search tools; the means over the\n"
        "     blocks of a network sum up to what the model predicts.\n\n"
        "example: tailor devices show this-machine\n"
        "         tailor devices lut this-machine --space ofa-mbv3-w1.0 --resolution 224 > table.yaml\n",
    .run = run,
};
