/* x^y as exp(y ln x), with a logarithm in two numbers, so that what y multiplies is known well enough. */

/* ln x = high + low for positive finite x. */
INLINE vec long_log(vec x, vec *low) {
    vec e, m = mantissa(x, &e), a = m - 1, b = m + 1, b_low = m - (b - 1);
    vec s = a / b, rest = fma_(-s, b_low, fma_(-s, b, a)) / b; /* (m - 1) / (m + 1) = s + rest */
    vec f = e * (real)LN2_HIGH, g = 2 * s, high = f + g, z = s * s;
    vec more = fma_(artanh_series(z) * z, s, fma_(e, all((real)LN2_LOW), (f - high + g) + 2 * rest)), sum = high + more;
    *low = high - sum + more;
    return sum;
}

INLINE vec vpower(vec x, vec y) {
    const real infinity = (real)__builtin_inf();
    vec a = magnitude(x), low, high = long_log(a, &low);
    vec p = y * high, rest = fma_(y, high, -p) + y * low, q = vexp(p);
    wvec inside = magnitude(p) < (real)(EXP_HIGH - 1);
    vec r = pick(inside, fma_(q, rest, q), q);
    r = pick(magnitude(y) == infinity, pick(a == 1, a, pick((a > 1) == (y > 0), all(infinity), (vec){})), r);
    r = pick(a == infinity, pick(y > 0, a, (vec){}), r);
    r = pick(a == 0, pick(y < 0, all(infinity), (vec){}), r);
    vec half = y / 2;
    wvec even = half == __builtin_elementwise_floor(half), whole_y = y == __builtin_elementwise_floor(y);
    wvec negative = (wvec)x < 0; /* -0 too */
    r = pick(negative & whole_y & ~even, -r, r);
    r = pick(negative & ~whole_y & (a != 0) & (a != infinity), all((real)__builtin_nan("")), r);
    r = pick((x != x) | (y != y), x + y, r);
    return pick((y == 0) | (x == 1), all(1), r);
}
