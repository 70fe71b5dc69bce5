// Called by: bench/machine.py, which compiles it.
// The command that the benchmark puts under an init, and what it does to that init from outside. Times are CLOCK_MONOTONIC in
// nanoseconds, which all PID namespaces share. What is told goes to a FIFO, one short line (or 8 bytes) in one write.
//
//   probe launch STATE PROGRAM ARG...      stamps STATE, then executes PROGRAM: the start of what is measured
//   probe wait FIFO                        tells its first instruction and sleeps
//   probe restart FIFO GO STATE PAUSE_US   tells at the counts that STATE asks for, and exits with 1 after each start
//   probe signals FIFO                     tells the time at which its handler for USR1 ran, as 8 bytes
//   probe send FIFO PID COUNT GAP_US       sends USR1 that often, each after the answer to the last; prints the latencies
//   probe orphans FIFO GO COUNT TIMES      makes COUNT orphans that end at once; tells when the last is reaped; TIMES times over
//   probe write FIFO GO BYTES              writes lines to standard output; tells how long it was kept at it
//   probe sink                             reads standard input to its end; prints bytes and the time of the last read, then
//                                          what came last
//   probe hog                              keeps a processor busy until its parent dies
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern struct timespec first_instruction; // first.S

// What generations of `restart` leave to one another. The driver writes checkpoints and reads samples.
struct state {
    int64_t death; // just before the last exit; for `launch`, just before the exec
    uint64_t count;
    uint64_t checkpoints[8];
    uint32_t samples[]; // nanoseconds from a death to the next first instruction
};

static void fail(const char *what) {
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(99);
}

static int64_t nanoseconds(struct timespec at) { return at.tv_sec * 1000000000LL + at.tv_nsec; }

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return nanoseconds(at);
}

static void pause_for(long microseconds) {
    struct timespec length = {microseconds / 1000000, microseconds % 1000000 * 1000};
    if (microseconds > 0) nanosleep(&length, NULL);
}

// Both ends, so that no open waits and no reader's end kills us.
static int fifo(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) fail(path);
    return fd;
}

static void tell(int fd, const char *format, ...) {
    char line[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(fd, line, (size_t)length) != length) fail("tell");
}

static void await_go(int fd) {
    char byte;
    if (read(fd, &byte, 1) != 1) fail("go");
}

static void sleep_for_ever(void) {
    for (;;) pause();
}

static struct state *map_state(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat file;
    if (fd < 0 || fstat(fd, &file) != 0) fail(path);
    struct state *state = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (state == MAP_FAILED) fail("mmap");
    close(fd);
    return state;
}

static void launch(char **arguments) {
    struct state *state = map_state(arguments[0]);
    state->death = now();
    execv(arguments[1], arguments + 1);
    fail(arguments[1]);
}

static void await(const char *told) {
    tell(fifo(told), "first %lld\n", (long long)nanoseconds(first_instruction));
    sleep_for_ever();
}

static void restart(const char *told, const char *go, const char *path, long pause_us) {
    struct state *state = map_state(path);
    // The first generation follows no death.
    if (state->death != 0) state->samples[state->count++] = (uint32_t)(nanoseconds(first_instruction) - state->death);
    for (int i = 0; i < 8; i++) {
        if (state->checkpoints[i] != 0 && state->checkpoints[i] == state->count) {
            tell(fifo(told), "count %llu\n", (unsigned long long)state->count);
            await_go(fifo(go));
        }
    }
    pause_for(pause_us);
    state->death = now();
    _exit(1);
}

static int answers;

static void answer(int signal) {
    (void)signal;
    int64_t at = now();
    if (write(answers, &at, sizeof at) != sizeof at) _exit(98);
}

