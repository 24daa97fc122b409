// A tiny model in a folder, and pictures in files and in memory, for the tests of include/vitrail.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "image/codec/codec.h"
#include "infer/small_models.h"
#include "models/model_folder.h"
#include "vitrail/vitrail.h"

namespace vit::testing {

inline std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline std::string text_of(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = bytes_of(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class SmallWorld {
 public:
  explicit SmallWorld(const vitrail::VitConfig& config = vitrail::testing::small_config())
      : folder_("api"), images_(vitrail::testing::scenes(4)) {
    const auto model = vitrail::testing::model_of(config);
    std::vector<std::string> labels;
    for (int64_t i = 0; i < config.num_classes; ++i) labels.push_back("class " + std::to_string(i));
    std::filesystem::create_directories(model_folder());
    vitrail::write_model_folder(
        model_folder(),
        {.network = *model->network, .preprocess = to_json(model->preprocess), .labels = labels});
    for (size_t i = 0; i < images_.size(); ++i)
      vitrail::write_png(picture(static_cast<int>(i)), images_[i]);
  }

  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  std::filesystem::path model_folder() const { return folder_ / "model"; }
  std::string model() const { return model_folder().string(); }
  std::string picture(int i) const {
    return (folder_ / ("picture" + std::to_string(i) + ".png")).string();
  }
  const vitrail::Image& image(int i) const { return images_[static_cast<size_t>(i)]; }

 private:
  vitrail::testing::TemporaryFolder folder_;
  std::vector<vitrail::Image> images_;
};

// What a program is told: one line, which speaks of no flag of the command.
inline void expect_well_said(const std::string& message) {
  EXPECT_FALSE(message.empty());
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_EQ(message.find("--"), std::string::npos) << message;
  EXPECT_EQ(message.find("vitrail "), std::string::npos) << message;
}

struct Refusal {
  ErrorCode code = ErrorCode::internal;
  std::string place, message;
};

// The Error that `action` throws; a failure of the test when it throws none, or anything else.
template <typename Action>
Refusal refusal_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    expect_well_said(error.what());
    return {error.code(), error.place(), error.what()};
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return {};
  } catch (...) {
    ADD_FAILURE() << "something that is no exception";
    return {};
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

#define EXPECT_REFUSED(statement, kind, part)                                      \
  do {                                                                             \
    const auto refusal_ = ::vit::testing::refusal_of([&] { (void)(statement); });  \
    EXPECT_EQ(refusal_.code, ::vit::ErrorCode::kind) << refusal_.message;          \
    EXPECT_NE(refusal_.message.find(part), std::string::npos) << refusal_.message; \
  } while (false)

}  // namespace vit::testing
