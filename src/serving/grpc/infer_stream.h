// ModelStreamInfer: many inferences over one call, several at a time.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <set>

#include "base/mutex.h"
#include "serving/grpc/context.h"

namespace oriel::serving::grpc {

class InferStream;

// The streams that are open. Thread-safe; outlives them.
class InferStreams {
 public:
  // Each message is answered by one, as soon as it is ready: not in the order they came.
  // An error is the answer of the message that caused it, and the stream goes on. While
  // as many are in work as the context allows, nothing is read.
  ::grpc::ServerBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer>* Open(
      const Context& context, ::grpc::CallbackServerContext* call);

  // Ends each stream when what it has accepted is answered.
  void Drain();

 private:
  friend class InferStream;
  void Remove(const std::shared_ptr<InferStream>& stream);

  Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<InferStream>> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::serving::grpc
