/* What holds gradients and weights back: norms, clipping and bounds of core/regularization.py. */

#define NORM_BLOCK 4096
typedef double loose_doubles __attribute__((vector_size(64), aligned(8)));

/* The squares of each block of a stretch; n = numbers, p = gradient, sums of the blocks (double) */
OPERATION(squares_of_blocks) {
    int64_t numbers = o->n[0];
    Share mine = share(numbers, NORM_BLOCK, t->part, t->parts);
    for (int64_t from = mine.from; from < mine.to; from += NORM_BLOCK) {
        int64_t to = least(from + NORM_BLOCK, mine.to), i = from;
        Squares squares = {};
        for (; i + CHAINS <= to; i += CHAINS) add_chains(&squares, NUMBERS(0) + i);
        add_rest(&squares, NUMBERS(0) + i, to - i);
        ((double *)o->p[1])[from / NORM_BLOCK] = total(&squares);
    }
}

/* n = sums; p = tally, the sums: in as many chains as fit a register */
OPERATION(norm) {
    if (t->part) return;
    const double *sums = o->p[1];
    doubles chains = {};
    int64_t i = 0;
    for (; i + 8 <= o->n[0]; i += 8) chains += *(const loose_doubles *)(sums + i);
    double sum = 0;
    for (int q = 0; q < 8; q++) sum += chains[q];
    for (; i < o->n[0]; i++) sum += sums[i];
    ((double *)o->p[0])[2] = __builtin_sqrt(sum);
    batch->failed = !finite(sum);
}

/* n = numbers; p = gradient; v = bound */
OPERATION(clip_value) {
    Share mine = share(o->n[0], 1024, t->part, t->parts);
    real *g = NUMBERS(0), bound = (real)o->v[0];
    for (int64_t i = mine.from; i < mine.to; i += LANES)
        store_some(g + i, at_most(at_least(load(g + i), -bound), bound), mine.to - i);
}

/* n = numbers; p = gradient, its norm (double); v = bound */
OPERATION(clip_norm) {
    double norm = *(const double *)o->p[1];
    if (!(norm > o->v[0])) return;
    Share mine = share(o->n[0], 1024, t->part, t->parts);
    real *g = NUMBERS(0), factor = (real)(o->v[0] / norm);
    for (int64_t i = mine.from; i < mine.to; i++) g[i] *= factor;
}

/* n = rows, columns of the weights; p = weights; v = bound on the norm of each column */
OPERATION(bound_columns) {
    int64_t rows = o->n[0], columns = o->n[1];
    Share mine = share(columns, LANES, t->part, t->parts);
    for (int64_t j = mine.from; j < mine.to; j += LANES) {
        int64_t left = mine.to - j;
        real *w = NUMBERS(0) + j;
        vec sum = {};
        for (int64_t i = 0; i < rows; i++) { vec x = load(w + i * columns); sum = fma_(x, x, sum); }
        vec norm = __builtin_elementwise_sqrt(sum);
        vec factor = pick(norm > (real)o->v[0], (real)o->v[0] / norm, all(1));
        for (int64_t i = 0; i < rows; i++) store_some(w + i * columns, load(w + i * columns) * factor, left);
    }
}
