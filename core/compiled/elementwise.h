/* Layers that work on each number alone: y = f(x), and dx = f'(x) dy, told from y where that is enough.

   n = numbers per row; p = x, y, dy, dx; v = the constant of the layer where it has one */

enum { LINEAR, SIGMOID, TANH, RELU };

INLINE vec value(int kind, vec x, real c) {
    (void)c;
    switch (kind) {
        case SIGMOID: return vsigmoid(x);
        case TANH: return vtanh(x);
        case RELU: return pick(x < 0, (vec){}, x);
    }
    return x;
}

/* f' as it follows from y = f(x) alone. */
INLINE vec slope(int kind, vec y) {
    switch (kind) {
        case SIGMOID: return y * (1 - y);
        case TANH: return fma_(-y, y, all(1));
        case RELU: return pick(y > 0, all(1), (vec){});
    }
    return all(1);
}

INLINE void activate(int kind, real *y, int64_t from, int64_t to) {
#define CASE(f) case f: for (int64_t i = from; i < to; i += LANES) store_some(y + i, value(f, load(y + i), 0), to - i); break;
    switch (kind) { CASE(SIGMOID) CASE(TANH) CASE(RELU) }
#undef CASE
}

OPERATION(elementwise_forward) {
    Share mine = share(batch->n * o->n[0], 256, t->part, t->parts);
    const real *x = NUMBERS(0), c = (real)o->v[0];
    real *y = NUMBERS(1);
#define CASE(f) case f: for (int64_t i = mine.from; i < mine.to; i += LANES) store_some(y + i, value(f, load(x + i), c), mine.to - i); break;
    switch (o->kind) { CASE(LINEAR) CASE(SIGMOID) CASE(TANH) CASE(RELU) }
#undef CASE
}

OPERATION(elementwise_backward) {
    Share mine = share(batch->n * o->n[0], 256, t->part, t->parts);
    const real *y = NUMBERS(1), *dy = NUMBERS(2);
    real *dx = NUMBERS(3);
#define CASE(f) case f: for (int64_t i = mine.from; i < mine.to; i += LANES) \
        store_some(dx + i, load(dy + i) * slope(f, load(y + i)), mine.to - i); break;
    switch (o->kind) { CASE(LINEAR) CASE(SIGMOID) CASE(TANH) CASE(RELU) }
#undef CASE
}

/* n = numbers per row; p = a, b, their sum */
OPERATION(add) {
    Share mine = share(batch->n * o->n[0], 256, t->part, t->parts);
    const real *a = NUMBERS(0), *b = NUMBERS(1);
    real *sum = NUMBERS(2);
    for (int64_t i = mine.from; i < mine.to; i++) sum[i] = a[i] + b[i];
}
