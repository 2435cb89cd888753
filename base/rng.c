/* rng.c - xoshiro256** and what is drawn from it.
 *
 * Only integer arithmetic and the exactly rounded operations of IEEE 754 (+ - * / and square root) are used, no libm
 * function with an error of its own, and contraction is off: every compiler and processor draws the same bits.
 */
#include "base/base.h"

#include <assert.h>
#include <math.h>

/* splitmix64 (Steele, Lea, Flood 2014): advance *x and mix it. */
static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void tl_rng_init(struct tl_rng *rng, uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t x = seed;
    x = splitmix64(&x) ^ a;
    x = splitmix64(&x) ^ b;
    x = splitmix64(&x);
    for (unsigned i = 0; i < 4; i++) {
        rng->s[i] = splitmix64(&x); /* four different mixes: never all zero */
    }
}

static uint64_t rotate_left(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t tl_rng_u64(struct tl_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Lemire 2019, "Fast random integer generation in an interval": multiply, and reject the few low products. */
uint32_t tl_rng_below(struct tl_rng *rng, uint32_t n)
{
    assert(n >= 1);
    uint64_t product = (tl_rng_u64(rng) >> 32) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = -n % n; /* 2^32 mod n */
        while ((uint32_t)product < threshold) {
            product = (tl_rng_u64(rng) >> 32) * n;
        }
    }
    return (uint32_t)(product >> 32);
}

double tl_rng_unit(struct tl_rng *rng)
{
    return (double)(tl_rng_u64(rng) >> 11) * 0x1p-53;
}

/* c[0] + c[1] x + ... + c[7] x^7 */
static double polynomial(const double c[8], double x)
{
    double sum = c[7];
    for (int i = 6; i >= 0; i--) {
        sum = sum * x + c[i];
    }
    return sum;
}

/* ln x for x in (0, 1): x = m 2^e, ln m = 2 artanh((m-1)/(m+1)) as a series, |s| <= 0.172. Within 2 units in the last
 * place; libm's log is not used because its last bit depends on the library and the processor. */
static double natural_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0x1.6a09e667f3bcdp-1) { /* sqrt(1/2) */
        m *= 2;
        e--;
    }
    double s = (m - 1) / (m + 1);
    double s2 = s * s;
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2) {
        sum = sum * s2 + 1.0 / k;
    }
    return 2 * s * sum + e * 0x1.62e42fefa39efp-1; /* ln 2 */
}

/* Inverse of the normal distribution function: Wichura 1988, AS 241 (PPND16), about 16 digits. p in (0, 1). */
static double normal_quantile(double p)
{
    static const double middle_top[8] = {3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                         1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                         3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double middle_bottom[8] = {1.0,
                                            4.2313330701600911252e+1,
                                            6.8718700749205790830e+2,
                                            5.3941960214247511077e+3,
                                            2.1213794301586595867e+4,
                                            3.9307895800092710610e+4,
                                            2.8729085735721942674e+4,
                                            5.2264952788528545610e+3};
    static const double side_top[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                       3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                       2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double side_bottom[8] = {1.0,
                                          2.05319162663775882187e0,
                                          1.67638483018380384940e0,
                                          6.89767334985100004550e-1,
                                          1.48103976427480074590e-1,
                                          1.51986665636164571966e-2,
                                          5.47593808499534494600e-4,
                                          1.05075007164441684324e-9};
    static const double tail_top[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                       2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                       2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double tail_bottom[8] = {1.0,
                                          5.99832206555887937690e-1,
                                          1.36929880922735805310e-1,
                                          1.48753612908506148525e-2,
                                          7.86869131145613259100e-4,
                                          1.84631831751005468180e-5,
                                          1.42151175831644588870e-7,
                                          2.04426310338993978564e-15};
    double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(middle_top, r) / polynomial(middle_bottom, r);
    }
    double r = sqrt(-natural_log(q < 0 ? p : 1 - p));
    double x = r <= 5 ? polynomial(side_top, r - 1.6) / polynomial(side_bottom, r - 1.6)
                      : polynomial(tail_top, r - 5) / polynomial(tail_bottom, r - 5);
    return q < 0 ? -x : x;
}

double tl_rng_normal(struct tl_rng *rng)
{
    /* 52 bits and a half: symmetric about 1/2, never 0 or 1, and exact */
    return normal_quantile(((double)(tl_rng_u64(rng) >> 12) + 0.5) * 0x1p-52);
}
