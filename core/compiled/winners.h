/* A convolution with the max pool behind it, and an activation that grows with its argument: core/compiled/winners.py.

   Windows that compete stand side by side, `cells` for each output of the pool. What the convolution computes is never written
   down; backward visits the winners alone, and of these only those with a gradient. */

typedef whole whole_part __attribute__((vector_size(PART * sizeof(real))));
typedef uint8_t byte_part __attribute__((vector_size(PART)));

#define FOUR 4 /* windows for each output of the pool, as most pools have: they are compared without being written down, where */
#define SHALLOW 64 /* a patch has so few numbers that this counts more than the shape of a tile */
#define OUTPUTS_OF_TILE(wide) (wide == 1 ? 2 : 1)

/* As `outdo` in pooling.h, for the windows of one output, then stored. */
INLINE void best_of_four(int wide, part sum[FOUR][3], real *y, uint8_t *winners, int64_t columns) {
    for (int v = 0; v < wide; v++) {
        part best = sum[0][v];
        whole_part winner = {};
        for (int cell = 1; cell < FOUR; cell++) {
            part x = sum[cell][v];
            whole_part larger = x > best, taken = larger | (x != x);
            winner = (((whole_part){} + cell) & larger) | (winner & ~larger);
            best = (part)(((whole_part)x & taken) | ((whole_part)best & ~taken));
        }
        byte_part narrow = __builtin_convertvector(winner, byte_part);
        int64_t left = columns - v * PART;
        store_some_part(y + v * PART, best, left);
        if (left >= PART) memcpy(winners + v * PART, &narrow, PART);
        else
            for (int64_t i = 0; i < left; i++) winners[v * PART + i] = narrow[i];
    }
}

INLINE void pool_tile(int wide, const Tile *t, real *const *y, uint8_t *const *winners, int64_t columns) {
    part sum[MOST_PATCH_ROWS][3];
    patch_sums(FOUR * OUTPUTS_OF_TILE(wide), wide, t, sum);
    for (int p = 0; p < OUTPUTS_OF_TILE(wide); p++) best_of_four(wide, sum + p * FOUR, y[p], winners[p], columns);
}

/* y = the largest of b + patch W over the four windows of each output, and which that was. */
static void sweep_fours(const Sweep *s, int64_t outputs, const real *image, const real *panels, const real *b, real *y, uint8_t *winners,
                        int64_t filters) {
    const real *panel = panels + s->panels;
    for (int64_t left = parts_of(filters), j = 0; left;) {
        int64_t parts = panel_parts(left), step = parts * PART;
        for (int64_t v = 0; v < parts; v += 2) { /* two parts, then one: four rows of three would not stay in registers */
            int wide = (int)least(2, parts - v);
            int64_t column = j + v * PART, together = OUTPUTS_OF_TILE(wide);
            Tile tile = {.places = s->cells, .depth = s->depth, .right = panel + v * PART, .step = step, .start = b + column};
            for (int64_t p = 0; p < outputs; p += together) {
                real *best[2];
                uint8_t *who[2];
                for (int64_t q = 0; q < together; q++) { /* behind the last output, the last one again */
                    int64_t output = least(p + q, outputs - 1);
                    best[q] = y + output * filters + column, who[q] = winners + output * filters + column;
                    for (int64_t cell = 0; cell < FOUR; cell++) tile.left[q * FOUR + cell] = image + s->x + s->at[output * FOUR + cell];
                }
                if (wide == 1) pool_tile(1, &tile, best, who, filters - column);
                else pool_tile(2, &tile, best, who, filters - column);
            }
        }
        panel += s->depth * step, j += step, left -= parts;
    }
}

/* y = f(the largest of b + patch W over the windows of each output), and the number of the first that is so large.
   n = numbers of an example of x, outputs of the pool, windows of each, whether every example keeps its frame, filters;
   p = x, panels, b, y, sweep, frame or null, room for it, winners (uint8); kind is the activation */
