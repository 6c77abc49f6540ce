/* Long short-term memory: core/layers/lstm.py. What is in gates: i, f, g, o, each of `units` columns. */

/* n = time, units; p = gates = x W + b (time, rows, 4 units), h, c (time + 1, rows, units), y, panels of U, mask */
OPERATION(lstm_forward) {
    Recurrence r = recurrence(o, batch, t, o->p[5]);
    int64_t units = r.units;
    real *gates = NUMBERS(0) + r.from * 4 * units, *h = NUMBERS(1) + r.from * units, *c = NUMBERS(2) + r.from * units;
    erase(h, r.rows * units);
    erase(c, r.rows * units);
    for (int64_t step = 0; step < r.time; step++, gates += 4 * r.block, h += r.block, c += r.block) {
        add_product(r.rows, 4 * units, units, h, NUMBERS(4), gates);
        for (int64_t row = 0; row < r.rows; row++) {
            real *i = gates + row * 4 * units, *f = i + units, *g = f + units, *out = g + units;
            real *hs = h + row * units, *cs = c + row * units;
            if (masked(&r, step, row)) {
                copy(hs + r.block, hs, units);
                copy(cs + r.block, cs, units);
            } else UNITS(j) {
                vec vi = vsigmoid(FROM(i)), vf = vsigmoid(FROM(f)), vg = vtanh(FROM(g)), vo = vsigmoid(FROM(out));
                vec state = fma_(vf, FROM(cs), vi * vg);
                INTO(i, vi);
                INTO(f, vf);
                INTO(g, vg);
                INTO(out, vo);
                INTO(cs + r.block, state);
                INTO(hs + r.block, vo * vtanh(state));
            }
            write_state(&r, step, row, hs + r.block, NUMBERS(3));
        }
    }
}

/* p = gates, c, dy, da (time, rows, 4 units), panels of U^T, mask, dh, dc (rows, units) */
OPERATION(lstm_backward) {
    Recurrence r = recurrence(o, batch, t, o->p[5]);
    int64_t units = r.units;
    real *dh = NUMBERS(6) + r.from * units, *dc = NUMBERS(7) + r.from * units;
    erase(dh, r.rows * units);
    erase(dc, r.rows * units);
    for (int64_t step = r.time - 1; step >= 0; step--) {
        const real *gates = NUMBERS(0) + (step * batch->n + r.from) * 4 * units, *c = NUMBERS(1) + step * r.block + r.from * units;
        real *da = NUMBERS(3) + (step * batch->n + r.from) * 4 * units;
        for (int64_t row = 0; row < r.rows; row++) {
            const real *i = gates + row * 4 * units, *f = i + units, *g = f + units, *out = g + units, *cs = c + row * units;
            real *di = da + row * 4 * units, *df = di + units, *dg = df + units, *dout = dg + units;
            real *hs = dh + row * units, *ds = dc + row * units;
            read_state(&r, step, row, NUMBERS(2), hs);
            if (masked(&r, step, row)) { /* dh and dc go on as they are, and nothing is added to dh below */
                erase(di, 4 * units);
                continue;
            }
            UNITS(j) {
                vec vi = FROM(i), vf = FROM(f), vg = FROM(g), vo = FROM(out), dhj = FROM(hs), s = vtanh(FROM(cs + r.block));
                vec dcj = fma_(dhj * vo, fma_(-s, s, all(1)), FROM(ds));
                INTO(di, dcj * vg * vi * (1 - vi));
                INTO(df, dcj * FROM(cs) * vf * (1 - vf));
                INTO(dg, dcj * vi * fma_(-vg, vg, all(1)));
                INTO(dout, dhj * s * vo * (1 - vo));
                INTO(ds, dcj * vf);
                INTO(hs, (vec){});
            }
        }
        add_product(r.rows, units, 4 * units, da, NUMBERS(4), dh);
    }
}
