#include "graph/proto_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/files.h"

namespace oriel::graph {
namespace {

using google::protobuf::Message;

constexpr int kMaxNesting = 100;

// Keeps the first error of protobuf's text parser. Unknown fields come as warnings:
// they are errors, but for fields of messages that are declared without any.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(const google::protobuf::DescriptorPool& types) : types_(types) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (!text_.empty()) return;
    text_ = fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }
  void AddWarning(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& message) override {
    if (IsUnknownField(message)) AddError(line, column, message);
  }
  const std::string& text() const { return text_; }

 private:
  // Message type "tensorflow.FullTypeDef" has no field named "args".
  bool IsUnknownField(std::string_view message) const {
    constexpr std::string_view kBeginning = "Message type \"";
    if (!message.starts_with(kBeginning)) return false;  // a deprecated field
    message.remove_prefix(kBeginning.size());
    const auto* const type =
        types_.FindMessageTypeByName(std::string(message.substr(0, message.find('"'))));
    return type == nullptr || type->field_count() > 0;
  }

  const google::protobuf::DescriptorPool& types_;
  std::string text_;
};

// Protobuf's text parser bounds the nesting of messages that it knows, not of fields that
// it skips. The first place that is too deep, as line; 0: none. Braces in quotes count
// nothing.
int LineNestedTooDeep(std::string_view text) {
  int line = 1;
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      quote = 0;  // strings end with their line
    } else if (quote != 0) {
      if (c == '\\') {
        ++i;
        if (i < text.size() && text[i] == '\n') ++line;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '{' || c == '<' || c == '[') {
      if (++depth > 2 * kMaxNesting) return line;
    } else if (c == '}' || c == '>' || c == ']') {
      --depth;
    }
  }
  return 0;
}

// Whether a text editor would show it; judged by the beginning.
bool LooksLikeText(Bytes bytes) {
  constexpr size_t kBeginning = 256;
  const Bytes beginning = bytes.first(std::min(bytes.size(), kBeginning));
  return std::none_of(beginning.begin(), beginning.end(), [](uint8_t byte) {
    return byte < ' ' && byte != '\n' && byte != '\r' && byte != '\t';
  });
}

absl::Status ParseText(Bytes bytes, std::string_view what, Message& message) {
  const std::string& kind = message.GetDescriptor()->name();
  if (const int line = LineNestedTooDeep(AsStringView(bytes)); line > 0) {
    return DataLoss("{}: is not a text {}: line {}: messages are nested too deeply", what,
                    kind, line);
  }
  google::protobuf::io::ArrayInputStream stream(bytes.data(),
                                                static_cast<int>(bytes.size()));
  FirstError error(*message.GetDescriptor()->file()->pool());
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxNesting);
  parser.AllowUnknownField(true);
  const bool parsed = parser.Parse(&stream, &message);
  if (parsed && error.text().empty()) return absl::OkStatus();
  return DataLoss("{}: is not a text {}: {}{}", what, kind, error.text(),
                  LooksLikeText(bytes) ? "" : " (the file looks binary)");
}

}  // namespace

absl::Status ParseMessage(Bytes bytes, std::string_view what, bool text,
                          Message& message) {
  constexpr size_t kMaxBytes = std::numeric_limits<int>::max();
  const std::string& kind = message.GetDescriptor()->name();
  if (bytes.size() > kMaxBytes) {
    return InvalidArgument("{}: has {} bytes, a {} has at most {}", what, bytes.size(),
                           kind, kMaxBytes);
  }
  message.Clear();
  // Protobuf would print to stderr what the status says.
  const google::protobuf::LogSilencer silencer;
  if (text) return ParseText(bytes, what, message);
  google::protobuf::io::CodedInputStream coded(bytes.data(),
                                               static_cast<int>(bytes.size()));
  coded.SetRecursionLimit(kMaxNesting);
  if (!message.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    return DataLoss("{}: is not a binary {} (parsing stopped at byte {} of {}){}", what,
                    kind, coded.CurrentPosition(), bytes.size(),
                    LooksLikeText(bytes) ? " (the file looks like text)" : "");
  }
  return absl::OkStatus();
}

absl::Status ReadMessage(const std::string& path, bool text, Message& message) {
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  return ParseMessage(file->bytes(), path, text, message);
}

}  // namespace oriel::graph
