// What the codecs and decode.cc share. Private to image/.
#pragma once

#include <vector>

#include "image/decode.h"

namespace oriel::image {

// One per format: the file's bytes, which passed the sniffing, to pixels.
// EXIF orientation is applied afterwards by Decode.
absl::StatusOr<Image> DecodeJpeg(Bytes bytes, const DecodeOptions& options);
absl::StatusOr<Image> DecodePng(Bytes bytes, const DecodeOptions& options);
absl::StatusOr<Image> DecodeGif(Bytes bytes, const DecodeOptions& options);
absl::StatusOr<Image> DecodeBmp(Bytes bytes, const DecodeOptions& options);
absl::StatusOr<Image> DecodeWebp(Bytes bytes, const DecodeOptions& options);

// As DecodePart, without EXIF.
absl::StatusOr<Image> DecodeJpegPart(Bytes bytes, const DecodeOptions& options,
                                     const ChoosePart& choose);

absl::StatusOr<std::vector<Image>> DecodeGifFrames(Bytes bytes,
                                                   const DecodeOptions& options);

// kInvalidArgument unless width and height are positive, width * height is
// within options.max_pixels and width * height * samples below 2^29. `samples`
// is of a pixel in the file or in the result, whichever is more.
absl::Status CheckSize(Format format, int64_t width, int64_t height, int samples,
                       const DecodeOptions& options);

// kInvalidArgument when a file of `size` bytes cannot hold the image even at the
// format's best compression: it is cut off, or its header lies. `units` are pixels
// or bytes of the image, of which one byte of the file holds `most_per_byte`.
absl::Status CheckPlausible(Format format, int64_t width, int64_t height, uint64_t units,
                            uint64_t most_per_byte, size_t size);

// What `choose` names; kInvalidArgument where that is not inside the image.
absl::StatusOr<Window> ChosenPart(const ChoosePart& choose, int height, int width);

// "... gives `given` channels, not `channels`".
absl::Status ChannelsNotGiven(Format format, std::string_view given, int channels);

}  // namespace oriel::image
