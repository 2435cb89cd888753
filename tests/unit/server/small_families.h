/* small_families.h - families whose every network can be looked at. In the second, no choice is the smallest of everything.
 */
#ifndef TAILOR_TESTS_SMALL_FAMILIES_H
#define TAILOR_TESTS_SMALL_FAMILIES_H

static const char *const SMALL_FAMILIES[] = {
    "{\"name\": \"a\", \"title\": \"t\", \"source\": \"s\", \"classes\": 4, \"bn_eps\": 0.001, "
    "\"resolutions\": [16, 24], \"block\": \"bottleneck\", \"multipliers\": [0.5, 1], "
    "\"stem\": {\"mid\": [8, 16], \"width\": [8, 16], \"depths\": [0, 1], \"stride\": 2, "
    "\"act\": \"relu\", \"pool\": true}, \"kernels\": [3], \"expands\": [0.25, 0.5], "
    "\"stages\": [{\"width\": [16, 32], \"stride\": 1, \"act\": \"relu\", \"depths\": [1, 2]}, "
    "{\"width\": 48, \"stride\": 2, \"act\": \"relu\", \"slots\": 2}, "
    "{\"width\": [32, 64], \"stride\": 2, \"act\": \"relu\", \"depths\": [1, 2]}], "
    "\"head\": {\"act\": \"relu\"}}",
    "{\"name\": \"b\", \"title\": \"t\", \"source\": \"s\", \"classes\": 4, \"bn_eps\": 0.001, "
    "\"resolutions\": [16], \"per_stage\": true, \"multipliers\": [0.5, 1, 2], "
    "\"stem\": {\"width\": [8, 16, 24], \"stride\": 2, \"act\": \"relu\"}, "
    "\"choices\": [{\"kernel\": 5, \"expand\": 1}, {\"kernel\": 3, \"expand\": 3, \"se\": true}, "
    "{\"kernel\": 3, \"conv\": true, \"plain\": true}, {\"kernel\": 3, \"expand\": 2}], "
    "\"stages\": [{\"width\": [8, 8, 24], \"stride\": 1, \"act\": \"relu\", \"depths\": [1, 3]}, "
    "{\"width\": [16, 24, 32], \"stride\": 2, \"act\": \"relu\", \"depths\": [1, 2]}], "
    "\"head\": {\"act\": \"relu\", \"final\": 64}}"};

#endif
