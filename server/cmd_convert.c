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

static enum tl_rc convert(const char *const *words, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    TL_AUTO(tl_buf) output = {.max = INT32_MAX};
    struct net_family family;
    struct safetensors *file = NULL;
    struct supernet *net = NULL;
    enum tl_rc rc = net_family_find(words[FAMILY], &family, err);
    rc = rc ? rc : tl_file_read(words[INPUT], &bytes, err);
    rc = rc ? rc : st_open(bytes.data ? bytes.data : "", bytes.len, &file, err);
    rc = rc ? rc : supernet_decode_ofa(file, &family, &net, err);
    rc = rc ? rc : supernet_encode(net, &FACTS, NULL, words[HALF] != NULL, &output, err);
    rc = rc ? rc : tl_file_write(words[OUTPUT], output.data, output.len, err);
    supernet_free(net);
    st_free(file);
    if (rc == TL_OK) {
        printf("%s: a supernet of %s, %zu bytes\n", words[OUTPUT], family.name, output.len);
    }
    return rc;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv, .known = KNOWN, .n_known = TL_COUNT_OF(KNOWN)};
    const char *words[TL_COUNT_OF(KNOWN)] = {0}, *text = NULL;
    int option = 0;
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &option, &text, err)) && option != ARGUMENT_END) {
        if (option == ARGUMENT_WORD) {
            return tl_fail(err, TL_INVALID, "what is \"%.80s\"? every value has an option", text);
        }
        words[option] = text ? text : "";
    }
    if (rc == TL_OK && (!words[FAMILY] || !words[INPUT] || !words[OUTPUT])) {
        rc = tl_fail(err, TL_INVALID, "give --family, --input and --output");
    }
    return rc ? rc : convert(words, err);
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
