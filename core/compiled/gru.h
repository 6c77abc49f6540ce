/* The gated recurrent unit: core/layers/gru.py. What is in gates: r, z, n, each of `units` columns. */

/* n = time, units; p = gates = x W + b (time, rows, 3 units), q (the same), h (time + 1, rows, units), y, panels of U, mask, e */
OPERATION(gru_forward) {
    Recurrence r = recurrence(o, batch, t, o->p[5]);
    int64_t units = r.units;
    const real *e = NUMBERS(6);
    real *gates = NUMBERS(0) + r.from * 3 * units, *q = NUMBERS(1) + r.from * 3 * units, *h = NUMBERS(2) + r.from * units;
    erase(h, r.rows * units);
    for (int64_t step = 0; step < r.time; step++, gates += 3 * r.block, q += 3 * r.block, h += r.block) {
        erase(q, r.rows * 3 * units);
        add_product(r.rows, 3 * units, units, h, NUMBERS(4), q);
        for (int64_t row = 0; row < r.rows; row++) {
            real *reset = gates + row * 3 * units, *z = reset + units, *n = z + units, *hs = h + row * units;
            real *qr = q + row * 3 * units, *qz = qr + units, *p = qz + units; /* p is kept for backward */
            if (masked(&r, step, row)) copy(hs + r.block, hs, units);
            else UNITS(j) {
                vec vr = vsigmoid(FROM(reset) + FROM(qr)), vz = vsigmoid(FROM(z) + FROM(qz)), vp = FROM(p) + FROM(e);
                vec vn = vtanh(fma_(vr, vp, FROM(n)));
                INTO(reset, vr);
                INTO(z, vz);
                INTO(n, vn);
                INTO(p, vp);
                INTO(hs + r.block, fma_(vz, FROM(hs) - vn, vn));
            }
            write_state(&r, step, row, hs + r.block, NUMBERS(3));
        }
    }
}

/* p = gates, q, h, dy, panels of U^T, mask, dh (rows, units), da, dq (time, rows, 3 units) */
OPERATION(gru_backward) {
    Recurrence r = recurrence(o, batch, t, o->p[5]);
    int64_t units = r.units;
    real *dh = NUMBERS(6) + r.from * units;
    erase(dh, r.rows * units);
    for (int64_t step = r.time - 1; step >= 0; step--) {
        int64_t first = (step * batch->n + r.from) * 3 * units;
        const real *gates = NUMBERS(0) + first, *q = NUMBERS(1) + first, *h = NUMBERS(2) + step * r.block + r.from * units;
        real *da = NUMBERS(7) + first, *dq = NUMBERS(8) + first;
        for (int64_t row = 0; row < r.rows; row++) {
            const real *reset = gates + row * 3 * units, *z = reset + units, *n = z + units;
            const real *p = q + row * 3 * units + 2 * units, *hs = h + row * units;
            real *dr = da + row * 3 * units, *dz = dr + units, *dn = dz + units;
            real *qr = dq + row * 3 * units, *qz = qr + units, *qn = qz + units, *d = dh + row * units;
            read_state(&r, step, row, NUMBERS(3), d);
            if (masked(&r, step, row)) { /* dh goes on as it is, and nothing is added to it below */
                erase(dr, 3 * units);
                erase(qr, 3 * units);
                continue;
            }
            UNITS(j) {
                vec vr = FROM(reset), vz = FROM(z), vn = FROM(n), dhj = FROM(d);
                vec along = dhj * (1 - vz) * fma_(-vn, vn, all(1));
                vec back = along * FROM(p) * vr * (1 - vr), keep = dhj * (FROM(hs) - vn) * vz * (1 - vz);
                INTO(dr, back);
                INTO(qr, back);
                INTO(dz, keep);
                INTO(qz, keep);
                INTO(dn, along);
                INTO(qn, along * vr);
                INTO(d, dhj * vz);
            }
        }
        add_product(r.rows, units, 3 * units, dq, NUMBERS(4), dh);
    }
}
