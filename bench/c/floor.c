// Called by: bench/machine.py, which compiles it.
// The floor under every restart: an init that does nothing but vfork, exec and waitpid. No signals, no policy, no log.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **arguments) {
    if (count < 2) return fprintf(stderr, "usage: floor PROGRAM ARG...\n"), 2;
    for (;;) {
        pid_t child = vfork();
        if (child == 0) {
            execve(arguments[1], arguments + 1, environ);
            _exit(127);
        }
        if (child < 0) return perror("floor: vfork"), 1;
        while (waitpid(-1, NULL, 0) != child) {}
    }
}
