/* The fully connected layer: core/layers/dense.py.

   n = inputs, units, rows per example; p = x, W, b, y or dy, dx, dW, db (or null); in dense_gradients p[8 ..] as in move.h */

INLINE void activate(int kind, real *y, int64_t from, int64_t to);

/* y = f(x W + b) for this thread's rows; kind is the activation. */
OPERATION(dense_forward) {
    int64_t inputs = o->n[0], units = o->n[1];
    Share mine = share(batch->n * o->n[2], TILE_ROWS, t->part, t->parts);
    if (mine.from == mine.to) return;
    real *y = NUMBERS(3) + mine.from * units;
    const real *b = NUMBERS(2);
    product(mine.to - mine.from, units, inputs, (Matrix){NUMBERS(0) + mine.from * inputs, inputs, 1}, (Matrix){NUMBERS(1), units, 1}, y,
            units, t->room);
    for (int64_t i = 0; i < mine.to - mine.from; i++)
        for (int64_t j = 0; j < units; j += LANES) store_some(y + i * units + j, load(y + i * units + j) + load(b + j), units - j);
    activate(o->kind, NUMBERS(3), mine.from * units, mine.to * units);
}

/* dW = x^T dy, db = the sum of dy over the rows; kind is 0, or W moves along dW: move.h */
OPERATION(dense_gradients) {
    int64_t inputs = o->n[0], units = o->n[1];
    const real *x = NUMBERS(0), *dy = NUMBERS(3);
    real *dW = NUMBERS(5), *db = NUMBERS(6);
    Share mine = share(inputs, LINES, t->part, t->parts);
    Moving moving = moving_of(o, batch);
    if (mine.from < mine.to)
        product_and_move(mine.to - mine.from, units, batch->n * o->n[2], (Matrix){x + mine.from, 1, inputs}, (Matrix){dy, units, 1},
                         dW + mine.from * units, units, t->room, o->kind ? &moving : 0, mine.from);
    if (db && t->part == t->parts - 1) sum_rows(dy, batch->n * o->n[2], units, 0, units, db);
}

/* dx = dy W^T */
OPERATION(dense_backward) {
    int64_t inputs = o->n[0], units = o->n[1];
    Share mine = share(batch->n * o->n[2], TILE_ROWS, t->part, t->parts);
    if (mine.from == mine.to) return;
    product(mine.to - mine.from, inputs, units, (Matrix){NUMBERS(3) + mine.from * units, units, 1}, (Matrix){NUMBERS(1), 1, units},
            NUMBERS(4) + mine.from * inputs, inputs, t->room);
}
