#include "checkpoint/hdf5.h"

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/hdf5_chunks.h"
#include "checkpoint/hdf5_file.h"

namespace oriel::checkpoint {
namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxParts = 1000;  // of a list of names

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// What a weight of a layer is called: what follows the layer's name in its path (which
// may begin with the model's), without the number of the output that TensorFlow adds.
std::string_view ShortName(std::string_view weight, std::string_view layer) {
  const size_t colon = weight.rfind(':');
  if (colon != weight.npos && IsDigits(weight.substr(colon + 1))) {
    weight = weight.substr(0, colon);
  }
  for (size_t begin = 0; begin < weight.size();) {
    const size_t end = std::min(weight.find('/', begin), weight.size());
    if (weight.substr(begin, end - begin) == layer && end + 1 < weight.size()) {
      return weight.substr(end + 1);
    }
    begin = end + 1;
  }
  return weight;
}

Tensor ToLittleEndian(const Tensor& tensor) {
  Tensor swapped(tensor.dtype(), tensor.shape());
  const size_t size = ElementSize(tensor.dtype());
  const Bytes from = tensor.bytes();
  const auto to = swapped.mutable_bytes();
  for (size_t at = 0; at < from.size(); at += size) {
    std::reverse_copy(from.begin() + at, from.begin() + at + size, to.begin() + at);
  }
  return swapped;
}

class Hdf5Variables final : public VariableSource {
 public:
  const std::vector<VariableInfo>& variables() const override { return infos_; }
  std::string_view format() const override {
    return keras_ ? "Keras weights, HDF5" : "HDF5";
  }

  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const auto it = datasets_.find(name);
    if (it == datasets_.end()) {
      return NotFound("the checkpoint has no variable '{}'", name);
    }
    const DType dtype = it->second.dtype;
    const Hdf5Dataset& dataset = *it->second.dataset;
    const std::string what = fmt::format("{}: '{}'", file_.name, name);
    Tensor tensor;
    if (dataset.layout == Hdf5Dataset::Layout::kBytes) {
      ASSIGN_OR_RETURN(
          tensor, TensorOver(dtype, dataset.shape, dataset.bytes, file_.owner, what));
    } else {
      ASSIGN_OR_RETURN(tensor, ReadHdf5Chunks(dataset, dtype, what));
    }
    return dataset.type.big_endian ? ToLittleEndian(tensor) : tensor;
  }

  const std::vector<std::vector<std::string>>& layers() const { return layers_; }

 private:
  friend class Opening;
  struct Entry {
    DType dtype;
    std::shared_ptr<const Hdf5Dataset> dataset;
  };
  FileBytes file_;
  bool keras_ = false;
  std::vector<std::vector<std::string>> layers_;
  std::map<std::string, Entry, std::less<>> datasets_;
  std::vector<VariableInfo> infos_;
};

// Finds the datasets of a file and names them.
class Opening {
 public:
  explicit Opening(Hdf5File& file) : file_(file) {}

  absl::StatusOr<std::shared_ptr<const VariableSource>> Open() {
    source_->file_ = file_.file();
    ASSIGN_OR_RETURN(const Hdf5File::Object* const root, Get(file_.root(), "/"));
    const Hdf5File::Object* weights = root;
    if (const auto link = root->links.find("model_weights"); link != root->links.end()) {
      ASSIGN_OR_RETURN(weights, Get(link->second, "/model_weights"));
    }
    RETURN_IF_ERROR(HasNames(*weights, "layer_names") ? AddLayers(*weights)
                                                      : AddAll(*root, "", 0));
    source_->keras_ = HasNames(*weights, "layer_names") || has_vars_;
    for (const auto& [name, entry] : source_->datasets_) {
      source_->infos_.push_back({name, entry.dtype, entry.dataset->shape});
    }
    return std::move(source_);
  }

 private:
  // Objects are read once: weights of a layer in a layer pass through its group.
  absl::StatusOr<const Hdf5File::Object*> Get(uint64_t address, const std::string& path) {
    const auto it = objects_.find(address);
    if (it != objects_.end()) return &it->second;
    ASSIGN_OR_RETURN(Hdf5File::Object object, file_.ReadObject(address, path));
    return &objects_.emplace(address, std::move(object)).first->second;
  }

  static bool HasNames(const Hdf5File::Object& group, const std::string& name) {
    return group.FindAttribute(name) != nullptr ||
           group.FindAttribute(name + "0") != nullptr;
  }

  // The names in an attribute; long lists are in several, numbered from 0.
  absl::StatusOr<std::vector<std::string>> ReadNames(const Hdf5File::Object& group,
                                                     const std::string& name,
                                                     const std::string& path) {
    const std::string where = fmt::format("{}@{}", path, name);
    if (const Hdf5Attribute* const whole = group.FindAttribute(name)) {
      // Keras writes the empty list as an empty list of numbers.
      if (whole->bytes.empty()) return std::vector<std::string>();
      return file_.ReadTexts(*whole, where);
    }
    std::vector<std::string> names;
    for (int part = 0; part < kMaxParts; ++part) {
      const Hdf5Attribute* const attribute =
          group.FindAttribute(fmt::format("{}{}", name, part));
      if (attribute == nullptr) return names;
      ASSIGN_OR_RETURN(const auto texts, file_.ReadTexts(*attribute, where));
      names.insert(names.end(), texts.begin(), texts.end());
    }
    return names;
  }

