#include "cli/contact_sheet.h"

#include <algorithm>
#include <vector>

#include "base/files.h"
#include "base/ordered_work.h"
#include "image/encode_png.h"

namespace oriel::cli {
namespace {

constexpr int kGap = 4;           // pixels between pictures
constexpr uint8_t kPaper = 0xff;  // what is between them
constexpr int64_t kMostPixels = int64_t{1} << 28;

using Picture = std::vector<uint8_t>;
using Row = std::vector<Picture>;  // the original first; empty where it is unreadable

class Sheet {
 public:
  Sheet(const PreprocessOptions& options, const SheetOptions& sheet)
      : options_(options), sheet_(sheet) {}

  Row MakeRow(const DatasetImage& image, size_t number) const {
    PreprocessOptions original = options_;
    original.train.reset();
    original.eval.central_fraction = 1;
    Row row;
    for (int column = -1; column < sheet_.columns; ++column) {
      std::vector<float> pixels(size_t(options_.eval.height) * options_.eval.width * 3);
      const auto drawn = PreprocessItem(image, number, std::max(column, 0),
                                        column < 0 ? original : options_, pixels);
      if (!drawn.ok()) return {};
      Picture& picture = row.emplace_back(pixels.size());
      preprocessing::ToBytes(options_.eval.preset, pixels, picture);
    }
    return row;
  }

  int64_t PixelsOf(size_t rows) const { return HeightOf(rows) * WidthOf(); }

  image::Image Draw(const std::vector<Row>& rows) const {
    image::Image image{
        static_cast<int>(HeightOf(rows.size())), static_cast<int>(WidthOf()), 3, {}};
    image.pixels.assign(PixelsOf(rows.size()) * 3, kPaper);
    for (size_t y = 0; y < rows.size(); ++y) {
      for (size_t x = 0; x < rows[y].size(); ++x) {
        Put(rows[y][x], y * (options_.eval.height + kGap) + kGap,
            x * (options_.eval.width + kGap) + kGap, image);
      }
    }
    return image;
  }

 private:
  int64_t HeightOf(size_t rows) const {
    return static_cast<int64_t>(rows) * (options_.eval.height + kGap) + kGap;
  }
  int64_t WidthOf() const {
    return int64_t{sheet_.columns + 1} * (options_.eval.width + kGap) + kGap;
  }

  void Put(const Picture& picture, size_t top, size_t left, image::Image& image) const {
    const size_t row_size = size_t(options_.eval.width) * 3;
    for (int y = 0; y < options_.eval.height; ++y) {
      std::copy_n(picture.begin() + y * row_size, row_size,
                  image.row(static_cast<int>(top) + y) + left * 3);
    }
  }

  const PreprocessOptions& options_;
  const SheetOptions& sheet_;
};

}  // namespace

absl::Status WriteContactSheet(std::span<const DatasetImage> images,
                               const PreprocessOptions& options,
                               const SheetOptions& sheet_options) {
  const Sheet sheet(options, sheet_options);
  const size_t wanted = std::min<size_t>(sheet_options.rows, images.size());
  if (sheet.PixelsOf(wanted) > kMostPixels) {
    return InvalidArgument("a sheet of {} x {} pictures of {} x {} pixels is too large",
                           wanted, sheet_options.columns + 1, options.eval.height,
                           options.eval.width);
  }
  std::vector<Row> rows;
  // Ends with an error that stands for "enough".
  const absl::Status status = OrderedWork<Row>::Run(
      images.size(), sheet_options.threads, sheet_options.threads,
      [&](size_t i) { return sheet.MakeRow(images[i], i); },
      [&](size_t, Row row) {
        if (!row.empty()) rows.push_back(std::move(row));
        return rows.size() < wanted ? absl::OkStatus() : OutOfRange("enough");
      });
  if (!status.ok() && !absl::IsOutOfRange(status)) return status;
  if (rows.empty())
    return InvalidArgument("{}: no image is readable", sheet_options.path);
  ASSIGN_OR_RETURN(const std::string png, image::EncodePng(sheet.Draw(rows)));
  return WriteFileAtomically(sheet_options.path, png);
}

}  // namespace oriel::cli
