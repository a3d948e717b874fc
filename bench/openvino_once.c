/* OpenVINO without Python, for what is measured of whole processes: from nothing to
 * the first answer, and peak memory.
 *
 *   openvino_once MODEL.xml CACHE_DIR|- PRECISION THREADS RUNS BATCHxHxWxC
 *
 * Compiles the model for the latency of one stream, runs it RUNS times and ends. */

#include <openvino/c/openvino.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void Check(ov_status_e status, const char* what) {
  if (status == OK) return;
  fprintf(stderr, "openvino_once: %s: %s: %s\n", what, ov_get_error_info(status),
          ov_get_last_err_msg());
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: %s MODEL CACHE_DIR|- PRECISION THREADS RUNS SHAPE\n",
            argv[0]);
    return 2;
  }
  const char* model_file = argv[1];
  const char* cache = argv[2];
  const char* precision = argv[3];
  const char* threads = argv[4];
  const int runs = atoi(argv[5]);
  int64_t dims[4];
  if (sscanf(argv[6], "%ldx%ldx%ldx%ld", &dims[0], &dims[1], &dims[2], &dims[3]) != 4) {
    return 2;
  }

  ov_core_t* core = NULL;
  Check(ov_core_create(&core), "core");
  if (strcmp(cache, "-") != 0) {
    Check(ov_core_set_property(core, "CPU", ov_property_key_cache_dir, cache), "cache");
  }
  ov_compiled_model_t* compiled = NULL;
  /* By its path: with a warm cache the model itself is not even read. */
  Check(ov_core_compile_model_from_file(
            core, model_file, "CPU", 8, &compiled, ov_property_key_hint_performance_mode,
            "LATENCY", ov_property_key_num_streams, "1",
            ov_property_key_inference_num_threads, threads,
            ov_property_key_hint_inference_precision, precision),
        "compile");
  ov_infer_request_t* request = NULL;
  Check(ov_compiled_model_create_infer_request(compiled, &request), "request");

  ov_shape_t shape;
  Check(ov_shape_create(4, dims, &shape), "shape");
  ov_tensor_t* input = NULL;
  Check(ov_tensor_create(F32, shape, &input), "input");
  void* data = NULL;
  Check(ov_tensor_data(input, &data), "input data");
  const size_t count = (size_t)(dims[0] * dims[1] * dims[2] * dims[3]);
  for (size_t i = 0; i < count; ++i) ((float*)data)[i] = (float)(i % 255) / 127.5f - 1;
  Check(ov_infer_request_set_input_tensor(request, input), "set input");

  for (int i = 0; i < runs; ++i) Check(ov_infer_request_infer(request), "infer");
  ov_tensor_t* output = NULL;
  Check(ov_infer_request_get_output_tensor_by_index(request, 0, &output), "output");
  Check(ov_tensor_data(output, &data), "output data");
  printf("%g\n", ((const float*)data)[0]);
  fflush(stdout);
  _Exit(0); /* no time for destructors in the measurement */
}
