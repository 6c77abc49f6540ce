/* Convolutions: core/layers/convolution.py. Where their patches lie is told by tables, which core/compiled/convolutions.py
   writes: number k of the patch of window w is image[at[w] + cells[k]]. So strides, dilation, the two directions and sequences
   are one kernel, and no patch is ever copied (M. Dukhan, "The indirect convolution algorithm", 2019). */

/* The matrix is cut into panels of 1 to 3 parts, as many as keep the sums of a tile in registers. */
#if defined(__AVX512F__)
#define PATCH_ROWS(wide) 8
#else
#define PATCH_ROWS(wide) (wide == 3 ? 3 : 6)
#endif
#define MOST_PATCH_ROWS 8

INLINE int panel_parts(int64_t left) { return left == 1 ? 1 : left % 2 ? 3 : 2; }

typedef struct {
    const real *left[MOST_PATCH_ROWS]; /* number k of row r is left[r][places[k]] */
    const int64_t *places;
    int64_t depth;
    const real *right; /* its row k is at right + k step */
    int64_t step;
    real *out[MOST_PATCH_ROWS];
    const real *start; /* what the sums start with; null for zero */
    int more;          /* whether they start with what is there instead */
} Tile;

/* sum = left right, and what the sums start with; every number a chain of fused multiply-adds over k. `rows` and `wide` are constants
   wherever this is expanded. */
INLINE void patch_sums(int rows, int wide, const Tile *t, part sum[MOST_PATCH_ROWS][3]) {
    const real *left[MOST_PATCH_ROWS];
    for (int r = 0; r < rows; r++) left[r] = t->left[r];
#define EACH_SUM for (int r = 0; r < rows; r++) for (int v = 0; v < wide; v++)
    if (t->more) EACH_SUM sum[r][v] = load_part(t->out[r] + v * PART);
    else if (t->start) EACH_SUM sum[r][v] = load_part(t->start + v * PART);
    else EACH_SUM sum[r][v] = (part){};
#undef EACH_SUM
    const real *right = t->right;
    const int64_t *places = t->places, *end = places + t->depth;
#pragma clang loop unroll(disable)
    for (; places < end; places++, right += t->step) {
        int64_t place = *places;
        part line[3];
        for (int v = 0; v < wide; v++) line[v] = load_part(right + v * PART);
        for (int r = 0; r < rows; r++) {
            part x = left[r][place] - (part){};
            for (int v = 0; v < wide; v++) sum[r][v] = __builtin_elementwise_fma(x, line[v], sum[r][v]);
        }
    }
}

INLINE void patch_tile(int wide, const Tile *t, int64_t columns) {
    part sum[MOST_PATCH_ROWS][3];
    patch_sums(PATCH_ROWS(wide), wide, t, sum);
    for (int r = 0; r < PATCH_ROWS(wide); r++) {
        for (int v = 0; v < wide - 1; v++) store_part(t->out[r] + v * PART, sum[r][v]);
        store_some_part(t->out[r] + (wide - 1) * PART, sum[r][wide - 1], columns - (wide - 1) * PART);
    }
}

static void any_patch_tile(int wide, const Tile *t, int64_t columns) {
    switch (wide) {
        case 1: patch_tile(1, t, columns); break;
        case 2: patch_tile(2, t, columns); break;
        case 3: patch_tile(3, t, columns); break;
    }
}

/* One product of all patches of an image with one matrix; a group of a convolution, for instance. */
typedef struct {
    int64_t windows, depth, columns;  /* how many; numbers of a patch; of a row of y */
    int64_t x, y;                     /* where the group begins in an image, and in y */
    int64_t panels;                   /* where the panels of the matrix begin */
    int64_t weights, stride;          /* where the matrix begins in W, and the distance of its columns there */
    const int64_t *at, *to;           /* of each window: its place in the image, and that of its row of y */
    const int64_t *cells, *rows;      /* of each number of a patch: its place in the patch, and that of its row in W */
} Sweep;

#define PATCH_DEPTH 320 /* numbers of a patch, for which a panel stays near */

/* For the windows [from, to); the row of window `from` is put to the beginning of y where `moved`. */
static void sweep(const Sweep *s, int64_t from, int64_t to, int moved, const real *image, const real *panels, const real *b, real *y) {
    int64_t back = moved ? s->to[from] : 0;
    int64_t pieces = most(1, (s->depth + PATCH_DEPTH - 1) / PATCH_DEPTH), deep = (s->depth + pieces - 1) / pieces;
    for (int64_t piece = 0; piece < pieces; piece++) {
        int64_t k = piece * deep;
        Tile tile = {.places = s->cells + k, .depth = least(deep, s->depth - k), .more = k > 0};
        const real *panel = panels + s->panels;
        int64_t left = parts_of(s->columns), j = 0;
        while (left) {
            int wide = panel_parts(left);
            tile.step = wide * PART, tile.right = panel + k * tile.step, tile.start = b ? b + s->y + j : 0;
            for (int64_t w = from; w < to; w += PATCH_ROWS(wide)) {
                for (int r = 0; r < PATCH_ROWS(wide); r++) { /* behind the last window, the last one again */
                    int64_t window = least(w + r, to - 1);
                    tile.left[r] = image + s->x + s->at[window];
                    tile.out[r] = y + s->y + s->to[window] - back + j;
                }
                any_patch_tile(wide, &tile, s->columns - j);
            }
            panel += s->depth * tile.step, j += tile.step, left -= wide;
        }
    }
}

