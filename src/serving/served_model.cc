#include "serving/served_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/cpus.h"

namespace oriel::serving {
namespace {

absl::Status WarmUp(const model::Session& session, model::Session::Runner& runner) {
  const int max_batch = session.options().max_batch;
  // Mid-grey: every network here takes values around zero.
  const std::vector<float> images(max_batch * session.image_elements(), 0.0f);
  std::vector<float> probabilities(max_batch * session.num_classes());
  for (const int n : {1, max_batch}) {
    const auto output = std::span(probabilities).first(n * session.num_classes());
    RETURN_IF_ERROR(runner.Run(
        std::span<const float>(images).first(n * session.image_elements()), n, output));
    for (const float p : output) {
      if (!std::isfinite(p)) {
        return Internal("model {}: a warm-up run gave {}", session.name(), p);
      }
    }
  }
  return absl::OkStatus();
}

std::string NewCacheScope() {
  static std::atomic<uint64_t> next{0};
  return std::to_string(next++);
}

}  // namespace

// One request while it is in work. Each image's answer is written by whoever works
// on that image; the last one to finish hands all of them out.
struct ServedModel::Job {
  ClassifyRequest request;
  Done done;
  TimePoint accepted;
  std::vector<ImageAnswer> answers;
  std::atomic<size_t> left;
};

ServedModel::ServedModel(std::shared_ptr<const model::Session> session,
                         const ServedModelOptions& options, WorkerPool& pool,
                         Clock& clock)
    : session_(std::move(session)),
      options_(options),
      pool_(pool),
      cache_scope_(NewCacheScope()),
      clock_(clock) {}

absl::StatusOr<std::shared_ptr<ServedModel>> ServedModel::Create(
    std::shared_ptr<const model::Session> session, const ServedModelOptions& options,
    WorkerPool& pool, Clock& clock) {
  std::vector<std::unique_ptr<model::Session::Runner>> runners;
  const int workers = std::max(1, options.workers);
  for (int i = 0; i < workers; ++i) {
    // The runner's own threads stay where its worker will be.
    const ScopedCpuShare cpus(i, options.pin ? workers : 1);
    ASSIGN_OR_RETURN(auto runner, session->NewRunner());
    RETURN_IF_ERROR(WarmUp(*session, *runner));
    runners.push_back(std::move(runner));
  }
  const BatcherOptions batcher_options = {
      .max_batch = session->options().max_batch,
      .max_delay = options.max_delay,
      .max_queue = options.max_pending,
      .max_queue_bytes = options.max_queue_bytes,
      .pin = options.pin,
  };
  std::shared_ptr<ServedModel> model(new ServedModel(session, options, pool, clock));
  model->batcher_ = std::make_unique<Batcher>(
      std::move(runners), session->image_elements(), session->num_classes(),
      batcher_options, clock, &model->statistics_);
  return model;
}

ServedModel::~ServedModel() { Stop(TimePoint::min()); }

absl::Status ServedModel::CheckCapacity(size_t images) const {
  absl::Status status =
      stopping_ ? Unavailable("the server is shutting down") : RoomFor(pending_, images);
  if (!status.ok()) statistics_.RecordRefusal(status);
  return status;
}

absl::Status ServedModel::RoomFor(size_t pending, size_t images) const {
  if (pending >= options_.max_pending || images > options_.max_pending - pending) {
    return ResourceExhausted("the server is busy: {} images are in work", pending);
  }
  return absl::OkStatus();
}

absl::Status ServedModel::Reserve(size_t images) {
  size_t pending = pending_;
  do {
    RETURN_IF_ERROR(RoomFor(pending, images));
  } while (!pending_.compare_exchange_weak(pending, pending + images));
  return absl::OkStatus();
}

absl::Status ServedModel::Classify(ClassifyRequest request, Done done) {
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  job->done = std::move(done);
  job->accepted = clock_.Now();
  absl::Status status = TryAccept(job);
  if (!status.ok()) {
    statistics_.RecordRefusal(status);
    return status;
  }
  for (size_t i = 0; i < job->answers.size(); ++i) {
    if (!pool_.TrySubmit([this, job, i] { Prepare(job, i); })) {
      Finish(*job, i, ResourceExhausted("the server is busy: too many images wait"));
    }
  }
  return absl::OkStatus();
}

absl::Status ServedModel::TryAccept(const std::shared_ptr<Job>& job) {
  const ClassifyRequest& request = job->request;
  size_t n = request.images.size();
  if (!request.pixels.empty()) {
    const size_t elements = session_->image_elements();
    if (n > 0 || request.pixels.size() % elements != 0) {
      return InvalidArgument("{} floats: the model takes {} for each image",
                             request.pixels.size(), elements);
    }
    n = request.pixels.size() / elements;
  }
  if (n == 0) return InvalidArgument("no image in the request");
  RETURN_IF_ERROR(Reserve(n));
  job->answers.resize(n);
  job->left = n;
  // Stop() sets stopping_ and then waits for pending_ to fall to zero, so looking
  // after reserving leaves no gap.
  if (stopping_) {
    MutexLock lock(mutex_);
    pending_ -= n;
    answered_.NotifyAll();
    return Unavailable("the server is shutting down");
  }
  return absl::OkStatus();
}

absl::Status ServedModel::FillPixels(const Job& job, size_t index,
                                     std::span<float> dst) const {
  const ClassifyRequest& request = job.request;
  if (!request.pixels.empty()) {
    const auto source = std::span(request.pixels).subspan(index * dst.size(), dst.size());
    std::copy(source.begin(), source.end(), dst.begin());
    return absl::OkStatus();
  }
  try {
    return session_->Preprocess(AsBytes(*request.images[index]), request.honor_exif, dst);
  } catch (const std::exception& error) {  // memory, for the most part
    return Internal("preprocessing threw: {}", error.what());
  }
}

bool ServedModel::AnswerFromCache(Job& job, size_t index, ResponseCache::Key& key) {
  const TimePoint begin = clock_.Now();
  const ClassifyRequest& request = job.request;
  Bytes input;
  std::string_view how = "pixels";
  if (request.pixels.empty()) {
    input = AsBytes(*request.images[index]);
    how = request.honor_exif ? "turned" : "as stored";
  } else {
    const size_t elements = session_->image_elements();
    const auto pixels = std::span(request.pixels).subspan(index * elements, elements);
    input = Bytes(reinterpret_cast<const uint8_t*>(pixels.data()), pixels.size_bytes());
  }
  key = ResponseCache::MakeKey(fmt::format("{} {}", cache_scope_, how), input);
  const ResponseCache::Value kept = options_.cache->Find(key);
  if (kept != nullptr) FillAnswer(request, *kept, job.answers[index]);
  statistics_.RecordCacheLookup(kept != nullptr, clock_.Now() - begin);
  return kept != nullptr;
}

void ServedModel::FillAnswer(const ClassifyRequest& request,
                             std::span<const float> probabilities,
                             ImageAnswer& answer) const {
  if (request.top_k > 0) answer.labels = session_->TopK(probabilities, request.top_k);
  if (request.probabilities) {
    answer.probabilities.assign(probabilities.begin(), probabilities.end());
  }
}

void ServedModel::Prepare(std::shared_ptr<Job> job, size_t index) {
  ImageAnswer& answer = job->answers[index];
  const TimePoint started = clock_.Now();
  answer.timings.queue = started - job->accepted;
  if (IsCancelled(job->request.cancellation)) {
    return Finish(*job, index, Cancelled("nobody waits for the answer"));
  }
  if (started >= job->request.deadline) {
    return Finish(*job, index,
                  DeadlineExceeded("the deadline passed while the image waited"));
  }
  if (abandoning_) {
    return Finish(*job, index, Unavailable("the server is shutting down"));
  }
  const auto& cache = options_.cache;
  ResponseCache::Key key = {};
  if (cache != nullptr && AnswerFromCache(*job, index, key)) {
    return Finish(*job, index, absl::OkStatus());
  }
  const size_t elements = session_->image_elements();
  auto pixels = std::make_unique_for_overwrite<float[]>(elements);
  absl::Status status = FillPixels(*job, index, std::span(pixels.get(), elements));
  const TimePoint prepared = clock_.Now();
  answer.timings.preprocess = prepared - started;
  if (!status.ok()) return Finish(*job, index, std::move(status));

  BatchRequest batch_request;
  batch_request.image = std::move(pixels);
  batch_request.priority = job->request.priority;
  batch_request.deadline = job->request.deadline;
  batch_request.cancellation = job->request.cancellation;
  batch_request.done = [this, job, index, prepared,
                        key](absl::StatusOr<BatchResult> result) {
    if (!result.ok()) return Finish(*job, index, result.status());
    ImageAnswer& answer = job->answers[index];
    answer.timings.queue += result->started - prepared;
    answer.timings.compute = result->finished - result->started;
    answer.timings.batch_size = result->batch_size;
    FillAnswer(job->request, result->probabilities, answer);
    if (options_.cache != nullptr) {
      options_.cache->Insert(
          key, std::make_shared<const std::vector<float>>(result->probabilities.begin(),
                                                          result->probabilities.end()));
    }
    answer.timings.finish = clock_.Now() - result->finished;
    Finish(*job, index, absl::OkStatus());
  };
  status = batcher_->Submit(std::move(batch_request));
  if (!status.ok()) Finish(*job, index, std::move(status));
}

void ServedModel::Finish(Job& job, size_t index, absl::Status status) {
  ImageAnswer& answer = job.answers[index];
  answer.status = std::move(status);
  const bool was_kept = answer.status.ok() && answer.timings.batch_size == 0;
  if (!was_kept) statistics_.RecordImage(answer.status, answer.timings);
  if (job.left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // Before anybody can know the answer.
  const auto failed = std::find_if(job.answers.begin(), job.answers.end(),
                                   [](const auto& a) { return !a.status.ok(); });
  statistics_.RecordRequest(
      failed == job.answers.end() ? absl::OkStatus() : failed->status,
      clock_.Now() - job.accepted, answer.timings);
  const size_t images = job.answers.size();
  std::move(job.done)(std::move(job.answers));
  job.done = nullptr;
  // Under the mutex: once Stop sees zero, this thread touches nothing more of the
  // model.
  MutexLock lock(mutex_);
  pending_ -= images;
  answered_.NotifyAll();
}

void ServedModel::Stop(TimePoint deadline) {
  stopping_ = true;
  {
    MutexLock lock(mutex_);
    while (pending_ > 0 && clock_.Now() < deadline) {
      clock_.WaitUntil(answered_, mutex_, deadline);
    }
  }
  abandoning_ = true;
  batcher_->Stop(deadline);
  MutexLock lock(mutex_);
  while (pending_ > 0) answered_.Wait(mutex_);
}

}  // namespace oriel::serving
