#include "serving/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace oriel::serving {
namespace {

// The fields of /proc/self/stat from the third on (proc(5)); the second, the program's
// name, may hold anything.
std::vector<std::string> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const size_t end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(line.substr(end + 1));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

// `key` of a file of lines "key: value" or "key value"; negative: none.
double ValueIn(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    double value;
    if (fields >> word && word == key && fields >> value) return value;
  }
  return -1;
}

double OpenDescriptors() {
  std::error_code error;
  int count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++count;
  }
  return count - 1;  // but the one that lists them
}

}  // namespace

ProcessMetrics::ProcessMetrics() {
  MutexLock lock(mutex_);
  last_ = ReadCpuTimes();
  last_at_ = TimePoint::clock::now();
}

ProcessMetrics::CpuTimes ProcessMetrics::ReadCpuTimes() {
  // "cpu  user nice system idle iowait irq softirq steal ..."
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  CpuTimes times;
  uint64_t ticks;
  for (int i = 0; i < 8 && file >> ticks; ++i) {
    times.all += ticks;
    if (i != 3 && i != 4) times.busy += ticks;
  }
  return times;
}

double ProcessMetrics::CpuUtilization() const {
  const TimePoint now = TimePoint::clock::now();
  MutexLock lock(mutex_);
  if (now - last_at_ < std::chrono::seconds(1)) return utilization_;
  const CpuTimes times = ReadCpuTimes();
  if (times.all > last_.all && times.busy >= last_.busy) {
    utilization_ = static_cast<double>(times.busy - last_.busy) /
                   static_cast<double>(times.all - last_.all);
  }
  last_ = times;
  last_at_ = now;
  return utilization_;
}

void ProcessMetrics::Collect(MetricFamilies& families) const {
  const std::vector<std::string> stat = StatFields();
  if (stat.size() > 21) {
    const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    families.Counter("process_cpu_seconds_total", "CPU time of the process", {},
                     (std::stod(stat[11]) + std::stod(stat[12])) / ticks);
    families.Gauge("process_threads", "Threads of the process", {}, std::stod(stat[17]));
    const double booted = ValueIn("/proc/stat", "btime");
    if (booted > 0) {
      families.Gauge("process_start_time_seconds",
                     "When the process started, in seconds since 1970", {},
                     booted + std::stod(stat[19]) / ticks);
    }
    families.Gauge("process_virtual_memory_bytes", "Addresses in use", {},
                   std::stod(stat[20]));
    families.Gauge("process_resident_memory_bytes", "Memory in use", {},
                   std::stod(stat[21]) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  families.Gauge("process_open_fds", "Open descriptors", {}, OpenDescriptors());
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.Gauge("process_max_fds", "Descriptors that may be open", {},
                   static_cast<double>(limit.rlim_cur));
  }
  families.Gauge("nv_cpu_utilization", "Busy part of all CPUs of the machine, 0 to 1", {},
                 CpuUtilization());
  const double total = ValueIn("/proc/meminfo", "MemTotal:") * 1024;
  const double available = ValueIn("/proc/meminfo", "MemAvailable:") * 1024;
  if (total > 0 && available >= 0) {
    families.Gauge("nv_cpu_memory_total_bytes", "Memory of the machine", {}, total);
    families.Gauge("nv_cpu_memory_used_bytes", "Memory of the machine that is in use", {},
                   total - available);
  }
}

}  // namespace oriel::serving
