/* cmd_convert.c - `tailor convert`: a once-for-all checkpoint as a supernet. */
#include "server/command.h"
#include "server/supernet_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option { FAMILY, INPUT, OUTPUT, HALF };

static const struct argument KNOWN[] = {
    [FAMILY] = {"family", false}, [INPUT] = {"input", false}, [OUTPUT] = {"output", false}, [HALF] = {"half", true}};

/* Once-for-all's networks read ImageNet, normalised by its usual figures. */
static const struct supernet_facts FACTS = {.mean = {0.485F, 0.456F, 0.406F},
                                            .deviation = {0.229F, 0.224F, 0.225F},
                                            .made_by = "tailor convert",
                                            .data = "ImageNet"};

static enum tl_rc convert(const char *const *values, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    TL_AUTO(tl_buf) output = {.max = INT32_MAX};
    struct net_family family;
    struct safetensors *file = NULL;
    struct supernet *net = NULL;
    enum tl_rc rc = net_family_find(values[FAMILY], &family, err);
    rc = rc ? rc : tl_file_read(values[INPUT], &bytes, err);
    if (rc == TL_OK) {
        rc = st_open(bytes.data ? bytes.data : "", bytes.len, &file, err);
        rc = rc ? rc : supernet_decode_ofa(file, &family, &net, err);
        rc = tl_fail_in(err, rc, values[INPUT]);
    }
    rc = rc ? rc : supernet_encode(net, &FACTS, NULL, values[HALF] != NULL, &output, err);
    rc = rc ? rc : tl_file_write(values[OUTPUT], output.data, output.len, err);
    supernet_free(net);
    st_free(file);
    if (rc == TL_OK) {
        printf("%s: a supernet of %s, %zu bytes\n", values[OUTPUT], family.name, output.len);
    }
    return rc;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    const char *values[TL_COUNT_OF(KNOWN)];
    const enum tl_rc rc = arguments_values(argc, argv, KNOWN, TL_COUNT_OF(KNOWN), values, err);
    if (rc == TL_OK && (!values[FAMILY] || !values[INPUT] || !values[OUTPUT])) {
        return tl_fail(err, TL_INVALID, "give --family, --input and --output");
    }
    return rc ? rc : convert(values, err);
}

const struct command command_convert = {
    .name = "convert",
    .summary = "make a supernet of a once-for-all checkpoint",
    .help =
        "usage: tailor convert --family NAME --input CHECKPOINT.safetensors --output SUPERNET.safetensors [--half]\n"
        "\n"
        "CHECKPOINT is the state dict of a once-for-all network, which this line makes of their .pth:\n"
        "\n"
        "  python3 -c \"import torch, safetensors.torch as s; s.save_file({k: v.contiguous() for k, v in\n"
        "    torch.load('ofa.pth', map_location='cpu')['state_dict'].items()}, 'ofa.safetensors')\"\n"
        "\n"
        "Kernel matrices and running statistics come along: tailor run on a sub-network gives what their code gives.\n"
        "--half stores float16.\n",
    .run = run,
};
