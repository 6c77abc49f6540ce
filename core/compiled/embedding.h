/* Rows of a table looked up by number: core/layers/embedding.py.

   n = numbers per row, size, dimension; p = x, W, y, index (int64), known (bytes) or dy, dW, dx or null, index */

OPERATION(embedding_forward) {
    int64_t places = o->n[0], size = o->n[1], dimension = o->n[2];
    Share mine = share(batch->n * places, 1, t->part, t->parts);
    const real *x = NUMBERS(0), *W = NUMBERS(1);
    int64_t *index = o->p[3];
    uint8_t *known = o->p[4];
    for (int64_t i = mine.from; i < mine.to; i++) {
        real *y = NUMBERS(2) + i * dimension;
        int inside = x[i] >= 0 && x[i] < (real)size; /* false for NaN */
        index[i] = inside ? (int64_t)x[i] : 0;
        known[i] = inside && (real)index[i] == x[i];
        if (!known[i]) index[i] = 0;
        if (known[i]) memcpy(y, W + index[i] * dimension, (size_t)dimension * sizeof(real));
        else for (int64_t j = 0; j < dimension; j++) y[j] = (real)__builtin_nan("");
    }
}

/* dW[k] = the sum of dy where x is k, in the order of the places. Each thread takes every parts-th row of dW. */
OPERATION(embedding_backward) {
    int64_t places = o->n[0], size = o->n[1], dimension = o->n[2];
    const real *dy = NUMBERS(0);
    real *dW = NUMBERS(1), *dx = NUMBERS(2);
    const int64_t *index = o->p[3];
    for (int64_t k = t->part; k < size; k += t->parts) memset(dW + k * dimension, 0, (size_t)dimension * sizeof(real));
    for (int64_t i = 0; i < batch->n * places; i++) {
        if (index[i] % t->parts != t->part) continue;
        real *row = dW + index[i] * dimension;
        const real *d = dy + i * dimension;
        for (int64_t j = 0; j < dimension; j += LANES)
            store_some(row + j, load(row + j) + load(d + j), dimension - j);
    }
    if (dx && !t->part) memset(dx, 0, (size_t)(batch->n * places) * sizeof(real));
}
