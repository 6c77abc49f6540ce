/* Probabilities along rows: core/layers/softmax.py. */

/* The largest of a row; NaN where there is one. */
INLINE real largest(const real *x, int64_t width) {
    vec top = all(-(real)__builtin_inf());
    for (int64_t j = 0; j < width; j += LANES) {
        vec v = load(x + j);
        for (int64_t i = width - j; i < LANES; i++) v[i] = -(real)__builtin_inf();
        top = pick((v > top) | (v != v), v, top);
    }
    real found = top[0];
    for (int i = 1; i < LANES; i++) found = top[i] > found || top[i] != top[i] ? top[i] : found;
    return found;
}

/* y = e^(factor (x - top)), and the sum of it */
INLINE real exponentials(const real *x, real *y, int64_t width, real top, real factor) {
    vec sum = {};
    for (int64_t j = 0; j < width; j += LANES) {
        vec p = first_lanes(vexp((load(x + j) - top) * factor), width - j);
        sum += p;
        store_some(y + j, p, width - j);
    }
    return sum_of(sum);
}

INLINE void scale_row(real *y, int64_t width, real factor) {
    for (int64_t j = 0; j < width; j += LANES) store_some(y + j, load(y + j) * factor, width - j);
}

/* dx = factor y (dy - sum y dy); dx may be dy */
INLINE void softmax_back(const real *y, const real *dy, real *dx, int64_t width, real factor) {
    vec sum = {};
    for (int64_t j = 0; j < width; j += LANES)
        sum = fma_(first_lanes(load(y + j), width - j), first_lanes(load(dy + j), width - j), sum);
    real mean = sum_of(sum);
    for (int64_t j = 0; j < width; j += LANES)
        store_some(dx + j, (load(dy + j) - mean) * load(y + j) * factor, width - j);
}

/* n = width, rows per example; p = x, y */
OPERATION(softmax_forward) {
    int64_t width = o->n[0];
    Share mine = share(batch->n * o->n[1], 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const real *x = NUMBERS(0) + i * width;
        real *y = NUMBERS(1) + i * width;
        scale_row(y, width, 1 / exponentials(x, y, width, largest(x, width), 1));
    }
}

/* p = y, dy, dx */
OPERATION(softmax_backward) {
    int64_t width = o->n[0];
    Share mine = share(batch->n * o->n[1], 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++)
        softmax_back(NUMBERS(0) + i * width, NUMBERS(1) + i * width, NUMBERS(2) + i * width, width, 1);
}
