/* What the recurrent layers share: core/layers/recurrence.py. Sequences are computed time first, so that one step is one
   block (rows, units). Rows do not depend on each other: a thread takes its rows through all steps without waiting. */

/* n = time, features; p = x (rows, time, features), the same as (time, rows, features) */
OPERATION(time_first) {
    int64_t time = o->n[0], features = o->n[1];
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t step = 0; step < time; step++)
        for (int64_t i = mine.from; i < mine.to; i++)
            memcpy(NUMBERS(1) + (step * batch->n + i) * features, NUMBERS(0) + (i * time + step) * features, (size_t)features * sizeof(real));
}

/* n = time, features; p = (time, rows, features), the same as (rows, time, features) */
OPERATION(rows_first) {
    int64_t time = o->n[0], features = o->n[1];
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++)
        for (int64_t step = 0; step < time; step++)
            memcpy(NUMBERS(1) + (i * time + step) * features, NUMBERS(0) + (step * batch->n + i) * features, (size_t)features * sizeof(real));
}

/* n = columns, distance of rows, rows per example; p = matrix, sums of its columns */
OPERATION(sum_columns) {
    Share mine = share(o->n[0], LANES, t->part, t->parts);
    sum_rows(NUMBERS(0), batch->n * o->n[2], o->n[1], mine.from, mine.to, NUMBERS(1));
}

/* One thread's rows of sequences; `from` is the first of them, `block` the numbers from one step of states to the next. */
typedef struct {
    int64_t time, units, from, rows, block;
    const real *mask; /* (all rows, time), or null */
    int whole;        /* whether y and dy have all steps, or the last alone */
} Recurrence;

INLINE Recurrence recurrence(const Operation *o, const Batch *batch, const Thread *t, const real *mask) {
    Share mine = share(batch->n, TILE_ROWS, t->part, t->parts);
    return (Recurrence){o->n[0], o->n[1], mine.from, mine.to - mine.from, batch->n * o->n[1], mask, o->kind};
}

/* A masked step leaves the state of its row as it was. */
INLINE int masked(const Recurrence *r, int64_t step, int64_t row) { return r->mask && r->mask[(r->from + row) * r->time + step] == 0; }

INLINE void copy(real *to, const real *from, int64_t n) { memcpy(to, from, (size_t)n * sizeof(real)); }
INLINE void erase(real *to, int64_t n) { memset(to, 0, (size_t)n * sizeof(real)); }

/* The state behind a step, where y wants it. */
INLINE void write_state(const Recurrence *r, int64_t step, int64_t row, const real *h, real *y) {
    int64_t i = r->from + row;
    if (r->whole) copy(y + (i * r->time + step) * r->units, h, r->units);
    else if (step == r->time - 1) copy(y + i * r->units, h, r->units);
}

/* Add to dh what the cost wants of the state behind a step. */
INLINE void read_state(const Recurrence *r, int64_t step, int64_t row, const real *dy, real *dh) {
    int64_t i = r->from + row;
    if (!r->whole && step < r->time - 1) return;
    dy += (r->whole ? i * r->time + step : i) * r->units;
    for (int64_t j = 0; j < r->units; j++) dh[j] += dy[j];
}

#define UNITS(j) for (int64_t j = 0; j < units; j += LANES)
#define FROM(at) load((at) + j)
#define INTO(at, v) store_some((at) + j, v, units - j)

/* The simple recurrent layer. n = time, units; p = a = x W + b (time, rows, units), h (time + 1, rows, units), y, panels of U, mask */
OPERATION(simple_rnn_forward) {
    Recurrence r = recurrence(o, batch, t, o->p[4]);
    int64_t units = r.units;
    real *a = NUMBERS(0) + r.from * units, *h = NUMBERS(1) + r.from * units;
    erase(h, r.rows * units);
    for (int64_t step = 0; step < r.time; step++, a += r.block, h += r.block) {
        add_product(r.rows, units, units, h, NUMBERS(3), a);
        for (int64_t row = 0; row < r.rows; row++) {
            const real *before = h + row * units;
            real *behind = h + r.block + row * units;
            if (masked(&r, step, row)) copy(behind, before, units);
            else UNITS(j) INTO(behind, vtanh(FROM(a + row * units)));
            write_state(&r, step, row, behind, NUMBERS(2));
        }
    }
}

/* p = da, h, dy, panels of U^T, mask, dh (rows, units) */
OPERATION(simple_rnn_backward) {
    Recurrence r = recurrence(o, batch, t, o->p[4]);
    int64_t units = r.units;
    real *dh = NUMBERS(5) + r.from * units;
    erase(dh, r.rows * units);
    for (int64_t step = r.time - 1; step >= 0; step--) {
        real *da = NUMBERS(0) + step * r.block + r.from * units;
        const real *h = NUMBERS(1) + (step + 1) * r.block + r.from * units;
        for (int64_t row = 0; row < r.rows; row++) {
            real *d = dh + row * units;
            read_state(&r, step, row, NUMBERS(2), d);
            if (masked(&r, step, row)) { /* dh goes on as it is, and nothing is added to it below */
                erase(da + row * units, units);
                continue;
            }
            UNITS(j) {
                vec s = FROM(h + row * units);
                INTO(da + row * units, FROM(d) * fma_(-s, s, all(1)));
                INTO(d, (vec){});
            }
        }
        add_product(r.rows, units, units, da, NUMBERS(3), dh);
    }
}
