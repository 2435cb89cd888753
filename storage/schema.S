/* schema.S - schema.sql as a NUL-terminated string, store_schema_sql. */
    .section .rodata
    .global store_schema_sql
    .hidden store_schema_sql
store_schema_sql:
    .incbin "schema.sql"
    .byte 0
    .section .note.GNU-stack, "", %progbits
