/* A fully connected first layer on inputs that are mostly zero, as gather_sparse left them.

   Skipping a zero leaves a chain of fused multiply-adds as it was: the bits are those of the dense form.
   n = inputs, units; p = values, W, b, y or dy, places, counts, dW, db */

typedef struct { const real *values; const uint16_t *places; int64_t count; } Row;

INLINE Row sparse_row(const Operation *o, int64_t i) {
    int64_t inputs = o->n[0];
    return (Row){NUMBERS(0) + i * inputs, (const uint16_t *)o->p[4] + i * inputs, ((const int32_t *)o->p[5])[i]};
}

/* `rows` rows of y, `vecs` vectors wide: both are constants wherever this is expanded. */
INLINE void sparse_tile(int rows, int vecs, const Operation *o, int64_t i, int64_t j) {
    int64_t units = o->n[1], together = INT64_MAX;
    const real *W = NUMBERS(1) + j;
    Row row[4];
    vec sum[4][4];
    for (int r = 0; r < rows; r++) {
        row[r] = sparse_row(o, i + r);
        together = least(together, row[r].count);
        for (int v = 0; v < vecs; v++) sum[r][v] = (vec){};
    }
#define ADD(r, q) { const real *line = W + row[r].places[q] * units; vec x = all(row[r].values[q]); \
        for (int v = 0; v < vecs; v++) sum[r][v] = fma_(x, load(line + v * LANES), sum[r][v]); }
    for (int64_t q = 0; q < together; q++)
        for (int r = 0; r < rows; r++) ADD(r, q)
    for (int r = 0; r < rows; r++)
        for (int64_t q = together; q < row[r].count; q++) ADD(r, q)
#undef ADD
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) {
            int64_t left = units - j - v * LANES;
            if (left > 0) store_some(NUMBERS(3) + (i + r) * units + j + v * LANES, sum[r][v] + load(NUMBERS(2) + j + v * LANES), left);
        }
}

OPERATION(sparse_forward) {
    int64_t units = o->n[1];
    Share mine = share(batch->n, 4, t->part, t->parts);
    for (int64_t j = 0; j < units;) {
        int64_t vecs = (units - j + LANES - 1) / LANES, i = mine.from;
#define COLUMNS(vecs, rows) { for (; i + rows <= mine.to; i += rows) sparse_tile(rows, vecs, o, i, j); \
        for (; i < mine.to; i++) sparse_tile(1, vecs, o, i, j); j += vecs * LANES; }
        if (vecs >= 4) COLUMNS(4, 1) else if (vecs == 3) COLUMNS(3, 1) else if (vecs == 2) COLUMNS(2, 2) else COLUMNS(1, 4)
#undef COLUMNS
    }
    activate(o->kind, NUMBERS(3), mine.from * units, mine.to * units);
}

/* dW += x dy for one row and `vecs` vectors of units, over the inputs [from, to). */
INLINE void sparse_update(int vecs, Row row, const real *dy, real *dW, int64_t units, int64_t left, int64_t from, int64_t to) {
    vec d[4];
    for (int v = 0; v < vecs; v++) d[v] = load(dy + v * LANES);
    for (int64_t q = 0; q < row.count; q++) {
        int64_t place = row.places[q];
        if (place < from || place >= to) continue;
        real *line = dW + place * units;
        vec x = all(row.values[q]);
        for (int v = 0; v < vecs - 1; v++) store(line + v * LANES, fma_(x, d[v], load(line + v * LANES)));
        int64_t last = (vecs - 1) * LANES;
        store_some(line + last, fma_(x, d[vecs - 1], load(line + last)), left - last);
    }
}

OPERATION(sparse_gradients) {
    int64_t inputs = o->n[0], units = o->n[1];
    Share mine = share(inputs, 1, t->part, t->parts);
    real *dW = NUMBERS(6);
    memset(dW + mine.from * units, 0, (size_t)((mine.to - mine.from) * units) * sizeof(real));
    for (int64_t j = 0; j < units; j += 4 * LANES) {
        int64_t left = least(units - j, 4 * LANES);
        for (int64_t i = 0; i < batch->n; i++) {
            Row row = sparse_row(o, i);
            const real *dy = NUMBERS(3) + i * units + j;
#define CASE(vecs) case vecs: sparse_update(vecs, row, dy, dW + j, units, left, mine.from, mine.to); break;
            switch ((left + LANES - 1) / LANES) { CASE(1) CASE(2) CASE(3) CASE(4) }
#undef CASE
        }
    }
    if (t->part == t->parts - 1) sum_rows(NUMBERS(3), batch->n, units, 0, units, NUMBERS(7));
}
