/* cmd_import.c - `tailor import`: brings accuracy models, supernets, latency tables and tables of values to a server. */
#include "server/cli.h"
#include "server/codec_cli.h"
#include "server/codec_table.h"
#include "server/command.h"
#include "server/supernet_use.h"
#include "storage/storage.h"

#include <stdio.h>
#include <string.h>

enum { TABLES_MAX = 32, RESOLUTION_MAX = 1024, MANIFEST_MAX_BYTES = 1 << 19 };

struct import_words {
    const char *server, *space, *device, *format;
    char space_name[ARGUMENT_SPACE];
    const char *words[TABLES_MAX + 1]; /* the kind, then files */
    size_t n;
};

static enum tl_rc parse(int argc, char **argv, struct import_words *ret_words, struct tl_err *err)
{
    enum { SERVER, SPACE, DEVICE, FORMAT };
    static const struct argument known[] = {{"server", false}, {"space", false}, {"device", false}, {"format", false}};
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = TL_COUNT_OF(known)};
    struct import_words words = {0};
    const char **const options[] = {
        [SERVER] = &words.server, [SPACE] = &words.space, [DEVICE] = &words.device, [FORMAT] = &words.format};
    const char *value = NULL;
    int which = 0;
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if (which != ARGUMENT_WORD) {
            *options[which] = value;
        } else if (words.n == TL_COUNT_OF(words.words)) {
            return tl_fail(err, TL_INVALID, "at most %d tables fit into one import", TABLES_MAX);
        } else {
            words.words[words.n++] = value;
        }
    }
    if (rc == TL_OK && !words.space) {
        return tl_fail(err, TL_INVALID, "--space is missing; `tailor spaces` lists them");
    }
    if (rc == TL_OK && !(rc = argument_space(words.space, words.space_name, err))) {
        *ret_words = words;
        ret_words->space = ret_words->space_name;
    }
    return rc;
}

static enum tl_rc publish(struct cli *cli, const struct tl_buf *body, const char *what, struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    enum tl_rc rc = cli_call(cli, "POST", "/models", NULL, body, &answer, err);
    if (rc == TL_OK) {
        printf("%s\n", what);
    }
    return rc;
}

/* A safetensors file is once-for-all's predictor, everything else the program's own format. */
static enum tl_rc import_accuracy(struct cli *cli, const struct import_words *words, struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {0};
    char hash[TL_HASH_TEXT], what[200];
    enum tl_rc rc;
    if (words->n != 2) {
        return tl_fail(err, TL_INVALID, "`accuracy` wants exactly one file");
    }
    const char *dot = strrchr(words->words[1], '.');
    const char *format = words->format ? words->format : dot && strcmp(dot, ".safetensors") == 0 ? "ofa-mlp" : "tailor";
    if ((rc = cli_upload(cli, words->words[1], hash, err)) ||
        (rc = cli_model_encode("accuracy", words->space, format, hash, &body, err))) {
        return rc;
    }
    snprintf(what, sizeof what, "%s has a new accuracy model (%s, %s)", words->space, format, hash);
    return publish(cli, &body, what, err);
}

static enum tl_rc import_supernet(struct cli *cli, const struct import_words *words, struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {0};
    char hash[TL_HASH_TEXT], what[200];
    enum tl_rc rc;
    if (words->n != 2) {
        return tl_fail(err, TL_INVALID, "`supernet` wants exactly one file");
    }
    if ((rc = cli_upload(cli, words->words[1], hash, err)) ||
        (rc = cli_model_encode("supernet", words->space, "tailor", hash, &body, err))) {
        return rc;
    }
    if (!supernet_use_calibrates(words->words[1])) {
        (void)fprintf(stderr, "tailor: the supernet holds no calibration images: its candidates leave with the running "
                              "statistics of the largest network; tailor distill gives it images\n");
    }
    snprintf(what, sizeof what, "candidates of %s can be downloaded with weights (%s)", words->space, hash);
    return publish(cli, &body, what, err);
}

/* "160=FILE" */
static enum tl_rc upload_table(struct cli *cli, const char *word, struct cli_table *ret_table, struct tl_err *err)
{
    const char *equals = strchr(word, '=');
    char number[16] = "";
    int64_t resolution = 0;
    enum tl_rc rc;
    if (!equals || (size_t)(equals - word) >= sizeof number) {
        return tl_fail(err, TL_INVALID, "a table is given as RESOLUTION=FILE, for example 160=160_lookup_table.yaml");
    }
    memcpy(number, word, (size_t)(equals - word));
    if ((rc = argument_int("RESOLUTION", number, 1, RESOLUTION_MAX, &resolution, err)) ||
        (rc = cli_upload(cli, equals + 1, ret_table->hash, err))) {
        return rc;
    }
    ret_table->resolution = (unsigned)resolution;
    return TL_OK;
}

static enum tl_rc import_latency(struct cli *cli, const struct import_words *words, struct tl_err *err)
{
    struct cli_table tables[TABLES_MAX];
    TL_AUTO(tl_buf) body = {0};
    char what[200];
    enum tl_rc rc = TL_OK;
    if (!words->device || words->n < 2) {
        return tl_fail(err, TL_INVALID, "`latency` wants --device NAME and tables as RESOLUTION=FILE");
    }
    for (size_t i = 1; rc == TL_OK && i < words->n; i++) {
        rc = upload_table(cli, words->words[i], &tables[i - 1], err);
    }
    if (rc != TL_OK ||
        (rc = cli_tables_encode(words->space, words->device, tables, words->n - 1, &body, err)) != TL_OK) {
        return rc;
    }
    snprintf(what, sizeof what, "%s has a latency model of %s at %zu resolutions", words->device, words->space,
             words->n - 1);
    return publish(cli, &body, what, err);
}

