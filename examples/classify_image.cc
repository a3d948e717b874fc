// The library by example: what is on an image?
//
//   classify_image MODEL_DIRECTORY/VERSION IMAGE
#include <fmt/format.h>

#include <vector>

#include "base/files.h"
#include "model/session.h"

absl::Status ClassifyImage(const char* model, const char* image) {
  ASSIGN_OR_RETURN(const std::string bytes, oriel::ReadFile(image));
  ASSIGN_OR_RETURN(const auto session, oriel::model::Session::Open(model, {}));
  std::vector<float> pixels(session->image_elements());
  RETURN_IF_ERROR(
      session->Preprocess(oriel::AsBytes(bytes), /*honor_exif=*/true, pixels));
  ASSIGN_OR_RETURN(const auto runner, session->NewRunner());  // one for each thread
  std::vector<float> scores(session->num_classes());
  RETURN_IF_ERROR(runner->Run(pixels, /*batch=*/1, scores));
  for (const auto& best : session->TopK(scores, 5)) {
    fmt::print("{:5.1f} %  {}\n", 100 * best.probability, best.label);
  }
  return absl::OkStatus();
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const absl::Status status = ClassifyImage(argv[1], argv[2]);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.ToString());
  return status.ok() ? 0 : 1;
}