/* The matrices of sweeps as panels, zeros behind the last column. n = sweeps; p = W, panels, sweeps */
OPERATION(pack_kernels) {
    for (int64_t g = 0; g < o->n[0]; g++) {
        const Sweep *s = (const Sweep *)o->p[2] + g;
        real *panel = NUMBERS(1) + s->panels;
        Share mine = share(s->depth, 1, t->part, t->parts);
        int64_t left = parts_of(s->columns), j = 0;
        while (left) {
            int64_t wide = panel_parts(left), width = wide * PART;
            for (int64_t k = mine.from; k < mine.to; k++) {
                const real *row = NUMBERS(0) + s->weights + s->rows[k];
                for (int64_t q = 0; q < width; q++) panel[k * width + q] = j + q < s->columns ? row[(j + q) * s->stride] : 0;
            }
            panel += s->depth * width, j += width, left -= wide;
        }
    }
}

/* An image with zeros around it. */
typedef struct {
    int64_t rows, row;         /* how many, and the numbers of one */
    int64_t above, before;     /* zeros in numbers */
    int64_t framed_row, size;  /* with its frame */
} Frame;

static const real *framed(const Frame *f, const real *x, real *to) {
    memset(to, 0, (size_t)f->above * sizeof(real));
    real *end = to + f->size;
    real *row = to + f->above;
    for (int64_t i = 0; i < f->rows; i++, row += f->framed_row) {
        memset(row, 0, (size_t)f->before * sizeof(real));
        memcpy(row + f->before, x + i * f->row, (size_t)f->row * sizeof(real));
        memset(row + f->before + f->row, 0, (size_t)(f->framed_row - f->before - f->row) * sizeof(real));
    }
    memset(row, 0, (size_t)(end - row) * sizeof(real));
    return to;
}

/* y = f(b + the products of all sweeps), or the same for dx from dy; kind is the activation.
   n = numbers of an example of x, of y, sweeps, whether every example keeps its frame; p = x, panels, b or null, y, sweeps, frame
   or null, room for it */
OPERATION(convolve) {
    Share mine = share(batch->n, 1, t->part, t->parts);
    const Frame *frame = o->p[5];
    for (int64_t i = mine.from; i < mine.to; i++) {
        const real *image = NUMBERS(0) + i * o->n[0];
        if (frame) image = framed(frame, image, NUMBERS(6) + (o->n[3] ? i : mine.from) * frame->size);
        for (int64_t g = 0; g < o->n[2]; g++) {
            const Sweep *s = (const Sweep *)o->p[4] + g;
            sweep(s, 0, s->windows, 0, image, NUMBERS(1), NUMBERS(2), NUMBERS(3) + i * o->n[1]);
        }
        activate(o->kind, NUMBERS(3), i * o->n[1], (i + 1) * o->n[1]);
    }
}

#define GRADIENT_WINDOWS 256 /* of which dy stays near while dW is gone through */

/* dW[k] += sum of patch[k] dy over GRADIENT_WINDOWS windows from w on, for this thread's numbers k of a patch. */
static void sweep_gradient(const Sweep *s, const real *image, const real *dy, int64_t filters, int64_t w, Share mine, real *dW, int first) {
    Tile tile = {.places = s->at + w, .depth = least(GRADIENT_WINDOWS, s->windows - w), .more = !first, .step = filters};
    for (int64_t left = parts_of(s->columns), j = 0; left;) {
        int wide = panel_parts(left);
        tile.right = dy + s->y + s->to[w] + j;
        for (int64_t k = mine.from; k < mine.to; k += PATCH_ROWS(wide)) {
            for (int r = 0; r < PATCH_ROWS(wide); r++) {
                int64_t number = least(k + r, mine.to - 1);
                tile.left[r] = image + s->x + s->cells[number];
                tile.out[r] = dW + s->weights + s->rows[number] + j;
            }
            any_patch_tile(wide, &tile, s->columns - j);
        }
        j += wide * PART, left -= wide;
    }
}

/* dW = the sum over windows of patch^T dy, db = that of dy: split by the numbers of a patch.
   n = as in convolve, and filters; p = image, -, dW, dy, sweeps, db */
OPERATION(convolution_gradients) {
    const Sweep *sweeps = o->p[4];
    int64_t filters = o->n[4];
    Share mine = share(sweeps->depth, sweeps->depth < 24 * t->parts ? 1 : 12, t->part, t->parts);
    for (int64_t i = 0; i < batch->n; i++) {
        const real *image = NUMBERS(0) + i * o->n[0], *dy = NUMBERS(3) + i * o->n[1];
        for (int64_t w = 0; w < sweeps->windows; w += GRADIENT_WINDOWS)
            for (int64_t g = 0; g < o->n[2] && mine.from < mine.to; g++)
                sweep_gradient(sweeps + g, image, dy, filters, w, mine, NUMBERS(2), !i && !w);
        if (t->part == t->parts - 1)
            for (int64_t j = 0; j < filters; j += LANES) {
                vec sum = i ? load(NUMBERS(5) + j) : (vec){};
                for (int64_t w = 0; w < sweeps->windows; w++) sum += load(dy + w * filters + j);
                store_some(NUMBERS(5) + j, sum, filters - j);
            }
    }
}

/* n = numbers; p = what becomes zero: the weights of cells that see nothing but padding */
OPERATION(clear) {
    if (!t->part) memset(NUMBERS(0), 0, (size_t)o->n[0] * sizeof(real));
}
