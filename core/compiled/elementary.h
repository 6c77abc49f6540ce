/* exp, log, tanh and the like for vectors, within a unit or two in the last place; NaN stays NaN.

   Argument reduction and Horner polynomials as in W. J. Cody, W. Waite, "Software Manual for the Elementary Functions"
   (1980). Written out here, because libraries differ in the last bit from version to version. */

#ifdef DOUBLE
#define EXP_HIGH 709.78
#define EXP_LOW -745.0
#define MANTISSA 52
#define BIAS 1023
#define LN2_HIGH 0x1.62e42fee00000p-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define EXP_TERMS 12
#else
#define EXP_HIGH 88.72
#define EXP_LOW -103.9
#define MANTISSA 23
#define BIAS 127
#define LN2_HIGH 0x1.62e400p-1
#define LN2_LOW 0x1.7f7d1cp-20
#define EXP_TERMS 6
#endif

static const double FACTORIAL[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,
                                   1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

INLINE vec power_of_two(wvec k) { return (vec)((k + BIAS) << MANTISSA); }

/* x = k ln 2 + r with |r| <= ln 2 / 2; returns e^r - 1, by its Taylor series, and k. */
INLINE vec reduced_exponential(vec x, wvec *k) {
    const real shift = (real)(MANTISSA == 52 ? 0x1.8p52 : 0x1.8p23);
    vec turns = fma_(x, all((real)1.4426950408889634), all(shift)) - shift;
    *k = __builtin_convertvector(turns, wvec);
    vec r = fma_(turns, all((real)-LN2_LOW), fma_(turns, all((real)-LN2_HIGH), x));
    vec sum = all((real)FACTORIAL[EXP_TERMS + 1]);
#pragma clang loop unroll(full)
    for (int i = EXP_TERMS; i >= 2; i--) sum = fma_(sum, r, all((real)FACTORIAL[i]));
    return fma_(sum, r * r, r);
}

/* Clamps write NaN through: a comparison with it is false. */
INLINE vec at_most(vec x, real bound) { return pick(x > bound, all(bound), x); }
INLINE vec at_least(vec x, real bound) { return pick(x < bound, all(bound), x); }

INLINE vec vexp(vec x) {
    wvec k;
    vec inside = at_most(at_least(x, (real)EXP_LOW), (real)EXP_HIGH);
    vec p = reduced_exponential(inside, &k) + 1;
    wvec half = k >> 1; /* in two steps, since 2^k alone may lie beyond the largest number */
    vec y = p * power_of_two(half) * power_of_two(k - half);
    y = pick(x > (real)EXP_HIGH, all((real)__builtin_inf()), y);
    y = pick(x < (real)EXP_LOW, (vec){}, y);
    return pick(x != x, x, y);
}

/* e^x - 1 for x <= 0. */
INLINE vec vexpm1_negative(vec x) {
    wvec k;
    vec inside = at_least(x, (real)(MANTISSA == 52 ? -38.0 : -18.0));
    vec p = reduced_exponential(inside, &k);
    vec scale = power_of_two(k);
    vec y = fma_(p, scale, scale - 1);
    return pick(x != x, x, y);
}

INLINE vec magnitude(vec x) { return (vec)((wvec)x & ~((wvec){} + ((whole)1 << (8 * sizeof(whole) - 1)))); }
INLINE vec with_sign_of(vec y, vec x) { return (vec)((wvec)y | ((wvec)x & ((wvec){} + ((whole)1 << (8 * sizeof(whole) - 1))))); }

INLINE vec vsigmoid(vec x) {
    vec t = vexp(-magnitude(x));
    vec s = 1 / (1 + t);
    return pick(x < 0, t * s, s);
}

INLINE vec vtanh(vec x) {
    vec t = vexpm1_negative(-2 * magnitude(x));
    vec y = -t / (2 + t);
    return pick(x != x, x, with_sign_of(magnitude(y), x));
}

/* x = m 2^e for positive numbers, with m in [sqrt(1/2), sqrt(2)). */
INLINE vec mantissa(vec x, vec *e) {
    wvec tiny = x < (real)(MANTISSA == 52 ? 0x1p-1022 : 0x1p-126);
    wvec bits = (wvec)pick(tiny, x * (real)(MANTISSA == 52 ? 0x1p54 : 0x1p25), x);
    wvec exponent = ((bits >> MANTISSA) & (2 * BIAS + 1)) - (BIAS - 1) - (tiny & (MANTISSA == 52 ? 54 : 25));
    vec m = (vec)((bits & (((whole)1 << MANTISSA) - 1)) | ((wvec){} + ((whole)(BIAS - 1) << MANTISSA)));
    wvec low = m < (real)0.7071067811865476; /* true is -1 */
    *e = __builtin_convertvector(exponent + low, vec);
    return pick(low, m + m, m);
}

/* 2/3 + 2/5 z + 2/7 z^2 + ..., so that ln m = 2 s + s^3 times this for s = (m - 1) / (m + 1), z = s^2. */
INLINE vec artanh_series(vec z) {
    vec sum = (vec){};
#pragma clang loop unroll(full)
    for (int i = MANTISSA == 52 ? 21 : 9; i >= 3; i -= 2) sum = fma_(sum, z, all((real)(2.0 / i)));
    return sum;
}

/* ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)). Zero gives -infinity. */
INLINE vec vlog(vec x) {
    vec e, m = mantissa(x, &e), s = (m - 1) / (m + 1), z = s * s;
    vec r = fma_(e, all((real)LN2_HIGH), fma_(2 * s, all(1), fma_(artanh_series(z) * z, s, e * (real)LN2_LOW)));
    r = pick(x == 0, all((real)-__builtin_inf()), r);
    r = pick(x == (real)__builtin_inf(), x, r);
    return pick((x != x) | (x < 0), all((real)__builtin_nan("")), r);
}

/* ln(1 + t) for 0 <= t: exact to rounding also where t is small. (W. Kahan's correction, HP-15C Advanced Functions, 1982.) */
INLINE vec vlog1p(vec t) {
    vec u = 1 + t, y = vlog(u) * (t / (u - 1));
    return pick(u == 1, t, pick(u == (real)__builtin_inf(), u, y));
}

INLINE vec polynomial(const double *c, int degree, vec x) {
    vec y = all((real)c[degree]);
#pragma clang loop unroll(full)
    for (int i = degree - 1; i >= 0; i--) y = fma_(y, x, all((real)c[i]));
    return y;
}

/* core/layers/erf.py, where the formula is explained. */
INLINE vec verf(vec x) {
    static const double P[] = {3.20937758913846947e03, 3.77485237685302021e02, 1.13864154151050156e02, 3.16112374387056560,
                               1.85777706184603153e-1};
    static const double Q[] = {2.84423683343917062e03, 1.28261652607737228e03, 2.44024637934444173e02, 2.36012909523441209e01, 1.0};
    static const double R[] = {1.23033935479799725e03, 2.05107837782607147e03, 1.71204761263407058e03, 8.81952221241769090e02,
                               2.98635138197400131e02, 6.61191906371416295e01, 8.88314979438837594,    5.64188496988670089e-1,
                               2.15311535474403846e-8};
    static const double S[] = {1.23033935480374942e03, 3.43936767414372164e03, 4.36261909014324716e03, 3.29079923573345963e03,
                               1.62138957456669019e03, 5.37181101862009858e02, 1.17693950891312499e02, 1.57449261107098347e01, 1.0};
    vec size = at_most(magnitude(x), 6), square = size * size;
    vec near = x * (polynomial(P, 4, square) / polynomial(Q, 4, square));
    vec far = 1 - vexp(-square) * (polynomial(R, 8, size) / polynomial(S, 8, size));
    return pick(size > (real)0.46875, with_sign_of(far, x), near);
}
