// A text GraphDef from arbitrary bytes. What is read and valid is written, read again,
// and must be the same.

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <cstdlib>

#include "graph/graph_util.h"
#include "graph/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto graph = oriel::graph::ParseGraphDef({data, size}, "fuzz", /*text=*/true);
  if (!graph.ok() || !oriel::graph::ValidateGraph(*graph).ok()) return 0;
  std::string text;
  if (!google::protobuf::TextFormat::PrintToString(*graph, &text)) std::abort();
  const auto again =
      oriel::graph::ParseGraphDef(oriel::AsBytes(text), "fuzz", /*text=*/true);
  if (!again.ok()) std::abort();
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_message_field_comparison(
      google::protobuf::util::MessageDifferencer::EQUIVALENT);
  google::protobuf::util::DefaultFieldComparator numbers;
  numbers.set_treat_nan_as_equal(true);
  differencer.set_field_comparator(&numbers);
  if (!differencer.Compare(*graph, *again)) std::abort();
  return 0;
}