  absl::StatusOr<const Hdf5File::Object*> Follow(const Hdf5File::Object& group,
                                                 std::string_view name,
                                                 const std::string& path) {
    const auto link = group.links.find(name);
    if (link == group.links.end()) {
      return DataLoss("{}: '{}' has no '{}', which its names list", file_.file().name,
                      path, name);
    }
    return Get(link->second, fmt::format("{}/{}", path, name));
  }

  absl::Status AddLayers(const Hdf5File::Object& weights) {
    ASSIGN_OR_RETURN(const auto layers, ReadNames(weights, "layer_names", ""));
    for (const std::string& layer : layers) {
      ASSIGN_OR_RETURN(const Hdf5File::Object* const group, Follow(weights, layer, ""));
      ASSIGN_OR_RETURN(const auto names, ReadNames(*group, "weight_names", "/" + layer));
      std::vector<std::string> listed;
      for (const std::string& name : names) {
        listed.push_back(fmt::format("{}/{}", layer, ShortName(name, layer)));
        RETURN_IF_ERROR(AddWeight(*group, layer, name, listed.back()));
      }
      if (!listed.empty()) source_->layers_.push_back(std::move(listed));
    }
    return absl::OkStatus();
  }

  // `name` is the dataset's path in the layer's group, `to` the variable's name.
  absl::Status AddWeight(const Hdf5File::Object& group, const std::string& layer,
                         std::string_view name, const std::string& to) {
    const Hdf5File::Object* object = &group;
    std::string path = "/" + layer;
    int depth = 0;
    for (std::string_view rest = name; !rest.empty();) {
      if (++depth > kMaxDepth) return TooDeep(path);
      const std::string_view part = rest.substr(0, rest.find('/'));
      ASSIGN_OR_RETURN(object, Follow(*object, part, path));
      path += fmt::format("/{}", part);
      rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    }
    return AddDataset(*object, to, path);
  }

  absl::Status AddAll(const Hdf5File::Object& group, const std::string& path, int depth) {
    if (depth > kMaxDepth) return TooDeep(path);
    for (const auto& [link, address] : group.links) {
      const std::string name = path.empty() ? link : fmt::format("{}/{}", path, link);
      ASSIGN_OR_RETURN(const Hdf5File::Object* const object, Get(address, "/" + name));
      if (object->is_group) {
        // A group below itself has no end, one in many places may stand for too many.
        if (!groups_.insert(address).second) {
          return DataLoss("{}: the group '{}' is in two places", file_.file().name, name);
        }
        has_vars_ = has_vars_ || link == "vars";
        RETURN_IF_ERROR(AddAll(*object, name, depth + 1));
      } else {
        RETURN_IF_ERROR(AddDataset(*object, name, "/" + name));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddDataset(const Hdf5File::Object& object, const std::string& name,
                          const std::string& path) {
    const std::string what = fmt::format("{}: '{}'", file_.file().name, path);
    if (!object.dataset) return DataLoss("{}: is no dataset", what);
    ASSIGN_OR_RETURN(const std::optional<DType> dtype, DTypeOf(object, path));
    if (!dtype) {
      return Unimplemented("{}: datasets of {} are not supported", what,
                           object.dataset->type.title);
    }
    if (!source_->datasets_.emplace(name, Hdf5Variables::Entry{*dtype, object.dataset})
             .second) {
      return DataLoss("{}: there are two variables '{}'", what, name);
    }
    return absl::OkStatus();
  }

  // Keras 3 marks bfloat16, which HDF5 has no type of.
  absl::StatusOr<std::optional<DType>> DTypeOf(const Hdf5File::Object& object,
                                               const std::string& path) {
    const Hdf5Type& type = object.dataset->type;
    const Hdf5Attribute* const mark = object.FindAttribute("dtype");
    if (type.kind != Hdf5Type::Kind::kOpaque || type.size != 2 || mark == nullptr) {
      return type.dtype;
    }
    ASSIGN_OR_RETURN(const auto texts, file_.ReadTexts(*mark, path));
    if (texts != std::vector<std::string>{"bfloat16"}) return std::nullopt;
    return DType::kBFloat16;
  }

  absl::Status TooDeep(std::string_view path) const {
    return DataLoss("{}: '{}' is nested over {} deep", file_.file().name, path,
                    kMaxDepth);
  }

  Hdf5File& file_;
  std::map<uint64_t, Hdf5File::Object> objects_;
  std::set<uint64_t> groups_;
  bool has_vars_ = false;
  std::shared_ptr<Hdf5Variables> source_ = std::make_shared<Hdf5Variables>();
};

}  // namespace

absl::StatusOr<std::shared_ptr<const VariableSource>> OpenHdf5(FileBytes file) {
  ASSIGN_OR_RETURN(Hdf5File hdf5, Hdf5File::Open(std::move(file)));
  return Opening(hdf5).Open();
}

std::vector<std::vector<std::string>> KerasLayers(const VariableSource& source) {
  const auto* const hdf5 = dynamic_cast<const Hdf5Variables*>(&source);
  return hdf5 == nullptr ? std::vector<std::vector<std::string>>() : hdf5->layers();
}

}  // namespace oriel::checkpoint
