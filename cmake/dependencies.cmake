# Everything comes from Debian packages; tools/packages.sh names them.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(absl REQUIRED)
find_package(gRPC CONFIG REQUIRED)
# It comes with -pthread, which precompiled headers are made without.
set_target_properties(re2::re2 PROPERTIES INTERFACE_COMPILE_OPTIONS "")
find_program(ORIEL_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(Snappy REQUIRED)
find_package(ZLIB REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED)
# oneDNN's own CMake configuration wants OpenCL's headers, which nothing here uses.
find_path(ORIEL_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(ORIEL_DNNL_LIBRARY dnnl REQUIRED)
add_library(oriel_dnnl INTERFACE)
target_include_directories(oriel_dnnl SYSTEM INTERFACE ${ORIEL_DNNL_INCLUDE})
target_link_libraries(oriel_dnnl INTERFACE ${ORIEL_DNNL_LIBRARY})
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # oneDNN runs on GCC's OpenMP; a second OpenMP runtime in the process would not
  # see its threads. So clang builds, too, take omp.h and the library from GCC.
  execute_process(COMMAND gcc -print-file-name=include/omp.h
                  OUTPUT_VARIABLE omp_header OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND gcc -print-file-name=libgomp.so
                  OUTPUT_VARIABLE omp_library OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  # ... without the arguments of GCC's malloc attribute, which clang does not know.
  file(READ ${omp_header} omp_text)
  string(REGEX REPLACE "__malloc__ \\(omp_free[^)]*\\)" "__malloc__" omp_text "${omp_text}")
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/gcc_openmp/omp.h CONTENT "${omp_text}" @ONLY)
  add_library(OpenMP::OpenMP_CXX INTERFACE IMPORTED)
  target_include_directories(OpenMP::OpenMP_CXX INTERFACE ${PROJECT_BINARY_DIR}/gcc_openmp)
  target_compile_options(OpenMP::OpenMP_CXX INTERFACE -Wno-unknown-pragmas)
  target_link_libraries(OpenMP::OpenMP_CXX INTERFACE ${omp_library})
else()
  find_package(OpenMP REQUIRED)
endif()
find_package(PkgConfig REQUIRED)
pkg_check_modules(jpeg REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(spng REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
find_package(GIF REQUIRED)
if(ORIEL_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(leveldb REQUIRED)
endif()
