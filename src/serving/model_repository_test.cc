#include "serving/model_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/files.h"
#include "base/testing.h"
#include "serving/testing.h"

namespace oriel::serving {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// Versions are folders with an oriel.json; one that says "broken" cannot be loaded.
class ModelRepositoryTest : public testing::Test {
 protected:
  void TearDown() override {
    if (repository_ != nullptr) repository_->Stop(kNever);
  }

  fs::path root() const { return directory_.path(); }

  void Write(const std::string& model, int version, const std::string& text) {
    const fs::path folder = root() / model / std::to_string(version);
    fs::create_directories(folder);
    ASSERT_OK(WriteFileAtomically(folder / "oriel.json", text));
  }

  void Start() { Start({.root = root()}); }
  void Start(ModelRepositoryOptions options) {
    repository_ = std::make_unique<ModelRepository>(
        std::move(options),
        [this](const model::ModelDirectory& files) { return Load(files); },
        Clock::Real());
    repository_->Start();
    repository_->AwaitStarted();
  }

  absl::StatusOr<std::shared_ptr<ServedModel>> Load(const model::ModelDirectory& files) {
    ++loads_;
    load_gate_.Pass();
    ASSIGN_OR_RETURN(const std::string text, ReadFile(files.path / "oriel.json", 100));
    if (text == "broken") return DataLoss("{}: broken", files.path.string());
    if (text == "throws") throw std::bad_alloc();
    auto session = std::make_shared<FakeSession>(files.name, files.version);
    sessions_.push_back(session);
    return ServedModel::Create(session, {}, pool_, Clock::Real());
  }

  absl::Status Call(void (ModelRepository::*call)(std::string, ModelRepository::Done),
                    const std::string& name) {
    std::promise<absl::Status> status;
    (*repository_.*call)(name, [&](absl::Status s) { status.set_value(std::move(s)); });
    return status.get_future().get();
  }
  absl::Status Rescan() {
    std::promise<absl::Status> status;
    repository_->Rescan([&](absl::Status s) { status.set_value(std::move(s)); });
    return status.get_future().get();
  }

  // "name/version" that answers.
  std::string Serving(const ModelSpec& spec) {
    const auto model = repository_->Get(spec);
    if (!model.ok()) return model.status().ToString();
    return (*model)->session().name() + "/" + (*model)->session().version();
  }
  // "3 AVAILABLE, 2 END"
  std::string States(const std::string& name) {
    const auto status = repository_->Status(name);
    if (!status.ok()) return status.status().ToString();
    std::string text;
    for (const VersionStatus& v : status->versions) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", v.version,
                          VersionStateName(v.state));
    }
    return text;
  }

  TemporaryDirectory directory_;
  WorkerPool pool_{2, 100};
  Gate load_gate_;
  std::atomic<int> loads_{0};
  std::vector<std::shared_ptr<FakeSession>> sessions_;
  std::unique_ptr<ModelRepository> repository_;
};

