/* Batch normalisation and layer normalisation: core/layers/batch_norm.py, layer_norm.py. */

#define ROWS_NEAR 32 /* worked on at a time, so that the activation finds them in the nearest cache */

typedef double double_lanes __attribute__((vector_size(LANES * sizeof(double))));

/* Mean and 1 / sqrt(variance + epsilon) of each channel, summed in the order of the rows, in double, about the first value; the
   running ones are moved. kind 1: those that are running, for evaluation.
   n = places of an example, channels; p = x, mean, r, running mean, running variance; v = epsilon, momentum */
OPERATION(batch_norm_statistics) {
    int64_t channels = o->n[1], m = batch->n * o->n[0];
    Share mine = share(channels, LANES, t->part, t->parts);
    for (int64_t c = mine.from; c < mine.to; c += LANES) {
        const real *x = NUMBERS(0) + c;
        int64_t left = channels - c;
        vec running_mean = load(NUMBERS(3) + c), running_variance = load(NUMBERS(4) + c);
        double_lanes mean = __builtin_convertvector(running_mean, double_lanes);
        double_lanes variance = __builtin_convertvector(running_variance, double_lanes);
        if (!o->kind) {
            double_lanes about = __builtin_convertvector(load(x), double_lanes), sum = {}, squares = {};
            for (int64_t i = 0; i < m; i++) {
                double_lanes d = __builtin_convertvector(load(x + i * channels), double_lanes) - about;
                sum += d;
                squares = __builtin_elementwise_fma(d, d, squares);
            }
            double_lanes deviation = sum / (double)m;
            mean = about + deviation;
            variance = squares / (double)m - deviation * deviation;
            for (int q = 0; q < LANES; q++) variance[q] = variance[q] < 0 ? 0 : variance[q];
        }
        double_lanes r = 1 / __builtin_elementwise_sqrt(variance + o->v[0]);
        store_some(NUMBERS(1) + c, __builtin_convertvector(mean, vec), left);
        store_some(NUMBERS(2) + c, __builtin_convertvector(r, vec), left);
        if (o->kind || m == 1) continue;
        vec kept = all((real)(1 - o->v[1]));
        double_lanes moved = o->v[1] * mean, spread = o->v[1] * ((double)m / (double)(m - 1)) * variance;
        store_some(NUMBERS(3) + c, fma_(running_mean, kept, __builtin_convertvector(moved, vec)), left);
        store_some(NUMBERS(4) + c, fma_(running_variance, kept, __builtin_convertvector(spread, vec)), left);
    }
}

/* y = f(scale h + shift), h = (x - mean) r; kind is the activation.
   n = places, channels; p = x, mean, r, scale, shift, y */
OPERATION(batch_norm_forward) {
    int64_t channels = o->n[1];
    Share mine = share(batch->n * o->n[0], ROWS_NEAR, t->part, t->parts);
    for (int64_t from = mine.from; from < mine.to; from += ROWS_NEAR) {
        int64_t to = least(from + ROWS_NEAR, mine.to);
        for (int64_t c = 0; c < channels; c += LANES) {
            vec mean = load(NUMBERS(1) + c), slope = load(NUMBERS(2) + c) * load(NUMBERS(3) + c), shift = load(NUMBERS(4) + c);
            for (int64_t i = from; i < to; i++)
                store_some(NUMBERS(5) + i * channels + c, fma_(load(NUMBERS(0) + i * channels + c) - mean, slope, shift), channels - c);
        }
        activate(o->kind, NUMBERS(5), from * channels, to * channels);
    }
}

/* dshift = the sum of dy, dscale = that of dy h, as the statistics were summed; p = x, mean, r, dy, dscale, dshift */
OPERATION(batch_norm_gradients) {
    int64_t channels = o->n[1], m = batch->n * o->n[0];
    Share mine = share(channels, LANES, t->part, t->parts);
    for (int64_t c = mine.from; c < mine.to; c += LANES) {
        const real *x = NUMBERS(0) + c, *dy = NUMBERS(3) + c;
        vec mean = load(NUMBERS(1) + c);
        double_lanes sum = {}, along = {};
        for (int64_t i = 0; i < m; i++) {
            double_lanes d = __builtin_convertvector(load(dy + i * channels), double_lanes);
            sum += d;
            along = __builtin_elementwise_fma(d, __builtin_convertvector(load(x + i * channels) - mean, double_lanes), along);
        }
        along *= __builtin_convertvector(load(NUMBERS(2) + c), double_lanes);
        store_some(NUMBERS(4) + c, __builtin_convertvector(along, vec), channels - c);
        store_some(NUMBERS(5) + c, __builtin_convertvector(sum, vec), channels - c);
    }
}

