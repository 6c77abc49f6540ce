/* The costs of core/losses/, and their gradients divided by the rows of the batch.

   n = width; p = a, targets, da, costs (n) double, hits (n) uint8, labels (n) int32 or null, weights of the classes (double) or null;
   v = the loss's constant (delta, smoothing), threshold */

enum { QUADRATIC, MEAN_SQUARED_ERROR, MEAN_ABSOLUTE_ERROR, HUBER, CROSS_ENTROPY, BINARY_CROSS_ENTROPY, HINGE };

/* Each returns C_i and writes dC_i/da times factor. */

static real squares(const real *a, const real *y, real *da, int64_t width, real factor) {
    vec sum = {};
    for (int64_t j = 0; j < width; j += LANES) {
        vec d = load(a + j) - load(y + j);
        d = first_lanes(d, width - j);
        sum = fma_(d, d, sum);
        store_some(da + j, d * (2 * factor), width - j);
    }
    return sum_of(sum);
}

static real absolute(const real *a, const real *y, real *da, int64_t width, real factor) {
    vec sum = {};
    for (int64_t j = 0; j < width; j += LANES) {
        vec d = first_lanes(load(a + j) - load(y + j), width - j);
        sum += magnitude(d);
        store_some(da + j, pick(d > 0, all(factor), pick(d < 0, all(-factor), d)), width - j);
    }
    return sum_of(sum);
}

static real huber(const real *a, const real *y, real *da, int64_t width, real factor, real delta) {
    vec sum = {};
    for (int64_t j = 0; j < width; j += LANES) {
        vec d = first_lanes(load(a + j) - load(y + j), width - j);
        vec c = at_most(at_least(d, -delta), delta);
        sum = fma_(c, d - c / 2, sum);
        store_some(da + j, c * factor, width - j);
    }
    return sum_of(sum);
}

static real cross_entropy(const real *a, const real *y, real *da, int64_t width, real factor, real smoothing) {
    real top = a[0];
    for (int64_t j = 1; j < width; j++) top = a[j] > top || a[j] != a[j] ? a[j] : top;
    vec sum = {}, dot = {};
    vec sharp = all(1 - smoothing), even = all(smoothing / (real)width);
    for (int64_t j = 0; j < width; j += LANES) {
        vec s = first_lanes(load(a + j) - top, width - j);
        vec target = first_lanes(fma_(load(y + j), sharp, even), width - j);
        vec p = first_lanes(vexp(s), width - j);
        dot = fma_(s, target, dot);
        sum += p;
        store_some(da + j, p, width - j);
    }
    real total = sum_of(sum), inverse = 1 / total;
    for (int64_t j = 0; j < width; j += LANES) {
        vec target = fma_(load(y + j), sharp, even);
        store_some(da + j, fma_(load(da + j), all(inverse), -target) * factor, width - j);
    }
    return vlog(all(total))[0] - sum_of(dot);
}

static real binary_cross_entropy(const real *a, const real *y, real *da, int64_t width, real factor) {
    vec sum = {};
    for (int64_t j = 0; j < width; j += LANES) {
        vec x = load(a + j), target = load(y + j);
        vec cost = vlog1p(vexp(-magnitude(x))) + at_least(x, 0) - x * target;
        sum += first_lanes(cost, width - j);
        store_some(da + j, (vsigmoid(x) - target) * factor, width - j);
    }
    return sum_of(sum);
}

static real hinge(const real *a, const real *y, real *da, int64_t width, real factor, int64_t right) {
    if (width == 1) {
        real s = 2 * y[0] - 1, margin = 1 - s * a[0];
        da[0] = margin > 0 ? -s * factor : 0;
        return margin < 0 ? 0 : margin;
    }
    int64_t rival = right ? 0 : 1;
    for (int64_t j = rival + 1; j < width; j++) rival = j != right && (a[j] > a[rival] || a[j] != a[j]) ? j : rival;
    real cost = 1 + a[rival] - a[right];
    for (int64_t j = 0; j < width; j++) da[j] = 0;
    if (cost > 0) da[rival] = factor, da[right] = -factor;
    return cost < 0 ? 0 : cost;
}

OPERATION(loss) {
    int64_t width = o->n[0];
    Share mine = share(batch->n, 1, t->part, t->parts);
    real mean = 1 / (real)batch->n, even = mean / (real)width, constant = (real)o->v[0];
    const int32_t *labels = o->p[5];
    const double *weights = o->p[6];
    for (int64_t i = mine.from; i < mine.to; i++) {
        const real *a = NUMBERS(0) + i * width, *y = NUMBERS(1) + i * width;
        real *da = NUMBERS(2) + i * width, weight = weights ? (real)weights[labels[i]] : 1, cost = 0;
        switch (o->kind) {
            case QUADRATIC: cost = squares(a, y, da, width, mean); break;
            case MEAN_SQUARED_ERROR: cost = squares(a, y, da, width, even) / (real)width; break;
            case MEAN_ABSOLUTE_ERROR: cost = absolute(a, y, da, width, even) / (real)width; break;
            case HUBER: cost = huber(a, y, da, width, even, constant) / (real)width; break;
            case CROSS_ENTROPY: cost = cross_entropy(a, y, da, width, mean * weight, constant) * weight; break;
            case BINARY_CROSS_ENTROPY: cost = binary_cross_entropy(a, y, da, width, mean * weight) * weight; break;
            case HINGE: cost = hinge(a, y, da, width, mean, labels[i]); break;
        }
        ((double *)o->p[3])[i] = (double)cost;
        if (!labels) continue;
        int64_t said = 0;
        if (width == 1) said = a[0] > (real)o->v[1];
        else for (int64_t j = 1; j < width; j++) said = a[j] > a[said] ? j : said;
        ((uint8_t *)o->p[4])[i] = said == labels[i];
    }
}

/* Adds the costs and hits of the rows; p = tally, -, -, costs, hits, labels as in loss. */
OPERATION(count) {
    if (t->part) return;
    double cost = 0, hits = 0;
    for (int64_t i = 0; i < batch->n; i++) {
        cost += ((const double *)o->p[3])[i];
        if (o->p[5]) hits += ((const uint8_t *)o->p[4])[i];
    }
    double *tally = o->p[0];
    tally[0] = cost, tally[1] = hits;
    batch->failed = !finite(cost);
}

/* What the steps of an epoch add up to: p = tally (cost, hits, norm, and the sums of each) */
OPERATION(add_up) {
    if (t->part) return;
    double *tally = o->p[0];
    for (int i = 0; i < 3; i++) tally[3 + i] += tally[i];
}
