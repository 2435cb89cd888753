/* families.S - the descriptions in supernet/families: struct { const char *json; size_t n; } net_family_texts[]. In the
 * order in which families are listed. */
    .macro text label, file
\label:
    .incbin "\file"
\label\()_end:
    .endm

    .section .rodata
    text ofa_mbv3_w1_0, "ofa-mbv3-w1.0.json"
    text ofa_mbv3_w1_2, "ofa-mbv3-w1.2.json"
    text nasbench_macro, "nasbench-macro.json"
    text cifar_mbv3, "cifar-mbv3.json"
    text mnist_mbv3, "mnist-mbv3.json"

    .macro entry label
    .quad \label, \label\()_end - \label
    .endm

    .section .data.rel.ro, "aw"
    .balign 8
    .globl net_family_texts
    .hidden net_family_texts
net_family_texts:
    entry ofa_mbv3_w1_0
    entry ofa_mbv3_w1_2
    entry nasbench_macro
    entry cifar_mbv3
    entry mnist_mbv3
    .quad 0, 0
    .section .note.GNU-stack, "", %progbits