/* A manifest, and a CSV that may be gzipped. */
static enum tl_rc import_table(struct cli *cli, const struct import_words *words, struct tl_err *err)
{
    TL_AUTO(tl_buf) manifest = {.max = MANIFEST_MAX_BYTES};
    TL_AUTO(tl_buf) csv = {.max = STORE_BLOB_MAX};
    TL_AUTO(tl_buf) body = {.max = (size_t)2 * MANIFEST_MAX_BYTES};
    TL_AUTO(http_answer) answer = {0};
    char hash[TL_HASH_TEXT], path[96];
    enum tl_rc rc;
    if (words->n != 3) {
        return tl_fail(err, TL_INVALID, "`table` wants a manifest and a CSV: table MANIFEST.json VALUES.csv");
    }
    if ((rc = tl_file_read(words->words[1], &manifest, err)) || (rc = csv_file_read(words->words[2], &csv, err)) ||
        (rc = cli_upload_bytes(cli, &csv, hash, err))) {
        return rc;
    }
    rc = table_request_complete(manifest.data ? manifest.data : "", manifest.len, hash, &body, err);
    if (rc) {
        return tl_fail_in(err, rc, words->words[1]);
    }
    (void)snprintf(path, sizeof path, "/spaces/%s/table", words->space);
    if ((rc = cli_call(cli, "PUT", path, NULL, &body, &answer, err))) {
        return rc;
    }
    printf("%s %s its table (%s)\n", words->space, answer.status == 201 ? "has" : "had", hash);
    return TL_OK;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    static const char *const kinds[] = {"accuracy", "latency", "supernet", "table"};
    static enum tl_rc (*const imports[])(struct cli *, const struct import_words *, struct tl_err *) = {
        import_accuracy, import_latency, import_supernet, import_table};
    struct import_words words = {0};
    TL_AUTO(cli) cli = {0};
    enum tl_rc rc = parse(argc, argv, &words, err);
    if (rc != TL_OK) {
        return rc;
    }
    const char *kind = words.n > 0 ? words.words[0] : "";
    size_t which = 0;
    while (which < TL_COUNT_OF(kinds) && strcmp(kind, kinds[which]) != 0) {
        which++;
    }
    if (which == TL_COUNT_OF(kinds)) {
        const char *near = tl_nearest(kind, kinds, TL_COUNT_OF(kinds));
        return tl_fail(
            err, TL_INVALID,
            "wants `accuracy FILE`, `supernet FILE`, `latency RESOLUTION=FILE...` or `table MANIFEST CSV`%s%s",
            near ? "; did you mean " : "", near ? near : "");
    }
    rc = cli_open(&cli, words.server, err);
    return rc ? rc : imports[which](&cli, &words, err);
}

const struct command command_import = {
    .name = "import",
    .summary = "bring an accuracy model, a supernet, latency tables or a table of values to a server",
    .help =
        "usage: tailor import --space NAME [--server URL] accuracy FILE\n"
        "       tailor import --space NAME [--server URL] supernet FILE\n"
        "       tailor import --space NAME [--server URL] --device NAME latency RESOLUTION=FILE...\n"
        "       tailor import --space NAME [--server URL] table MANIFEST.json VALUES.csv[.gz]\n\n"
        "accuracy: once-for-all's predictor as safetensors, or a model that `tailor fit-accuracy` wrote\n"
        "          (--format ofa-mlp or tailor, where the file's name does not tell).\n"
        "supernet: what `tailor train` or `tailor convert` wrote, up to 128 MiB; candidates of the space then have weights\n"
        "          to download. `tailor export` writes those of a larger one without a server.\n"
        "latency:  once-for-all's lookup tables (YAML), one for each resolution. The device need not exist: without\n"
        "          an agent it answers with predictions only.\n"
        "table:    values of a space that `tailor spaces add` brought: a CSV with a line of names and a row an architecture,\n"
        "          and what its columns are. The search stays on its rows. A manifest:\n\n"
        "  {\"source\": \"..\", \"architecture\": {\"digits\": \"ops\"},\n"
        "   \"metrics\": [{\"metric\": \"accuracy\", \"column\": \"acc\", \"unit\": \"percent\"},\n"
        "               {\"metric\": \"latency_ms\", \"column\": \"lat_pi\", \"unit\": \"ms\", \"device\": \"pi\", \"kind\": \"timed\"}]}\n\n"
        "          digits: a column with a character a variable, 0 to 9 and then a to v, the place of its option; or\n"
        "          {\"columns\": {\"VARIABLE\": \"COLUMN\", ..}} with the labels of options. Units: percent, fraction; ms, s, us;\n"
        "          count, M; bytes, KB, MB. Kind of a latency: timed, or cost model.\n\n"
        "example: tailor import --space ofa-mbv3-w1.2 --device note10 latency 160=160_lookup_table.yaml \\\n"
        "             176=176_lookup_table.yaml\n",
    .run = run,
};
