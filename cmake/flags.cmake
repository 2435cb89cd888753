# Flags every target gets, on one INTERFACE target.
add_library(tailor_flags INTERFACE)
target_include_directories(tailor_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(tailor_flags INTERFACE _POSIX_C_SOURCE=200809L TAILOR_VERSION="${PROJECT_VERSION}")
target_compile_options(tailor_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wundef
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wcast-qual -Wcast-align -Wpointer-arith
    -Wswitch-enum -Wvla -Wwrite-strings -Wnull-dereference -fno-common -fstack-protector-strong -ffp-contract=off)
# clang also warns where the float macros INFINITY and NAN become double
target_compile_options(tailor_flags INTERFACE $<$<C_COMPILER_ID:GNU>:-Wdouble-promotion>)
if(TAILOR_WERROR)
    target_compile_options(tailor_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(tailor_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_link_options(tailor_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(TAILOR_SANITIZE)
    target_compile_options(tailor_flags INTERFACE -fsanitize=${TAILOR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(tailor_flags INTERFACE -fsanitize=${TAILOR_SANITIZE})
endif()
include(CheckPIESupported)
check_pie_supported()

# tailor_library(NAME SOURCES... LINK libs...): a room as a static library.
function(tailor_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC tailor_flags ${ARG_LINK})
endfunction()
