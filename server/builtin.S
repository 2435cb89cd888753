/* Models compiled into the program: struct builtin_model builtin_models[] of builtin.h. */
    .section .rodata
    .balign 16
accuracy_ofa_mbv3_w10:
    .incbin "ofa-mbv3-w1.0-accuracy.bin"
accuracy_ofa_mbv3_w10_end:
space_ofa_mbv3_w10:
    .asciz "ofa-mbv3-w1.0"
    .globl builtin_models_count
    .balign 8
builtin_models_count:
    .quad 1

    .section .data.rel.ro, "aw"
    .globl builtin_models
    .balign 8
builtin_models:
    .quad space_ofa_mbv3_w10
    .quad accuracy_ofa_mbv3_w10
    .quad accuracy_ofa_mbv3_w10_end - accuracy_ofa_mbv3_w10
    .section .note.GNU-stack,"",%progbits
