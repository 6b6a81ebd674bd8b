/*
 * switch_x86_64.S: change of stacks for the System V ABI of x86-64.
 *
 * A suspended stack holds, from its saved pointer upwards: MXCSR and the x87 control word (callee-saved by the ABI),
 * r15 r14 r13 r12 rbx rbp, and the address at which it continues. It is reached by a jump and not by ret, which the
 * return stack of the processor would mispredict each time.
 */
#if defined(__x86_64__) && !defined(CORO_UCONTEXT)

        .text

        .globl  switch_to
        .type   switch_to, @function
        .p2align 4
switch_to:
        .cfi_startproc
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $8, %rsp
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)

        movq    %rsi, %rsp
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        popq    %rcx
        jmp     *%rcx
        .cfi_endproc
        .size   switch_to, .-switch_to

        .globl  switch_make
        .type   switch_make, @function
        .p2align 4
switch_make:
        .cfi_startproc
        leaq    -80(%rsi), %rax         /* 64 bytes as switch_to leaves them, and 16 that keep the alignment */
        stmxcsr (%rax)
        fnstcw  4(%rax)
        movq    $0, 8(%rax)
        movq    $0, 16(%rax)
        movq    $0, 24(%rax)
        movq    %rdx, 32(%rax)          /* r12 = entry */
        movq    $0, 40(%rax)
        movq    $0, 48(%rax)            /* rbp = 0 ends the chain of frames */
        leaq    first_frame(%rip), %rcx
        movq    %rcx, 56(%rax)
        ret
        .cfi_endproc
        .size   switch_make, .-switch_make

        .type   first_frame, @function
first_frame:
        .cfi_startproc
        .cfi_undefined rip              /* a backtrace ends here */
        call    *%r12
        ud2
        .cfi_endproc
        .size   first_frame, .-first_frame

#endif
        .section .note.GNU-stack, "", @progbits
