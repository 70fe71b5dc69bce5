// Called by: tests/torture/box.py, which compiles it.
// What must be fast or exact in the torture tests.
//   driver stops TRIES MICROSECONDS TRIGGER SIGNAL INIT ARGS...
//       TRIES times: INIT as PID 1 of a new namespace. After a line that begins with TRIGGER (`-`: from its first instruction on), SIGNAL if
//       it is not 0, then, a random part of MICROSECONDS later, TERM. One line for each try that went wrong, and one of sums.
//   driver storm PID SIGNAL COUNT RATE    so many signals to a process, so many a second
//   driver clock INIT ARGS...             INIT as PID 1 whose CLOCK_REALTIME is moved: an hour back at USR1 to this process, forward at USR2.
//       Says how often that clock was read. Only for PID 1, and by ptrace: the machine's clock belongs to others as well.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 30000 // milliseconds; to pass it is a failure

static void fail(const char *what) {
    fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void pass(int64_t until) {
    while (now() < until) {}
}

static void block_all(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

// PID 1 of a namespace of its own, with its /proc. It inherits that all signals are blocked, so that one sent before its first instruction
// waits for it: the kernel drops what PID 1 neither blocks nor handles.
static pid_t start(char **words, int output, int traced) {
    pid_t pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (pid < 0) fail("clone (it needs root or a user namespace)");
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL)) fail("mount /proc");
    int null = open("/dev/null", O_RDWR);
    if (output >= 0 && (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)) fail("dup2");
    syscall(SYS_close_range, 3, ~0u, 0);
    if (traced && ptrace(PTRACE_TRACEME, 0, 0, 0)) fail("PTRACE_TRACEME");
    execv(words[0], words);
    _exit(126);
}

static char said[1 << 20];
static size_t length;

// Reads on until a line begins with that (NULL: to the end). False: the deadline passed, or the end came first.
static int hear(int fd, const char *begins) {
    int64_t until = now() + PATIENCE * 1000000LL;
    size_t from = 0;
    for (;;) {
        said[length] = 0;
        for (char *end; begins && (end = strchr(said + from, '\n')); from = end - said + 1)
            if (strncmp(said + from, begins, strlen(begins)) == 0) return 1;
        struct pollfd pipe = {fd, POLLIN, 0};
        int left = (until - now()) / 1000000;
        if (left <= 0 || poll(&pipe, 1, left) <= 0) return 0;
        ssize_t count = read(fd, said + length, sizeof said - length - 1);
        if (count <= 0) return begins == NULL;
        length += count;
    }
}

