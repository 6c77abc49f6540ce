/* Sine and cosine within about a unit in the last place.

   x = k pi/2 + r with pi/2 in three parts (W. J. Cody, W. Waite, as in elementary.h), fused, then Taylor series for |r| <= pi/4.
   Further out than FAR, where neighbouring numbers are a sixteenth of a turn and more apart, x counts as FAR. */

#ifdef DOUBLE
#define FAR 0x1p51
#define QUARTER_1 0x1.921fb54442d18p+0
#define QUARTER_2 0x1.1a62633145c07p-54
#define QUARTER_3 -0x1.f1976b7ed8fbcp-110
#define SINE_TERMS 8
#else
#define FAR 0x1p22
#define QUARTER_1 0x1.921fb6p+0
#define QUARTER_2 -0x1.777a5cp-25
#define QUARTER_3 -0x1.ee59dap-50
#define SINE_TERMS 5
#endif

/* sin(x + turns pi/2) */
INLINE vec sine(vec x, int turns) {
    const real shift = (real)(MANTISSA == 52 ? 0x1.8p52 : 0x1.8p23);
    vec inside = at_most(at_least(x, (real)-FAR), (real)FAR);
    vec k = fma_(inside, all((real)0.6366197723675814), all(shift)) - shift;
    vec r = fma_(k, all((real)-QUARTER_3), fma_(k, all((real)-QUARTER_2), fma_(k, all((real)-QUARTER_1), inside)));
    vec z = r * r, odd = (vec){}, even = (vec){};
    double term = 1;
    for (int i = 2; i <= 2 * SINE_TERMS + 1; i++) term /= i;
#pragma clang loop unroll(full)
    for (int i = SINE_TERMS; i >= 1; i--) { /* term is 1 / (2 i + 1)! */
        double sign = i % 2 ? -1 : 1;
        odd = fma_(odd, z, all((real)(sign * term)));
        even = fma_(even, z, all((real)(sign * term * (2 * i + 1))));
        term *= (2 * i + 1) * (2 * i);
    }
    vec sin_r = fma_(odd * z, r, r), cos_r = fma_(even, z, all(1));
    wvec quadrant = __builtin_convertvector(k, wvec) + turns;
    vec y = pick((quadrant & 1) != 0, cos_r, sin_r);
    y = pick((quadrant & 2) != 0, -y, y);
    return pick(magnitude(x) < (real)__builtin_inf(), y, all((real)__builtin_nan("")));
}

INLINE vec vsin(vec x) { return sine(x, 0); }
INLINE vec vcos(vec x) { return sine(x, 1); }
