#include "serving/grpc/infer_stream.h"

#include <absl/functional/function_ref.h>
#include <grpcpp/server_context.h>

#include <deque>
#include <utility>
#include <vector>

#include "serving/grpc/admission.h"
#include "serving/grpc/call_log.h"
#include "serving/grpc/infer_call.h"
#include "serving/grpc/status.h"
#include "serving/grpc/unary_call.h"
#include "serving/grpc/wire.h"

namespace oriel::serving::grpc {

// gRPC calls back from its threads, answers come from the pool's. Whoever changes the
// state also does what follows from it (Step): operations are started without the mutex,
// because gRPC may call back from within.
class InferStream final
    : public ::grpc::ServerBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer> {
 public:
  InferStream(const Context& context, InferStreams& streams,
              ::grpc::CallbackServerContext* call)
      : context_(context), streams_(streams), call_(call) {}

  // `self` lives until gRPC is done with the call.
  void Start(std::shared_ptr<InferStream> self) {
    self_ = std::move(self);
    Step([] {});
  }

  void Drain() {
    Step([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { draining_ = true; });
  }

 private:
  void OnReadDone(bool ok) override {
    ::grpc::ByteBuffer message;
    message.Swap(&incoming_);
    Step([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      reading_ = false;
      if (ok) {
        ++in_work_;
      } else {
        read_all_ = true;
      }
    });
    if (ok) Infer(std::move(message));
  }

  void OnWriteDone(bool ok) override {
    Step([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      writing_ = false;
      --in_work_;
      if (ok) return;
      // Nobody takes answers any more.
      broken_ = true;
      in_work_ -= answers_.size();
      answers_.clear();
    });
  }

  void OnCancel() override { cancellation_->Cancel(); }

  void OnDone() override {
    const auto self = std::move(self_);  // and perhaps the last that holds it
    streams_.Remove(self);
  }

  // The message counts as in work, so that the stream stays until it is answered.
  void Infer(::grpc::ByteBuffer message) {
    auto call = std::make_shared<StreamInferCall>(context_);
    auto log = std::make_shared<CallLog>(
        context_, *call_, "/inference.GRPCInferenceService/ModelStreamInfer",
        Protocol::kOpenInference, message.Length(), false);
    auto done = [this, call, log](absl::StatusOr<::grpc::ByteBuffer> answer) {
      ::grpc::ByteBuffer bytes =
          answer.ok() ? *std::move(answer) : call->Error(answer.status());
      log->Record(ToGrpc(answer.status(), Protocol::kOpenInference), bytes.Length(),
                  false, call->report());
      Answer(std::move(bytes));
    };
    const absl::Status admitted = Admit(context_, *call_, Access::kUse).status;
    if (!admitted.ok()) return done(admitted);
    InferenceCall::Arrival arrival = {.message = std::move(message),
                                      .deadline = DeadlineOf(context_, *call_),
                                      .cancellation = cancellation_};
    InferenceCall::Start(call, std::move(arrival), std::move(done));
  }

  void Answer(::grpc::ByteBuffer answer) {
    Step([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (broken_) {
        --in_work_;
      } else {
        answers_.push_back(std::move(answer));
      }
    });
  }

  // `change` is made under the mutex. Once this thread has let go of `busy_`, any other
  // may finish the call and with it this object.
  void Step(absl::FunctionRef<void()> change) {
    bool read = false, write = false, finish = false;
    {
      MutexLock lock(mutex_);
      change();
      ++busy_;
      read = !reading_ && !read_all_ && !draining_ &&
             in_work_ < context_.max_stream_requests;
      if (read) reading_ = true;
      write = !writing_ && !answers_.empty();
      if (write) {
        writing_ = true;
        outgoing_ = std::move(answers_.front());
        answers_.pop_front();
      }
    }
    if (read) StartRead(&incoming_);
    if (write) StartWrite(&outgoing_);
    ::grpc::Status status;
    {
      MutexLock lock(mutex_);
      --busy_;
      finish = !finished_ && busy_ == 0 && in_work_ == 0 && (read_all_ || draining_);
      if (!finish) return;
      finished_ = true;
      if (!read_all_) {
        status = ::grpc::Status(::grpc::StatusCode::UNAVAILABLE,
                                "the server is shutting down");
      }
    }
    Finish(status);
  }

  const Context& context_;
  InferStreams& streams_;
  ::grpc::CallbackServerContext* const call_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  std::shared_ptr<InferStream> self_;
  ::grpc::ByteBuffer incoming_, outgoing_;  // belong to gRPC while reading_, writing_
  Mutex mutex_;
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;  // threads within Step
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_all_ ABSL_GUARDED_BY(mutex_) = false;  // the client sends no more
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  // Messages read, whose answers are not written yet.
  size_t in_work_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<::grpc::ByteBuffer> answers_ ABSL_GUARDED_BY(mutex_);
};

::grpc::ServerBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer>* InferStreams::Open(
    const Context& context, ::grpc::CallbackServerContext* call) {
  auto stream = std::make_shared<InferStream>(context, *this, call);
  InferStream* const reactor = stream.get();
  bool draining = false;
  {
    MutexLock lock(mutex_);
    open_.insert(stream);
    draining = draining_;
  }
  reactor->Start(std::move(stream));
  if (draining) reactor->Drain();
  return reactor;
}

void InferStreams::Remove(const std::shared_ptr<InferStream>& stream) {
  MutexLock lock(mutex_);
  open_.erase(stream);
}

void InferStreams::Drain() {
  std::vector<std::shared_ptr<InferStream>> open;
  {
    MutexLock lock(mutex_);
    draining_ = true;
    open.assign(open_.begin(), open_.end());
  }
  for (const auto& stream : open) stream->Drain();
}

}  // namespace oriel::serving::grpc