// What is wrong with what was said, or NULL.
static const char *judge(int *generations) {
    char *stop = strstr(said, "stop asked by SIGTERM");
    if (!stop) return "the stop is not in the log";
    int before = 0, number;
    for (char *line = said; line && line < stop; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char *name = strstr(line, "generation ");
        char *end = strchr(line, '\n');
        if (name && end && name < end && sscanf(name, "generation %d (pid", &number) == 1 && memmem(line, end - line, ") started", 9))
            before = number > before ? number : before;
    }
    *generations = before;
    if (strstr(stop, ") started")) return "a generation began after the stop";
    for (char *line = said; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if ((sscanf(line, "up %d", &number) == 1 || sscanf(line, "active %d", &number) == 1) && number > before) return "a command ran that began after the stop";
    return NULL;
}

static int stops(int tries, int microseconds, const char *trigger, int number, char **words) {
    int wrong = 0, most = 0, least = 1 << 30, codes[256] = {0};
    int64_t slowest = 0;
    srandom(now() ^ getpid());
    block_all();
    for (int at = 0; at < tries; at++) {
        int ends[2], status = 0, generations = 0;
        if (pipe2(ends, O_CLOEXEC)) fail("pipe");
        length = 0;
        pid_t pid = start(words, ends[1], 0);
        close(ends[1]);
        const char *reason = strcmp(trigger, "-") && !hear(ends[0], trigger) ? "it did not come that far" : NULL;
        if (!reason && number) kill(pid, number);
        int aim = random() % microseconds;
        pass(now() + aim * 1000LL);
        int64_t asked = now();
        kill(pid, SIGTERM);
        if (!reason && !hear(ends[0], NULL)) reason = "the stop is lost: it does not end";
        if (reason) kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        int64_t took = now() - asked;
        close(ends[0]);
        said[length] = 0;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        // The command's own ends: it crashed, it caught TERM, TERM came before it could; or it was asked to give way, by a restart.
        if (!reason && !WIFEXITED(status)) reason = "a signal ended PID 1";
        if (!reason && code != 3 && code != 42 && code != 143) reason = "no exit code of its command's";
        if (!reason) reason = judge(&generations);
        codes[code & 255]++;
        slowest = took > slowest ? took : slowest;
        most = generations > most ? generations : most;
        least = generations < least ? generations : least;
        if (reason) {
            wrong++;
            printf("wrong: after %d us: %s (code %d)\n%s\n", aim, reason, code, said);
        }
    }
    printf("sums: tries %d wrong %d slowest_us %lld generations %d-%d codes", tries, wrong, (long long)slowest / 1000, least, most);
    for (int code = 0; code < 256; code++)
        if (codes[code]) printf(" %d:%d", code, codes[code]);
    printf("\n");
    return wrong > 0;
}

static int storm(pid_t pid, int number, int count, int rate) {
    int64_t began = now();
    int full = 0;
    for (int i = 0; i < count; i++) {
        pass(began + i * 1000000000LL / rate);
        // A queue of real-time signals can be full: EAGAIN, and that one was not sent.
        if (kill(pid, number) < 0) {
            if (errno != EAGAIN) fail("kill");
            full++;
        }
    }
    printf("sent %d in %lld ms\n", count - full, (long long)(now() - began) / 1000000);
    return 0;
}

static volatile sig_atomic_t offset;

static void set_clock(int number) {
    offset = number == SIGUSR1 ? -3600 : 3600;
}

// Without the vDSO every look at the clock is a system call.
static void take_vdso(pid_t pid, uint64_t stack) {
    long words = ptrace(PTRACE_PEEKDATA, pid, stack, 0);
    uint64_t at = stack + 8 * (words + 2);
    while (ptrace(PTRACE_PEEKDATA, pid, at, 0)) at += 8;
    for (at += 8;; at += 16) {
        long type = ptrace(PTRACE_PEEKDATA, pid, at, 0);
        if (type == AT_NULL) fail("no vDSO to take away");
        if (type == AT_SYSINFO_EHDR) break;
    }
    ptrace(PTRACE_POKEDATA, pid, at, (long)AT_IGNORE);
}

static int with_clock(char **words) {
    signal(SIGUSR1, set_clock);
    signal(SIGUSR2, set_clock);
    pid_t pid = start(words, -1, 1);
    int status, reads = 0;
    struct __ptrace_syscall_info info;
    uint64_t room = 0;
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, (long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
    take_vdso(pid, info.stack_pointer);
    for (long number = 0;;) {
        ptrace(PTRACE_SYSCALL, pid, 0, number);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        if (WIFEXITED(status) || WIFSIGNALED(status)) break;
        number = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
        if (number) continue;
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
            room = info.entry.nr == SYS_clock_gettime && info.entry.args[0] == CLOCK_REALTIME ? info.entry.args[1] : 0;
        else if (info.op == PTRACE_SYSCALL_INFO_EXIT && room && info.exit.rval == 0) {
            ptrace(PTRACE_POKEDATA, pid, room, ptrace(PTRACE_PEEKDATA, pid, room, 0) + offset);
            reads++;
        }
    }
    printf("CLOCK_REALTIME was read %d times\n", reads);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int count, char **words) {
    if (count > 6 && !strcmp(words[1], "stops")) return stops(atoi(words[2]), atoi(words[3]), words[4], atoi(words[5]), words + 6);
    if (count == 6 && !strcmp(words[1], "storm")) return storm(atoi(words[2]), atoi(words[3]), atoi(words[4]), atoi(words[5]));
    if (count > 2 && !strcmp(words[1], "clock")) return with_clock(words + 2);
    fprintf(stderr, "driver: see the top of driver.c\n");
    return 2;
}
