#include "search/niches.h"

#include <math.h>
#include <string.h>

/* ---- reference points ---------------------------------------------------------------------------------------- */

/* Ways to put `parts` equal parts into n_costs places; a number beyond NICHES_MAX where they are more. */
static size_t count_points(size_t n_costs, size_t parts)
{
    size_t n = 1;
    for (size_t i = 1; i < n_costs && n <= NICHES_MAX; i++) {
        n = n * (parts + i) / i; /* a binomial coefficient after every step */
    }
    return n;
}

static size_t most_parts(size_t n_costs, size_t n_max)
{
    size_t parts = 0;
    while (parts < NICHES_MAX && count_points(n_costs, parts + 1) <= n_max) {
        parts++;
    }
    return n_costs > 1 ? parts : 1;
}

/* All points with coordinates that are whole shares of `parts`, drawn towards the middle by `size`. */
static void add_layer(struct niches *niches, size_t parts, double size)
{
    const size_t m = niches->n_costs;
    size_t at[SEARCH_METRICS_MAX] = {0}; /* parts in each place but the last, which has what is left */
    for (;;) {
        size_t left = parts, i = 0;
        for (size_t k = 0; k + 1 < m; k++) {
            left -= at[k];
        }
        double *point = niches->points[niches->n_points++];
        for (size_t k = 0; k < m; k++) {
            const size_t share = k + 1 < m ? at[k] : left;
            point[k] = size * (double)share / (double)parts + (1 - size) / (double)m;
        }
        /* the next one, as an odometer that turns over where nothing is left */
        for (i = 0; i + 1 < m && left == 0; i++) {
            left = at[i];
            at[i] = 0;
        }
        if (i + 1 >= m) {
            return;
        }
        at[i]++;
    }
}

void niches_init(struct niches *niches, size_t n_costs)
{
    *niches = (struct niches){.n_costs = n_costs};
    for (size_t i = 0; i < SEARCH_METRICS_MAX; i++) {
        niches->ideal[i] = (double)INFINITY;
    }
    const size_t parts = most_parts(n_costs, NICHES_MAX);
    add_layer(niches, parts, 1);
    const size_t inside = parts < n_costs ? most_parts(n_costs, NICHES_MAX - niches->n_points) : 0;
    if (n_costs > 1 && inside > 0) {
        add_layer(niches, inside, 0.5);
    }
}

void niches_see(struct niches *niches, const double *costs)
{
    for (size_t i = 0; i < niches->n_costs; i++) {
        niches->ideal[i] = fmin(niches->ideal[i], costs[i]);
    }
}

/* ---- normalisation ------------------------------------------------------------------------------------------- */

/* The member that lies nearest an axis: least in its worst other cost. */
static size_t extreme_of(const struct niches *niches, const double *const *costs, size_t n, size_t axis)
{
    static const double others = 1e6; /* published: weights of 1e-6 */
    size_t best = 0;
    double least = (double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        double worst = 0;
        for (size_t k = 0; k < niches->n_costs; k++) {
            worst = fmax(worst, (costs[i][k] - niches->ideal[k]) * (k == axis ? 1 : others));
        }
        if (worst < least) {
            least = worst;
            best = i;
        }
    }
    return best;
}

/* Solve a x = (1, ..., 1) by elimination with pivots; false: no single solution. */
static bool solve(double a[SEARCH_METRICS_MAX][SEARCH_METRICS_MAX + 1], size_t m)
{
    for (size_t col = 0; col < m; col++) {
        size_t pivot = col;
        for (size_t row = col + 1; row < m; row++) {
            pivot = fabs(a[row][col]) > fabs(a[pivot][col]) ? row : pivot;
        }
        if (!(fabs(a[pivot][col]) > 1e-12)) {
            return false;
        }
        for (size_t k = 0; k <= m; k++) {
            const double moved = a[col][k];
            a[col][k] = a[pivot][k];
            a[pivot][k] = moved;
        }
        for (size_t row = 0; row < m; row++) {
            const double factor = row == col ? 0 : a[row][col] / a[col][col];
            for (size_t k = col; k <= m; k++) {
                a[row][k] -= factor * a[col][k];
            }
        }
    }
    return true;
}

/* What each cost is divided by: the intercepts of the plane through the extreme members, or, where that plane does not
 * cut every axis within them all, the largest cost. Costs are first brought to comparable sizes by the latter. */
