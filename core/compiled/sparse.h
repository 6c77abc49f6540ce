/* A fully connected first layer on inputs that are mostly zero.

   Skipping a zero leaves a chain of fused multiply-adds as it was: the bits are those of the dense form. The dataset's
   bytes that are not zero are told once, row by row: `starts` (rows + 1) int64, and for each byte its place in the row,
   uint16, and its value. */

EXPORT void nudge_sparse_starts(const uint8_t *source, int64_t rows, int64_t features, int64_t *starts) {
    starts[0] = 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t count = 0;
        for (int64_t j = 0; j < features; j++) count += source[i * features + j] != 0;
        starts[i + 1] = starts[i] + count;
    }
}

EXPORT void nudge_sparse_entries(const uint8_t *source, int64_t rows, int64_t features, uint16_t *places, uint8_t *bytes) {
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < features; j++)
            if (source[i * features + j]) places[count] = (uint16_t)j, bytes[count++] = source[i * features + j];
}

/* A row of the batch. */
typedef struct {
    const real *values;
    const uint16_t *places;
    int64_t count;
} Row;

/* n = features; p = starts, places, bytes, values (n, features), rows of the batch; v = scale */
OPERATION(gather_sparse) {
    int64_t features = o->n[0];
    const int64_t *starts = o->p[0];
    const uint16_t *places = o->p[1];
    const uint8_t *bytes = o->p[2];
    real scale = (real)o->v[0];
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        int64_t from = starts[batch->rows[i]], count = starts[batch->rows[i] + 1] - from;
        real *values = NUMBERS(3) + i * features;
        if (i + ROWS_AHEAD < batch->known) {
            int64_t next = starts[batch->rows[i + ROWS_AHEAD]], size = starts[batch->rows[i + ROWS_AHEAD] + 1] - next;
            prefetch((const char *)(places + next), 2 * size);
            prefetch((const char *)(bytes + next), size);
        }
        for (int64_t q = 0; q < count; q++) values[q] = (real)bytes[from + q] * scale;
        ((Row *)o->p[4])[i] = (Row){values, places + from, count};
    }
}

/* In what follows: n = inputs, units; p = rows of the batch, W, b, y or dy, dW, db, and room to sort them by column */