OPERATION(convolve_and_pool) {
    int64_t outputs = o->n[1], cells = o->n[2], filters = o->n[4], together = most(1, least(outputs, PANELS / 2 / (cells * filters)));
    const Frame *frame = o->p[5];
    int fours = cells == FOUR && ((const Sweep *)o->p[4])->depth <= SHALLOW;
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const real *image = NUMBERS(0) + i * o->n[0];
        if (frame) image = framed(frame, image, NUMBERS(6) + (o->n[3] ? i : mine.from) * frame->size);
        if (fours)
            sweep_fours(o->p[4], outputs, image, NUMBERS(1), NUMBERS(2), NUMBERS(3) + i * outputs * filters,
                        (uint8_t *)o->p[7] + i * outputs * filters, filters);
        for (int64_t from = 0; from < (fours ? 0 : outputs); from += together) {
            int64_t to = least(from + together, outputs);
            sweep(o->p[4], from * cells, to * cells, 1, image, NUMBERS(1), NUMBERS(2), t->room);
            for (int64_t p = from; p < to; p++)
                for (int64_t f = 0; f < filters; f += LANES) {
                    const real *made = t->room + (p - from) * cells * filters + f;
                    int64_t at = (i * outputs + p) * filters + f;
                    vec best = load(made);
                    wvec winner = {};
                    for (int64_t cell = 1; cell < cells; cell++) outdo(&best, &winner, load(made + cell * filters), cell);
                    store_some(NUMBERS(3) + at, best, filters - f);
                    store_winners(o->p[7], at, 1, winner, filters - f);
                }
        }
        activate(o->kind, NUMBERS(3), i * outputs * filters, (i + 1) * outputs * filters);
    }
}

/* What backward adds up: gradients, each times a stretch of numbers that begins at its place. */
typedef struct { int32_t place; real factor; } Term;

/* Those of one window that won, and where its numbers begin. */
typedef struct { int64_t first, count, at; } Winning;

#define MOST_PARTS 14 /* of sums, that stay in registers */

/* Window after window: out[r] (+)= the sum over its terms of factor left[r][place ...], for `rows` stretches of `wide` parts. */
INLINE void add_terms(int rows, int wide, const Term *terms, const Winning *list, int64_t windows, const real *const *left, real *const *out,
                      int more) {
    const real *from[6];
    real *to[6];
    for (int r = 0; r < rows; r++) from[r] = left[r], to[r] = out[r];
    for (const Winning *w = list; w < list + windows; w++) {
        part sum[6][MOST_PARTS];
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < wide; v++) sum[r][v] = more ? load_part(to[r] + w->at + v * PART) : (part){};
#pragma clang loop unroll(disable)
        for (const Term *e = terms + w->first, *end = e + w->count; e < end; e++) {
            part factor = e->factor - (part){};
            int64_t place = e->place;
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < wide; v++) sum[r][v] = __builtin_elementwise_fma(factor, load_part(from[r] + place + v * PART), sum[r][v]);
        }
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < wide; v++) store_part(to[r] + w->at + v * PART, sum[r][v]);
    }
}

static void any_terms(int rows, int wide, const Term *terms, const Winning *list, int64_t windows, const real *const *left, real *const *out,
                      int more) {
#define CASE(r, w) case r * 16 + w: add_terms(r, w, terms, list, windows, left, out, more); break;
    switch (rows * 16 + wide) {
        CASE(1, 1) CASE(1, 2) CASE(1, 3) CASE(1, 4) CASE(1, 5) CASE(1, 6) CASE(1, 7) CASE(1, 8) CASE(1, 9) CASE(1, 10) CASE(1, 11) CASE(1, 12)
        CASE(1, 13) CASE(1, 14)
        CASE(2, 1) CASE(2, 2) CASE(2, 3) CASE(2, 4) CASE(2, 5) CASE(2, 6)
        CASE(3, 1) CASE(3, 2) CASE(3, 3) CASE(3, 4) CASE(4, 1) CASE(4, 2) CASE(4, 3) CASE(5, 1) CASE(5, 2) CASE(6, 1) CASE(6, 2)
    }
#undef CASE
}

