/* Pools: core/layers/max_pool2d.py and the like. Channels are the lanes. */

/* As in core/layers/windows.py: the windows along an axis. */
typedef struct { int64_t length, size, stride, dilation, before, count; } Sliding;

/* The cells of window p that lie inside. */
INLINE Share inside(const Sliding *s, int64_t p) {
    int64_t start = p * s->stride - s->before;
    return (Share){most(0, -start), least(s->size, s->length - start)};
}

/* All windows of this thread's examples, for each LANES channels. Each has its cells (i, j) from `down` and `across`, its place in y,
   and how many channels are left; CELL(i, j) is a place in x.
   n = channels; p = x or dx, y or dy, (rows, columns: Sliding), winners; kind = their bytes */
#define EACH_WINDOW(...) { \
        const Sliding *rows = o->p[2], *columns = rows + 1; \
        int64_t channels = o->n[0], x_size = rows->length * columns->length * channels, y_size = rows->count * columns->count * channels; \
        Share mine = share(batch->n, 1, t->part, t->parts); \
        for (int64_t n = mine.from; n < mine.to; n++) \
            for (int64_t p = 0; p < rows->count; p++) \
                for (int64_t q = 0; q < columns->count; q++) { \
                    Share down = inside(rows, p), across = inside(columns, q); \
                    for (int64_t c = 0; c < channels; c += LANES) { \
                        int64_t left = channels - c, y_at = n * y_size + (p * columns->count + q) * channels + c; \
                        int64_t x_at = n * x_size + c; \
                        __VA_ARGS__ } } }
#define EACH_CELL for (int64_t i = down.from; i < down.to; i++) for (int64_t j = across.from; j < across.to; j++)
#define CELL(i, j) (x_at + ((p * rows->stride - rows->before + (i)) * columns->length + q * columns->stride - columns->before + (j)) * channels)

typedef uint8_t byte_lanes __attribute__((vector_size(64 / sizeof(real))));
typedef uint16_t word_lanes __attribute__((vector_size(128 / sizeof(real))));

/* Numbers of cells, or of places, as the layer's scratch has them. */
INLINE wvec load_winners(const void *from, int64_t at, int bytes) {
    byte_lanes narrow;
    word_lanes wider;
    wvec winners = {};
    switch (bytes) {
        case 1: memcpy(&narrow, (const uint8_t *)from + at, sizeof narrow); return __builtin_convertvector(narrow, wvec);
        case 2: memcpy(&wider, (const uint16_t *)from + at, sizeof wider); return __builtin_convertvector(wider, wvec);
        case 4: for (int i = 0; i < LANES; i++) winners[i] = (whole)((const uint32_t *)from)[at + i]; break;
    }
    return winners;
}
INLINE void store_winners(void *to, int64_t at, int bytes, wvec winners, int64_t n) {
    byte_lanes narrow = __builtin_convertvector(winners, byte_lanes);
    word_lanes wider = __builtin_convertvector(winners, word_lanes);
    n = least(n, LANES);
    switch (bytes) {
        case 1: memcpy((uint8_t *)to + at, &narrow, (size_t)n); break;
        case 2: memcpy((uint16_t *)to + at, &wider, (size_t)n * 2); break;
        case 4: for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[at + i] = (uint32_t)winners[i]; break;
    }
}

/* NaN is larger than everything, but no winner. */
INLINE void outdo(vec *best, wvec *winner, vec x, int64_t number) {
    wvec larger = x > *best;
    *winner = (((wvec){} + (whole)number) & larger) | (*winner & ~larger);
    *best = pick(larger | (x != x), x, *best);
}

OPERATION(max_pool_forward) {
    const real *x = NUMBERS(0);
    EACH_WINDOW(vec best = all((real)-__builtin_inf()); wvec winner = {};
                EACH_CELL outdo(&best, &winner, load(x + CELL(i, j)), i * columns->size + j);
                store_some(NUMBERS(1) + y_at, best, left);
                store_winners(o->p[3], y_at, o->kind, winner, left);)
}

INLINE void nothing(real *dx, const Batch *batch, const Thread *t, int64_t size) {
    Share mine = share(batch->n, 1, t->part, t->parts);
    memset(dx + mine.from * size, 0, (size_t)((mine.to - mine.from) * size) * sizeof(real));
}

OPERATION(max_pool_backward) {
    const Sliding *axes = o->p[2];
    real *dx = NUMBERS(0);
    nothing(dx, batch, t, axes[0].length * axes[1].length * o->n[0]);
    EACH_WINDOW(vec dy = load(NUMBERS(1) + y_at); wvec winner = load_winners(o->p[3], y_at, o->kind);
                EACH_CELL {
                    real *at = dx + CELL(i, j);
                    store_some(at, load(at) + pick(winner == (whole)(i * columns->size + j), dy, (vec){}), left);
                })
}

OPERATION(avg_pool_forward) {
    const real *x = NUMBERS(0);
    EACH_WINDOW(vec sum = {}; EACH_CELL sum += load(x + CELL(i, j));
                store_some(NUMBERS(1) + y_at, sum / (real)((down.to - down.from) * (across.to - across.from)), left);)
}

OPERATION(avg_pool_backward) {
    const Sliding *axes = o->p[2];
    real *dx = NUMBERS(0);
    nothing(dx, batch, t, axes[0].length * axes[1].length * o->n[0]);
    EACH_WINDOW(vec dy = load(NUMBERS(1) + y_at) / (real)((down.to - down.from) * (across.to - across.from));
                EACH_CELL { real *at = dx + CELL(i, j); store_some(at, load(at) + dy, left); })
}

/* Over all places. n = places, channels; p = x or dx, y or dy, winners (int64) */
#define EACH_CHANNEL(...) { \
        int64_t places = o->n[0], channels = o->n[1]; \
        Share mine = share(batch->n, 1, t->part, t->parts); \
        for (int64_t n = mine.from; n < mine.to; n++) \
            for (int64_t c = 0; c < channels; c += LANES) { \
                int64_t left = channels - c; \
                real *x = NUMBERS(0) + n * places * channels + c, *y = NUMBERS(1) + n * channels + c; \
                __VA_ARGS__ } }

OPERATION(global_max_forward) {
    EACH_CHANNEL(vec best = load(x); wvec winner = {};
                 for (int64_t i = 1; i < places; i++) outdo(&best, &winner, load(x + i * channels), i);
                 store_some(y, best, left);
                 for (int64_t q = 0; q < least(left, LANES); q++) ((int64_t *)o->p[2])[n * channels + c + q] = winner[q];)
}

OPERATION(global_max_backward) {
    nothing(NUMBERS(0), batch, t, o->n[0] * o->n[1]);
    EACH_CHANNEL(for (int64_t q = 0; q < least(left, LANES); q++) x[((const int64_t *)o->p[2])[n * channels + c + q] * channels + q] = y[q];)
}

OPERATION(global_avg_forward) {
    EACH_CHANNEL(vec sum = {}; for (int64_t i = 0; i < places; i++) sum += load(x + i * channels); store_some(y, sum / (real)places, left);)
}

OPERATION(global_avg_backward) {
    EACH_CHANNEL(vec d = load(y) / (real)places; for (int64_t i = 0; i < places; i++) store_some(x + i * channels, d, left);)
}
