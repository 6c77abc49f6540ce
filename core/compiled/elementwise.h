/* Layers that work on each number alone: y = f(x), and dx = f'(x) dy, told from y where that is enough.

   n = numbers per row; p = x, y, dy, dx, kept; v = the constant of the layer where it has one. `kept` is what forward
   computes on the way and backward wants again. */

enum { LINEAR, SIGMOID, TANH, RELU, SOFTPLUS, LEAKY_RELU, ELU, SILU, GELU };
#define KEEPS(kind) (kind >= SILU)

INLINE vec value(int kind, vec x, real c, vec *kept) {
    switch (kind) {
        case SIGMOID: return vsigmoid(x);
        case TANH: return vtanh(x);
        case RELU: return pick(x < 0, (vec){}, x);
        case SOFTPLUS: return at_least(x, 0) + vlog1p(vexp(-magnitude(x)));
        case LEAKY_RELU: return pick(x < 0, x * c, x);
        case ELU: return pick(x > 0, x, vexpm1_negative(at_most(x, 0)) * c);
        case SILU: return *kept = vsigmoid(x), x * *kept;
        case GELU: return *kept = fma_(verf(x * (real)0.70710678118654752), all((real)0.5), all((real)0.5)), x * *kept;
    }
    return x;
}

INLINE vec slope(int kind, vec x, vec y, vec kept, real c) {
    switch (kind) {
        case SIGMOID: return y * (1 - y);
        case TANH: return fma_(-y, y, all(1));
        case RELU: return pick(y > 0, all(1), (vec){});
        case SOFTPLUS: return -vexpm1_negative(-y);
        case LEAKY_RELU: return pick(x > 0, all(1), all(c));
        case ELU: return pick(x > 0, all(1), y + c);
        case SILU: return fma_(y, 1 - kept, kept);
        case GELU: { /* further out than 40 the density is 0, and the square might overflow */
            vec near = at_most(at_least(x, -40), 40);
            return fma_(vexp(near * near * (real)-0.5) * (real)0.39894228040143268, x, kept);
        }
    }
    return all(1);
}

/* In place, where no constant is needed, and nothing kept. */
INLINE void activate(int kind, real *y, int64_t from, int64_t to) {
#define CASE(f) case f: for (int64_t i = from; i < to; i += LANES) store_some(y + i, value(f, load(y + i), 0, 0), to - i); break;
    switch (kind) { CASE(SIGMOID) CASE(TANH) CASE(RELU) CASE(SOFTPLUS) }
#undef CASE
}

INLINE void values(int kind, Share mine, const real *x, real *y, real *kept, real c) {
    for (int64_t i = mine.from; i < mine.to; i += LANES) {
        int64_t left = mine.to - i;
        vec k;
        store_some(y + i, value(kind, load(x + i), c, &k), left);
        if (KEEPS(kind)) store_some(kept + i, k, left);
    }
}

INLINE void slopes(int kind, Share mine, const real *x, const real *y, const real *dy, real *dx, const real *kept, real c) {
    for (int64_t i = mine.from; i < mine.to; i += LANES) {
        int64_t left = mine.to - i;
        vec k = KEEPS(kind) ? load(kept + i) : (vec){};
        store_some(dx + i, load(dy + i) * slope(kind, load(x + i), load(y + i), k, c), left);
    }
}

#define EACH CASE(LINEAR) CASE(SIGMOID) CASE(TANH) CASE(RELU) CASE(SOFTPLUS) CASE(LEAKY_RELU) CASE(ELU) CASE(SILU) CASE(GELU)

OPERATION(elementwise_forward) {
    Share mine = share(batch->n * o->n[0], 256, t->part, t->parts);
#define CASE(f) case f: values(f, mine, NUMBERS(0), NUMBERS(1), NUMBERS(4), (real)o->v[0]); break;
    switch (o->kind) { EACH }
#undef CASE
}

OPERATION(elementwise_backward) {
    Share mine = share(batch->n * o->n[0], 256, t->part, t->parts);
#define CASE(f) case f: slopes(f, mine, NUMBERS(0), NUMBERS(1), NUMBERS(2), NUMBERS(3), NUMBERS(4), (real)o->v[0]); break;
    switch (o->kind) { EACH }
#undef CASE
}
#undef EACH

/* n = numbers per row; p = a, b, their sum */
OPERATION(add) {
    Share mine = share(batch->n * o->n[0], 256, t->part, t->parts);
    const real *a = NUMBERS(0), *b = NUMBERS(1);
    real *sum = NUMBERS(2);
    for (int64_t i = mine.from; i < mine.to; i++) sum[i] = a[i] + b[i];
}