/* A patch is `count` runs of `length` neighbours in the image, run r from at[r] on; in rooms of their own, each begins with a part. */
typedef struct { int64_t count, length; const int64_t *at; } Runs;

INLINE int64_t run_room(const Runs *runs) { return parts_of(runs->length) * PART; }

/* How many runs, and how many parts of each, are worked on at a time: as many as keep the sums in registers. */
typedef struct { int64_t runs, wide; } Pace;
INLINE Pace pace(const Runs *runs) {
    int64_t parts = parts_of(runs->length), pieces = pieces_of(parts, MOST_PARTS), wide = pieces_of(parts, pieces);
    /* Runs add to the same numbers, so how many go together must not follow from the width of a part. */
    int64_t halves = (runs->length + LANES / 2 - 1) / (LANES / 2);
    return (Pace){halves > 12 ? 1 : least(6, 12 / halves), wide};
}

/* out (+)= the sum over the terms of each window, for parts [v, v + wide) of the runs from `run` on. Of `left` and `out`, one is an
   image and the other a room. */
INLINE void through_runs(const Runs *runs, Pace pace, int64_t run, int64_t v, const Term *terms, const Winning *list, int64_t windows,
                         const real *left, real *out, int to_image, int more) {
    int64_t room = run_room(runs), now = least(pace.runs, runs->count - run);
    const real *lefts[6];
    real *outs[6];
    for (int64_t r = 0; r < now; r++) {
        int64_t in_image = runs->at[run + r] + v * PART, in_room = (run + r) * room + v * PART;
        lefts[r] = left + (to_image ? in_room : in_image);
        outs[r] = out + (to_image ? in_image : in_room);
    }
    any_terms((int)now, (int)least(pace.wide, parts_of(runs->length) - v), terms, list, windows, lefts, outs, more);
}
#define EACH_RUN(runs, pace) for (int64_t run = 0; run < runs->count; run += pace.runs) for (int64_t v = 0; v < parts_of(runs->length); v += pace.wide)

#define TERMS_TOGETHER (PANELS / 16)
#define NUMBERS_NEAR 6144 /* of images, and of gradients, that stay in the nearest cache */

/* dW = the sum of the winners' patches, each times its gradient; db = that of the gradients; split by filters.
   n = numbers of an image, outputs, windows of each, filters; p = images, gradients of the outputs, winners, places of the windows,
   runs, room for dW^T, dW, db, rows of W */
OPERATION(winner_gradients) {
    int64_t size = o->n[0], outputs = o->n[1], cells = o->n[2], filters = o->n[3];
    const int64_t *at = o->p[3], *rows = o->p[8];
    const uint8_t *winners = o->p[2];
    const Runs *runs = o->p[4];
    int64_t room = runs->count * run_room(runs);
    int64_t examples = most(1, least(NUMBERS_NEAR / most(size, outputs * filters), TERMS_TOGETHER / outputs));
    int64_t together = least(outputs, TERMS_TOGETHER);
    Term *terms = (Term *)t->room;
    Pace steps = pace(runs);
    Share mine = share(filters, 1, t->part, t->parts);
    for (int64_t first = 0; first < batch->n; first += examples)
        for (int64_t from = 0; from < outputs; from += together)
            for (int64_t f = mine.from; f < mine.to; f++) {
                int64_t count = 0;
                for (int64_t i = first; i < least(first + examples, batch->n); i++)
                    for (int64_t p = from; p < least(from + together, outputs); p++) {
                        int64_t q = (i * outputs + p) * filters + f;
                        real g = NUMBERS(1)[q];
                        terms[count] = (Term){(int32_t)((i - first) * size + at[p * cells + winners[q]]), g};
                        count += g != 0;
                    }
                Winning all_of_them = {0, count, 0};
                EACH_RUN(runs, steps)
                    through_runs(runs, steps, run, v, terms, &all_of_them, 1, NUMBERS(0) + first * size, NUMBERS(5) + f * room, 0,
                                 first || from);
            }
    for (int64_t f = mine.from; f < mine.to; f++)
        for (int64_t run = 0; run < runs->count; run++)
            for (int64_t q = 0; q < runs->length; q++)
                NUMBERS(6)[rows[run * runs->length + q] + f] = NUMBERS(5)[f * room + run * run_room(runs) + q];
    if (t->part == t->parts - 1) sum_rows(NUMBERS(1), batch->n * outputs, filters, 0, filters, NUMBERS(7));
}

