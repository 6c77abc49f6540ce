/* core/layers/dropout.py: the mask of a batch, drawn as core/random.py draws it.

   n = numbers per row, layer; p = x, y, mask or dy, dx, mask; v = rate */

OPERATION(dropout_forward) {
    Share mine = share(batch->n * o->n[0], 32, t->part, t->parts);
    const real *x = NUMBERS(0);
    real *y = NUMBERS(1), *mask = NUMBERS(2), kept = (real)(1 / (1 - o->v[0]));
    uint64_t threshold = (uint64_t)__builtin_rint(o->v[0] * 0x1p32);
    uint32_t place = PURPOSE_LAYER << 24 | (uint32_t)o->n[1];
    for (int64_t i = mine.from; i < mine.to; i += 32) {
        words drawn[4];
        philox(batch->seed, (uint64_t)i / 4, (uint32_t)batch->step, (uint32_t)batch->epoch, place, drawn);
        for (int64_t q = 0; q < least(32, mine.to - i); q++) {
            mask[i + q] = drawn[q % 4][q / 4] >= threshold ? kept : 0;
            y[i + q] = x[i + q] * mask[i + q];
        }
    }
}

OPERATION(dropout_backward) {
    Share mine = share(batch->n * o->n[0], 32, t->part, t->parts);
    const real *dy = NUMBERS(0), *mask = NUMBERS(2);
    real *dx = NUMBERS(1);
    for (int64_t i = mine.from; i < mine.to; i++) dx[i] = dy[i] * mask[i];
}
