// Called by: tests/docker/images.rs, which compiles it.
/* A command without libraries, for images that hold nothing else. It says its generation first, then:
 *   probe exit CODE             exits with CODE
 *   probe raise SIGNAL          dies of that signal
 *   probe wait CODE [SIGNAL...] says every signal that arrives; one of the named ones ends it with CODE
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(void) {
    dprintf(2, "probe: exit CODE | raise SIGNAL | wait CODE [SIGNAL...]\n");
    return 64;
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
    if (strcmp(argv[1], "wait") != 0) return usage();
    for (;;) {
        int signal = sigwaitinfo(&all, NULL);
        if (signal < 0) continue;
        dprintf(1, "probe: signal %d\n", signal);
        for (int i = 3; i < argc; i++)
            if (atoi(argv[i]) == signal) return atoi(argv[2]);
    }
}
