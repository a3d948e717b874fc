#include "checkpoint/hdf5.h"
#include "fuzz/read_variables.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oriel;
  ReadVariables(checkpoint::OpenHdf5(Borrowed(data, size)));
  return 0;
}