static void find_spans(const struct niches *niches, const double *const *costs, size_t n, double *ret_spans)
{
    const size_t m = niches->n_costs;
    double plane[SEARCH_METRICS_MAX][SEARCH_METRICS_MAX + 1] = {{0}};
    for (size_t k = 0; k < m; k++) {
        double most = 0;
        for (size_t i = 0; i < n; i++) {
            most = fmax(most, costs[i][k] - niches->ideal[k]);
        }
        ret_spans[k] = most > 0 && isfinite(most) ? most : 1;
    }
    for (size_t axis = 0; axis < m; axis++) {
        const double *extreme = costs[extreme_of(niches, costs, n, axis)];
        for (size_t k = 0; k < m; k++) {
            plane[axis][k] = (extreme[k] - niches->ideal[k]) / ret_spans[k];
        }
        plane[axis][m] = 1;
    }
    bool cuts = solve(plane, m);
    for (size_t k = 0; k < m && cuts; k++) {
        const double intercept = plane[k][k] / plane[k][m];
        cuts = intercept > 1e-6 && intercept <= 1;
    }
    for (size_t k = 0; k < m && cuts; k++) {
        ret_spans[k] *= plane[k][k] / plane[k][m];
    }
}

/* ---- choosing ------------------------------------------------------------------------------------------------ */

struct place {
    uint16_t point;
    double distance; /* from its line, squared */
};

static struct place place_of(const struct niches *niches, const double *costs, const double *spans)
{
    struct place nearest = {.distance = (double)INFINITY};
    for (size_t p = 0; p < niches->n_points; p++) {
        double along = 0, own = 0, line = 0;
        for (size_t k = 0; k < niches->n_costs; k++) {
            const double x = (costs[k] - niches->ideal[k]) / spans[k], w = niches->points[p][k];
            along += x * w;
            own += x * x;
            line += w * w;
        }
        const double distance = fmax(own - along * along / line, 0);
        if (distance < nearest.distance) {
            nearest = (struct place){(uint16_t)p, distance};
        }
    }
    return nearest;
}

/* Of the members from n_sure on that are of a point and not taken: the nearest to its line, or, in a niche that has some
 * already, any; n: there is none. */
static size_t member_of(const struct place *places, const bool *taken, size_t n_sure, size_t n, size_t point,
                        bool nearest, struct tl_rng *rng)
{
    size_t chosen = n;
    uint32_t n_seen = 0;
    for (size_t i = n_sure; i < n; i++) {
        if (taken[i] || places[i].point != point) {
            continue;
        }
        const bool better = chosen == n || (nearest ? places[i].distance < places[chosen].distance
                                                    : tl_rng_below(rng, n_seen + 1) == 0);
        n_seen++;
        chosen = better ? i : chosen;
    }
    return chosen;
}

/* One of the points with the fewest members, any of them; n_points: all are closed. */
static size_t emptiest(const struct niches *niches, const size_t *count, struct tl_rng *rng)
{
    size_t best = niches->n_points;
    uint32_t n_equal = 0;
    for (size_t p = 0; p < niches->n_points; p++) {
        if (count[p] == SIZE_MAX || (best < niches->n_points && count[p] > count[best])) {
            continue;
        }
        n_equal = best < niches->n_points && count[p] == count[best] ? n_equal + 1 : 1;
        best = tl_rng_below(rng, n_equal) == 0 ? p : best;
    }
    return best;
}

void niches_choose(const struct niches *niches, const double *const *costs, size_t n, size_t n_sure, size_t n_more,
                   struct tl_rng *rng, uint16_t *ret_chosen)
{
    struct place places[NICHE_MEMBERS_MAX];
    size_t count[NICHES_MAX] = {0};
    bool taken[NICHE_MEMBERS_MAX] = {false};
    double spans[SEARCH_METRICS_MAX];

    find_spans(niches, costs, n, spans);
    for (size_t i = 0; i < n; i++) {
        places[i] = place_of(niches, costs[i], spans);
        count[places[i].point] += i < n_sure;
    }
    for (size_t n_chosen = 0; n_chosen < n_more;) {
        const size_t point = emptiest(niches, count, rng);
        const size_t member = member_of(places, taken, n_sure, n, point, count[point] == 0, rng);
        if (member == n) {
            count[point] = SIZE_MAX; /* nobody is left there */
            continue;
        }
        taken[member] = true;
        count[point]++;
        ret_chosen[n_chosen++] = (uint16_t)member;
    }
}
