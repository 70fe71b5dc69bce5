// Called by: tests/docker/images.rs, which compiles it.
/* A command without libraries, for images that hold nothing else. It says its generation first, then:
 *   probe exit CODE             exits with CODE
 *   probe raise SIGNAL          dies of that signal
 *   probe wait CODE [SIGNAL...] says every signal that arrives; one of the named ones ends it with CODE
 *   probe answer PORT FILE      answers each connection to PORT with what is in FILE by then
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(void) {
    dprintf(2, "probe: exit CODE | raise SIGNAL | wait CODE [SIGNAL...] | answer PORT FILE\n");
    return 64;
}

static int answer(int port, const char *file) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) != 0 || listen(server, 16) != 0) {
        perror("probe: answer");
        return 1;
    }
    for (;;) {
        char text[4096];
        int client = accept(server, NULL, NULL), source = open(file, O_RDONLY);
        ssize_t length = read(source, text, sizeof text);

        /* All of the question is read, or closing would take the answer away from whoever has asked. */
        shutdown(client, write(client, text, length > 0 ? length : 0) < 0 ? SHUT_RDWR : SHUT_WR);
        while (read(client, text, sizeof text) > 0) {}
        close(source);
        close(client);
    }
}

int main(int argc, char **argv) {
    const char *generation = getenv("RESTARTINIT_GENERATION");
    sigset_t all;

    if (argc < 3) return usage();
    sigfillset(&all);
    /* Blocked before the first word is out: whoever has read it may send at once. */
    if (strcmp(argv[1], "wait") == 0) sigprocmask(SIG_BLOCK, &all, NULL);
    dprintf(1, "probe: generation %s, pid %d, parent %d\n", generation ? generation : "-", getpid(), getppid());

    if (strcmp(argv[1], "exit") == 0) return atoi(argv[2]);
    if (strcmp(argv[1], "raise") == 0) return raise(atoi(argv[2]));
    if (strcmp(argv[1], "answer") == 0) return argc > 3 ? answer(atoi(argv[2]), argv[3]) : usage();
    if (strcmp(argv[1], "wait") != 0) return usage();
    for (;;) {
        int signal = sigwaitinfo(&all, NULL);
        if (signal < 0) continue;
        dprintf(1, "probe: signal %d\n", signal);
        for (int i = 3; i < argc; i++)
            if (atoi(argv[i]) == signal) return atoi(argv[2]);
    }
}
