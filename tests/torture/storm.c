// Called by: tests/torture/storms.py; tests/torture/box.py compiles it.
// Storms of signals, for tests/torture/storms.py: who makes them, and the command that lives in one and stamps what happens to it.
//   storm serve SIG...           the command. It ignores these and listens, so that it counts as ready. It says `up GENERATION NS` as its first
//                                act and `got NS` at TERM. Lines on its standard input: `exit` makes it say `exit NS` and end with 3; `health`
//                                makes it say `asked NS`, run that verb of PID 1's, and say `health CODE NS`
//   storm send N pid1 SIG...     N processes that send these to PID 1 in turn, without a pause. It says `storming` when all of them do
//   storm send N elsewhere SIG...   the same to a process that takes them as an init would: what the senders cost the machine, without the storm
// NS is CLOCK_MONOTONIC, which is the same in every namespace.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Signals of a sender before it is told that it storms, and how many of them must be accepted: a queue that is full of somebody else's takes none.
#define FIRST 20000
#define ACCEPTED 1000

static void fail(const char *what) {
    fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
    _exit(99);
}

// One write a line; also in a handler.
static void say(const char *what) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    char line[128];
    int length = snprintf(line, sizeof line, "%s %lld\n", what, at.tv_sec * 1000000000LL + at.tv_nsec);
    if (write(1, line, length) < 0) _exit(98);
}

static void got(int number) {
    (void)number;
    say("got");
}

static void ignore(char **numbers) {
    for (; *numbers; numbers++) signal(atoi(*numbers), SIG_IGN);
}

// Byte by byte: what follows it is for the next generation.
static int read_line(char *line, size_t room) {
    for (size_t length = 0; length < room && read(0, line + length, 1) == 1; length++)
        if (line[length] == '\n') {
            line[length] = 0;
            return 1;
        }
    return 0;
}

static void health(void) {
    char said[32];
    int status = 0;
    say("asked");
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/proc/1/exe", "restartinit", "health", NULL);
        _exit(97);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) fail("health");
    snprintf(said, sizeof said, "health %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    say(said);
}

static int serve(char **numbers) {
    char first[64];
    const char *generation = getenv("RESTARTINIT_GENERATION");
    snprintf(first, sizeof first, "up %s", generation ? generation : "-");
    say(first);
    ignore(numbers);
    struct sigaction action = {.sa_handler = got, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    struct sockaddr_in anywhere = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || bind(server, (struct sockaddr *)&anywhere, sizeof anywhere) || listen(server, 8)) fail("listen");
    say("ready");
    char line[32];
    while (read_line(line, sizeof line)) {
        if (strcmp(line, "health") == 0) health();
        else if (strcmp(line, "exit") == 0) {
            say("exit");
            _exit(3);
        }
    }
    for (;;) pause();
}

static void send_on(pid_t target, char **numbers, int begun) {
    int all[64], count = 0, accepted = 0;
    for (; *numbers && count < 64; numbers++) all[count++] = atoi(*numbers);
    for (unsigned at = 0;; at++) {
        // EAGAIN: the queue of real-time signals is full, and so not empty either.
        if (kill(target, all[at % count]) == 0) accepted += accepted < ACCEPTED;
        else if (errno != EAGAIN) _exit(0);
        if (begun >= 0 && at >= FIRST && accepted == ACCEPTED) close(begun), begun = -1;
    }
}

// Takes signals as an init would, one after another.
static void take(void) {
    sigset_t all;
    sigfillset(&all);
    for (siginfo_t info;;) sigwaitinfo(&all, &info);
}

static void send_all(int senders, int elsewhere, char **numbers) {
    int ends[2];
    pid_t target = 1;
    if (pipe(ends)) fail("pipe");
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (elsewhere && (target = fork()) == 0) close(ends[0]), close(ends[1]), take();
    if (target < 0) fail("fork");
    for (int i = 0; i < senders; i++) {
        pid_t pid = fork();
        if (pid < 0) fail("fork");
        if (pid == 0) send_on(target, numbers, ends[1]);
    }
    char byte;
    close(ends[1]);
    while (read(ends[0], &byte, 1) > 0) {}
    say("storming");
    for (;;) pause();
}

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "serve")) return serve(words + 2);
    if (count > 4 && !strcmp(words[1], "send")) send_all(atoi(words[2]), !strcmp(words[3], "elsewhere"), words + 4);
    fprintf(stderr, "storm: see the top of storm.c\n");
    return 2;
}
