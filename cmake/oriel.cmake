# What every target of the project shares: language, warnings, sanitizers, and
# one function each for libraries, tests and fuzz targets.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Folders whose loops run over pixels and weights ask for more (HOT).
string(REPLACE -O3 -O2 CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")

find_program(ORIEL_CCACHE ccache)
if(ORIEL_CCACHE)
  # ccache takes no part in builds with precompiled headers unless told that
  # macros defined before them do not matter; here none does.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
                                  CCACHE_SLOPPINESS=pch_defines,time_macros ${ORIEL_CCACHE})
endif()

add_library(oriel_options INTERFACE)
target_compile_options(
  oriel_options
  INTERFACE -Wall -Wextra -Wno-sign-compare -Wno-missing-field-initializers
            # float results must not depend on whether the CPU has FMA
            -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(oriel_options INTERFACE -Wthread-safety)
elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # They are wrong about std::string's operator+ there (GCC bug 105651).
  target_compile_options(oriel_options INTERFACE -Wno-array-bounds -Wno-restrict
                                                 -Wno-stringop-overflow)
endif()
if(ORIEL_WARNINGS_AS_ERRORS)
  target_compile_options(oriel_options INTERFACE -Werror)
endif()
if(ORIEL_SANITIZE)
  target_compile_options(oriel_options INTERFACE -fsanitize=${ORIEL_SANITIZE}
                                                 -fno-omit-frame-pointer
                                                 -fno-sanitize-recover=all)
  target_link_options(oriel_options INTERFACE -fsanitize=${ORIEL_SANITIZE})
endif()
target_include_directories(oriel_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
# What one build keeps for the next start of it, another one must not take.
target_link_options(oriel_options INTERFACE -Wl,--build-id=sha1)
target_compile_definitions(oriel_options INTERFACE ORIEL_VERSION="${PROJECT_VERSION}")

# Headers that most files parse, compiled once. A target whose compile options
# differ (OpenMP) or that wants more headers names its own, else all share one.
# The presets of the sanitizers go without, so that no file relies on them for
# its includes.
set(ORIEL_PRECOMPILED ${PROJECT_SOURCE_DIR}/cmake/precompiled.h)
function(oriel_precompile target)
  if(ARGN)
    target_precompile_headers(${target} PRIVATE ${ORIEL_PRECOMPILED} ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM oriel_precompiled)
  endif()
endfunction()

# After dependencies.cmake and proto/: the targets that hold those shared by
# libraries and by tests.
function(oriel_add_precompiled)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cc CONTENT "")
  add_library(oriel_precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cc)
  target_link_libraries(oriel_precompiled PRIVATE oriel_options oriel_proto absl::statusor
                                                  fmt::fmt)
  target_precompile_headers(oriel_precompiled PRIVATE ${ORIEL_PRECOMPILED})
  if(ORIEL_BUILD_TESTS)
    add_library(oriel_precompiled_tests OBJECT ${PROJECT_BINARY_DIR}/precompiled.cc)
    target_link_libraries(oriel_precompiled_tests PRIVATE oriel_options oriel_proto absl::statusor
                                                          fmt::fmt GTest::gmock)
    target_precompile_headers(oriel_precompiled_tests PRIVATE ${ORIEL_PRECOMPILED}
                              <gmock/gmock.h>)
  endif()
endfunction()

# oriel_library(NAME SRCS a.cc ... DEPS lib ...)  ->  target oriel_NAME
function(oriel_library name)
  cmake_parse_arguments(arg "HOT" "" "SRCS;DEPS;PRIVATE_DEPS;PRECOMPILE" ${ARGN})
  add_library(oriel_${name} STATIC ${arg_SRCS})
  target_link_libraries(oriel_${name} PUBLIC oriel_options ${arg_DEPS}
                                      PRIVATE ${arg_PRIVATE_DEPS})
  oriel_precompile(oriel_${name} ${arg_PRECOMPILE})
  if(arg_HOT)
    target_compile_options(oriel_${name} PRIVATE $<$<CONFIG:Release>:-O3>)
  endif()
endfunction()

# oriel_test(NAME SRCS a_test.cc ... DEPS lib ...)  ->  a program and a ctest
# of the same name. Tests find repository data through ORIEL_SOURCE_DIR.
function(oriel_test name)
  if(NOT ORIEL_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(CMAKE_CROSSCOMPILING_EMULATOR)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 10")
  endif()
  add_executable(${name} ${arg_SRCS})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gmock GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM oriel_precompiled_tests)
  target_compile_definitions(${name} PRIVATE ORIEL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()

# oriel_fuzz_target(NAME SRCS x_fuzz.cc DEPS lib ...): under the fuzz preset a
# libFuzzer program; otherwise a test that runs the target once over each file
# of testdata/fuzz/NAME (earlier finds and seeds).
function(oriel_fuzz_target name)
  cmake_parse_arguments(arg "" "" "SRCS;DEPS" ${ARGN})
  set(corpus ${PROJECT_SOURCE_DIR}/testdata/fuzz/${name})
  if(ORIEL_BUILD_FUZZERS)
    add_executable(${name} ${arg_SRCS})
    target_link_libraries(${name} PRIVATE ${arg_DEPS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  elseif(ORIEL_BUILD_TESTS)
    add_executable(${name} ${arg_SRCS} ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cc)
    target_link_libraries(${name} PRIVATE ${arg_DEPS})
    add_test(NAME ${name} COMMAND ${name} ${corpus})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
endfunction()
