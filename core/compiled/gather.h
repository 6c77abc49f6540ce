/* Rows of the dataset as the network sees them: gathered, preprocessed, with targets beside them. core/batches.py. */

enum { FROM_UINT8, FROM_FLOAT32, FROM_FLOAT64 };

INLINE void prefetch(const char *from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

#define ROWS_AHEAD 4

/* x = source scale, or (source - mean) scale with an entry for each feature; in double where the source is.
   n = features; p = source, x, mean, scales or null; v = scale */
OPERATION(gather_inputs) {
    int64_t features = o->n[0];
    static const int64_t SIZES[] = {1, 4, 8};
    int64_t bytes = features * SIZES[o->kind];
    const double *mean = o->p[2], *scales = o->p[3];
    real scale = (real)o->v[0];
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const char *from = (const char *)o->p[0] + batch->rows[i] * bytes;
        real *x = NUMBERS(1) + i * features;
        if (i + ROWS_AHEAD < batch->known) prefetch((const char *)o->p[0] + batch->rows[i + ROWS_AHEAD] * bytes, bytes);
#define CASE(source, type) case source: { \
            const type *s = (const type *)from; \
            if (mean) for (int64_t j = 0; j < features; j++) x[j] = (real)(((double)s[j] - mean[j]) * scales[j]); \
            else if (source == FROM_FLOAT64) for (int64_t j = 0; j < features; j++) x[j] = (real)((double)s[j] * o->v[0]); \
            else for (int64_t j = 0; j < features; j++) x[j] = (real)s[j] * scale; \
            break; }
        switch (o->kind) { CASE(FROM_UINT8, uint8_t) CASE(FROM_FLOAT32, float) CASE(FROM_FLOAT64, double) }
#undef CASE
    }
}

/* Targets as rows of numbers. kind 0: one-hot of classes, or their number where width is 1; kind 1: real targets.
   n = width; p = source (int32 or double), targets, labels of the batch (int32) */
OPERATION(gather_targets) {
    int64_t width = o->n[0];
    Share mine = share(batch->n, 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        real *y = NUMBERS(1) + i * width;
        if (o->kind) {
            const double *from = (const double *)o->p[0] + batch->rows[i] * width;
            for (int64_t j = 0; j < width; j++) y[j] = (real)from[j];
            continue;
        }
        int32_t label = ((const int32_t *)o->p[0])[batch->rows[i]];
        ((int32_t *)o->p[2])[i] = label;
        if (width == 1) y[0] = (real)label;
        else for (int64_t j = 0; j < width; j++) y[j] = j == label;
    }
}
