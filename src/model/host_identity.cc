#include "model/host_identity.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstring>
#include <fstream>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace oriel::model {
namespace {

constexpr size_t kNoteAlignment = 4;

// The build ID among notes: header, name, contents, one after the other.
std::string FindBuildId(std::span<const char> notes) {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof(note));
    const size_t name = sizeof(note),
                 contents = name + RoundUp<size_t>(note.n_namesz, kNoteAlignment);
    if (notes.size() < contents + note.n_descsz) break;
    if (note.n_type == NT_GNU_BUILD_ID &&
        std::string_view(notes.data() + name, note.n_namesz) ==
            std::string_view("GNU", 4)) {
      std::string id;
      for (const char c : notes.subspan(contents, note.n_descsz)) {
        id += fmt::format("{:02x}", static_cast<unsigned char>(c));
      }
      return id;
    }
    notes = notes.subspan(std::min(
        contents + RoundUp<size_t>(note.n_descsz, kNoteAlignment), notes.size()));
  }
  return "";
}

int Look(dl_phdr_info* object, size_t, void* result) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* const notes =
        reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr);
    std::string id = FindBuildId({notes, segment.p_memsz});
    if (id.empty()) continue;
    *static_cast<std::string*>(result) = std::move(id);
    break;
  }
  return 1;  // the program itself comes first
}

}  // namespace

std::string BuildId() {
  std::string id;
  ::dl_iterate_phdr(Look, &id);
  return id;
}

std::string CpuModel() {
  std::string name;
#if defined(__x86_64__)
  constexpr unsigned kBrand = 0x80000002, kBrandEnd = 0x80000004;
  for (unsigned leaf = kBrand; leaf <= kBrandEnd; ++leaf) {
    unsigned part[4] = {};
    if (__get_cpuid(leaf, &part[0], &part[1], &part[2], &part[3]) == 0) return "";
    name.append(reinterpret_cast<const char*>(part), sizeof(part));
  }
  name.resize(std::min(name.find('\0'), name.size()));  // filled up with them
#else
  std::ifstream file("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1");
  std::getline(file, name);
#endif
  return name;
}

}  // namespace oriel::model