/* dx = scale r (dy - dshift / m - h dscale / m); p = x, mean, r, dy, dscale, dshift, scale, dx */
OPERATION(batch_norm_backward) {
    int64_t channels = o->n[1];
    real m = (real)(batch->n * o->n[0]);
    Share mine = share(batch->n * o->n[0], ROWS_NEAR, t->part, t->parts);
    for (int64_t from = mine.from; from < mine.to; from += ROWS_NEAR)
        for (int64_t c = 0; c < channels; c += LANES) {
            vec mean = load(NUMBERS(1) + c), r = load(NUMBERS(2) + c), slope = r * load(NUMBERS(6) + c);
            vec along = -r * load(NUMBERS(4) + c) / m, even = load(NUMBERS(5) + c) / m;
            for (int64_t i = from; i < least(from + ROWS_NEAR, mine.to); i++) {
                vec x = load(NUMBERS(0) + i * channels + c) - mean, dy = load(NUMBERS(3) + i * channels + c);
                store_some(NUMBERS(7) + i * channels + c, fma_(x, along, dy - even) * slope, channels - c);
            }
        }
}

/* Sums along a row: in LANES lanes, which are added up last. */

/* n = rows of an example, width; p = x, mean, r, scale, shift, y; v = epsilon; kind is the activation */
OPERATION(layer_norm_forward) {
    int64_t width = o->n[1];
    Share mine = share(batch->n * o->n[0], 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const real *x = NUMBERS(0) + i * width, *scale = NUMBERS(3), *shift = NUMBERS(4);
        real *y = NUMBERS(5) + i * width;
        vec sum = {}, squares = {};
        for (int64_t j = 0; j < width; j += LANES) sum += first_lanes(load(x + j), width - j);
        real mean = sum_of(sum) / (real)width;
        for (int64_t j = 0; j < width; j += LANES) {
            vec d = first_lanes(load(x + j) - mean, width - j);
            squares = fma_(d, d, squares);
        }
        real r = 1 / (real)__builtin_sqrt((double)(sum_of(squares) / (real)width + (real)o->v[0]));
        NUMBERS(1)[i] = mean, NUMBERS(2)[i] = r;
        for (int64_t j = 0; j < width; j += LANES)
            store_some(y + j, fma_((load(x + j) - mean) * r, load(scale + j), load(shift + j)), width - j);
    }
    activate(o->kind, NUMBERS(5), mine.from * width, mine.to * width);
}

/* dscale = the sum of dy h over the rows, dshift = that of dy; p = x, mean, r, dy, dscale, dshift */
OPERATION(layer_norm_gradients) {
    int64_t width = o->n[1], rows = batch->n * o->n[0];
    Share mine = share(width, LANES, t->part, t->parts);
    for (int64_t j = mine.from; j < mine.to; j += LANES) {
        vec sum = {}, along = {};
        for (int64_t i = 0; i < rows; i++) {
            vec dy = load(NUMBERS(3) + i * width + j), h = (load(NUMBERS(0) + i * width + j) - NUMBERS(1)[i]) * NUMBERS(2)[i];
            sum += dy;
            along = fma_(dy, h, along);
        }
        store_some(NUMBERS(4) + j, along, width - j);
        store_some(NUMBERS(5) + j, sum, width - j);
    }
}

/* dx = r (dh - mean(dh) - h mean(dh h)), dh = scale dy; p = x, mean, r, dy, -, -, scale, dx */
OPERATION(layer_norm_backward) {
    int64_t width = o->n[1];
    Share mine = share(batch->n * o->n[0], 1, t->part, t->parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const real *x = NUMBERS(0) + i * width, *dy = NUMBERS(3) + i * width, *scale = NUMBERS(6);
        real *dx = NUMBERS(7) + i * width, mean = NUMBERS(1)[i], r = NUMBERS(2)[i];
        vec sum = {}, dot = {};
        for (int64_t j = 0; j < width; j += LANES) {
            vec dh = first_lanes(load(dy + j) * load(scale + j), width - j);
            sum += dh;
            dot = fma_(dh, first_lanes((load(x + j) - mean) * r, width - j), dot);
        }
        real even = sum_of(sum) / (real)width, along = sum_of(dot) / (real)width;
        for (int64_t j = 0; j < width; j += LANES) {
            vec dh = load(dy + j) * load(scale + j), h = (load(x + j) - mean) * r;
            store_some(dx + j, (dh - even - h * along) * r, width - j);
        }
    }
}
