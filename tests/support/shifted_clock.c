/* Shift the time of day that a process sees, at any moment; preloaded into the process.
 *
 * CLOCK_FOLDER holds a file for each process, named by a word of its command line. The file holds
 * a number of seconds; a change takes effect at once. Monotonic clocks and the kernel's own file
 * times do not change, as when an operator sets a clock.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *const words[] = {
    "api_service.main", "parser_service.main", "parser_service.redis_listener",
    "api_service.worker", "api_service.worker.results", "api_service.worker.beat",
    "postgres", "valkey-server",
};
static const volatile int64_t *shift;

/* A whole word: `api_service.worker` is not `api_service.worker.results`. */
static int names(const char *command, const char *word) {
    for (const char *at = command; (at = strstr(at, word)); at++) {
        char next = at[strlen(word)];
        if (next != '.' && next != '_' && next != '-' && !isalnum((unsigned char)next)) return 1;
    }
    return 0;
}

__attribute__((constructor)) static void find_own_file(void) {
    const char *folder = getenv("CLOCK_FOLDER");
    char command[4096], path[4096];
    int file = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, command, sizeof command - 1);
    if (file >= 0) close(file);
    if (!folder || length <= 0) return;
    for (ssize_t i = 0; i < length; i++)
        if (!command[i]) command[i] = ' ';
    command[length] = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!names(command, words[i])) continue;
        snprintf(path, sizeof path, "%s/%s", folder, words[i]);
        file = open(path, O_RDONLY);
        if (file < 0) return;
        void *memory = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if (memory != MAP_FAILED) shift = memory;
        return;
    }
}

int clock_gettime(clockid_t id, struct timespec *out) {
    int failed = (int)syscall(SYS_clock_gettime, id, out);
    int is_time_of_day = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
    if (!failed && shift && is_time_of_day) out->tv_sec += *shift;
    return failed;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