/* `rows` rows of y, `vecs` vectors wide: both are constants wherever this is expanded. */
INLINE void sparse_tile(int rows, int vecs, const Operation *o, int64_t i, int64_t j) {
    int64_t units = o->n[1], together = INT64_MAX;
    const real *W = NUMBERS(1) + j;
    Row row[4];
    vec sum[4][4];
    for (int r = 0; r < rows; r++) {
        row[r] = ((const Row *)o->p[0])[i + r];
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

/* dW += x dy for one row and `vecs` vectors of units (the last one `full` or cut), over its entries from `q` on whose places lie
   before `to`; returns the entry to go on with. */
INLINE int64_t sparse_update(int vecs, int full, Row row, const real *dy, real *dW, int64_t units, int64_t left, int64_t q, int64_t to) {
    vec d[4];
    int64_t last = (vecs - 1) * LANES;
    for (int v = 0; v < vecs; v++) d[v] = load(dy + v * LANES);
    for (; q < row.count && row.places[q] < to; q++) {
        real *line = dW + row.places[q] * units;
        vec x = all(row.values[q]);
        for (int v = 0; v < vecs - 1; v++) store(line + v * LANES, fma_(x, d[v], load(line + v * LANES)));
        vec end = fma_(x, d[vecs - 1], load(line + last));
        if (full) store(line + last, end);
        else store_some(line + last, end, left - last);
    }
    return q;
}

#define NEAREST 24576 /* bytes that stay in the first-level cache beside what passes through it */

OPERATION(sparse_gradients) {
    int64_t inputs = o->n[0], units = o->n[1], near = most(1, NEAREST / (units * (int64_t)sizeof(real)));
    Share mine = share(inputs, 1, t->part, t->parts);
    const Row *rows = o->p[0];
    real *dW = NUMBERS(4);
    int32_t *at = (int32_t *)t->room; /* the entry of each row to go on with */
    memset(dW + mine.from * units, 0, (size_t)((mine.to - mine.from) * units) * sizeof(real));
    for (int64_t j = 0; j < units; j += 4 * LANES) {
        int64_t left = least(units - j, 4 * LANES);
        for (int64_t i = 0; i < batch->n; i++)
            for (at[i] = 0; at[i] < rows[i].count && rows[i].places[at[i]] < mine.from;) at[i]++;
        for (int64_t from = mine.from; from < mine.to; from += near)
            for (int64_t i = 0; i < batch->n; i++) {
                int64_t to = least(mine.to, from + near), q = at[i];
                const real *dy = NUMBERS(3) + i * units + j;
#define CASE(vecs, full) case 2 * vecs + full: q = sparse_update(vecs, full, rows[i], dy, dW + j, units, left, q, to); break;
                switch (2 * ((left + LANES - 1) / LANES) + (left % LANES == 0)) {
                    CASE(1, 0) CASE(2, 0) CASE(3, 0) CASE(4, 0) CASE(1, 1) CASE(2, 1) CASE(3, 1) CASE(4, 1)
                }
#undef CASE
                at[i] = (int32_t)q;
            }
    }
    if (t->part == t->parts - 1) sum_rows(NUMBERS(3), batch->n, units, 0, units, NUMBERS(5));
}

/* The same for wide layers, where dW is too large to be walked over for every row: the entries are sorted by column first.
   p[6] = starts of the columns (inputs + 2) int32, p[7] = rows of the entries uint16, p[8] = their values */
OPERATION(sort_by_column) {
    if (t->part) return;
    int64_t inputs = o->n[0];
    const Row *rows = o->p[0];
    int32_t *starts = o->p[6];
    uint16_t *numbers = o->p[7];
    real *values = NUMBERS(8);
    memset(starts, 0, (size_t)(inputs + 2) * sizeof(int32_t));
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t q = 0; q < rows[i].count; q++) starts[rows[i].places[q] + 2]++;
    for (int64_t j = 0; j < inputs; j++) starts[j + 2] += starts[j + 1];
    for (int64_t i = 0; i < batch->n; i++) /* starts[j + 1] runs from the beginning of column j to its end */
        for (int64_t q = 0; q < rows[i].count; q++) {
            int32_t to = starts[rows[i].places[q] + 1]++;
            numbers[to] = (uint16_t)i;
            values[to] = rows[i].values[q];
        }
}

INLINE void column_gradient(int vecs, const uint16_t *rows, const real *values, int64_t count, const real *dy, int64_t units, real *dW,
                            int64_t left) {
    vec sum[4] = {};
    for (int64_t q = 0; q < count; q++)
        for (int v = 0; v < vecs; v++) sum[v] = fma_(all(values[q]), load(dy + rows[q] * units + v * LANES), sum[v]);
    for (int v = 0; v < vecs; v++) store_some(dW + v * LANES, sum[v], left - v * LANES);
}

OPERATION(column_gradients) {
    int64_t inputs = o->n[0], units = o->n[1];
    const int32_t *starts = o->p[6];
    Share mine = share(inputs, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++)
        for (int64_t j = 0; j < units; j += 4 * LANES) {
            int64_t left = least(units - j, 4 * LANES), from = starts[i], count = starts[i + 1] - from;
#define CASE(vecs) case vecs: column_gradient(vecs, (const uint16_t *)o->p[7] + from, NUMBERS(8) + from, count, NUMBERS(3) + j, units, \
                                              NUMBERS(4) + i * units + j, left); break;
            switch ((left + LANES - 1) / LANES) { CASE(1) CASE(2) CASE(3) CASE(4) }
#undef CASE
        }
    if (t->part == t->parts - 1) sum_rows(NUMBERS(3), batch->n, units, 0, units, NUMBERS(5));
}
