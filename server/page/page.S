/* page.S: the page of [status], which the Makefile has put together, as a part of the library. */

    .section .rodata
    .global status_page_begin, status_page_end
    .hidden status_page_begin, status_page_end
status_page_begin:
    .incbin PAGE
status_page_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