static void signals(const char *told) {
    answers = fifo(told);
    struct sigaction action = {.sa_handler = answer, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    answer(0); // ready
    sleep_for_ever();
}

// Prints one latency a line, in nanoseconds.
static void send_signals(const char *told, pid_t pid, long count, long gap_us) {
    int fd = fifo(told);
    int64_t *latencies = calloc((size_t)count, sizeof *latencies);
    if (!latencies) fail("memory");
    for (long i = 0; i < count; i++) {
        int64_t sent = now(), at;
        if (kill(pid, SIGUSR1) != 0) fail("kill");
        struct pollfd wait = {fd, POLLIN, 0};
        if (poll(&wait, 1, 10000) != 1) {
            errno = ETIMEDOUT;
            fail("no answer to a signal");
        }
        if (read(fd, &at, sizeof at) != sizeof at) fail("answer");
        latencies[i] = at - sent;
        pause_for(gap_us);
    }
    for (long i = 0; i < count; i++) printf("%lld\n", (long long)latencies[i]);
}

// Processes and threads of the whole machine, zombies too: cheap to ask, unlike /proc.
static long processes(void) {
    struct sysinfo info;
    return sysinfo(&info) == 0 ? info.procs : 0;
}

static void orphans(const char *told, const char *go, long count, long times) {
    int out = fifo(told), start = fifo(go);
    for (long round = 0; round < times; round++) {
        int leash[2];
        if (pipe2(leash, O_CLOEXEC) != 0) fail("pipe");
        pid_t maker = fork();
        if (maker == 0) {
            close(leash[1]);
            for (long i = 0; i < count; i++) {
                pid_t orphan = fork();
                if (orphan < 0) fail("fork");
                if (orphan == 0) {
                    char byte;
                    // The end of file comes to all of them at once.
                    _exit(read(leash[0], &byte, 1) == 0 ? 0 : 97);
                }
            }
            _exit(0);
        }
        int status;
        if (maker < 0 || waitpid(maker, &status, 0) != maker || status != 0) fail("the orphans' maker");
        close(leash[0]);
        tell(out, "made %ld\n", count);
        await_go(start);
        long above = processes() - count;
        int64_t from = now();
        close(leash[1]);
        // First the cheap question; other processes of the machine come and go, so it is only a hint for the exact one.
        while (processes() > above + count / 100 + 16) pause_for(300);
        // To kill(2), -1 is everybody here but PID 1 and us; a zombie counts until it is reaped.
        while (kill(-1, 0) == 0) pause_for(300);
        tell(out, "reaped %lld\n", (long long)(now() - from));
    }
    sleep_for_ever();
}

static void write_lines(const char *told, const char *go, long long bytes) {
    static char block[1 << 16];
    int out = fifo(told);
    for (size_t i = 0; i < sizeof block; i++) block[i] = i % 128 == 127 ? '\n' : 'x';
    tell(out, "ready\n");
    await_go(fifo(go));
    int64_t from = now();
    for (long long left = bytes; left > 0;) {
        ssize_t written = write(1, block, left < (long long)sizeof block ? (size_t)left : sizeof block);
        if (written < 0) fail("standard output");
        left -= written;
    }
    tell(out, "written %lld %lld\n", (long long)from, (long long)now());
    sleep_for_ever();
}

static void sink(void) {
    static char block[1 << 16];
    long long total = 0;
    int64_t last = 0;
    ssize_t kept = 0;
    for (ssize_t length; (length = read(0, block, sizeof block)) > 0; kept = length) {
        last = now();
        total += length;
    }
    printf("%lld %lld\n%.*s", total, (long long)last, (int)kept, block);
}

static void hog(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (volatile unsigned long turns = 0;; turns++) {}
}

int main(int count, char **arguments) {
    const char *verb = count > 1 ? arguments[1] : "";
    char **rest = arguments + 2;
    int given = count - 2;
    if (!strcmp(verb, "launch") && given >= 2) launch(rest);
    else if (!strcmp(verb, "wait") && given == 1) await(rest[0]);
    else if (!strcmp(verb, "restart") && given == 4) restart(rest[0], rest[1], rest[2], atol(rest[3]));
    else if (!strcmp(verb, "signals") && given == 1) signals(rest[0]);
    else if (!strcmp(verb, "send") && given == 4) send_signals(rest[0], (pid_t)atol(rest[1]), atol(rest[2]), atol(rest[3]));
    else if (!strcmp(verb, "orphans") && given == 4) orphans(rest[0], rest[1], atol(rest[2]), atol(rest[3]));
    else if (!strcmp(verb, "write") && given == 3) write_lines(rest[0], rest[1], atoll(rest[2]));
    else if (!strcmp(verb, "sink") && given == 0) sink();
    else if (!strcmp(verb, "hog") && given == 0) hog();
    else {
        fprintf(stderr, "probe: unknown verb '%s' or wrong number of arguments; probe.c lists them\n", verb);
        return 2;
    }
    return 0;
}