/* W^T, run by run, zeros behind each. n = filters; p = W, runs, W^T, rows of W */
OPERATION(pack_runs) {
    const Runs *runs = o->p[1];
    const int64_t *rows = o->p[3];
    int64_t room = run_room(runs);
    Share mine = share(o->n[0], 1, t->part, t->parts);
    for (int64_t f = mine.from; f < mine.to; f++)
        for (int64_t run = 0; run < runs->count; run++) {
            real *to = NUMBERS(2) + (f * runs->count + run) * room;
            memset(to, 0, (size_t)room * sizeof(real));
            for (int64_t q = 0; q < runs->length; q++) to[q] = NUMBERS(0)[rows[run * runs->length + q] + f];
        }
}

/* dx[q] = the sum of g W^T over the winners whose patches reach q.
   n = numbers of an image, outputs, windows of each, filters, numbers of an example of x; p = room for images, gradients of the outputs,
   winners, places of the windows, runs, W^T, dx, frame or null */
OPERATION(winner_backward) {
    int64_t size = o->n[0], outputs = o->n[1], cells = o->n[2], filters = o->n[3];
    const int64_t *at = o->p[3];
    const Runs *runs = o->p[4];
    const Frame *frame = o->p[7];
    int64_t room = runs->count * run_room(runs), together = most(1, TERMS_TOGETHER / filters - cells);
    Term *apart = (Term *)t->room, *terms = apart + cells * filters;
    Winning *list = (Winning *)(t->room + PANELS / 2);
    Pace steps = pace(runs);
    Share mine = share(batch->n, 1, t->part, t->parts);
    real *image = NUMBERS(0) + mine.from * (size + LANES);
    for (int64_t i = mine.from; i < mine.to; i++) {
        memset(image, 0, (size_t)size * sizeof(real));
        for (int64_t from = 0; from < outputs; from += together) {
            int64_t windows = 0, end = 0;
            for (int64_t p = from; p < least(from + together, outputs); p++) {
                int64_t counts[256], first = (i * outputs + p) * filters;
                memset(counts, 0, (size_t)cells * sizeof *counts);
                for (int64_t f = 0; f < filters; f++) {
                    int64_t winner = ((const uint8_t *)o->p[2])[first + f];
                    real g = NUMBERS(1)[first + f];
                    apart[winner * filters + counts[winner]] = (Term){(int32_t)(f * room), g};
                    counts[winner] += g != 0;
                }
                for (int64_t cell = 0; cell < cells; end += counts[cell++]) {
                    if (!counts[cell]) continue;
                    list[windows++] = (Winning){end, counts[cell], at[p * cells + cell]};
                    memcpy(terms + end, apart + cell * filters, (size_t)counts[cell] * sizeof *terms);
                }
            }
            EACH_RUN(runs, steps)
                through_runs(runs, steps, run, v, terms, list, windows, NUMBERS(5), image, 1, 1);
        }
        real *dx = NUMBERS(6) + i * o->n[4];
        if (!frame) memcpy(dx, image, (size_t)size * sizeof(real));
        else
            for (int64_t row = 0; row < frame->rows; row++)
                memcpy(dx + row * frame->row, image + frame->above + row * frame->framed_row + frame->before, (size_t)frame->row * sizeof(real));
    }
}
