/*
 * switch_aarch64.S: change of stacks for AAPCS64.
 *
 * A suspended stack holds, from its saved pointer upwards: x19..x28, x29 (frame), x30 (where it continues), d8..d15 and
 * FPCR, 176 bytes with padding.
 */
#if defined(__aarch64__) && !defined(CORO_UCONTEXT)

        .text

        .globl  switch_to
        .type   switch_to, %function
        .p2align 4
switch_to:
        .cfi_startproc
        sub     sp, sp, #176
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x9, fpcr
        str     x9, [sp, #160]
        mov     x10, sp
        str     x10, [x0]

        mov     sp, x1
        ldr     x9, [sp, #160]
        msr     fpcr, x9
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x29, x30, [sp, #80]
        ldp     x27, x28, [sp, #64]
        ldp     x25, x26, [sp, #48]
        ldp     x23, x24, [sp, #32]
        ldp     x21, x22, [sp, #16]
        ldp     x19, x20, [sp, #0]
        add     sp, sp, #176
        br      x30
        .cfi_endproc
        .size   switch_to, .-switch_to

        .globl  switch_make
        .type   switch_make, %function
        .p2align 4
switch_make:
        .cfi_startproc
        sub     x3, x1, #176
        str     x2, [x3, #0]            /* x19 = entry */
        adr     x4, first_frame
        stp     xzr, x4, [x3, #80]      /* x29 = 0 ends the chain of frames */
        mrs     x4, fpcr
        str     x4, [x3, #160]
        mov     x0, x3
        ret
        .cfi_endproc
        .size   switch_make, .-switch_make

        .type   first_frame, %function
first_frame:
        .cfi_startproc
        .cfi_undefined x30              /* a backtrace ends here */
        blr     x19
        brk     #1
        .cfi_endproc
        .size   first_frame, .-first_frame

#endif
        .section .note.GNU-stack, "", %progbits
