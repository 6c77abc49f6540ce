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

/* In what follows: n = inputs, units; p = rows of the batch, W, b, y or dy, -, dW, db; kind is 0, or W moves along dW: move.h */

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

/* lines += x dy for one row, over its entries from `q` on whose places lie before `to`; `lines` begin with place `from`. Taken are
   `vecs` vectors of the units, of which the last begins `last` numbers in: where they do not fill it, inside the one before, with
   which it agrees. Fewer units than one vector holds are cut. Returns the entry to go on with. */
INLINE int64_t sparse_update(int vecs, int full, Row row, const real *dy, real *lines, int64_t units, int64_t last, int64_t q, int64_t from,
                             int64_t to) {
    vec d[4], sum[4];
    for (int v = 0; v < vecs; v++) d[v] = load(dy + (v < vecs - 1 ? v * LANES : last));
    for (; q < row.count && row.places[q] < to; q++) {
        real *line = lines + (row.places[q] - from) * units;
        vec x = all(row.values[q]);
        for (int v = 0; v < vecs; v++) sum[v] = fma_(x, d[v], load(line + (v < vecs - 1 ? v * LANES : last)));
        for (int v = 0; v < vecs - 1; v++) store(line + v * LANES, sum[v]);
        if (full) store(line + last, sum[vecs - 1]);
        else store_some(line, sum[0], units);
    }
    return q;
}

#define NEAREST 24576 /* bytes that stay in the first-level cache beside what passes through it */

OPERATION(sparse_gradients) {
    int64_t inputs = o->n[0], units = o->n[1], near = most(1, NEAREST / (units * LINES * (int64_t)sizeof(real))) * LINES;
    Share mine = share(inputs, LINES, t->part, t->parts);
    const Row *rows = o->p[0];
    Moving moving = moving_of(o, batch);
    real *lines = t->room;
    int32_t *at = (int32_t *)(lines + near * units + LANES); /* the entry of each row to go on with */
    for (int64_t i = 0; i < batch->n; i++)
        for (at[i] = 0; at[i] < rows[i].count && rows[i].places[at[i]] < mine.from;) at[i]++;
    for (int64_t from = mine.from, to; from < mine.to; from = to) {
        to = least(mine.to, from + near);
        memset(lines, 0, (size_t)((to - from) * units) * sizeof(real));
        for (int64_t j = 0, width; j < units; j += width) {
            int64_t left = units - j;
            width = left <= 4 * LANES ? left : left < 5 * LANES ? 3 * LANES : 4 * LANES; /* so that no vector is left alone */
            int64_t vecs = (width + LANES - 1) / LANES, last = vecs > 1 ? width - LANES : 0;
            for (int64_t i = 0; i < batch->n; i++) {
                int64_t q = at[i];
                const real *dy = NUMBERS(3) + i * units + j;
#define CASE(vecs, full) case 2 * vecs + full: \
                q = sparse_update(vecs, full, rows[i], dy, lines + j, units, last, q, from, to); break;
                switch (2 * vecs + (units >= LANES)) { CASE(1, 0) CASE(1, 1) CASE(2, 1) CASE(3, 1) CASE(4, 1) }
#undef CASE
                if (j + width == units) at[i] = (int32_t)q;
            }
        }
        if (o->kind) move_lines(&moving, from, 0, to - from, units, lines);
        else memcpy(NUMBERS(5) + from * units, lines, (size_t)((to - from) * units) * sizeof(real));
    }
    if (t->part == t->parts - 1) sum_rows(NUMBERS(3), batch->n, units, 0, units, NUMBERS(6));
}

/* The same for wide layers, where dW is too large to be walked over for every row: the entries are sorted by column first.
   p[2] = starts of the columns (inputs + 2) int32, p[4] = rows of the entries uint16, p[7] = their values */
OPERATION(sort_by_column) {
    if (t->part) return;
    int64_t inputs = o->n[0];
    const Row *rows = o->p[0];
    int32_t *starts = o->p[2];
    uint16_t *numbers = o->p[4];
    real *values = NUMBERS(7);
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

INLINE void column_gradient(int vecs, const uint16_t *rows, const real *values, int64_t count, const real *dy, int64_t units, real *line,
                            int64_t left) {
    vec sum[4] = {};
    for (int64_t q = 0; q < count; q++)
        for (int v = 0; v < vecs; v++) sum[v] = fma_(all(values[q]), load(dy + rows[q] * units + v * LANES), sum[v]);
    for (int v = 0; v < vecs; v++) store_some(line + v * LANES, sum[v], left - v * LANES);
}

OPERATION(column_gradients) {
    int64_t inputs = o->n[0], units = o->n[1];
    const int32_t *starts = o->p[2];
    Share mine = share(inputs, LINES, t->part, t->parts);
    Moving moving = moving_of(o, batch);
    for (int64_t i = mine.from; i < mine.to; i += LINES) {
        int64_t lines = least(LINES, mine.to - i);
        real *made = o->kind ? t->room : NUMBERS(5) + i * units;
        for (int64_t j = 0; j < units; j += 4 * LANES) /* so that these columns of dy stay near */
            for (int64_t q = 0; q < lines; q++) {
                int64_t left = least(units - j, 4 * LANES), from = starts[i + q], count = starts[i + q + 1] - from;
#define CASE(vecs) case vecs: column_gradient(vecs, (const uint16_t *)o->p[4] + from, NUMBERS(7) + from, count, NUMBERS(3) + j, units, \
                                              made + q * units + j, left); break;
                switch ((left + LANES - 1) / LANES) { CASE(1) CASE(2) CASE(3) CASE(4) }
#undef CASE
            }
        if (o->kind) move_lines(&moving, i, 0, lines, units, made);
    }
    if (t->part == t->parts - 1) sum_rows(NUMBERS(3), batch->n, units, 0, units, NUMBERS(6));
}
