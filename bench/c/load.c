// Called by: bench/machine.py, which compiles it.
// load PORT RATE SECONDS: new connections to 127.0.0.1:PORT at a steady rate, one GET each, whatever becomes of the earlier ones.
// One line for each connection, when its fate is known: opened and decided (CLOCK_MONOTONIC, nanoseconds), its fate, and the body
// of the answer, which is the server's pid (`-` where it came in chunks). After TERM it opens no more and ends as it would have. The fates:
//   ok       a whole answer
//   wrong    a whole answer that is no 200
//   refused  nobody listens
//   reset    connected, then cut off before a whole answer
//   lost     no answer within 5 s
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 5000000000LL
#define MOST 16384 // connections at one time: beyond that the load is a mistake

struct connection {
    int fd; // -1: free
    int asked;
    int64_t opened;
    size_t length;
    char answer[512]; // as much as fits
    char last[5];
};

static struct connection connections[MOST];
static int highest, undecided, poller;
static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void decide(struct connection *connection, const char *fate, const char *body) {
    printf("%lld %lld %s %s\n", (long long)connection->opened, (long long)now(), fate, body);
    close(connection->fd);
    connection->fd = -1;
    undecided--;
}

static void decide_by(struct connection *connection, int error) {
    if (error == ECONNREFUSED) decide(connection, "refused", "-");
    else decide(connection, "reset", "-");
}

static void open_one(int port) {
    struct connection *connection = NULL;
    for (int i = 0; i < MOST && !connection; i++)
        if (connections[i].fd < 0) {
            connection = &connections[i];
            if (i >= highest) highest = i + 1;
        }
    if (!connection) {
        errno = EMFILE;
        fail("too many connections without an answer");
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    *connection = (struct connection){.fd = fd, .opened = now()};
    undecided++;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) {
        if (errno == EADDRNOTAVAIL) fail("no local port is left");
        decide_by(connection, errno);
        return;
    }
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest) != 0) fail("epoll_ctl");
}

static void keep(struct connection *connection, const char *data, size_t size) {
    size_t room = sizeof connection->answer - 1 - connection->length, kept = size < room ? size : room, end = sizeof connection->last;
    memcpy(connection->answer + connection->length, data, kept);
    connection->length += kept;
    size_t fresh = size < end ? size : end;
    memmove(connection->last, connection->last + fresh, end - fresh);
    memcpy(connection->last + end - fresh, data + size - fresh, fresh);
}

// A whole answer: the header's end, and as many bytes after it as Content-Length says, or the last chunk. NULL while there is more to come.
static const char *body_of(struct connection *connection) {
    connection->answer[connection->length] = 0;
    char *body = strstr(connection->answer, "\r\n\r\n"), *said = strcasestr(connection->answer, "\r\nContent-Length:");
    char *chunked = strcasestr(connection->answer, "\r\nTransfer-Encoding: chunked");
    if (body && chunked && chunked < body) return memcmp(connection->last, "0\r\n\r\n", 5) == 0 ? "-" : NULL;
    if (!body || !said || said > body || strlen(body + 4) < (size_t)atol(said + 17)) return NULL;
    body[4 + atol(said + 17)] = 0;
    return body + 4;
}

static void proceed(struct connection *connection) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return decide_by(connection, error);
    if (!connection->asked) {
        ssize_t sent = send(connection->fd, request, sizeof request - 1, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
        if (sent != sizeof request - 1) return decide_by(connection, errno);
        connection->asked = 1;
    }
    for (;;) {
        char data[16384];
        ssize_t got = recv(connection->fd, data, sizeof data, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return decide(connection, "reset", "-");
        keep(connection, data, (size_t)got);
        const char *body = body_of(connection);
        if (body) return decide(connection, strncmp(connection->answer, "HTTP/1.1 200", 12) == 0 ? "ok" : "wrong", body);
    }
}

int main(int count, char **arguments) {
    if (count != 4) return fprintf(stderr, "usage: load PORT RATE SECONDS\n"), 2;
    int port = atoi(arguments[1]);
    int64_t gap = 1000000000LL / atol(arguments[2]), end = now() + (int64_t)(atof(arguments[3]) * 1e9);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < MOST; i++) connections[i].fd = -1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec beat = {.it_interval = {gap / 1000000000LL, gap % 1000000000LL}, .it_value = {0, 1}};
    if (poller < 0 || timer < 0 || timerfd_settime(timer, 0, &beat, NULL) != 0) fail("timer");
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &interest);
    signal(SIGTERM, stop);
    while ((now() < end && !stopped) || undecided > 0) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, 100);
        for (int i = 0; i < ready; i++) {
            uint64_t beats = 0;
            if (events[i].data.ptr) proceed(events[i].data.ptr);
            else if (read(timer, &beats, sizeof beats) == sizeof beats && now() < end && !stopped)
                // After a late wake-up the ones that are due are opened too: the rate holds.
                for (; beats > 0; beats--) open_one(port);
        }
        for (int i = 0; i < highest; i++)
            if (connections[i].fd >= 0 && now() - connections[i].opened > PATIENCE) decide(&connections[i], "lost", "-");
    }
    return 0;
}
