// Called by: tests/torture/box.py, which compiles it.
// The command of the torture tests: small and fast, and it speaks enough of Node's wire to be held in standby, handed a socket and pinged.
//   app serve [WORD...]                  lives; signals and lines on standard input tell it what to do
//   app until G CODE WORDS...            exits with CODE up to generation G, then as `serve WORDS...`
// crash: USR1 is exit 3. restart: USR2 asks restartinit for a planned restart. keep: signals are counted, none ends it. late: the first
// generation asks for its socket at USR1 only.
// Otherwise TERM is exit 42. It says `up GENERATION`, and `active GENERATION` once it serves. It listens where TORTURE_PORT says.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int channel = -1, listener = -1, signals = -1, active, asked = -1;
static int crash, restart, keep, late;
static const char *generation = "-";
static unsigned counts[65];
static char heard[65536];
static size_t heard_length;

// One write a line, so that lines of several processes never mix.
static void say(const char *format, ...) {
    char line[256];
    va_list rest;
    va_start(rest, format);
    int length = vsnprintf(line, sizeof line - 1, format, rest);
    va_end(rest);
    line[length] = '\n';
    if (write(1, line, length + 1) < 0) _exit(96);
}

static void mistake(const char *what) {
    say("app: %s: %s", what, strerror(errno));
    _exit(99);
}

static void tell(const char *line) {
    size_t length = strlen(line), sent = 0;
    while (sent < length) {
        ssize_t count = send(channel, line + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0) _exit(97); // restartinit is gone
        sent += count;
    }
}

static void become_active(void) {
    active = 1;
    say("active %s", generation);
}

static unsigned long namespace_of(const char *kind) {
    char path[32];
    struct stat namespace;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    if (stat(path, &namespace) < 0) mistake(path);
    return namespace.st_ino;
}

static int control(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "restartinit/%lu/%lu", namespace_of("pid"), namespace_of("mnt"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + length) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int web(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // The many connections of a test must not use up the ports.
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

// So many clients, one after another; how many were answered by 200.
static void clients(int port, int count) {
    static const char request[] = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
    int good = 0;
    for (int i = 0; i < count; i++) {
        char answer[8192];
        int fd = port ? web(port) : control();
        if (fd < 0) continue;
        ssize_t length = 0, more;
        if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
            while ((more = read(fd, answer + length, sizeof answer - length)) > 0) length += more;
        good += length > 12 && !memcmp(answer + 9, "200", 3);
        close(fd);
    }
    say("answered %d", good);
}

static void orphans(int count) {
    int made = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            // A hundred a process, or the making of them would take longest. They are left to PID 1.
            int left = count - i < 100 ? count - i : 100, failed = 0;
            while (left-- > 0) {
                pid_t orphan = vfork();
                if (orphan == 0) _exit(7);
                failed += orphan < 0;
            }
            _exit(failed);
        }
        int status = 0, left = count - i < 100 ? count - i : 100;
        if (pid > 0) waitpid(pid, &status, 0);
        made += pid < 0 ? 0 : left - WEXITSTATUS(status);
        i += left - 1;
    }
    say("orphaned %d", made);
}

static void statement(char *line) {
    int number = 0, count = 0;
    if (sscanf(line, "orphans %d", &count) == 1) orphans(count);
    else if (sscanf(line, "control %d", &count) == 1) clients(0, count);
    else if (sscanf(line, "http %d %d", &number, &count) == 2) clients(number, count);
    else if (sscanf(line, "ipc %d", &count) == 1) {
        for (int i = 0; i < count; i++) tell("{\"job\":\"done\",\"rows\":[1,2,3]}\n");
        say("told %d", count);
    } else if (sscanf(line, "exit %d", &number) == 1) _exit(number);
    else if (sscanf(line, "count %d", &number) == 1) say("count %d %u", number, counts[number]);
    else if (!strcmp(line, "hog"))
        for (char *more; (more = malloc(1 << 20));) memset(more, 1, 1 << 20);
    else if (strncmp(line, "say ", 4) == 0) say("%s", line + 4);
    else mistake(line);
}

// One line, byte by byte: what follows it is for the next generation. False: the end.
static int obey(void) {
    char line[256];
    for (size_t length = 0; length < sizeof line - 1; length++) {
        ssize_t count = read(0, line + length, 1);
        if (count <= 0) return 0;
        if (line[length] == '\n') {
            line[length] = 0;
            statement(line);
            return 1;
        }
    }
    mistake("a long line");
    return 0;
}