TEST(VersionPolicyTest, Parses) {
  ASSERT_OK_AND_ASSIGN(VersionPolicy policy, ParseVersionPolicy("latest"));
  EXPECT_EQ(policy.kind, VersionPolicy::Kind::kLatest);
  EXPECT_EQ(policy.latest, 1);
  ASSERT_OK_AND_ASSIGN(policy, ParseVersionPolicy("latest:3"));
  EXPECT_EQ(policy.latest, 3);
  ASSERT_OK_AND_ASSIGN(policy, ParseVersionPolicy("all"));
  EXPECT_EQ(policy.kind, VersionPolicy::Kind::kAll);
  ASSERT_OK_AND_ASSIGN(policy, ParseVersionPolicy("specific:4,2"));
  EXPECT_EQ(policy.kind, VersionPolicy::Kind::kSpecific);
  EXPECT_THAT(policy.versions, ElementsAre(4, 2));
  for (const char* text : {"", "newest", "latest:", "latest:0", "latest:x",
                           "specific:", "specific:1,", "specific:1,,2", "all:1"}) {
    EXPECT_EQ(ParseVersionPolicy(text).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(VersionLabelTest, Parses) {
  ASSERT_OK_AND_ASSIGN(VersionLabel label, ParseVersionLabel("stable=3"));
  EXPECT_EQ(label.model, "");
  EXPECT_EQ(label.label, "stable");
  EXPECT_EQ(label.version, 3);
  ASSERT_OK_AND_ASSIGN(label, ParseVersionLabel("cats:canary=12"));
  EXPECT_EQ(label.model, "cats");
  EXPECT_EQ(label.label, "canary");
  EXPECT_EQ(label.version, 12);
  for (const char* text : {"", "stable", "stable=", "=3", "stable=x", ":stable=3",
                           "a/b:stable=3", "st able=3", "stable=03"}) {
    EXPECT_EQ(ParseVersionLabel(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST_F(ModelRepositoryTest, ServesTheNewestVersionOfEachModel) {
  Write("cats", 1, "a");
  Write("cats", 10, "b");
  Write("cats", 9, "c");
  Write("dogs", 2, "d");
  fs::create_directories(root() / "dogs" / "3");  // no oriel.json: being written
  fs::create_directories(root() / "no model");
  Start();
  EXPECT_EQ(Serving({.name = "cats"}), "cats/10");
  EXPECT_EQ(Serving({.name = "dogs"}), "dogs/2");
  EXPECT_EQ(Serving({}), "cats/10");
  EXPECT_EQ(States("cats"), "10 AVAILABLE");
  EXPECT_EQ(loads_, 2);
  EXPECT_THAT(
      Serving({.name = "birds"}),
      AllOf(HasSubstr("NOT_FOUND"), HasSubstr("'birds'"), HasSubstr("cats, dogs")));
  EXPECT_THAT(Serving({.name = "cats", .version = 9}),
              AllOf(HasSubstr("NOT_FOUND"), HasSubstr("available: 10")));
}

TEST_F(ModelRepositoryTest, TheDefaultIsTheFullModelOrTheOneNamed) {
  for (const char* name : {"aardvark", "efficientnet_lite2"}) Write(name, 1, "a");
  Start();
  EXPECT_EQ(repository_->DefaultModel(), "efficientnet_lite2");
  repository_->Stop(kNever);
  Start({.root = root(), .default_model = "aardvark"});
  EXPECT_EQ(Serving({}), "aardvark/1");
}

TEST_F(ModelRepositoryTest, PoliciesAndLabels) {
  for (const int version : {1, 2, 3, 4}) Write("cats", version, "a");
  ModelRepositoryOptions options{.root = root()};
  ASSERT_OK_AND_ASSIGN(options.settings_by_model["cats"].policy,
                       ParseVersionPolicy("specific:2,4"));
  options.settings_by_model["cats"].labels = {{"stable", 2}, {"canary", 4}, {"old", 1}};
  Start(options);
  EXPECT_EQ(States("cats"), "4 AVAILABLE, 2 AVAILABLE");
  EXPECT_EQ(Serving({.name = "cats"}), "cats/4");
  EXPECT_EQ(Serving({.name = "cats", .version = 2}), "cats/2");
  EXPECT_EQ(Serving({.label = "stable"}), "cats/2");
  EXPECT_EQ(Serving({.name = "cats", .label = "canary"}), "cats/4");
  EXPECT_THAT(Serving({.name = "cats", .label = "old"}),
              AllOf(HasSubstr("NOT_FOUND"), HasSubstr("version 1")));
  EXPECT_THAT(Serving({.name = "cats", .label = "beta"}),
              AllOf(HasSubstr("NOT_FOUND"), HasSubstr("canary, old, stable")));
  EXPECT_THAT(Serving({.name = "cats", .version = 2, .label = "stable"}),
              HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(repository_->Labels("cats"), testing::SizeIs(3));
}

TEST_F(ModelRepositoryTest, ANewVersionIsExchangedForTheOld) {
  Write("cats", 1, "a");
  Start();
  Write("cats", 2, "b");
  ASSERT_OK(Rescan());
  EXPECT_EQ(Serving({}), "cats/2");
  EXPECT_EQ(States("cats"), "2 AVAILABLE, 1 END");
  // Nothing keeps the old one's memory.
  EXPECT_EQ(sessions_[0].use_count(), 1);
}

TEST_F(ModelRepositoryTest, TheOldVersionServesWhileTheNewOneLoads) {
  Write("cats", 1, "a");
  Start();
  load_gate_.Close();
  Write("cats", 2, "b");
  std::promise<absl::Status> scanned;
  repository_->Rescan([&](absl::Status s) { scanned.set_value(std::move(s)); });
  load_gate_.AwaitArrived(2);
  EXPECT_EQ(States("cats"), "2 LOADING, 1 AVAILABLE");
  EXPECT_EQ(Serving({}), "cats/1");
  EXPECT_THAT(Serving({.version = 2}), HasSubstr("UNAVAILABLE"));
  load_gate_.Open();
  ASSERT_OK(scanned.get_future().get());
  EXPECT_EQ(Serving({}), "cats/2");
}

TEST_F(ModelRepositoryTest, ABrokenVersionReplacesNothingAndSaysWhy) {
  Write("cats", 1, "a");
  Start();
  Write("cats", 2, "broken");
  EXPECT_THAT(Rescan().ToString(), HasSubstr("cats/2: broken"));
  EXPECT_EQ(Serving({}), "cats/1");
  EXPECT_EQ(States("cats"), "2 END, 1 AVAILABLE");
  ASSERT_OK_AND_ASSIGN(const ModelStatus status, repository_->Status("cats"));
  EXPECT_THAT(status.versions[0].error.ToString(), HasSubstr("cats/2: broken"));
  EXPECT_OK(status.versions[1].error);
  // Not tried again as long as it is the same.
  EXPECT_FALSE(Rescan().ok());
  EXPECT_EQ(loads_, 2);
  EXPECT_FALSE(Call(&ModelRepository::Load, "cats").ok());  // unless asked to
  EXPECT_EQ(loads_, 3);
  Write("cats", 2, "mended");
  ASSERT_OK(Rescan());
  EXPECT_EQ(Serving({}), "cats/2");
  EXPECT_EQ(States("cats"), "2 AVAILABLE, 1 END");
}

TEST_F(ModelRepositoryTest, AVersionThatThrowsIsABrokenOne) {
  Write("cats", 1, "throws");
  Start();
  EXPECT_THAT(Serving({}), HasSubstr("no version of the model 'cats' is available"));
  EXPECT_EQ(States("cats"), "1 END");
}

TEST_F(ModelRepositoryTest, AVersionWhoseFilesChangeIsLoadedAnew) {
  Write("cats", 1, "a");
  Start();
  Write("cats", 1, "b");
  ASSERT_OK(Rescan());
  EXPECT_EQ(loads_, 2);
  EXPECT_EQ(sessions_[0].use_count(), 1);
  ASSERT_OK(Rescan());
  EXPECT_EQ(loads_, 2);
  Write("cats", 1, "broken");
  EXPECT_FALSE(Rescan().ok());
  EXPECT_EQ(Serving({}), "cats/1");
  ASSERT_OK_AND_ASSIGN(const ModelStatus status, repository_->Status("cats"));
  EXPECT_EQ(status.versions[0].state, VersionState::kAvailable);
  EXPECT_THAT(status.versions[0].error.ToString(), HasSubstr("broken"));
}

TEST_F(ModelRepositoryTest, AModelWhoseFolderGoesIsUnloadedAndAnEmptyOneIsNot) {
  Write("cats", 1, "a");
  Write("dogs", 1, "a");
  Start();
  fs::remove_all(root() / "cats");
  fs::remove_all(root() / "dogs" / "1");
  (void)Rescan();
  EXPECT_THAT(Serving({.name = "cats"}), HasSubstr("NOT_FOUND"));
  EXPECT_EQ(Serving({.name = "dogs"}), "dogs/1");
  EXPECT_EQ(repository_->Index().size(), 1);
}

TEST_F(ModelRepositoryTest, LoadsAndUnloadsOnDemand) {
  Write("cats", 1, "a");
  Write("dogs", 1, "a");
  Start({.root = root(), .load_on_demand = true});
  EXPECT_EQ(loads_, 0);
  EXPECT_EQ(repository_->Index().size(), 2);
  EXPECT_THAT(Serving({.name = "dogs"}), HasSubstr("UNAVAILABLE"));
  ASSERT_OK(Call(&ModelRepository::Load, "dogs"));
  EXPECT_EQ(Serving({.name = "dogs"}), "dogs/1");
  EXPECT_EQ(Serving({}), "dogs/1");
  ASSERT_OK(Call(&ModelRepository::Unload, "dogs"));
  EXPECT_THAT(Serving({.name = "dogs"}), HasSubstr("unloaded"));
  EXPECT_EQ(sessions_[0].use_count(), 1);
  ASSERT_OK(Rescan());
  EXPECT_THAT(Serving({.name = "dogs"}), HasSubstr("unloaded"));
  ASSERT_OK(Call(&ModelRepository::Load, "dogs"));
  EXPECT_EQ(Serving({.name = "dogs"}), "dogs/1");
  EXPECT_EQ(Call(&ModelRepository::Load, "birds").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Call(&ModelRepository::Unload, "birds").code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelRepositoryTest, AFolderWithoutVersionsIsVersionOne) {
  fs::create_directories(root() / "plain");
  ASSERT_OK(WriteFileAtomically(root() / "plain" / "oriel.json", "a"));
  Start({.models = {{"mine", root() / "plain"}}});
  EXPECT_EQ(Serving({.version = 1}), "mine/1");
}

TEST_F(ModelRepositoryTest, PollsFolders) {
  Write("cats", 1, "a");
  Start({.root = root(), .poll_interval = std::chrono::milliseconds(5)});
  Write("cats", 2, "b");
  const TimePoint patience = Clock::Real().Now() + std::chrono::seconds(20);
  while (Serving({}) != "cats/2" && Clock::Real().Now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(Serving({}), "cats/2");
}

// What is accepted is answered, by the version that accepted it.
TEST_F(ModelRepositoryTest, ExchangesUnderLoadLoseNoRequest) {
  Write("cats", 1, "a");
  Start();
  std::atomic<bool> stop{false};
  std::atomic<int> asked{0}, answered{0}, refused{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {
    clients.emplace_back([&] {
      while (!stop) {
        auto model = repository_->Get({});
        ASSERT_OK(model.status());
        std::promise<absl::Status> answer;
        const absl::Status accepted = (*model)->Classify(
            {.images = {std::make_shared<const std::string>(FakeImage(3))}},
            [&](std::vector<ImageAnswer> answers) {
              answer.set_value(answers.at(0).status);
            });
        model->reset();
        ++asked;
        if (!accepted.ok()) {
          ++refused;
          continue;
        }
        if (answer.get_future().get().ok()) ++answered;
      }
    });
  }
  for (int i = 2; i <= 30; ++i) {
    Write("cats", i % 2 + 1, std::to_string(i));
    if (i > 2) fs::remove_all(root() / "cats" / std::to_string((i + 1) % 2 + 1));
    EXPECT_OK(Rescan());
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(asked, 0);
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(answered, asked);
  for (size_t i = 0; i + 1 < sessions_.size(); ++i) {
    EXPECT_EQ(sessions_[i].use_count(), 1) << i;
  }
}

TEST_F(ModelRepositoryTest, StopRefusesWhatComesAndTellsWhoWaits) {
  Write("cats", 1, "a");
  Start();
  repository_->Stop(kNever);
  EXPECT_THAT(Serving({}), AllOf(HasSubstr("UNAVAILABLE"), HasSubstr("shutting down")));
  EXPECT_EQ(Call(&ModelRepository::Load, "cats").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(sessions_[0].use_count(), 1);
}

}  // namespace
}  // namespace oriel::serving
