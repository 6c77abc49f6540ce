/* What follows backward: the norm of the gradient, and the step of core/optimizers.py along it.

   n = from, to (of the vectors); p = theta, gradient, memory ...; v = the optimizer's constants; batch->scalars as
   core/compiled/planner.py states for each of them */

#define NORM_BLOCK 4096
typedef double doubles __attribute__((vector_size(64)));

/* The squares of each block, summed in eight lanes of double; n = numbers, p = gradient, sums of the blocks (double) */
OPERATION(squares_of_blocks) {
    int64_t numbers = o->n[0];
    const real *g = NUMBERS(0);
    Share mine = share(numbers, NORM_BLOCK, t->part, t->parts);
    for (int64_t from = mine.from; from < mine.to; from += NORM_BLOCK) {
        int64_t to = least(from + NORM_BLOCK, mine.to), i = from;
        doubles sums[4] = {};
        for (; i + 32 <= to; i += 32)
            for (int lane = 0; lane < 4; lane++) {
                doubles x;
                for (int q = 0; q < 8; q++) x[q] = (double)g[i + lane * 8 + q];
                sums[lane] = __builtin_elementwise_fma(x, x, sums[lane]);
            }
        for (; i < to; i++) sums[0][0] += (double)g[i] * (double)g[i];
        doubles both = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        double sum = 0;
        for (int q = 0; q < 8; q++) sum += both[q];
        ((double *)o->p[1])[from / NORM_BLOCK] = sum;
    }
}

/* n = blocks; p = tally, sums of the blocks */
OPERATION(norm) {
    if (t->part) return;
    double sum = 0;
    for (int64_t i = 0; i < o->n[0]; i++) sum += ((const double *)o->p[1])[i];
    ((double *)o->p[0])[2] = __builtin_sqrt(sum);
    batch->failed = !finite(sum);
}

/* Bounds on the gradient and penalties on the weights: core/regularization.py. */

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

/* n = numbers; p = weights, their gradient; v = l1, l2, decay */
OPERATION(penalise) {
    Share mine = share(o->n[0], 1024, t->part, t->parts);
    real *w = NUMBERS(0), *g = NUMBERS(1);
    real l1 = (real)o->v[0], l2 = (real)o->v[1], kept = (real)(1 - batch->rate * o->v[2]);
    for (int64_t i = mine.from; i < mine.to; i += LANES) {
        int64_t left = mine.to - i;
        vec x = load(w + i), sign = pick(x > 0, all(1), pick(x < 0, all(-1), x));
        store_some(g + i, fma_(x, all(l2), fma_(sign, all(l1), load(g + i))), left);
        store_some(w + i, x * kept, left);
    }
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

/* The step itself. n = numbers; p = theta, gradient, memory, more memory; v = the optimizer's constants; the scalars of a
   step, of which the first is the rate, as core/compiled/objectives.py states them. */
enum { SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM, NADAM };

OPERATION(update) {
    Share mine = share(o->n[0], 1024, t->part, t->parts);
    real *w = NUMBERS(0), *g = NUMBERS(1), *m = NUMBERS(2), *u = NUMBERS(3);
    const double *s = batch->scalars;
    vec rate = all((real)-s[0]), a = all((real)o->v[0]), b = all((real)o->v[1]), epsilon = all((real)o->v[2]);
    vec not_a = all((real)(1 - o->v[0])), not_b = all((real)(1 - o->v[1]));
    switch (o->kind) {
#define EACH(...) for (int64_t i = mine.from; i < mine.to; i += LANES) { int64_t left = mine.to - i; vec d = GET(g); __VA_ARGS__ } break;
#define GET(name) load(name + i)
#define PUT(name, v) store_some(name + i, v, left)
#define ROOT(x) __builtin_elementwise_sqrt(x)
#define MOVE(along) PUT(w, fma_(along, rate, GET(w)))
        case SGD: EACH(MOVE(d);)
        case MOMENTUM: EACH(vec v = fma_(GET(m), a, d); PUT(m, v); MOVE(v);)
        case NESTEROV: EACH(vec v = fma_(GET(m), a, d); PUT(m, v); MOVE(fma_(v, a, d));)
        case ADAGRAD: EACH(vec q = fma_(d, d, GET(m)); PUT(m, q); MOVE(d / (ROOT(q) + epsilon));)
        case RMSPROP: EACH(vec q = fma_(GET(m), a, d * d * not_a); PUT(m, q); MOVE(d / (ROOT(q) + epsilon));)
        case ADADELTA: EACH(vec q = fma_(GET(m), a, d * d * not_a), moved = GET(u);
                            vec along = d * ROOT(moved + epsilon) / ROOT(q + epsilon);
                            PUT(m, q); MOVE(along); PUT(u, fma_(moved, a, along * along * not_a));)
        case ADAM: { /* s[0] is the rate over 1 - beta1^t, s[1] is 1 / sqrt(1 - beta2^t) */
            vec root = all((real)s[1]);
            EACH(vec mean = fma_(GET(m), a, d * not_a), q = fma_(GET(u), b, d * d * not_b); PUT(m, mean); PUT(u, q);
                 MOVE(mean / fma_(ROOT(q), root, epsilon));)
        }
        case NADAM: { /* s[2], s[3]: the shares of gradient and mean, with the rate in them */
            vec root = all((real)s[1]), of_g = all((real)s[2]), of_m = all((real)s[3]);
            EACH(vec mean = fma_(GET(m), a, d * not_a), q = fma_(GET(u), b, d * d * not_b); PUT(m, mean); PUT(u, q);
                 PUT(w, GET(w) - fma_(d, of_g, mean * of_m) / fma_(ROOT(q), root, epsilon));)
        }
#undef EACH
#undef GET
#undef PUT
#undef ROOT
#undef MOVE
    }
}