static void query(void) {
    const char *port = getenv("TORTURE_PORT");
    char line[256];
    snprintf(line, sizeof line,
             "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","
             "\"port\":%s,\"addressType\":4,\"seq\":1}\n", port ? port : "0");
    tell(line);
}

static void take_signals(void) {
    struct signalfd_siginfo infos[32];
    ssize_t length = read(signals, infos, sizeof infos);
    for (ssize_t i = 0; i * (ssize_t)sizeof *infos < length; i++) {
        int number = infos[i].ssi_signo;
        counts[number]++;
        if (keep) continue;
        if (number == SIGTERM) _exit(42);
        if (number == SIGCHLD) continue;
        say("got %d", number);
        if (late && number == SIGUSR1) late = 0, query();
        if (crash && number == SIGUSR1) _exit(3);
        if (restart && number == SIGUSR2 && active && (asked = control()) >= 0) {
            static const char request[] = "POST /restart HTTP/1.1\r\nHost: x\r\n\r\n";
            if (send(asked, request, sizeof request - 1, MSG_NOSIGNAL) < 0) close(asked), asked = -1;
        }
    }
}

static void take_line(const char *line, int descriptor) {
    if (strcmp(line, "{\"cmd\":\"NODE_HANDLE\"}") == 0) tell("{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
    else if (strstr(line, "\"cmd\":\"NODE_HANDLE\"") && descriptor >= 0) {
        tell("{\"cmd\":\"NODE_HANDLE_ACK\"}\n");
        listener = descriptor;
        if (listen(listener, 128) < 0) mistake("listen");
        tell("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"address\":\"127.0.0.1\",\"port\":1,\"addressType\":4,\"seq\":2}\n");
        tell("\"ready\"\n");
        become_active();
    } else if (strstr(line, "\"cmd\":\"NODE_HANDLE\"")) tell("{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
    else if (strstr(line, "\"act\":\"disconnect\"") || strcmp(line, "\"shutdown\"") == 0) _exit(42);
    else if (strstr(line, "\"errno\":-")) {
        say("refused %s", generation);
        _exit(95); // as an app whose listen() fails
    }
}

static void take_channel(void) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } rights;
    struct iovec part = {heard + heard_length, sizeof heard - heard_length - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    ssize_t count = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    if (count <= 0) _exit(97);
    int descriptor = -1;
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first && first->cmsg_type == SCM_RIGHTS) memcpy(&descriptor, CMSG_DATA(first), sizeof descriptor);
    heard_length += count;
    heard[heard_length] = 0;
    char *line = heard, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        int is_handle = strstr(line, "\"type\":") != NULL;
        take_line(line, is_handle ? descriptor : -1);
        if (is_handle) descriptor = -1;
        line = end + 1;
    }
    heard_length -= line - heard;
    memmove(heard, line, heard_length);
}

static void serve(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signals = signalfd(-1, &all, SFD_CLOEXEC);
    if (signals < 0) mistake("signalfd");
    const char *descriptor = getenv("NODE_CHANNEL_FD");
    say("up %s", generation);
    if (descriptor) channel = atoi(descriptor);
    if (descriptor && getenv("NODE_UNIQUE_ID")) {
        tell("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n");
        late &= !strcmp(generation, "1");
        if (!late) query();
    } else {
        if (descriptor) tell("\"ready\"\n");
        become_active();
    }
    int listening = 1;
    for (;;) {
        struct pollfd all_of_them[] = {
            {signals, POLLIN, 0}, {channel, POLLIN, 0}, {active && listening ? 0 : -1, POLLIN, 0}, {listener, POLLIN, 0}, {asked, POLLIN, 0},
        };
        if (poll(all_of_them, 5, -1) < 0) mistake("poll");
        if (all_of_them[0].revents) take_signals();
        if (all_of_them[1].revents) take_channel();
        if (all_of_them[2].revents) listening = obey();
        if (all_of_them[3].revents) {
            int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (client >= 0) close(client);
        }
        if (all_of_them[4].revents) {
            close(asked);
            asked = -1;
        }
    }
}

int main(int count, char **words) {
    const char *own = getenv("RESTARTINIT_GENERATION");
    if (own) generation = own;
    int at = 2;
    if (count > 3 && strcmp(words[1], "until") == 0) {
        if (atoi(generation) <= atoi(words[2])) {
            if (atoi(generation) == 1 || getenv("TORTURE_LOUD")) say("up %s", generation);
            _exit(atoi(words[3]));
        }
        at = 4;
    }
    for (; at < count; at++) {
        crash |= !strcmp(words[at], "crash");
        restart |= !strcmp(words[at], "restart");
        keep |= !strcmp(words[at], "keep");
        late |= !strcmp(words[at], "late");
    }
    serve();
}
