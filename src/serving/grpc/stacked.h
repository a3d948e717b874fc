// Generated code changes how a service takes its messages by one class template for
// each method: Stacked<Service, A, B> is A<B<Service>>.
#pragma once

namespace oriel::serving::grpc {

template <typename Service, template <typename> class... Methods>
struct StackedMethods {
  using Type = Service;
};
template <typename Service, template <typename> class First,
          template <typename> class... Rest>
struct StackedMethods<Service, First, Rest...> {
  using Type = First<typename StackedMethods<Service, Rest...>::Type>;
};
template <typename Service, template <typename> class... Methods>
using Stacked = typename StackedMethods<Service, Methods...>::Type;

}  // namespace oriel::serving::grpc
