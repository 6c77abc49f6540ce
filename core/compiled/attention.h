/* Attention of a sequence to itself, between its projections: core/layers/self_attention.py.

   n = time, d, heads; a row of qkv has q, k and v, each of d = heads x k columns. One head of one example at a time. */

typedef struct {
    int64_t time, d, k;
    int64_t row; /* of the scores: the number of the first row of this head's */
    int64_t from; /* where this head begins in a (rows, time, d) array */
    int64_t wide; /* and in a (rows, time, 3 d) array */
    const real *mask;
} Head;

INLINE Head head(const Operation *o, int64_t number, const real *masks) {
    int64_t time = o->n[0], d = o->n[1], heads = o->n[2], k = d / heads, i = number / heads, which = number % heads;
    return (Head){time, d, k, number * time, i * time * d + which * k, i * time * 3 * d + which * k, masks ? masks + i * time : 0};
}

/* A row of scores becomes probabilities; masked ones are not looked at, and where all are, all become zero. */
static void attend(real *scores, int64_t time, real factor, const real *mask) {
    if (mask)
        for (int64_t j = 0; j < time; j++)
            if (mask[j] == 0) scores[j] = -(real)__builtin_inf();
    real top = largest(scores, time);
    if (mask && top == -(real)__builtin_inf()) erase(scores, time);
    else scale_row(scores, time, 1 / exponentials(scores, scores, time, top, factor));
}

/* p = qkv, A (rows, heads, time, time), m (rows, time, d), mask */
OPERATION(attention_forward) {
    Share mine = share(batch->n * o->n[2], 1, t->part, t->parts);
    for (int64_t number = mine.from; number < mine.to; number++) {
        Head h = head(o, number, o->p[3]);
        const real *q = NUMBERS(0) + h.wide, *k = q + h.d, *v = k + h.d;
        real *A = NUMBERS(1) + h.row * h.time, factor = 1 / __builtin_sqrt((double)h.k);
        product(h.time, h.time, h.k, (Matrix){q, 3 * h.d, 1}, (Matrix){k, 1, 3 * h.d}, A, h.time, t->room);
        for (int64_t i = 0; i < h.time; i++) attend(A + i * h.time, h.time, factor, h.mask);
        product(h.time, h.k, h.time, (Matrix){A, h.time, 1}, (Matrix){v, 3 * h.d, 1}, NUMBERS(2) + h.from, h.d, t->room);
    }
}

/* p = qkv, A, dm, dqkv, dA */
OPERATION(attention_backward) {
    Share mine = share(batch->n * o->n[2], 1, t->part, t->parts);
    for (int64_t number = mine.from; number < mine.to; number++) {
        Head h = head(o, number, 0);
        const real *q = NUMBERS(0) + h.wide, *k = q + h.d, *v = k + h.d, *A = NUMBERS(1) + h.row * h.time, *dm = NUMBERS(2) + h.from;
        real *dq = NUMBERS(3) + h.wide, *dk = dq + h.d, *dv = dk + h.d, *dA = NUMBERS(4) + h.row * h.time;
        real factor = 1 / __builtin_sqrt((double)h.k);
        product(h.time, h.time, h.k, (Matrix){dm, h.d, 1}, (Matrix){v, 1, 3 * h.d}, dA, h.time, t->room);
        product(h.time, h.k, h.time, (Matrix){A, 1, h.time}, (Matrix){dm, h.d, 1}, dv, 3 * h.d, t->room);
        for (int64_t i = 0; i < h.time; i++) softmax_back(A + i * h.time, dA + i * h.time, dA + i * h.time, h.time, factor);
        product(h.time, h.k, h.time, (Matrix){dA, h.time, 1}, (Matrix){k, 3 * h.d, 1}, dq, 3 * h.d, t->room);
        product(h.time, h.k, h.time, (Matrix){dA, 1, h.time}, (Matrix){q, 3 * h.d, 1}, dk, 3 * h.d, t->room);
    }
}

/* n = numbers per row; p = x, positions, their sum */
OPERATION(add_positions) {
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++)
        for (int64_t j = 0; j < o->n[0]; j++) NUMBERS(2)[i * o->n[0] + j] = NUMBERS(0)[i * o->n[0] + j] + NUMBERS(1)[j];
}
