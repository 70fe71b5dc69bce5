// Called by: bench/machine.py, which links it into the probe.
// The entry point of `probe`, in the place of libc's: it stores CLOCK_MONOTONIC in first_instruction and goes on to libc's own
// start. So the stamp is that of the program's first instruction, and nothing of libc's start is in what is measured.
// Static and not position-independent, so that no loader runs before it.
#include <sys/syscall.h>

    .bss
    .balign 8
    .global first_instruction
first_instruction:
    .skip 16

    .text
    .global stamped_start
#if defined(__x86_64__)
stamped_start:
    push %rdx
    mov $SYS_clock_gettime, %eax
    mov $1, %edi
    lea first_instruction(%rip), %rsi
    syscall
    pop %rdx
    jmp _start
#elif defined(__aarch64__)
stamped_start:
    mov x9, x0
    mov x8, #SYS_clock_gettime
    mov x0, #1
    adrp x1, first_instruction
    add x1, x1, :lo12:first_instruction
    svc #0
    mov x0, x9
    b _start
#else
#error "bench: first.S knows x86_64 and aarch64"
#endif
    .section .note.GNU-stack, "", %progbits
