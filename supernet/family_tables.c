/* family_tables.c - the shipped families as data. Threads: constants. */
#include "supernet/family_tables.h"

/* Once-for-all's MobileNetV3 at a width multiplier: all numbers but the widths are the same. Widths are the published
 * base widths times the multiplier through net_divisible: stem and first block, five stages, final, feature. */
#define OFA_MBV3(name_, title_, entry, w1, w2, w3, w4, w5, final, feature)                                             \
    {                                                                                                                  \
        .name = (name_), .title = (title_), .source = "https://github.com/mit-han-lab/once-for-all, OFAMobileNetV3",   \
        .n_classes = 1000, .stem_width = (entry), .stem_stride = 2, .stem_act = NET_ACT_HSWISH,                        \
        .first_width = (entry), .first_act = NET_ACT_RELU, .n_stages = 5,                                              \
        .stages = {{w1, 2, NET_ACT_RELU, false, 4},                                                                    \
                   {w2, 2, NET_ACT_RELU, true, 4},                                                                     \
                   {w3, 2, NET_ACT_HSWISH, false, 4},                                                                  \
                   {w4, 1, NET_ACT_HSWISH, true, 4},                                                                   \
                   {w5, 2, NET_ACT_HSWISH, true, 4}},                                                                  \
        .n_kernels = 3, .kernels = {3, 5, 7}, .n_expands = 3, .expands = {3, 4, 6}, .n_depths = 3,                     \
        .depths = {2, 3, 4}, .n_choices = 9,                                                                           \
        .choices = {{false, 3, 3}, {false, 3, 4}, {false, 3, 6}, {false, 5, 3}, {false, 5, 4},                         \
                    {false, 5, 6}, {false, 7, 3}, {false, 7, 4}, {false, 7, 6}},                                       \
        .final_width = (final), .feature_width = (feature), .head_act = NET_ACT_HSWISH, .n_resolutions = 25,           \
        .resolutions = {128, 132, 136, 140, 144, 148, 152, 156, 160, 164, 168, 172, 176,                               \
                        180, 184, 188, 192, 196, 200, 204, 208, 212, 216, 220, 224},                                   \
    }

static const struct net_family ofa_mbv3_w1_0 =
    OFA_MBV3("ofa-mbv3-w1.0", "Once-for-all MobileNetV3, width 1.0", 16, 24, 40, 80, 112, 160, 960, 1280);
static const struct net_family ofa_mbv3_w1_2 =
    OFA_MBV3("ofa-mbv3-w1.2", "Once-for-all MobileNetV3, width 1.2", 24, 32, 48, 96, 136, 192, 1152, 1536);

static const struct net_family nasbench_macro = {
    .name = "nasbench-macro",
    .title = "NAS-Bench-Macro, CIFAR-10",
    .source = "https://github.com/xiusu/NAS-Bench-Macro",
    .n_classes = 10,
    .stem_width = 32,
    .stem_stride = 1,
    .stem_act = NET_ACT_RELU,
    .n_stages = 3,
    .stages = {{64, 2, NET_ACT_RELU, false, 2}, {128, 2, NET_ACT_RELU, false, 3}, {256, 2, NET_ACT_RELU, false, 3}},
    .n_choices = 3,
    .choices = {{.identity = true}, {false, 3, 3}, {false, 5, 6}},
    .final_width = 1280,
    .head_act = NET_ACT_RELU,
    .n_resolutions = 1,
    .resolutions = {32},
};

const struct net_family *const net_family_table[] = {&ofa_mbv3_w1_0, &ofa_mbv3_w1_2, &nasbench_macro};
const size_t net_family_table_count = TL_COUNT_OF(net_family_table);
