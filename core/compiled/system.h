/* All that is asked of the system, declared here, so that compiling needs no headers of a C library. On Linux a thread's
   handle is an unsigned long. */

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int sched_yield(void);
int pthread_create(unsigned long *thread, const void *attributes, void *(*function)(void *), void *argument);
int pthread_join(unsigned long thread, void **result);

/* Numbers too small to matter become zero instead of slow, until the mode is set back. */
static inline uint64_t flush_small_numbers(void) {
#if defined(__SSE__)
    unsigned int mode = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(mode | 0x8040);
    return mode;
#elif defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | (1 << 24)));
    return mode;
#else
    return 0;
#endif
}

static inline void set_mode(uint64_t mode) {
#if defined(__SSE__)
    __builtin_ia32_ldmxcsr((unsigned int)mode);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
    (void)mode;
#endif
}
