/* Models compiled into the program: struct builtin_model builtin_models[] of builtin.h. */
    .macro model label, name, file
\label:
    .incbin "\file"
\label\()_end:
    .balign 16
\label\()_space:
    .asciz "\name"
    .balign 16
    .endm

    .section .rodata
    .balign 16
kind_accuracy:
    .asciz "accuracy"
kind_supernet:
    .asciz "supernet"
    .balign 16
    model accuracy_ofa_mbv3_w10, "ofa-mbv3-w1.0", "ofa-mbv3-w1.0-accuracy.bin"
    model accuracy_cifar_mbv3, "cifar-mbv3", "cifar-mbv3-accuracy.bin"
    model supernet_cifar_mbv3, "cifar-mbv3", "cifar-mbv3.safetensors"

    .macro entry kind, label
    .quad \kind, \label\()_space, \label, \label\()_end - \label
    .endm

    .section .data.rel.ro, "aw"
    .globl builtin_models
    .balign 8
builtin_models:
    entry kind_accuracy, accuracy_ofa_mbv3_w10
    entry kind_accuracy, accuracy_cifar_mbv3
    entry kind_supernet, supernet_cifar_mbv3
builtin_models_end:

    .section .rodata
    .globl builtin_models_count
    .balign 8
builtin_models_count:
    .quad (builtin_models_end - builtin_models) / 32
    .section .note.GNU-stack,"",%progbits
