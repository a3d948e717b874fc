#include "engine/choices.h"

#include <gtest/gtest.h>

namespace oriel::engine {
namespace {

TEST(Choices, KeepsTheLastOfEachKey) {
  Choices choices(Choices::Entries{{"conv 3x3", "direct"}});
  EXPECT_EQ(choices.Find("conv 3x3"), "direct");
  EXPECT_EQ(choices.Find("conv 1x7"), std::nullopt);
  EXPECT_FALSE(choices.changed());
  choices.Insert("conv 3x3", "direct");
  EXPECT_FALSE(choices.changed());
  choices.Insert("conv 3x3", "winograd");
  EXPECT_TRUE(choices.changed());
  EXPECT_EQ(choices.entries(), (Choices::Entries{{"conv 3x3", "winograd"}}));
}

TEST(Choices, AnEmptyValueIsAChoice) {
  Choices choices;
  choices.Insert("conv", "");
  EXPECT_EQ(choices.Find("conv"), "");
  EXPECT_TRUE(choices.changed());
}

}  // namespace
}  // namespace oriel::engine
