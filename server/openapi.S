/* The API's description as bytes: openapi_json .. openapi_json_end. */
    .section .rodata
    .globl openapi_json
    .globl openapi_json_end
openapi_json:
    .incbin "openapi.json"
openapi_json_end:
    .byte 0
    .section .note.GNU-stack,"",%progbits
