/* Numbers written in decimals, as JSON has them (RFC 8259), to the nearest double. */

static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}; /* all of them exact */
/* Not exact, but as near as they can be. */
static const double TENTHS[] = {1e-0,  1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7,  1e-8,  1e-9,  1e-10, 1e-11,
                                1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22};
enum { MOST_TENS = 22, MOST_DIGITS = 19 };

/* m 10^e; NaN for the few whose nearest double these steps do not tell. */
INLINE double scaled(uint64_t m, int64_t e) {
    uint64_t tens = (uint64_t)(e < 0 ? -e : e);
    if (m < (uint64_t)1 << 53 && tens <= MOST_TENS) /* both exact: what is rounded once is the nearest */
        return e < 0 ? (double)m / TENS[tens] : (double)m * TENS[tens];
    if (!m) return 0;
    if (tens > 2 * MOST_TENS) return __builtin_nan("");
    /* m and 10^tens as sums of two doubles, both exact, and the first two digits of the result in the base of 2^53 */
    double low = (double)(m & 2047), high = (double)(m & ~(uint64_t)2047) + low;
    low -= high - (double)(m & ~(uint64_t)2047);
    uint64_t some = tens <= MOST_TENS ? tens : MOST_TENS, more = tens - some;
    double ten = TENS[some] * TENS[more], of_ten = __builtin_fma(TENS[some], TENS[more], -ten), first, second;
    if (e < 0) {
        double tenth = TENTHS[some] * TENTHS[more];
        first = high * tenth;
        second = (__builtin_fma(-first, ten, high) + low - first * of_ten) * tenth;
    } else {
        first = high * ten;
        second = __builtin_fma(high, ten, -first) + high * of_ten + low * ten;
    }
    /* The sum is off by less than 2^-98 of itself: where that cannot change how it is rounded, it is the nearest. */
    double error = first * 0x1p-98, result = first + (second + error);
    return result == first + (second - error) ? result : __builtin_nan("");
}

static const uint32_t TENS_OF[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

static const double SIGNS[] = {1, -1}; /* signs come by chance: to look one up is quicker than to guess */
INLINE int is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* The number of eight digits, the first one in the lowest byte: of their pairs, their fours, all of them. */
INLINE uint64_t eight(uint64_t bytes) {
    bytes = (bytes * 10 + (bytes >> 8)) & 0x00ff00ff00ff00ff;
    bytes = (bytes * 100 + (bytes >> 16)) & 0x0000ffff0000ffff;
    return (bytes * 10000 + (bytes >> 32)) & 0xffffffff;
}

/* Take in the digits at p. Eight bytes are looked at together, so that nothing is guessed about how many digits come. */
INLINE const char *digits_at(const char *p, const char *end, uint64_t *m) {
    while (end - p >= 8) {
        uint64_t bytes;
        memcpy(&bytes, p, 8);
        bytes ^= 0x3030303030303030; /* of a digit its value is left, of all else something above 9 */
        uint64_t others = ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080;
        if (!others) {
            *m = *m * 100000000 + eight(bytes);
            p += 8;
            continue;
        }
        int count = __builtin_ctzll(others) / 8;
        *m = *m * TENS_OF[count] + eight(bytes << (4 * (8 - count)) << (4 * (8 - count))); /* zeros before the digits */
        return p + count;
    }
    while (p < end && is_digit(*p)) *m = 10 * *m + (uint64_t)(*p++ - '0');
    return p;
}

/* What stands behind the number at p; 0 where there is none that can be told, or one of 2^63 or more. */
INLINE const char *number(const char *p, const char *end, double *to) {
    int negative = *p == '-';
    p += negative;
    const char *start = p;
    uint64_t m = 0;
    if (!is_digit(*p)) return 0;
    if (*p == '0') p++;
    else p = digits_at(p, end, &m);
    int64_t digits = p - start, e = 0;
    int fraction = *p == '.';
    if (fraction) {
        const char *point = p + 1;
        p = digits_at(point, end, &m);
        if (p == point) return 0;
        e = point - p;
        digits -= e;
    }
    if (digits > MOST_DIGITS) {
        while (*start == '0' || *start == '.') digits -= *start++ == '0';
        if (digits > MOST_DIGITS) return 0;
    }
    int power = (*p | 32) == 'e';
    if (!fraction && !power && m < (uint64_t)1 << 53) {
        *to = (double)(negative ? -(int64_t)m : (int64_t)m); /* an integer has no negative zero */
        return p;
    }
    if (power) {
        p++;
        int down = *p == '-';
        p += down || *p == '+';
        int64_t by = 0;
        if (!is_digit(*p)) return 0;
        while (is_digit(*p) && by < 10000) by = 10 * by + (*p++ - '0');
        e += down ? -by : by;
    }
    double found = scaled(m, e);
    if (!(found < 0x1p63)) return 0;
    *to = found * SIGNS[negative];
    return p;
}

INLINE const char *blank(const char *p) {
    while ((unsigned char)*p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* Nested lists of numbers of this shape. */
static const char *lists(const char *p, const char *end, const int64_t *shape, int64_t levels, double **to) {
    if (*(p = blank(p)) != '[') return 0;
    for (int64_t i = 0; i < shape[0]; i++) {
        p = blank(p + 1); /* behind the bracket or the comma */
        p = levels > 1 ? lists(p, end, shape + 1, levels - 1, to) : number(p, end, (*to)++);
        if (!p || *(p = blank(p)) != (i + 1 < shape[0] ? ',' : ']')) return 0;
    }
    return p + 1;
}

/* The list of up to `most` rows of this shape that begins at text[start]. Gives how many they are, and in `stop` where it
   ends; 0 for any other text. A zero byte stands behind its `size` bytes. */
EXPORT int64_t nudge_read_rows(const char *text, int64_t start, int64_t size, const int64_t *shape, int64_t levels,
                               int64_t most, double *to, int64_t *stop) {
    const char *p = blank(text + start);
    if (*p != '[') return 0;
    for (int64_t rows = 1; rows <= most; rows++) {
        p = lists(p + 1, text + size, shape, levels, &to);
        if (!p) return 0;
        p = blank(p);
        if (*p == ']') {
            *stop = p + 1 - text;
            return rows;
        }
        if (*p != ',') return 0;
    }
    return 0;
}
